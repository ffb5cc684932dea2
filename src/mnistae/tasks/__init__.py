"""What a trained network is used for: reconstruction, denoising, interpolation, evaluation."""
