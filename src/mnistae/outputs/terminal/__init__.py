"""Images and charts as terminal text. Nothing here prints."""
