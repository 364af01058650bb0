"""Plan counts of many scans, kept on disk and read back one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tomolith.measure.plan_maps import PlanMaps
from tomolith.measure.quantities.frame import PlanKey
from tomolith.store.atomic import disk_errors


@dataclass(frozen=True, slots=True, eq=False)
class KeptPlans(Mapping[str, PlanMaps]):
    """The plan maps of a series, in the order in which they were kept.

    Only what is asked for is in memory: a plan of 3896 × 1707 columns and six classes has 160 MB,
    and a series has many.

    Parameters
    ----------
    folder
        Gets the files of every scan; whoever makes the folder removes it.
    key
        Which rectangle of the plan is given; ``None`` for the whole.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS, Grid
    >>> from tomolith.measure.quantities import Frame
    >>> counts, grid = np.array([[[1, 0]], [[2, 3]]], np.int32), Grid((1, 3, 2), None)
    >>> plans = KeptPlans(Path(tempfile.mkdtemp()))
    >>> plans.keep("t0", PlanMaps(PRESETS["li-binary"], grid, Frame.half_depth((1, 3, 2)), counts))
    >>> list(plans), plans["t0"].count("lithium").tolist()
    (['t0'], [[2, 3]])
    """

    folder: Path
    _kept: dict[str, tuple[Path, PlanMaps]] = field(default_factory=dict)
    key: PlanKey | None = None

    def keep(self, scan: str, plan: PlanMaps) -> None:
        """Keep the plan maps of a scan; ``DiskError`` where the disk is full or read-only."""
        path = self.folder / f"{len(self._kept)}.int32"
        with disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            # not np.save, which overlooks a full disk
            path.write_bytes(np.ascontiguousarray(plan.counts, np.int32).data)
            for i, other in enumerate(plan.others):
                values = np.ascontiguousarray(other.values, np.float32)
                _beside(path, i).write_bytes(values.data)
        shape = plan.counts.shape
        none = np.broadcast_to(np.float32(0), shape[1:])
        others = tuple(replace(other, values=none) for other in plan.others)
        counts = np.broadcast_to(np.int32(0), shape)
        self._kept[scan] = path, replace(plan, counts=counts, others=others)

    def of(self, scans: Sequence[str]) -> KeptPlans:
        """Return the plans of some scans, in their order; what was not kept is left out."""
        chosen = {scan: self._kept[scan] for scan in scans if scan in self._kept}
        return KeptPlans(self.folder, chosen)

    def analysed(self) -> KeptPlans:
        """Return the part of the plans outside of which no scan has a label.

        What an analysis region leaves out would else look like columns without Li.
        """
        keys = [key for plan in self.values() if (key := plan.analysed_key) != (0, 0, 0, 0)]
        if not keys:
            return KeptPlans(self.folder)
        u0, u1, v0, v1 = zip(*keys, strict=True)
        return KeptPlans(self.folder, self._kept, (min(u0), max(u1), min(v0), max(v1)))

    def __getitem__(self, scan: str) -> PlanMaps:
        path, plan = self._kept[scan]
        shape = plan.counts.shape[1:]
        with disk_errors(path):
            counts = np.fromfile(path, np.int32).reshape(plan.counts.shape)
            others = tuple(
                replace(other, values=np.fromfile(_beside(path, i), np.float32).reshape(shape))
                for i, other in enumerate(plan.others)
            )
        whole = replace(plan, counts=counts, others=others)
        return whole if self.key is None else whole.cut(self.key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _beside(path: Path, i: int) -> Path:
    """Return where the further map ``i`` of a scan is kept."""
    return path.with_name(f"{path.stem}-{i}.float32")
