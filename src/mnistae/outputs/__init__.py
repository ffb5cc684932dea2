"""From arrays to files and streams: figures, images, codes, and terminal graphics."""
