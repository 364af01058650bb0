"""Getting scans ready: reconstruct and import; stitch, rectify, register and filter to come."""
