"""What the columns of BioLogic's EC-Lab mean, in text and in binary alike."""

from __future__ import annotations

import numpy as np

from tomolith.store.cyclers.base import Columns, Doubles
from tomolith.store.cyclers.table import Table

_REST = 3  # of "mode": 1 galvanostatic, 2 potentiostatic, 3 at rest


def biologic_columns(table: Table, time_s: Doubles | None = None) -> tuple[Columns, list[str]]:
    """Return the columns of an EC-Lab table, and which of them served.

    Raises
    ------
    ReadError
        No time, no voltage, or nothing that gives the current.
    """
    time_s = table.needed("time", "time") if time_s is None else time_s
    charge = table.numbers("charge", "(q-qo)")
    if charge is None:
        steps = table.numbers("charge", "dq")
        charge = None if steps is None else np.cumsum(steps)
    current, told = _current(table, time_s, charge)
    voltage = table.numbers("voltage", "ecell", "ewe-ece")
    name = table.heading("ecell", "ewe-ece") or ""
    if voltage is None:
        voltage, counter = table.needed("voltage", "ewe", "<ewe>"), table.numbers("voltage", "ece")
        name = table.heading("ewe", "<ewe>") or ""
        if counter is not None:
            voltage, name = voltage - counter, f"{name} - {table.heading('ece')}"
    return Columns(time_s, current, voltage, charge), [told, f"the voltage is '{name}'"]


def _current(table: Table, time_s: Doubles, charge: Doubles | None) -> tuple[Doubles, str]:
    """Return the current, from the best column that there is."""
    measured = table.numbers("current", "i")
    if measured is not None:
        return measured, f"the current is '{table.heading('i')}'"
    mode = table.plain("mode")
    set_by = table.numbers("current", "control/v", "control")
    galvanostatic = mode is not None and bool(np.isin(mode, (1, _REST)).all())
    if set_by is not None and mode is not None and galvanostatic:
        name = table.heading("control/v", "control", kind="current")
        return np.where(mode == _REST, 0.0, set_by), f"the current is the set one, '{name}'"
    if charge is None:
        return table.needed("current", "i"), ""
    # the charge of a row is what has passed since the row before
    hours = np.diff(time_s, prepend=time_s[0]) / 3600.0
    steps = np.diff(charge, prepend=charge[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(hours > 0, steps / hours * 1e-3, 0.0)
    return found, "no column of the current: it is the slope of the charge"
