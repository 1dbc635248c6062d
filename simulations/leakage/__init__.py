"""Parts of the demonstration that a random row split leaks."""
