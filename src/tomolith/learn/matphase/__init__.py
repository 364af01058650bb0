"""Training of MatPhase: its stages, the curriculum over pixels, and abstention."""
