"""What a refinement reads, and what the labels of each scan depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomolith.config import settings_hash
from tomolith.core import LabelMap
from tomolith.core.provenance import code_digest, code_version
from tomolith.errors import InputError
from tomolith.measure.refine.plan import RefinePlan, plan_refinement
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.time_model import Step
from tomolith.measure.refine.time_series import check_series
from tomolith.store.array import StoredArray
from tomolith.store.scan import Scan

ROOMS = ("measure", "blocks", "core")
"""Where the code lies that decides about labels."""


@dataclass(frozen=True, slots=True)
class Given:
    """The label maps that are read, and what the labels of each scan depend on.

    Parameters
    ----------
    maps, scans
        One each per scan.
    of_series
        Whether time consistency makes the scans depend on each other.
    reference
        Place of the scan that shows the stripping electrode before it was stripped.
    shares
        Probabilities, where they are used.
    contents
        Checksum of what is read, one per scan.
    """

    scans: tuple[Scan, ...]
    maps: tuple[LabelMap, ...]
    of_series: bool
    reference: int
    shares: tuple[StoredArray, ...] | None
    contents: tuple[str, ...]

    @classmethod
    def of(cls, scans: Sequence[Scan], settings: RefineSettings, source: str) -> Given:
        """Open what is read."""
        maps, time = tuple(scan.labels(source) for scan in scans), settings.wanted("time")
        ids = [scan.id for scan in scans]
        shares = None
        if time is not None:
            check_series(maps, ids)
            shares = _shares(scans, source, time.evidence, len(maps[0].schema))
        allowed, reference = settings.wanted("allowed"), 0
        if allowed is not None and allowed.reference is not None:
            if allowed.reference not in ids:
                raise InputError(
                    f"'refine.allowed.reference' names the scan '{allowed.reference}'",
                    expected=f"one of {', '.join(ids)}",
                )
            reference = ids.index(allowed.reference)
        read = [StoredArray.open(scan.path / "labels" / source / "0") for scan in scans]
        contents = tuple(
            _checksum(labels, *([shares[i]] if shares else [])) for i, labels in enumerate(read)
        )
        return cls(tuple(scans), maps, time is not None, reference, shares, contents)

    def reference_of(self, index: int) -> int:
        """Return the place of the reference of a scan: itself, where that lies on another grid."""
        same = self.maps[index].grid == self.maps[self.reference].grid
        return self.reference if same else index

    def plans(self, settings: RefineSettings) -> list[RefinePlan]:
        """Return the plan of each scan."""
        return [
            plan_refinement(
                labelmap.grid,
                settings,
                labelmap.schema,
                n_scans=len(self.maps) if self.of_series else 1,
                layouts=[s.layout for s in self.scans] if self.of_series else [scan.layout],
                probabilities=self.shares is not None,
            )
            for scan, labelmap in zip(self.scans, self.maps, strict=True)
        ]

    def key(self, index: int, settings: RefineSettings, steps: Sequence[Step] | None) -> str:
        """Return the hash of all that a voxel's label depends on; blocks are not among it.

        What is read enters by its bytes on the disk: label maps that a file was imported into, or
        that somebody wrote, do not all say in their provenance what they were made from.
        """
        how = {"memory", "executor", "workers", "block_zyx"}
        indices = range(len(self.maps)) if self.of_series else {index, self.reference_of(index)}
        read = [
            [
                self.scans[i].id,
                self.maps[i].grid.shape_zyx,
                self.maps[i].grid.voxel_size_um,
                self.maps[i].volume.provenance.identity(),
                self.maps[i].schema.to_dict(),
                self.contents[i],
            ]
            for i in sorted(indices)
        ]
        return settings_hash(
            code_version(),
            code_digest(*ROOMS),
            settings.model_dump(mode="json", exclude=how),
            read,
            self.scans[index].id,
            list(steps or ()),
            self.shares is not None,
        )


def _checksum(*arrays: StoredArray) -> str:
    """Return a checksum of stored arrays, of their compressed bytes; lost ones count as empty."""
    digest = hashlib.sha256()
    for array in arrays:
        for path in sorted(array.shard_files()):
            content = _sha256(path) if path.is_file() else ""
            digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shares(
    scans: Sequence[Scan], source: str, evidence: str, n_classes: int
) -> tuple[StoredArray, ...] | None:
    """Return the probabilities of every scan; ``None`` where labels speak for themselves."""
    if evidence == "labels":
        return None
    name = f"probabilities/{source}"
    without = [scan.id for scan in scans if not (scan.path / name / "zarr.json").is_file()]
    if without and evidence == "auto":
        return None
    if without:
        raise InputError(
            f"the scan '{without[0]}' has no probabilities of '{source}'",
            where="refine.time.evidence",
            mend="set 'predict.probabilities: true', or 'evidence: labels'",
        )
    found = tuple(scan.extra(name) for scan in scans)
    if any(array.shape[0] != n_classes for array in found):
        raise InputError(
            f"the probabilities of '{source}' are of {found[0].shape[0]} classes",
            expected=f"{n_classes} classes, as in the label map",
        )
    return found
