"""The network in PyTorch and in NumPy, its devices and its layer table."""
