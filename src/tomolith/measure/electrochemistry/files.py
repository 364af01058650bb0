"""``cycler.json`` and ``voltage.parquet``: what the cycler says, for figures and other software."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.core import Measurement
from tomolith.measure.electrochemistry.cell import CycledCell
from tomolith.measure.electrochemistry.closure import CellNumbers, ScanBalance, SideRatio
from tomolith.measure.electrochemistry.faraday import expected_lithium
from tomolith.measure.electrochemistry.voltage import envelope, on_curve
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.store.atomic import disk_errors, write_bytes, write_text

CYCLER, VOLTAGE = "cycler.json", "voltage.parquet"


def write_cycler(cell: CycledCell, numbers: CellNumbers, folder: Path) -> None:
    """Write ``cycler.json`` and ``voltage.parquet`` into ``folder``, each whole or not at all.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.
    """
    write_bytes(folder / VOLTAGE, _voltage(cell))
    write_text(folder / CYCLER, json.dumps(_document(cell, numbers), indent=1) + "\n")


def remove_cycler(folder: Path) -> None:
    """Remove both files of an earlier run."""
    with disk_errors(folder):
        for name in (CYCLER, VOLTAGE):
            (folder / name).unlink(missing_ok=True)


def _document(cell: CycledCell, numbers: CellNumbers) -> dict[str, Any]:
    record, offset = cell.record, cell.match.clock_offset
    return {
        "file": str(cell.path),
        "sha256": "".join(record.provenance.inputs).partition("sha256:")[2],
        "reader": record.reader,
        "started": None if record.started is None else record.started.isoformat(),
        "description": list(record.description),
        "notes": [*cell.notes, *numbers.notes],
        "electrode_area_cm2": cell.electrode_area_cm2,
        "analysed_area_cm2": numbers.analysed_area_cm2,
        "analysed_frac": numbers.analysed_frac,
        "match": cell.how,
        "clock_offset": None if offset is None else asdict(offset),
        "pulses": _pulses(cell, numbers),
        "rests": [asdict(rest) for rest in cell.steps.rests],
        "scans": [_scan(cell, balance) for balance in numbers.scans],
        "ratios": [_ratio(cell, ratio) for ratio in numbers.ratios],
    }


def _pulses(cell: CycledCell, numbers: CellNumbers) -> list[dict[str, Any]]:
    lines = []
    for pulse, voltage in zip(cell.steps.pulses, envelope(cell.record, cell.steps), strict=True):
        li = expected_lithium(
            pulse.charge_mah,
            electrode_area_cm2=cell.electrode_area_cm2,
            analysed_area_cm2=numbers.analysed_area_cm2,
        )
        start_s = cell.current_on_s(pulse.number - 1)
        lines.append(
            {
                **asdict(voltage),
                "direction": pulse.direction,
                "half_cycle": pulse.half_cycle,
                "start_s": pulse.start_s,
                "stop_s": pulse.stop_s,
                "current_on_start_min": start_s / 60,
                "current_on_stop_min": cell.current_on_s(pulse.number) / 60,
                "current_ma": pulse.current_ma,
                "charge_mah": pulse.charge_mah,
                "analysed_charge_mah": li.analysed_charge_mah,
                "expected_li_volume_um3": li.analysed_volume_um3,
            }
        )
    return lines


def _scan(cell: CycledCell, balance: ScanBalance) -> dict[str, Any]:
    return {
        "scan": balance.scan.name,
        "after_pulse": balance.scan.after_pulse,
        "current_on_min": cell.current_on_s(balance.scan.after_pulse) / 60,
        "time_s": cell.cycler_time_s(balance.scan.name),
        "charge_passed_mah": balance.charge_mah,
        "expected_li_volume_um3": balance.expected_um3,
        "plating_um3": _bounds(balance.travelling.get(PLATING)),
        "stripping_um3": _bounds(balance.travelling.get(STRIPPING)),
    }


def _bounds(found: Measurement | None) -> list[float | None] | None:
    if found is None or found.value is None:
        return None
    ends = (None, None) if found.interval is None else (found.interval.low, found.interval.high)
    return [float(found.value), *ends]


def _ratio(cell: CycledCell, ratio: SideRatio) -> dict[str, Any]:
    return {
        "side": ratio.side,
        "from_scan": ratio.from_scan.name,
        "to_scan": ratio.to_scan.name,
        "from_pulse": ratio.from_scan.after_pulse,
        "to_pulse": ratio.to_scan.after_pulse,
        "current_on_min": cell.current_on_s(ratio.to_scan.after_pulse) / 60,
        "ct_mah": ratio.ct_mah,
        "cycler_mah": ratio.cycler_mah,
        "ratio": ratio.ratio,
        "low": None if ratio.interval is None else ratio.interval.low,
        "high": None if ratio.interval is None else ratio.interval.high,
    }


def _voltage(cell: CycledCell) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    curve, limits = on_curve(cell.record, cell.steps), envelope(cell.record, cell.steps)
    rows = np.concatenate([np.arange(*pulse.rows) for pulse in cell.steps.pulses])
    place = curve.pulse - 1
    columns = {
        "pulse": curve.pulse,
        "time_s": cell.record.time_s[rows],
        "current_on_min": curve.on_s / 60,
        "current_ma": cell.record.current_a[rows] * 1e3,
        "voltage_v": curve.voltage_v,
        "lowest_v": np.array([v.lowest_v for v in limits])[place],
        "highest_v": np.array([v.highest_v for v in limits])[place],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()
