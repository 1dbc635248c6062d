"""What a site writes for others to read, de-identified."""
