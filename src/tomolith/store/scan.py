"""A scan on disk: one OME-Zarr 0.5 group.

::

    <id>.zarr/zarr.json          NGFF metadata; our own under `tomolith`; written last
    <id>.zarr/0, 1, …            image pyramid, full size first
    <id>.zarr/invalid            uint8, 1 where the source was NaN or Inf (only if any was)
    <id>.zarr/labels/<name>      label maps: pyramid, colours, class names
    <id>.zarr/probabilities/<name>   per-class probabilities (c, z, y, x), an image of its own
    <id>.zarr/entropy/<name>     entropy (z, y, x), an image of its own
    <id>.zarr/mutual_information/<name>   what the predictions disagree about (z, y, x), likewise
    …/<name>.partial             a result that is being written

Extras (probabilities, entropy, mutual information) are OME-Zarr images beside the label map of the
same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid, IntensityStats, LabelMap, Provenance, Volume
from tomolith.errors import IncompleteError, InputError, IntegrityError, ReadError
from tomolith.store.array import StoredArray
from tomolith.store.atomic import clean_stale, remove_tree, sync_tree
from tomolith.store.layout import Layout
from tomolith.store.metadata import (
    Record,
    image_window,
    multiscales,
    read_listed_labels,
    read_record,
    write_group,
)
from tomolith.store.pyramid import build_level, plan_levels, reduce_mean
from tomolith.store.removal import remove_scan
from tomolith.store.writer import LabelWriter, check_name

__all__ = ["LabelWriter", "Scan"]


class Scan:
    """One scan: its image, its label maps, and what is known about them.

    Make one with :meth:`create` or :meth:`open`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> grid = Grid((4, 32, 32), (1.0, 0.5, 0.5))
    >>> scan = Scan.create(folder / "a.zarr", grid, np.uint8, provenance=Provenance("doc"))
    >>> scan.image.array[:] = np.arange(4 * 32 * 32).reshape(4, 32, 32) % 200
    >>> scan.finish()
    >>> Scan.open(folder / "a.zarr").image.grid.voxel_size_um
    (1.0, 0.5, 0.5)
    """

    def __init__(self, path: Path, record: Record) -> None:
        self.path = path
        self._record = record
        array = StoredArray.open(path / "0", whole=record.complete)
        self.image = Volume(array, record.grid, record.provenance)

    @classmethod
    def create(
        cls,
        path: Path,
        grid: Grid,
        dtype: npt.DTypeLike,
        *,
        provenance: Provenance,
        layout: Layout | None = None,
    ) -> Scan:
        """Make an empty scan at ``path``, in place of an older scan there.

        Parameters
        ----------
        path
            Folder, by custom named ``<id>.zarr``.
        grid
            Shape, voxel size and whether z counts sections.
        dtype
            Element type of the image.
        provenance
            What makes it.
        layout
            Chunk and shard; ``None`` for :meth:`Layout.default`.

        Raises
        ------
        DiskError
            The folder cannot be written, or holds something else than a scan.
        """
        remove_scan(path)
        chosen = Layout.default(grid) if layout is None else layout.cut(grid.shape_zyx)
        StoredArray.create(path / "0", grid.shape_zyx, dtype, layout=chosen)
        record = Record("scan", grid, provenance)
        write_group(path, record, {})
        return cls(path, record)

    @classmethod
    def open(cls, path: Path, *, unfinished: bool = False) -> Scan:
        """Open the scan at ``path``.

        Parameters
        ----------
        path
            Folder of the scan.
        unfinished
            True for the one who writes the scan and goes on after a kill.

        Raises
        ------
        ReadError
            There is no scan.
        IncompleteError
            The scan was not finished.
        IntegrityError
            Its metadata are damaged.
        """
        if not path.is_dir():
            raise ReadError("there is no scan", where=path, mend="run the step 'import' first")
        try:
            record = read_record(path)
        except ReadError as error:
            if (path / "0").is_dir() and not (path / "zarr.json").is_file():
                raise _incomplete(path) from error
            raise
        if not record.complete and not unfinished:
            raise _incomplete(path)
        return cls(path, record)

    @property
    def id(self) -> str:
        """Name of the scan: that of its folder, without ``.zarr``."""
        return self.path.name.removesuffix(".zarr")

    @property
    def grid(self) -> Grid:
        """Grid of the image and of all label maps."""
        return self._record.grid

    @property
    def provenance(self) -> Provenance:
        """What made the scan."""
        return self._record.provenance

    @property
    def layout(self) -> Layout:
        """Chunk and shard of the image."""
        return self._stored.layout

    @property
    def is_complete(self) -> bool:
        """True once :meth:`finish` was here."""
        return self._record.complete

    @property
    def stats(self) -> tuple[IntensityStats, ...]:
        """Intensity statistics: one entry for the scan, or one per section."""
        return self._record.stats

    def set_stats(self, stats: Sequence[IntensityStats]) -> None:
        """Keep the statistics that normalisation is drawn from (stored by :meth:`finish`).

        Raises
        ------
        InputError
            Neither one entry nor one per section.
        """
        allowed = {1, self.grid.shape_zyx[0]} if self.grid.sections else {1}
        if len(stats) not in allowed:
            raise InputError(
                f"{len(stats)} intensity statistics for scan '{self.id}'",
                expected=f"{' or '.join(str(n) for n in sorted(allowed))}",
            )
        self._record = replace(self._record, stats=tuple(stats))
        if self.is_complete:
            self._write()

    @property
    def n_invalid(self) -> int:
        """Number of voxels whose source was NaN or Inf."""
        return self._record.n_invalid

    @property
    def invalid(self) -> StoredArray | None:
        """1 where the source was NaN or Inf, axes (z, y, x); ``None`` if nowhere."""
        path = self.path / "invalid"
        if not (path / "zarr.json").is_file():
            return None
        return StoredArray.open(path, whole=self.is_complete)

    def create_invalid(self) -> StoredArray:
        """Make the array of invalid voxels, to be written in full."""
        return StoredArray.create(
            self.path / "invalid", self.grid.shape_zyx, np.uint8, layout=self.layout
        )

    def set_n_invalid(self, n_invalid: int) -> None:
        """Keep the number of invalid voxels; with 0 the array of them is dropped."""
        self._record = replace(self._record, n_invalid=n_invalid)
        if n_invalid == 0:
            remove_tree(self.path / "invalid")

    def finish(self) -> None:
        """Build the pyramid, force everything onto the disk, then call it complete.

        Raises
        ------
        IncompleteError
            A part of the image was never written.
        DiskError
            The disk is full, read-only or not permitted.
        """
        missing = self._stored.missing_files()
        if missing:
            raise IncompleteError(
                f"{len(missing)} of {len(self._stored.shard_files())} parts of scan "
                f"'{self.id}' were not written",
                where=missing[0],
                mend="run the same step again: it goes on where it stopped",
            )
        source = self._stored
        for level in plan_levels(self.grid)[1:]:
            layout = self.layout.cut(level.shape_zyx)
            target = StoredArray.create(
                self.path / str(level.index), level.shape_zyx, source.dtype, layout=layout
            )
            build_level(source, target, level, reduce_mean)
            source = target
        clean_stale(self.path)
        sync_tree(self.path)
        self._record = self._record.finished()
        self._write()
        array = StoredArray.open(self.path / "0")
        self.image = Volume(array, self.grid, self._record.provenance)

    def create_labels(
        self, name: str, schema: ClassSchema, *, provenance: Provenance
    ) -> LabelWriter:
        """Begin a label map; a finished one of the same name stays until this one is whole.

        Raises
        ------
        InputError
            The name cannot be used.
        DiskError
            The folder cannot be written.
        """
        check_name(name)
        record = Record("labels", self.grid, provenance, schema=schema)
        final = self.path / "labels" / name
        return LabelWriter.create(final, record, dtype=np.uint8, layout=self.layout)

    def resume_labels(self, name: str) -> LabelWriter | None:
        """Return the writer of a label map that was begun and not finished, or ``None``."""
        return LabelWriter.resume(self.path / "labels" / name)

    def labels(self, name: str) -> LabelMap:
        """Return a finished label map.

        Raises
        ------
        ReadError
            There is none of this name.
        IncompleteError
            It is not finished.
        IntegrityError
            Its metadata are damaged.
        """
        path = self.path / "labels" / name
        if not (path / "zarr.json").is_file():
            if path.with_name(f"{name}.partial").is_dir():
                raise IncompleteError(
                    f"label map '{name}' of scan '{self.id}' is not finished",
                    where=path,
                    mend="run the step that makes it again: it goes on where it stopped",
                )
            raise ReadError(
                f"scan '{self.id}' has no label map '{name}'",
                expected=f"one of {', '.join(self.label_names()) or 'none so far'}",
                where=self.path,
            )
        record = read_record(path)
        if record.schema is None:
            raise IntegrityError(
                f"label map '{name}' of scan '{self.id}' does not say which value is which class",
                expected="the classes of the label map, under 'attributes: tomolith: classes'",
                where=path / "zarr.json",
                mend="run the step that makes it again, or import it anew with "
                "'labels: values' (value: class)",
            )
        volume = Volume(StoredArray.open(path / "0"), record.grid, record.provenance)
        return LabelMap(volume, record.schema)

    def label_names(self) -> tuple[str, ...]:
        """Return the names of the finished label maps."""
        folder = self.path / "labels"
        return tuple(n for n in read_listed_labels(folder) if (folder / n / "zarr.json").is_file())

    def create_extra(
        self,
        name: str,
        channels: Sequence[str] | None,
        dtype: npt.DTypeLike,
        *,
        provenance: Provenance,
    ) -> LabelWriter:
        """Begin an image beside the scan's, such as ``"probabilities/prediction"``.

        Parameters
        ----------
        name
            ``<folder>/<name>``; the folder says what it is.
        channels
            Names of the channels, the leading axis of the array; ``None`` for none.
        dtype
            Element type.
        provenance
            What makes it.

        Raises
        ------
        InputError
            The name cannot be used.
        DiskError
            The folder cannot be written.
        """
        final = self._extra_path(name)
        named = None if channels is None else tuple(channels)
        record = Record("extra", self.grid, provenance, channels=named)
        return LabelWriter.create(final, record, dtype=dtype, layout=self.layout)

    def resume_extra(self, name: str) -> LabelWriter | None:
        """Return the writer of an extra that was begun and not finished, or ``None``."""
        return LabelWriter.resume(self._extra_path(name))

    def extra(self, name: str) -> StoredArray:
        """Return the array of a finished extra, axes (c, z, y, x) or (z, y, x).

        Raises
        ------
        ReadError
            There is none of this name.
        """
        return StoredArray.open(self._extra_path(name) / "0")

    def _extra_path(self, name: str) -> Path:
        folder, _, last = name.partition("/")
        check_name(folder)
        check_name(last)
        if folder in ("labels", "invalid") or folder.isdigit():
            raise InputError(f"the name '{name}'", expected="another folder, it is taken")
        return self.path / folder / last

    @property
    def _stored(self) -> StoredArray:
        array = self.image.array
        assert isinstance(array, StoredArray)
        return array

    def _write(self) -> None:
        scales = multiscales(self.id, self.grid, plan_levels(self.grid), method="mean")
        window = image_window(self.stats, self.image.dtype) if self.stats else {}
        write_group(self.path, self._record, {**scales, **window})


def _incomplete(path: Path) -> IncompleteError:
    return IncompleteError(
        "the scan is not finished",
        where=path,
        mend="run the step that makes it again (import or phantom)",
    )
