"""The report of a run: one self-contained HTML page, the same for the same results."""
