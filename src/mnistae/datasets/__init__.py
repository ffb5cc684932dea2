"""Data sets by name or path, images by word: found, downloaded, verified and cached."""
