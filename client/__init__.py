"""A hospital's side: its data, its policy, its training, what may leave it."""
