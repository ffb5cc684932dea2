"""The network: in PyTorch and in NumPy, the devices it runs on, and its layer table."""
