"""The units of a file, checked: the charge that it states against current × time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import MismatchError

TOLERANCE_FRAC = 0.01
"""Stated and integrated charge that differ by more contradict each other."""

_NOISE_FRAC = 1e-3  # of all charge: what a current of about zero may count up in long rests
_MOST_SLACK_FRAC = 0.5  # however coarse the samples are, a wrong unit stays a wrong unit

_CAUSES = (
    (1e3, "mA stand where A is written, or Ah where mAh is written", {"current": "mA"}),
    (1e-3, "A stand where mA is written, or mAh where Ah is written", {"current": "A"}),
    (3600.0, "s stand where h is written", {"time": "s"}),
    (1 / 3600.0, "h stand where s is written", {"time": "h"}),
    (60.0, "s stand where min is written", {"time": "s"}),
    (1 / 60.0, "min stand where s is written", {"time": "min"}),
    (3.6e6, "mA stand where A is written, and s where h", {"current": "mA", "time": "s"}),
    (1 / 3.6e6, "A stand where mA is written, and h where s", {"current": "A", "time": "h"}),
)  # current × time over stated charge, what would explain it, and the true units then


@dataclass(frozen=True, slots=True)
class ChargeBalance:
    """Charge of one direction, two ways, in mAh without sign.

    Parameters
    ----------
    stated_mah
        What the file states, where current flows that way; negative if it counts the other way.
    integrated_mah
        Current × time.
    slack_mah
        How far the two may differ because the samples stand apart and numbers are rounded.
    """

    stated_mah: float
    integrated_mah: float
    slack_mah: float

    @property
    def agrees(self) -> bool:
        """Whether the two differ by at most 1 %, beyond what samples and rounding explain."""
        allowed = TOLERANCE_FRAC * abs(self.stated_mah) + self.slack_mah
        return abs(self.stated_mah - self.integrated_mah) <= allowed


def balance(record: CyclerRecord, direction: int) -> ChargeBalance:
    """Compare stated and integrated charge where the current has the sign ``direction``.

    Between two samples the current lies somewhere between both; half of that span is the slack.

    Raises
    ------
    ValueError
        The record states no charge.

    Examples
    --------
    >>> record = CyclerRecord(
    ...     np.array([0.0, 3600.0]), np.array([1e-3] * 2), np.zeros(2), np.array([0.0, 1.0234])
    ... )
    >>> found = balance(record, 1)
    >>> found.stated_mah, round(found.integrated_mah, 6), found.agrees
    (1.0234, 1.0, False)
    """
    if record.charge_mah is None:
        raise ValueError("the record states no charge")
    hours = np.diff(record.time_s) / 3600.0
    before, after = record.current_a[:-1] * 1e3, record.current_a[1:] * 1e3
    integrated = (before + after) / 2 * hours
    stated = np.diff(record.charge_mah)
    flows = np.sign(integrated) == direction
    found = float(np.abs(integrated[flows]).sum())
    half_span = float((np.abs(after - before)[flows] * hours[flows]).sum() / 2)
    slack = min(half_span, _MOST_SLACK_FRAC * found)
    slack += _last_digit(record.charge_mah) + _NOISE_FRAC * float(np.abs(stated).sum())
    return ChargeBalance(direction * float(stated[flows].sum()), found, slack)


def _last_digit(values: npt.NDArray[np.float64]) -> float:
    """Return the place of the last digit that numbers were rounded to; 0 where they were not.

    Examples
    --------
    >>> _last_digit(np.array([0.0, 8.0, 16.0])), _last_digit(np.array([0.0, 0.25]))
    (1.0, 0.01)
    >>> _last_digit(np.array([1 / 3]))
    0.0
    """
    largest = float(np.abs(values).max())
    for digits in range(10):
        place = float(10.0**-digits)
        if place <= largest and np.abs(np.round(values, digits) - values).max() < 1e-6 * place:
            return place
    return 0.0


def check_charge(record: CyclerRecord, path: Path) -> CyclerRecord:
    """Return the record if its charge and current × time agree within 1 % in both directions.

    A file that counts discharge as positive current is turned round, and a note says so.

    Raises
    ------
    MismatchError
        They do not agree; where a wrong unit would explain it, the message names it.
    """
    if record.charge_mah is None:
        note = "the file states no charge, so the units could not be checked by current × time"
        return replace(record, notes=(*record.notes, note))
    if _agrees(record):
        return record
    turned = replace(record, current_a=-record.current_a)
    if _agrees(turned):
        note = (
            "positive current discharges in this file, by its counters; "
            "it was turned round, so that charge is positive"
        )
        return replace(turned, notes=(*record.notes, note))
    raise _contradiction(record, path)


def _agrees(record: CyclerRecord) -> bool:
    return balance(record, 1).agrees and balance(record, -1).agrees


def _contradiction(record: CyclerRecord, path: Path) -> MismatchError:
    wrong = [(sign, balance(record, sign)) for sign in (1, -1)]
    sign, worst = next((s, b) for s, b in wrong if not b.agrees)
    name = "charge" if sign > 0 else "discharge"
    ratio = worst.integrated_mah / worst.stated_mah if worst.stated_mah else float("inf")
    cause = next((c for c in _CAUSES if abs(ratio / c[0] - 1) < 0.05), None)
    gap_s = np.diff(record.time_s)
    longest = int(gap_s.argmax())
    if cause is None:
        mend = (
            "compare the units of current, time and charge with the cycler's settings; "
            f"the longest gap between samples is {gap_s[longest]:g} s at {record.time_s[longest]:g}"
            " s: current that stopped there unseen would also explain it"
        )
    else:
        _, text, units = cause
        in_recipe = ", ".join(f"{key}: {unit}" for key, unit in units.items())
        in_python = ", ".join(f"{key}={unit!r}" for key, unit in units.items())
        mend = (
            f"it looks as if {text}: correct the heading, or state the true unit, for example "
            f"'units: {{{in_recipe}}}' in the recipe, CyclerUnits({in_python}) in Python"
        )
    return MismatchError(
        f"on {name} the file states {worst.stated_mah:.6g} mAh, but current × time gives "
        f"{worst.integrated_mah:.6g} mAh (ratio {ratio:.4g})",
        expected="agreement within 1 %",
        where=path,
        mend=mend,
    )
