"""The shared vocabulary: errors, arrays, configuration, records, paths and text. Standard library and NumPy only."""
