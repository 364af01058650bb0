"""95 % intervals: where they come from, how they combine, and what inherits them."""
