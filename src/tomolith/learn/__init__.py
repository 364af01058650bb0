"""Networks, losses, training and prediction; the only room that knows torch."""
