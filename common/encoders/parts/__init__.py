"""What several encoders are made of, and what is told about them."""
