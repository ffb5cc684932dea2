"""The command-line toolkit for the four-layer MLP autoencoder of the MNIST course lab."""

__version__ = "0.1.0"
