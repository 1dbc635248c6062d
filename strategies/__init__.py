"""Aggregation rules, one file an algorithm; the file's name is the name used in plans."""
