"""Charge and lithium: pulses and rests, scans matched to them, Faraday's law on the area."""

from tomolith.measure.electrochemistry.cell import CycledCell, cycle_cell
from tomolith.measure.electrochemistry.closure import (
    Analysed,
    CellNumbers,
    ScanBalance,
    SideRatio,
    close_inventory,
)
from tomolith.measure.electrochemistry.faraday import (
    CapacityRatio,
    ExpectedLithium,
    SeenVolume,
    capacity_ratios,
    change_interval,
    expected_lithium,
    local_current_density_ma_cm2,
    plan_area_cm2,
)
from tomolith.measure.electrochemistry.files import remove_cycler, write_cycler
from tomolith.measure.electrochemistry.gaps import is_cut_off, pulse_doubts
from tomolith.measure.electrochemistry.matching import (
    ClockOffset,
    MatchedScan,
    ScanMatch,
    ScanTime,
    estimate_clock_offset,
    match_by_order,
    match_by_time,
    scan_times,
)
from tomolith.measure.electrochemistry.pulses import (
    Pulse,
    Rest,
    Steps,
    current_on_s,
    find_steps,
)
from tomolith.measure.electrochemistry.settings import CyclerSettings, UnitSettings
from tomolith.measure.electrochemistry.voltage import OnCurve, PulseVoltage, envelope, on_curve

__all__ = [
    "Analysed",
    "CapacityRatio",
    "CellNumbers",
    "ClockOffset",
    "CycledCell",
    "CyclerSettings",
    "ExpectedLithium",
    "MatchedScan",
    "OnCurve",
    "Pulse",
    "PulseVoltage",
    "Rest",
    "ScanBalance",
    "ScanMatch",
    "ScanTime",
    "SeenVolume",
    "SideRatio",
    "Steps",
    "UnitSettings",
    "capacity_ratios",
    "change_interval",
    "close_inventory",
    "current_on_s",
    "cycle_cell",
    "envelope",
    "estimate_clock_offset",
    "expected_lithium",
    "find_steps",
    "is_cut_off",
    "local_current_density_ma_cm2",
    "match_by_order",
    "match_by_time",
    "on_curve",
    "plan_area_cm2",
    "pulse_doubts",
    "remove_cycler",
    "scan_times",
    "write_cycler",
]
