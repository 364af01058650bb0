"""Several segmentation systems trained, scored and timed on the same slices."""
