"""The peak memory of this process."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch

_OWN = Path("/proc/self")


def reset_peak() -> None:
    """Forget the peak so far: of the process where Linux allows it, and of the CUDA device."""
    with contextlib.suppress(OSError):
        (_OWN / "clear_refs").write_text("5", encoding="ascii")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_bytes() -> tuple[int | None, int | None]:
    """Return the peak of the process, and of the CUDA device; ``None`` where it is not known.

    ``VmHWM`` and not ``getrusage``: the latter counts what the starting process held too.

    Examples
    --------
    >>> process, device = peak_bytes()
    >>> process is None or process > 2**20
    True
    """
    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    try:
        status = (_OWN / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None, device
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return (int(found[1]) * 1024 if found else None), device
