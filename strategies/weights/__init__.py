"""What aggregation rules for weights have in common."""
