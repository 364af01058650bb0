"""Numbers: metrics of predictions against truth, and quantities from labels."""
