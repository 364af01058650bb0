"""The step ``phantom``: simulated scans with exact labels, written block by block."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.blocks import Block, plan_blocks, run_blocks
from tomolith.config import settings_hash
from tomolith.core import PRESETS, Box, ClassSchema, Provenance
from tomolith.phantom.cathode import Cathode
from tomolith.phantom.cathode_settings import CathodeSettings
from tomolith.phantom.cathode_truth import CathodeCounter
from tomolith.phantom.cell import Cell
from tomolith.phantom.cycler import simulate_cycler, write_bdf_csv, write_mpt
from tomolith.phantom.hand import hand_label
from tomolith.phantom.noise import make_key
from tomolith.phantom.patches import write_patches
from tomolith.phantom.phantom import SIMULATED, Phantom, label_values
from tomolith.phantom.projections import ProjectionSettings, simulate_projections
from tomolith.phantom.settings import PhantomSettings, scan_name
from tomolith.phantom.truth import TruthCounter, write_truth
from tomolith.store.atomic import write_text
from tomolith.store.intensity import sample_stats
from tomolith.store.scan import Scan

_WORKERS = 2
_BLOCK_SLICES = 128
_THIN = ("dendrite", "lithium", "pore")  # of which people miss branches; the first in the schema


def simulate_series(
    settings: PhantomSettings | CathodeSettings,
    scans_folder: Path,
    truth_folder: Path,
    *,
    schema: ClassSchema | None = None,
) -> tuple[Scan, ...]:
    """Simulate the whole experiment: all scans of all cells, cycler files and true numbers.

    Parameters
    ----------
    settings
        Cells, protocol and scanner; or cathodes, which have no protocol.
    scans_folder
        Gets ``cell<i>-t<jj>.zarr`` for each scan; for each cathode ``cathode<i>.zarr``.
    truth_folder
        Gets ``truth.parquet`` and ``.csv``, ``motions.json`` and, for each cell, what the cycler
        recorded, as ``cell<i>.mpt`` and ``cell<i>.bdf.csv``. With
        ``settings.projections`` also ``cell<i>-t<jj>.h5``, DXchange files for ``reconstruct``.
        Of cathodes only the table.
    schema
        Classes of the labels; ``None``: ``li-operando``, of a cathode ``cathode-3phase``.

    Returns
    -------
    the finished scans, in the order of ``settings.scan_ids``.

    Raises
    ------
    RecipeError
        The schema leaves out a class, or pits would go through the electrode.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> settings = PhantomSettings(preset="tiny", scans=(0, 12))
    >>> [scan.id for scan in simulate_series(settings, folder / "scans", folder / "phantom")]
    ['cell0-t00', 'cell0-t12']
    >>> sorted(path.name for path in (folder / "phantom").iterdir())
    ['cell0.bdf.csv', 'cell0.mpt', 'motions.json', 'truth.csv', 'truth.parquet']
    """
    schema = schema or _schema_of(settings)
    if isinstance(settings, CathodeSettings):
        return _simulate_cathodes(settings, scans_folder, truth_folder, schema=schema)
    label_values(schema)
    if settings.n_patches is not None:
        (name,) = settings.scan_ids
        return (write_patches(settings, scans_folder / f"{name}.zarr", schema=schema),)
    scans, rows, motions = [], [], {}
    for index in range(settings.n_cells):
        cell = Cell.build(settings, index)
        log = simulate_cycler(settings.protocol, key=make_key(settings.seed, index, "cycler"))
        offset_s = settings.clock_offset_s
        write_mpt(log, truth_folder / f"cell{index}.mpt", clock_offset_s=offset_s)
        write_bdf_csv(log, truth_folder / f"cell{index}.bdf.csv", clock_offset_s=offset_s)
        for pulse in settings.scans:
            phantom = Phantom.of(cell, scan_name(index, pulse), pulse)
            counter = TruthCounter(cell, pulse)
            path = scans_folder / f"{phantom.scan_id}.zarr"
            scans.append(write_scan(phantom, path, schema=schema, counter=counter))
            rows += counter.rows(phantom.scan_id, index)
            if settings.projections is not None:
                _write_projections(phantom, settings.projections, truth_folder)
            motions[phantom.scan_id] = phantom.motion.to_dict()
    write_truth(rows, truth_folder)
    write_text(truth_folder / "motions.json", json.dumps(motions, indent=1))
    return tuple(scans)


def _simulate_cathodes(
    settings: CathodeSettings, scans_folder: Path, truth_folder: Path, *, schema: ClassSchema
) -> tuple[Scan, ...]:
    scans, rows = [], []
    for index, scan_id in enumerate(settings.scan_ids):
        cathode = Cathode.build(settings, scan_id)
        counter = CathodeCounter(settings.grid)
        path = scans_folder / f"{scan_id}.zarr"
        scans.append(write_scan(cathode, path, schema=schema, counter=counter))
        rows += counter.rows(scan_id, index)
    write_truth(rows, truth_folder)
    return tuple(scans)


def _schema_of(settings: PhantomSettings | CathodeSettings) -> ClassSchema:
    return PRESETS["cathode-3phase" if isinstance(settings, CathodeSettings) else "li-operando"]


def _write_projections(phantom: Phantom, settings: ProjectionSettings, folder: Path) -> None:
    _, n_y, n_x = phantom.settings.shape_zyx

    def attenuation(z_start: int, z_stop: int) -> npt.NDArray[np.float32]:
        return phantom.attenuation(Box((z_start, 0, 0), (z_stop, n_y, n_x)))

    simulate_projections(
        attenuation,
        phantom.settings.shape_zyx,
        phantom.settings.voxel_size_um,
        folder / f"{phantom.scan_id}.h5",
        settings,
        key=make_key(phantom.settings.seed, phantom.scan_id, "projections"),
    )


def make_phantom(
    settings: PhantomSettings | CathodeSettings,
    path: Path,
    *,
    scan_id: str | None = None,
    schema: ClassSchema | None = None,
) -> Scan:
    """Simulate one scan: its image, ``labels/truth`` and the sparse ``labels/hand``.

    Parameters
    ----------
    settings
        The cell, or the cathode, and the scanner.
    path
        Where the scan is written, by custom ``<id>.zarr``; an older scan there is replaced.
    scan_id
        Which scan, one of ``settings.scan_ids``; ``None``: the name of ``path``.
    schema
        Classes of the labels; ``None``: ``li-operando``, of a cathode ``cathode-3phase``.

    Returns
    -------
    the finished scan; its provenance says ``phantom`` and *simulated*.

    Raises
    ------
    InputError
        The settings make no such scan.
    RecipeError
        The schema leaves out a class. Nothing is written then.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cell0-t12.zarr"
    >>> scan = make_phantom(PhantomSettings(preset="tiny", shape_zyx=(4, 64, 64)), path)
    >>> scan.label_names(), scan.image.provenance.step
    (('truth', 'hand'), 'phantom')
    """
    scan_id = scan_id or path.name.removesuffix(".zarr")
    phantom: Phantom | Cathode
    if isinstance(settings, CathodeSettings):
        phantom = Cathode.build(settings, scan_id)
    else:
        phantom = Phantom.build(settings, scan_id)
    return write_scan(phantom, path, schema=schema or _schema_of(settings))


def write_scan(
    phantom: Phantom | Cathode,
    path: Path,
    *,
    schema: ClassSchema,
    counter: TruthCounter | CathodeCounter | None = None,
) -> Scan:
    """Write a simulated scan with its labels, in bounded memory; an older one is replaced.

    Parameters
    ----------
    counter
        Counts the true labels as they pass.
    """
    values, settings = phantom.label_values(schema), phantom.settings
    provenance = Provenance.now(
        "phantom",
        inputs=(SIMULATED, f"scan {phantom.scan_id}"),
        settings_hash=settings_hash(settings),
        seed=settings.seed,
    )
    hand_slices = _HandLabels(phantom, schema)
    scan = Scan.create(path, phantom.grid, settings.dtype, provenance=provenance)
    truth = scan.create_labels("truth", schema, provenance=provenance)
    hand = scan.create_labels("hand", schema, provenance=provenance)

    def work(block: Block) -> None:
        image, material = phantom.render(block.write)
        scan.image.array[block.write.slices] = image
        truth.array[block.write.slices] = _translated(material, values)
        hand.array[block.write.slices] = hand_slices.within(block.write)
        if counter is not None:
            counter.add(block.write, material)

    run_blocks(
        plan_blocks(scan.grid, shard_zyx=scan.layout.shard_zyx, block_zyx=_block_zyx(scan)),
        work,
        executor="threads",
        workers=_WORKERS,
        marks=_NoMarks(),
        title=f"phantom {phantom.scan_id}",
    )
    scan.set_stats(sample_stats(scan.image)[0])
    truth.finish()
    hand.finish()
    scan.finish()
    return scan


def _translated(
    material: npt.NDArray[np.uint8], values: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Return ``values[material]``, slice by slice: NumPy widens the index to eight bytes first."""
    out = np.empty_like(material)
    for target, index in zip(out, material, strict=True):
        target[...] = values[index]
    return out


