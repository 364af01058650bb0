"""Files as the step ``measure`` leaves them, with made-up numbers: nine scans of one cycle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from scipy import ndimage

from tomolith.measure.rows import QuantityRow
from tomolith.measure.tables import write_table

N_PULSES = 4
PULSE_MIN = 10.0
SCANS = tuple(f"t{i:02d}" for i in range(2 * N_PULSES + 1))
CLASSES = ("background", "electrode", "dendrite", "pit", "deposited", "redeposited")
SHAPE, PIXEL_UM = (60, 80), (2.0, 2.0)
_PER_PULSE_UM3 = 2.0e6
_SHARES = {"dendrite": 0.35, "deposited": 0.4, "pit": 0.5, "redeposited": 0.6}


def amount(name: str, i: int) -> float:
    """Return the volume of a class after ``i`` pulses, in µm³."""
    charged, returned = min(i, N_PULSES), max(i - N_PULSES, 0)
    left = {"redeposited": returned, "pit": charged - 0.6 * returned}
    return _PER_PULSE_UM3 * _SHARES[name] * left.get(name, charged - 0.7 * returned)


def rows(*, bars: bool = True) -> list[QuantityRow]:
    """Return the table."""
    found: list[QuantityRow] = []

    def add(
        scan: str, part: str, quantity: str, value: float | None, unit: str, half: float = 0.0
    ) -> None:
        interval = (
            (None, None) if value is None or not (bars and half) else (value - half, value + half)
        )
        method = "counted voxels" + ("; 95 %: half-voxel boundary shift" if interval[0] else "")
        found.append(
            QuantityRow(scan, "prediction", part, quantity, value, unit, *interval, method, "")
        )

    for i, scan in enumerate(SCANS):
        area = SHAPE[0] * SHAPE[1] * PIXEL_UM[0] * PIXEL_UM[1]
        amounts = {name: amount(name, i) for name in _SHARES}
        plating, stripping = 9e6, 9e6 - 0.9 * _PER_PULSE_UM3 * min(i, N_PULSES)
        amounts |= {"background": 5e7, "electrode": plating + stripping}
        for name in CLASSES:
            value = amounts[name]
            add(scan, name, "volume", value, "um3", 0.1 * value + 1e5)
            add(scan, name, "voxel_count", float(round(value / 8)), "voxels")
            covered = min(1.0, 0.15 * np.sqrt(value / 1e6)) if name in _SHARES else 1.0
            add(scan, name, "plan_coverage", float(covered), "1", 0.03)
        grown = {
            "plating": amounts["dendrite"] + amounts["deposited"],
            "stripping": amounts["redeposited"],
        }
        for side, electrode in (("plating", plating), ("stripping", stripping)):
            alone, whole = electrode / area, (electrode + grown[side]) / area
            add(scan, f"electrode, {side} side", "effective_thickness", alone, "um", 12.0)
            add(scan, f"{side} side, all Li", "effective_thickness", whole, "um", 20.0)
        empty, filled = amounts["pit"], amounts["redeposited"]
        if empty + filled:
            add(scan, "pit", "unfilled_pits", empty / (empty + filled), "1", 0.08)
        if i >= N_PULSES:
            add(scan, "pit", "pits_left", empty / amount("pit", N_PULSES), "1", 0.05)
        for a, b in (("dendrite", "deposited"), ("dendrite", "pit"), ("pit", "redeposited")):
            r = None if i == 0 else float(np.tanh(0.3 * i - 1))
            add(scan, f"{a} ~ {b}", "pearson", r, "1", 0.2)
            add(scan, f"{a} ~ {b}", "pearson_p", None if r is None else 0.01 / abs(r), "1")
        gap = 140.0 + 9.0 * min(i, N_PULSES)
        add(scan, "electrodes", "gap", gap, "um", 2.0)
        add(scan, "gap", "swelling", gap - 140.0, "um", 2.5)
        add(scan, "cell", "swelling", 0.9 * (gap - 140.0), "um", 2.5)
    for part, share in (("both", 0.2), ("both, expected by chance", 0.16)):
        add("series", part, "growth_share", share, "1", 0.05)
    return found


def write_lithium(folder: Path, *, bars: bool = True, cycler: bool = True) -> None:
    """Write the table, the maps and, where asked, what the cycler gives into ``measurements/``."""
    write_table(rows(bars=bars), folder / "quantities")
    write_maps(folder)
    if cycler:
        write_cycler(folder, bars=bars)


def write_maps(folder: Path) -> None:
    """Write the plan maps of every scan and their index."""
    rng = np.random.default_rng(0)
    noise = {n: ndimage.gaussian_filter(rng.normal(size=SHAPE), 3) * 10 for n in _SHARES}
    rough = ndimage.gaussian_filter(rng.normal(size=SHAPE), 4) * 30
    index = []

    def write(scan: str, name: str, values: np.ndarray, unit: str, class_name: str = "") -> None:
        path = folder / "maps" / scan / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, values.astype(np.float32))
        file, axes = f"maps/{scan}/{name}.tif", ["z", "x"]
        entry = {"scan": scan, "map": name, "file": file, "unit": unit, "class": class_name}
        index.append({**entry, "axes": axes, "pixel_um": list(PIXEL_UM)})

    for i, scan in enumerate(SCANS):
        for name in _SHARES:
            mean_um = amount(name, i) / (SHAPE[0] * SHAPE[1] * 4)
            values = np.clip(noise[name] + 0.2, 0, None) * 2 * mean_um
            write(scan, f"thickness_{name}", values, "um", name)
        depth = np.where(noise["pit"] > 0.5, amount("redeposited", i) / 2e5, np.nan)
        write(scan, "void_depth", depth, "um")
        for sign, side in ((-1, "stripping"), (1, "plating")):
            move = 0.0 if side == "stripping" else 9.0 * min(i, N_PULSES)
            if side == "stripping":
                move = -2.0 * noise["pit"].clip(0) * min(i, N_PULSES)
            heights = sign * 70.0 + rough + move
            heights[:, 30:33] = np.nan
            write(scan, f"position_{side}_side", heights, "um")
    places = (noise["dendrite"] > 0.2) + 2.0 * (noise["redeposited"] > 0.2)
    write("series", "growth_places", places, "1")
    (folder / "maps" / "index.json").write_text(json.dumps(index))


def write_cycler(folder: Path, *, bars: bool = True) -> None:
    """Write ``cycler.json`` and ``voltage.parquet``."""
    pulses = [
        {
            "half_cycle": int(i >= N_PULSES),
            "direction": 1 if i < N_PULSES else -1,
            "current_on_start_min": PULSE_MIN * i,
            "current_on_stop_min": PULSE_MIN * (i + 1),
        }
        for i in range(2 * N_PULSES)
    ]

    def with_interval(value: float, half: float) -> list[float | None]:
        return [value, value - half, value + half] if bars else [value, None, None]

    scans, ratios = [], []
    for i, scan in enumerate(SCANS):
        expected = _PER_PULSE_UM3 * (min(i, N_PULSES) - max(i - N_PULSES, 0))
        plating = amount("dendrite", i) + amount("deposited", i)
        stripping = amount("redeposited", i) - 0.9 * _PER_PULSE_UM3 * min(i, N_PULSES)
        scans.append(
            {
                "scan": scan,
                "after_pulse": i,
                "current_on_min": PULSE_MIN * i,
                "expected_li_volume_um3": expected,
                "plating_um3": with_interval(plating, 4e5),
                "stripping_um3": with_interval(stripping, 6e5),
            }
        )
        for side, ratio in (("plating side", 0.7), ("stripping side", 0.85)):
            _, low, high = with_interval(ratio, 0.3 if side.startswith("p") else 0.45)
            entry = {"side": side, "current_on_min": PULSE_MIN * i, "ratio": ratio}
            ratios += [{**entry, "low": low, "high": high}] if i else []
    notes = ["The scans were matched to the rests by their order."]
    values = {"file": "/data/cell.mpt", "pulses": pulses, "scans": scans, "ratios": ratios}
    (folder / "cycler.json").write_text(json.dumps({**values, "notes": notes}))
    on_min = np.arange(0, PULSE_MIN * 2 * N_PULSES, 0.1)
    pulse = (on_min // PULSE_MIN).astype(int) + 1
    sign = np.where(pulse <= N_PULSES, 1, -1)
    voltage = sign * (0.08 + 0.05 * np.exp(-(on_min % PULSE_MIN)))
    table = {"pulse": pulse, "current_on_min": on_min, "voltage_v": voltage}
    table |= {"lowest_v": sign * 0.105 - 0.025, "highest_v": sign * 0.105 + 0.025}
    pq.write_table(pa.table(table), folder / "voltage.parquet")
