"""Image quality, principal components and nearest neighbours."""
