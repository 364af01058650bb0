"""What a prediction writes: labels, and where asked probabilities, entropy and the like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Provenance
from tomolith.errors import IntegrityError, ReadError
from tomolith.store.atomic import clean_stale, remove_tree
from tomolith.store.integrity import verify_result
from tomolith.store.marks import Marks
from tomolith.store.metadata import read_record
from tomolith.store.removal import remove_leftovers
from tomolith.store.scan import LabelWriter, Scan

Bytes = npt.NDArray[np.uint8]

EXTRAS = ("probabilities", "entropy", "mutual_information")
"""What may be written beside the labels; also the names of settings, and of folders."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The voxels of one block, all uint8.

    Parameters
    ----------
    labels
        (z, y, x), class values.
    probabilities
        (n_classes, z, y, x), ``round(255 * p)``.
    entropy
        (z, y, x), 255 where all classes are as likely.
    mutual_information
        (z, y, x), in the unit of ``entropy``.
    """

    labels: Bytes
    probabilities: Bytes | None = None
    entropy: Bytes | None = None
    mutual_information: Bytes | None = None


class Outputs:
    """The arrays that a prediction fills; all stay ``<name>.partial`` until the end.

    Parameters
    ----------
    scan
        Scan that gets the results.
    name
        Name of the label map, and of the extras beside it.
    schema
        Classes of the label map.
    extras
        Which of :data:`EXTRAS` are written.
    """

    def __init__(
        self, scan: Scan, name: str, *, schema: ClassSchema, extras: Sequence[str] = ()
    ) -> None:
        self._scan, self._name, self._schema = scan, name, schema
        self._channels: dict[str, tuple[str, ...] | None] = {
            kind: schema.names if kind == "probabilities" else None for kind in extras
        }
        self._labels: LabelWriter | None = None
        self._extras: dict[str, LabelWriter | None] = {}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of what is written beside the labels."""
        return tuple(self._channels)

    def are_made(self, key: str) -> bool:
        """Tell whether all results are there, made under ``key``, and undamaged.

        Everything is read back for this; it takes far less time than predicting.
        """
        labels = self._scan.path / "labels" / self._name
        extras = [self._scan.path / kind / self._name for kind in self._channels]
        for path in (labels, *extras):
            try:
                if read_record(path).provenance.settings_hash != key:
                    return False
            except (ReadError, IntegrityError):
                return False
            if verify_result(path):
                return False
            remove_leftovers(path)
        return True

    def open(self, marks: Marks, *, all_done: bool, provenance: Provenance) -> None:
        """Go on with what an earlier run began, or begin anew and forget its marks.

        Parameters
        ----------
        marks
            Done marks of the earlier run; they count only if all its arrays are there.
        all_done
            Whether every block has a mark: an extra may then be finished already.
        provenance
            For arrays begun anew.

        Raises
        ------
        DiskError
            The scan's folder cannot be written.
        """
        scan, name = self._scan, self._name
        if len(marks):
            self._labels = scan.resume_labels(name)
            self._extras = {kind: scan.resume_extra(f"{kind}/{name}") for kind in self._channels}
            if self._labels and (all_done or None not in self._extras.values()):
                for writer in self._writers():
                    clean_stale(writer.path)
                return
        marks.clear()
        self._labels = scan.create_labels(name, self._schema, provenance=provenance)
        self._extras = {
            kind: scan.create_extra(f"{kind}/{name}", channels, np.uint8, provenance=provenance)
            for kind, channels in self._channels.items()
        }

    def write(self, box: Box, result: BlockResult) -> None:
        """Write one block and force it onto the disk.

        Raises
        ------
        DiskError
            The disk is full, read-only or not permitted.
        """
        assert self._labels is not None
        self._labels.array[box.slices] = result.labels
        for kind, writer in self._extras.items():
            values = getattr(result, kind)
            if writer is None or values is None:
                continue
            if values.ndim == 3:
                writer.array[box.slices] = values
            else:  # class by class: no more than one is being compressed at a time
                for channel, one in enumerate(values):
                    at = (slice(channel, channel + 1), *box.slices)
                    writer.array[at] = one[None]
        for writer in self._writers():
            writer.array.sync(box)

    def finish(self) -> None:
        """Give every result its final name, the labels last.

        Extras of an older prediction of this name are dropped: they would not belong
        to these labels.

        Raises
        ------
        IncompleteError
            A part was never written.
        """
        assert self._labels is not None
        for kind in EXTRAS:
            if kind not in self._channels:
                remove_tree(self._scan.path / kind / self._name)
        for writer in (*filter(None, self._extras.values()), self._labels):
            writer.finish()

    def _writers(self) -> list[LabelWriter]:
        return [w for w in (self._labels, *self._extras.values()) if w is not None]
