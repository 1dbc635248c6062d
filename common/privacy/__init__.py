"""Mechanisms that bound what an answer can tell of one patient."""
