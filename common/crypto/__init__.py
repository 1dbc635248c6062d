"""Keys of a site, and files that only they open."""
