"""Image files: decoding, and the preprocessing that makes a photo look like MNIST."""
