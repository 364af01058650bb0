"""``python -m tomolith``: the same as the command ``tomolith``."""

from tomolith.app.cli import main

main()
