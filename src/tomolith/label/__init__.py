"""Labels: annotations in, and which of them train, validate and test."""
