"""Scans on disk: OME-Zarr in and out, other formats in and out, integrity, locks, done marks."""
