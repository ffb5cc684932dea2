"""The commands: one module each, or one for several commands that work alike."""
