"""Strict readers of file formats."""
