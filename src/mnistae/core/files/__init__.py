"""Files: atomic writes, bounded reads, and the .npy header."""
