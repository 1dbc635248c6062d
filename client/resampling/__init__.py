"""Ways to balance the classes of a training fold: one file each, its name is the plan's word for it."""