def _block_zyx(scan: Scan) -> tuple[int, int, int]:
    """Return blocks of several shards along z: blur reads a halo, which thick blocks share."""
    n_z, n_y, n_x = scan.layout.shard_zyx
    return n_z * max(1, _BLOCK_SLICES // n_z), n_y, n_x


class _HandLabels:
    """What a person labelled: whole slices, and nothing between them."""

    def __init__(self, phantom: Phantom | Cathode, schema: ClassSchema) -> None:
        self._shape = phantom.settings.shape_zyx
        self._unlabelled = np.uint8(schema.unlabelled)
        self._slices = dict(self._label(phantom, schema))

    def within(self, box: Box) -> npt.NDArray[np.uint8]:
        """Return the hand labels of a box; where slices cross, the cross-section counts."""
        out = np.full(box.shape_zyx, self._unlabelled)
        z, y, x = box.slices
        for (axis, index), labels in self._slices.items():
            at = index - box.start_zyx[axis]
            if not 0 <= at < box.shape_zyx[axis]:
                continue
            if axis == 1:
                out[:, at] = labels[z, x]
            else:
                out[at] = labels[y, x]
        return out

    def _label(
        self, phantom: Phantom | Cathode, schema: ClassSchema
    ) -> Iterator[tuple[tuple[int, int], npt.NDArray[np.uint8]]]:
        settings, values = phantom.settings, phantom.label_values(schema)
        thin_class = next(name for name in _THIN if name in schema.names)
        chosen = settings.hand_slices
        # in-plane slices first: cross-sections are written over them
        for axis, indices in ((1, chosen.in_plane), (0, chosen.cross_section)):
            for index in indices:
                start, stop = [0, 0, 0], list(self._shape)
                start[axis], stop[axis] = index, index + 1
                box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
                labels = values[phantom.materials(box).squeeze(axis)]
                if settings.hand_mistake_rate > 0:
                    labels = hand_label(
                        labels,
                        schema,
                        mistake_rate=settings.hand_mistake_rate,
                        key=make_key(settings.seed, phantom.scan_id, "hand", axis, index),
                        thin_class=thin_class,
                    )
                yield (axis, index), labels


class _NoMarks:
    """A phantom is made anew after a kill: that takes seconds, and gives the same bytes."""

    def is_done(self, name: str) -> bool:
        return False

    def done(self, name: str, detail: str = "") -> None:
        return None
