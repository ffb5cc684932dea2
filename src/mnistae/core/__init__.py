"""The shared vocabulary: errors, arrays, configuration, records, paths and text. Importing it does not import torch."""
