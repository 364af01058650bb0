"""What all systems of a comparison share: scans, labels, and how the slices are divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomolith.config import settings_hash
from tomolith.core import Box, ClassSchema
from tomolith.errors import InputError
from tomolith.label.splits import Split, slabs
from tomolith.learn.examples import Example
from tomolith.store.scan import Scan


@dataclass(frozen=True)
class Material:
    """The scans of a comparison.

    Parameters
    ----------
    scans
        Finished scans, with labels.
    schema
        The classes.
    labels, truth
        Names of the label maps that are learnt from, and scored against.
    """

    scans: tuple[Scan, ...]
    schema: ClassSchema
    labels: str = "truth"
    truth: str = "truth"

    @property
    def examples(self) -> list[Example]:
        """What the systems learn from: the scans that have such labels."""
        return [
            Example(s.id, s.image, s.labels(self.labels), s.stats, s.invalid)
            for s in self.scans
            if self.labels in s.label_names()
        ]

    def scan(self, scan_id: str) -> Scan:
        """Return one scan."""
        return next(scan for scan in self.scans if scan.id == scan_id)

    def boxes(self, split: Split, part: str) -> dict[str, tuple[Box, ...]]:
        """Return the slabs of one part of the split, by scan."""
        shapes = {scan.id: scan.grid.shape_zyx for scan in self.scans}
        return slabs(getattr(split, part), shapes)

    def check(self, split: Split) -> None:
        """Refuse a split without test slices, and test slices without truth.

        Raises
        ------
        InputError
            There is nothing to compare on.
        """
        if not split.test:
            raise no_test_slice()
        for scan_id in self.boxes(split, "test"):
            scan = self.scan(scan_id)
            if self.truth not in scan.label_names():
                raise InputError(
                    f"the test scan '{scan_id}' has no label map '{self.truth}'",
                    expected=f"one of {', '.join(scan.label_names()) or 'none'}",
                    where=scan.path,
                    mend="name the right labels under 'compare.truth'",
                )

    def truth_hash(self, split: Split) -> str:
        """Return the hash of what predictions are scored against."""
        made = [
            self.scan(scan_id).labels(self.truth).volume.provenance.identity()
            for scan_id in self.boxes(split, "test")
        ]
        return settings_hash(made, split.to_dict()["test"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, for another process."""
        return {
            "scans": [str(scan.path) for scan in self.scans],
            "schema": self.schema.to_dict(),
            "labels": self.labels,
            "truth": self.truth,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Material:
        """Read what :meth:`to_dict` gave."""
        scans: Sequence[str] = values["scans"]
        return cls(
            tuple(Scan.open(Path(path)) for path in scans),
            ClassSchema.from_dict(values["schema"]),
            values["labels"],
            values["truth"],
        )


def no_test_slice() -> InputError:
    """Return the error of a split that holds out nothing to compare on.

    Examples
    --------
    >>> no_test_slice().where
    'compare'
    """
    return InputError(
        "the split holds out no slice for the test",
        where="compare",
        mend="raise 'split.test_frac', or name slices under 'split.test' "
        "(of 'train', or of 'compare.train')",
    )
