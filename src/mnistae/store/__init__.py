"""The checkpoint store: the file format, the names and folders of runs, the locks, and the import of course weights."""
