"""What a battery cycler recorded, whatever wrote the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from tomolith.core.provenance import Provenance

Doubles = npt.NDArray[np.float64]

_MAH_PER_AS = 1.0 / 3.6


@dataclass(frozen=True, slots=True, eq=False)
class CyclerRecord:
    """Current, voltage and charge of one test, one entry per sample, in the order of time.

    Parameters
    ----------
    time_s
        Shape (n,), on the cycler's clock since ``started``; never falls.
    current_a
        Shape (n,); charge is positive.
    voltage_v
        Shape (n,).
    charge_mah
        Shape (n,): the charge that the *file* states to have passed on balance since the first
        sample; ``None`` where it states none.
    reader
        Name of the reader.
    started
        When ``time_s`` was 0, local time of the cycler without time zone; ``None`` where the
        file does not say.
    notes
        What the reader had to decide, one sentence each.
    description
        What the file says about itself: instrument, technique.
    provenance
        The file and its fingerprint.

    Raises
    ------
    ValueError
        Columns of different lengths, fewer than two samples, a number that is not finite, or a
        time that falls.

    Examples
    --------
    >>> record = CyclerRecord(
    ...     np.array([0.0, 600.0]), np.array([7.5e-4] * 2), np.array([0.1, 0.1]), None
    ... )
    >>> len(record), [round(q, 3) for q in record.integrated_mah().tolist()]
    (2, [0.0, 0.125])
    """

    time_s: Doubles
    current_a: Doubles
    voltage_v: Doubles
    charge_mah: Doubles | None
    reader: str = ""
    started: datetime | None = None
    notes: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance("unknown"))

    def __post_init__(self) -> None:
        n = len(self.time_s)
        if n < 2:
            raise ValueError(f"a record of {n} samples; at least 2 are needed")
        for name in ("time_s", "current_a", "voltage_v", "charge_mah"):
            column = getattr(self, name)
            if column is None:
                continue
            if column.shape != (n,):
                raise ValueError(f"'{name}' has shape {column.shape}, 'time_s' ({n},)")
            if not np.isfinite(column).all():
                raise ValueError(f"'{name}' holds a number that is not finite")
            column.flags.writeable = False
        if (np.diff(self.time_s) < 0).any():
            raise ValueError("'time_s' falls")

    def __len__(self) -> int:
        return len(self.time_s)

    def integrated_mah(self) -> Doubles:
        """Return current × time since the first sample (trapezia), shape (n,)."""
        mean_a = (self.current_a[1:] + self.current_a[:-1]) / 2
        steps = mean_a * np.diff(self.time_s) * _MAH_PER_AS
        return np.concatenate([[0.0], np.cumsum(steps)])

    def passed_mah(self) -> Doubles:
        """Return the stated charge, or current × time where the file states none."""
        return self.integrated_mah() if self.charge_mah is None else self.charge_mah

    def stamp(self, time_s: float) -> datetime | None:
        """Return the cycler's local time at ``time_s``, where the file says when it started."""
        return None if self.started is None else self.started + timedelta(seconds=time_s)
