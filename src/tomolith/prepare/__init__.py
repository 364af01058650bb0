"""Getting scans ready: import now; reconstruct, stitch, rectify, register and filter to come."""
