"""Pictures and curves as lines of text, for whoever sits at a terminal. Nothing here prints."""
