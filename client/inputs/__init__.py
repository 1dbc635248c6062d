"""From a cohort to the tensors that encoders take, a batch of rows at a time."""
