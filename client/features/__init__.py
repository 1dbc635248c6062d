"""What frozen encoders say of a site's films and other data: computed once, fast, and kept encrypted."""
