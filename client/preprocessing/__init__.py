"""From a cohort to what a model is trained and judged on."""
