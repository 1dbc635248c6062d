"""What a site computes on its own patients."""
