"""What the step ``compare`` left, read back."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomolith.errors import ReadError
from tomolith.measure.reliability import ReliabilityRecord
from tomolith.measure.rows import CompareRow
from tomolith.measure.tables import read_table

Weights = tuple[tuple[str, float], ...]  # member, share


@dataclass(frozen=True)
class SystemFiles:
    """One system: its method, its runs as (name, seed), and how its probabilities keep their word.

    ``reliability`` is that of all its runs together; ``None`` where there are no probabilities.
    ``weights`` are those of an ensemble's members, for each run; empty where they are not known.
    """

    name: str
    method: str
    runs: tuple[tuple[str, int | None], ...]
    engine: str = ""
    patch_px: int = 0
    reliability: ReliabilityRecord | None = None
    weights: tuple[Weights, ...] = ()

    @property
    def seeds_text(self) -> str:
        """How many seeds its numbers are the mean of, in words.

        Examples
        --------
        >>> SystemFiles("u", "unet", (("u-s0", 0),)).seeds_text
        '1, no spread'
        >>> SystemFiles("otsu", "otsu", (("otsu", None),)).seeds_text
        'none needed'
        """
        if self.runs and self.runs[0][1] is None:
            return "none needed"
        return "1, no spread" if len(self.runs) == 1 else str(len(self.runs))

    @property
    def weights_text(self) -> str:
        """The weights of an ensemble's members, in words; empty for other systems.

        Examples
        --------
        >>> runs = (("e-s0", 0), ("e-s1", 1))
        >>> found = ((("unet", 1.0), ("ynet", 0.0)), (("unet", 0.3), ("ynet", 0.7)))
        >>> SystemFiles("e", "ensemble", runs, weights=found).weights_text
        'unet alone (seed 0), 0.30 unet + 0.70 ynet (seed 1)'
        """
        texts = [_weights_text(weights) for weights in self.weights]
        if len(set(texts)) == 1:
            return texts[0]
        found = zip(texts, self.runs, strict=True) if texts else ()
        return ", ".join(f"{text} (seed {seed})" for text, (_, seed) in found if text)


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` left.

    Parameters
    ----------
    rows
        The table.
    systems
        In the order of the recipe.
    samples
        Slices (scan, z) to picture.
    truth
        Name of the label map that is right.
    machine
        What the latencies were measured on.
    """

    rows: tuple[CompareRow, ...]
    systems: tuple[SystemFiles, ...]
    samples: tuple[tuple[str, int], ...]
    truth: str
    machine: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that occur in the truth or in a prediction."""
        found = [r for r in self.rows if r.quantity == "occupied_voxels" and r.value]
        known = list(dict.fromkeys(r.class_name for r in self.rows if r.class_name))
        return tuple(c for c in known if any(r.class_name == c for r in found))

    @property
    def ranked(self) -> list[SystemFiles]:
        """The systems, the best mean IoU first."""

        def score(system: SystemFiles) -> float:
            row = self.row(system.name, "iou", convention="pooled")
            return -1.0 if row is None or row.value is None else row.value

        return sorted(self.systems, key=score, reverse=True)

    def row(
        self, system: str, quantity: str, *, convention: str = "", class_name: str = ""
    ) -> CompareRow | None:
        """Return the number over all seeds; ``None`` where there is no such row."""
        wanted = (system, "all", quantity, convention, class_name)
        for r in self.rows:
            if (r.system, r.seed, r.quantity, r.convention, r.class_name) == wanted:
                return r
        return None


def read_comparison(root: Path) -> Comparison | None:
    """Read ``measurements/compare.*`` of a study; ``None`` where there is none.

    Raises
    ------
    ReadError
        A file is damaged.
    """
    folder = root / "measurements"
    if not (folder / "compare.parquet").exists():
        return None
    rows = read_table(folder / "compare", CompareRow)
    try:
        about: dict[str, Any] = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
        systems = tuple(
            SystemFiles(
                s["name"],
                s["method"],
                tuple((str(name), seed) for name, seed in s["runs"]),
                s["engine"],
                s["patch_px"],
                _together([ReliabilityRecord.from_dict(r) for r in s.get("reliability", ())]),
                tuple(tuple((str(m), float(w)) for m, w in run) for run in s.get("weights", ())),
            )
            for s in about["systems"]
        )
        samples = tuple((str(scan), int(z)) for scan, z in about["samples"])
        return Comparison(rows, systems, samples, str(about["truth"]), str(about["machine"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"the comparison cannot be read: {error!r}",
            where=folder / "compare.json",
            mend="run the step 'compare' again",
        ) from error


def _weights_text(weights: Weights) -> str:
    kept = [(name, share) for name, share in weights if share]
    if len(kept) == 1:
        return f"{kept[0][0]} alone"
    return " + ".join(f"{share:.2f} {name}" for name, share in kept)


def _together(records: Sequence[ReliabilityRecord]) -> ReliabilityRecord | None:
    return functools.reduce(ReliabilityRecord.plus, records) if records else None
