"""What wraps every strategy: sending, waiting with a deadline, quorum."""
