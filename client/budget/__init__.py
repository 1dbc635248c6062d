"""What a site has spent of its privacy budget, for its data steward: terminal and page."""
