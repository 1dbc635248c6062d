"""Scores of a site's own patients by the models that a run has released; they stay at the site."""
