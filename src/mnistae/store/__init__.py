"""The checkpoint store: file format, runs, names, locks, verification, import and export."""
