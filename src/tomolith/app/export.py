"""``tomolith export``: results in formats that other software opens."""

from __future__ import annotations

from pathlib import Path

from tomolith.store.exporters import EXPORTERS
from tomolith.store.scan import Scan


def export_scan(scan: Path, target: Path, *, labels: str | None, form: str = "tiff") -> Path:
    """Write the image, or one label map, of a scan to ``target``.

    Raises
    ------
    InputError
        There is no such scan, label map or format.
    DiskError
        The file cannot be written; nothing is left under its name.
    """
    opened = Scan.open(scan)
    source = opened.image if labels is None else opened.labels(labels)
    EXPORTERS.load(form)(source, target)
    return target
