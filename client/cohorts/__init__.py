"""From records to a cohort: one row a prediction, cut at the prediction time."""
