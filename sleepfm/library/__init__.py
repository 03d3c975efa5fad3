"""Studies and their results in SQLite."""
