"""One self-contained HTML page about a run: what was trained, how good it is, and where it fails."""
