"""Measurements of tomolith; each writes a table into docs/results.

``python -m benchmarks`` runs all, ``python -m benchmarks predict_large`` runs one,
``python -m benchmarks --list`` names them. ``--quick`` takes small inputs and writes nothing:
it only shows that the benchmark works.
"""
