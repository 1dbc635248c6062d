"""Data sources: one file a source, its name is the file's name."""
