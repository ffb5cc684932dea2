"""From references to images: data sets, image files, and the downloads they need."""
