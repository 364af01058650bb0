"""The rows of the tables: one frozen dataclass per table, one field per column."""

from __future__ import annotations

from dataclasses import dataclass, field

SERIES = "series"
"""What stands in the column ``scan`` of numbers that belong to the whole series."""

TRUTH = "truth"
"""What stands in the column ``system`` of the true amounts."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score.

    Parameters
    ----------
    system
        What predicted: the model's name, or the baseline's.
    subset
        ``train``, ``validation`` or ``test``.
    scan
        Name of the scan, or ``all``.
    convention
        ``pooled`` or ``mean_over_patches``.
    metric
        Name of the metric.
    class_name
        Column ``class``: name of the class; empty for the overall number.
    value
        ``None`` where it does not exist.
    """

    system: str
    subset: str
    scan: str
    convention: str
    metric: str
    class_name: str = field(metadata={"column": "class"})
    value: float | None


@dataclass(frozen=True, slots=True)
class QuantityRow:
    """One measured number.

    Parameters
    ----------
    scan
        Name of the scan, or ``series``.
    labels
        Name of the label map measured.
    class_name
        Column ``class``: name of the class or of the part of the cell, or ``unlabelled``.
    quantity
        Name of the quantity.
    value
        ``None`` where it cannot be given.
    unit
        ``voxels``, ``um3``, ``um2``, ``um``, ``deg``, ``percent``; ``1`` for a plain number.
    low, high
        The 95 % interval; ``None`` where none was estimated.
    method
        How it was found, or why it could not be; after ``95 %:`` what the interval means, after
        ``no interval:`` why there is none.
    provenance
        Step, version and hash of the settings.
    """

    scan: str
    labels: str
    class_name: str = field(metadata={"column": "class"})
    quantity: str
    value: float | None
    unit: str
    low: float | None
    high: float | None
    method: str
    provenance: str


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One number of one system of a comparison.

    Parameters
    ----------
    system
        Name of the system; ``truth`` for the true amount of each class.
    seed
        Of one training; ``all`` for the mean over the seeds.
    quantity
        A metric, or ``latency``, ``occupied_volume`` and so on.
    convention
        Of a metric: ``pooled`` or ``mean_over_patches``; else empty.
    class_name
        Column ``class``: name of the class; empty for the overall number.
    value
        ``None`` where it does not exist.
    sd
        Sample standard deviation over the seeds; ``None`` for a single one.
    unit
        ``ms``, ``um3``, ``percent`` and so on; empty for a plain number.
    n_seeds
        How many values the mean was taken over.
    """

    system: str
    seed: str
    quantity: str
    convention: str
    class_name: str = field(metadata={"column": "class"})
    value: float | None
    sd: float | None
    unit: str
    n_seeds: float
