"""Synthetic hospitals: a causal model and its writers in the layouts of real sources."""
