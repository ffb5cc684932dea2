"""The command line: the only package that uses typer, rich and exit codes."""
