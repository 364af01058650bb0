"""The physics of a cycling cell as a hidden Markov model of each voxel's class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.one_electrode import ELECTRODES
from tomolith.measure.refine.classes import DEPOSITS

Bytes = npt.NDArray[np.uint8]
Costs = npt.NDArray[np.float64]
Step = Literal["charge", "discharge", "both"]

_GROWN = ("dendrite", "deposited")
NATURAL: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        (STRIPPING, "charge"): (
            ("electrode", "pit"),
            ("electrode", "background"),
            ("pit", "background"),
            ("redeposited", "pit"),
            ("redeposited", "background"),
        ),
        (STRIPPING, "discharge"): (
            ("pit", "redeposited"),
            ("background", "redeposited"),
            ("redeposited", "pit"),
            ("background", "pit"),
        ),
        (PLATING, "charge"): (
            *(("background", grown) for grown in _GROWN),
            ("deposited", "dendrite"),
        ),
        (PLATING, "discharge"): (
            *((grown, "background") for grown in _GROWN),
            ("dendrite", "deposited"),
            ("electrode", "background"),
        ),
    }
)
"""Changes that the physics expects, by side and by what the cell does; all others are against it.

While the cell charges, Li leaves the stripping electrode: pits grow, and the polymer may follow.
Dendrites and deposit grow on the other side and keep their place. While it discharges, pits are
filled with redeposited Li, below which voids may open, and dendrites and deposit go. An electrode
never comes back to where it was. A name stands for all of its kind in ``_KINDS``: Li under the name
of the other side behaves no differently, and ``split`` will tell which name is right.
"""
_KINDS = (ELECTRODES, DEPOSITS)


def transition_costs(
    schema: ClassSchema, side: str, step: Step, *, natural: float, against: float
) -> Costs:
    """Return what it costs to go from each class (rows) to each class (columns), in nats.

    To stay costs nothing. ``"both"`` is a charge and then a discharge, by the cheapest way.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> costs = transition_costs(
    ...     PRESETS["li-operando"], "stripping side", "charge", natural=1.0, against=6.0
    ... )
    >>> costs[1, 3], costs[3, 1]  # electrode to pit, and back
    (np.float64(1.0), np.float64(6.0))
    """
    if step == "both":
        first, second = (
            transition_costs(schema, side, one, natural=natural, against=against)
            for one in ("charge", "discharge")
        )
        return np.asarray((first[:, :, None] + second[None]).min(axis=1), np.float64)
    out = np.full((len(schema), len(schema)), against)
    np.fill_diagonal(out, 0.0)
    for before, after in NATURAL[side, step]:
        out[np.ix_(_numbers(schema, before), _numbers(schema, after))] = natural
    return out


def _numbers(schema: ClassSchema, name: str) -> list[int]:
    names = next((kind for kind in _KINDS if name in kind), (name,))
    return [schema.names.index(n) for n in names if n in schema.names]


def label_costs(n_classes: int, confidence_frac: float) -> Costs:
    """Return what it costs to take class j (columns) where class i was labelled (rows).

    Labels are right with ``confidence_frac``, and wrong ones of all other classes alike. The last
    row is of voxels that bear no label; they speak for nothing.

    Examples
    --------
    >>> label_costs(3, 0.8).round(2).tolist()[0]
    [0.0, 2.08, 2.08]
    """
    wrong = np.log(confidence_frac * (n_classes - 1) / (1 - confidence_frac))
    out = np.full((n_classes + 1, n_classes), max(wrong, 0.0))
    out[np.arange(n_classes), np.arange(n_classes)] = 0.0
    out[n_classes] = 0.0
    return out


def likeliest(evidence: Costs, steps: Sequence[Costs]) -> Bytes:
    """Return the cheapest sequence of classes by the algorithm of Viterbi.

    Parameters
    ----------
    evidence
        Cost of each class in each scan, (n_scans, n, n_classes).
    steps
        Costs of a change from each scan to the next, (n_classes, n_classes) each.

    Returns
    -------
    Bytes
        Class numbers, (n_scans, n); of equally cheap ones the class that comes first.

    Notes
    -----
    Source: Viterbi, IEEE Trans. Inf. Theory 13 (1967). Memory: the evidence, and as many bytes as
    it has numbers.

    Examples
    --------
    >>> costs = label_costs(2, 0.9)[np.array([[0], [1], [0]])]
    >>> likeliest(costs, [np.array([[0, 2], [2, 0]])] * 2).ravel().tolist()
    [0, 0, 0]
    """
    n_scans, n, n_classes = evidence.shape
    came_from = np.zeros((n_scans, n, n_classes), np.uint8)
    total = evidence[0].astype(np.float64)
    for t in range(1, n_scans):
        best = np.full((n, n_classes), np.inf)
        for i in range(n_classes):  # one class at a time: no (n, K, K) array
            reached = total[:, i, None] + steps[t - 1][i]
            better = reached < best
            best[better] = reached[better]
            came_from[t][better] = i
        total = best + evidence[t]
    out = np.empty((n_scans, n), np.uint8)
    out[-1] = total.argmin(axis=1)
    rows = np.arange(n)
    for t in range(n_scans - 1, 0, -1):
        out[t - 1] = came_from[t][rows, out[t]]
    return out


def smooth_labels(labels: Bytes, table: Costs, steps: Sequence[Costs]) -> Bytes:
    """Return the likeliest class numbers of sequences of labels.

    Sequences that never change are kept: nothing is cheaper. Of the others each that occurs is
    worked out once.

    Parameters
    ----------
    labels
        Class numbers (n_scans, n); as many as there are classes means none.
    table
        Of :func:`label_costs`.
    steps
        As in :func:`likeliest`.
    """
    out = labels.copy()
    changing = np.flatnonzero((labels != labels[0]).any(axis=0))
    if len(changing):
        sequences, which = _distinct(labels[:, changing], len(table))
        out[:, changing] = likeliest(table[sequences], steps)[:, which]
    return out


def _distinct(labels: Bytes, base: int) -> tuple[Bytes, npt.NDArray[np.intp]]:
    """Return the columns that occur, each once, and which of them each column is."""
    code = np.zeros(labels.shape[1], np.int64)
    n_codes = 1
    for row in labels:
        if n_codes > 2**62 // base:
            known, inverse = np.unique(code, return_inverse=True)
            code, n_codes = inverse.astype(np.int64), len(known)
        code = code * base + row
        n_codes *= base
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    return labels[:, first], which


def smooth_probabilities(labels: Bytes, shares: Bytes, steps: Sequence[Costs]) -> Bytes:
    """Return the likeliest class numbers where each scan has probabilities.

    Parameters
    ----------
    labels
        Class numbers (n_scans, n); as many as there are classes means none.
    shares
        Probabilities (n_scans, n_classes, n), 0 to 255.
    steps
        As in :func:`likeliest`.
    """
    out = labels.copy()
    changing = np.flatnonzero((labels != labels[0]).any(axis=0))
    cost = -np.log((np.arange(256) + 0.5) / 255.5)
    for start in range(0, len(changing), _AT_A_TIME):
        part = changing[start : start + _AT_A_TIME]
        evidence = cost[shares[:, :, part]].swapaxes(1, 2)
        evidence -= evidence.min(axis=2, keepdims=True)
        evidence[labels[:, part] == shares.shape[1]] = 0.0
        out[:, part] = likeliest(evidence, steps)
    return out


_AT_A_TIME = 65536
