"""Longer results as text and JSON: training in progress, evaluations, metadata, images."""
