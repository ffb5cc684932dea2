"""Data sets: the registry, the readers of each layout, and the cache."""
