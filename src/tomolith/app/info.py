"""``tomolith info``: describe a file that tomolith can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tomolith.errors import ReadError
from tomolith.store.cyclers import read_cycler, sniff_cycler
from tomolith.store.readers import open_raw
from tomolith.store.scan import Scan


def describe(path: Path, *, dataset: str | None = None) -> Iterator[str]:
    """Yield what is known about an image, a stored scan, a model folder or a cycler file.

    Raises
    ------
    TomolithError
        The path is missing, damaged or of no supported kind.
    """
    if (path / "model.yaml").is_file():
        yield from _describe_model(path)
        return
    if sniff_cycler(path) is not None:
        yield from _describe_cycler(path)
        return
    raw = open_raw(path, dataset=dataset)
    size = raw.voxel_size_um
    yield f"path        {path}"
    yield f"reader      {raw.reader}"
    yield f"shape       {' × '.join(str(n) for n in raw.array.shape)} (z, y, x)"
    yield f"type        {raw.array.dtype}"
    voxel = "not stated" if size is None else " × ".join(f"{s:g}" for s in size) + " µm (z, y, x)"
    yield f"voxel size  {voxel}"
    if size is None and raw.size_note:
        yield f"            {raw.size_note}"
    for line in raw.description:
        yield f"            {line}"
    raw.close()
    if raw.reader == "ome-zarr":
        yield from _describe_scan(path)


def _describe_scan(path: Path) -> Iterator[str]:
    """Yield what tomolith stores beside the image; nothing for other software's OME-Zarr."""
    try:
        scan = Scan.open(path)
    except ReadError:
        return
    yield f"labels      {', '.join(scan.label_names()) or 'none'}"
    yield f"made by     {scan.provenance.step}, tomolith {scan.provenance.code_version}"


def _describe_model(path: Path) -> Iterator[str]:
    from tomolith.learn.bundle import ModelBundle

    bundle = ModelBundle.load(path)
    size = bundle.voxel_size_um
    yield f"path        {path}"
    yield f"network     {bundle.network.name}"
    yield f"classes     {', '.join(bundle.schema.names)}"
    yield f"patch       {bundle.patch_px} px"
    if bundle.in_channels > 1:
        yield f"sees        {bundle.in_channels} slices at a time"
    yield f"voxel size  {'unknown' if size is None else size}"
    for name, value in bundle.scores.items():
        yield f"score       {name} {'absent' if value is None else f'{value:.4f}'}"


def _describe_cycler(path: Path) -> Iterator[str]:
    """Yield what a cycler file says, with its pulses and rests; its charge has been checked."""
    from tomolith.measure.electrochemistry import find_steps, pulse_doubts

    record = read_cycler(path)
    steps = find_steps(record)
    charged_mah = sum(p.charge_mah for p in steps.pulses if p.direction > 0)
    back_mah = sum(p.charge_mah for p in steps.pulses if p.direction < 0)
    yield f"path        {path}"
    yield f"reader      {record.reader}"
    yield f"started     {record.started or 'not stated'}"
    yield f"time        {record.time_s[0]:.6g} to {record.time_s[-1]:.6g} s, {len(record)} samples"
    yield f"current     {1e3 * record.current_a.min():.6g} to {1e3 * record.current_a.max():.6g} mA"
    yield f"voltage     {record.voltage_v.min():.5g} to {record.voltage_v.max():.5g} V"
    yield f"charge      {charged_mah:.6g} mAh on charge, {back_mah:.6g} mAh on discharge"
    checked = "not checked" if record.charge_mah is None else "agrees with current × time"
    yield f"            {checked}"
    n_pulses, n_rests = len(steps.pulses), len(steps.rests)
    counted = f"{n_pulses} pulse{'s' * (n_pulses != 1)}, {n_rests} rest{'s' * (n_rests != 1)}"
    yield f"steps       {counted}"
    for line in (*record.notes, *steps.notes, *pulse_doubts(steps), *record.description):
        yield f"            {line}"
