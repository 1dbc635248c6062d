"""The coordinator's side: stages, checkpoints, provisioning, reports."""
