"""The site's key seen, changed and destroyed."""
