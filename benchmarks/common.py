"""What the benchmarks share: the machine and the written result."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from tomolith.core import ClassSchema

LIBRARIES = ("torch", "openvino", "monai", "zarr", "numpy", "algotom", "numba")


@dataclass(frozen=True)
class Result:
    """A benchmark's page: what was done, tables, what they say, and pictures.

    ``arguments`` stood behind the benchmark's name on the command line. A picture is a file name,
    what it shows, and its PNG bytes; it is written to ``docs/results/images``. ``circumstances``
    are rows that are added to how it was measured.
    """

    title: str
    what: str
    tables: Sequence[str]
    notes: Sequence[str] = field(default_factory=tuple)
    arguments: str = ""
    pictures: Sequence[tuple[str, str, bytes]] = field(default_factory=tuple)
    circumstances: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def text(self, name: str) -> str:
        """Return the page as Markdown, with the command, commit and machine."""
        parts = [f"# {self.title}", self.what, *self.tables]
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        parts += [f"![{alt}](images/{file})\n\n*{alt}.*" for file, alt, _ in self.pictures]
        command = f"{name} {self.arguments}".strip()
        parts.append(f"## How it was measured\n\n{circumstances(command, self.circumstances)}")
        return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def circumstances(name: str, more: Sequence[tuple[str, str]] = ()) -> str:
    """Return command, commit, machine, libraries and date; no host names, no paths."""
    libraries = ", ".join(f"{library} {_version(library)}" for library in LIBRARIES)
    rows = [
        ("command", f"`python -m benchmarks {name}`"),
        ("commit", commit()),
        ("machine", f"{_cpu()}, {usable_cores()} cores used, {_ram_gib():.0f} GiB RAM"),
        ("system", f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"),
        ("libraries", libraries),
        *more,
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    return table(("", ""), rows)


def usable_cores() -> int:
    """Return the cores this process may use."""
    return len(os.sched_getaffinity(0))


def peak_bytes() -> int:
    """Return the largest resident memory that this process ever had (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def commit() -> str:
    """Return the commit of this checkout, and whether files differ from it."""
    changed = _git("status", "--porcelain", "--", "../src", ".")
    return (_git("rev-parse", "--short=12", "HEAD") or "unknown") + (
        " (with changes)" if changed else ""
    )


def _cpu() -> str:
    flags = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
            flags = " ".join(flag for flag in known if flag in value.split())
        if key.strip() == "model name":
            name = value.strip()
    return f"{name} ({flags})"


def _ram_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def mean_iou(labels: np.ndarray, truth: np.ndarray, schema: ClassSchema) -> float:
    """Return the mean over the classes that occur of intersection over union."""
    found = []
    for value in schema.values:
        a, b = labels == value, truth == value
        union = np.count_nonzero(a | b)
        if union:
            found.append(np.count_nonzero(a & b) / union)
    return float(np.mean(found))


def hashes(folder: Path) -> dict[str, str]:
    """Return each file's hash; of metadata without the time of day they were made."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.name == "zarr.json":
            document = json.loads(content)
            own = document.get("attributes", {}).get("tomolith", {})
            own.pop("check", None)
            own.get("provenance", {}).pop("created_utc", None)
            content = json.dumps(document, sort_keys=True).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found
