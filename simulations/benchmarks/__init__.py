"""Measurements of this machine, one file each; every number is also a ratio or a slope within one run."""
