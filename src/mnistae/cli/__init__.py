"""The shell: the only floor that knows typer, rich and exit codes."""
