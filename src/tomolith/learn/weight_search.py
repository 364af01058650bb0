"""The weights of an ensemble with the best score on the validation slices.

First all weights on a coarse grid are scored, then the best one's neighbours, with half the step,
until the step is 0.05. All weights of one round are scored in one pass over the slices: what is
kept of a slice is one confusion matrix for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from tomolith.config import Component, progress
from tomolith.learn.ensemble_settings import Goal
from tomolith.measure.metrics import METRICS, ClassCounts

Weights = tuple[float, ...]
Slice = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
Slices = Callable[[], Iterator[Slice]]

FINEST = 0.05
_METRIC = {"miou": "iou", "mdsc": "dice"}
_MOST_VECTORS = 150


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search found.

    Parameters
    ----------
    weights
        The best weights; their sum is 1.
    score
        Their score.
    tried
        All weights that were scored, and their scores, in the order in which they were tried.
    """

    weights: Weights
    score: float
    tried: tuple[tuple[Weights, float], ...]


def search_weights(slices: Slices, n_members: int, *, goal: Goal, n_slices: int) -> SearchResult:
    """Return the weights with the best score; of equal ones those that are most even.

    Parameters
    ----------
    slices
        Called once a round; yields, slice by slice, the members' log-probabilities
        (members, n_classes, H, W) and the true channels (H, W), below 0 where unlabelled.
    n_members
        Number of members.
    goal
        ``"miou"`` or ``"mdsc"``: the mean over the classes, all pixels pooled.
    n_slices
        For the progress bar.

    Examples
    --------
    >>> truth = np.array([[0, 1, 1]])
    >>> good = np.log(np.array([[[0.9, 0.2, 0.1]], [[0.1, 0.8, 0.9]]], np.float32))
    >>> both = np.stack([good, good[::-1]])
    >>> found = search_weights(lambda: iter([(both, truth)]), 2, goal="miou", n_slices=1)
    >>> found.weights, found.score
    ((0.55, 0.45), 1.0)
    """
    metric = METRICS.build(Component(name=_METRIC[goal]))
    step = _first_step(n_members)
    scored: dict[Weights, float] = {}
    vectors = list(simplex_grid(n_members, round(1 / step)))
    while vectors:
        joint = _count(slices(), vectors, n_slices)
        scores = metric.overall(ClassCounts.of(joint))
        scored.update(zip(vectors, map(float, scores), strict=True))
        best = max(scored, key=lambda w: (scored[w], -round(sum(v * v for v in w), 9), w))
        vectors = []
        if step > FINEST:
            step = max(step / 2, FINEST)
            vectors = [w for w in _neighbours(best, step) if w not in scored]
    return SearchResult(best, scored[best], tuple(scored.items()))


def simplex_grid(n: int, parts: int) -> Iterator[Weights]:
    """Yield all ``n`` weights that are multiples of ``1 / parts`` and sum to 1.

    Examples
    --------
    >>> list(simplex_grid(2, 2))
    [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    """
    for counts in _compositions(n, parts):
        yield tuple(round(count / parts, 6) for count in counts)


def _compositions(n: int, total: int) -> Iterator[tuple[int, ...]]:
    if n == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in _compositions(n - 1, total - first):
            yield (first, *rest)


def _first_step(n_members: int) -> float:
    """Return the finest step that needs no more than ``_MOST_VECTORS`` weights."""
    for parts in (20, 10, 5, 4, 3):
        if math.comb(parts + n_members - 1, n_members - 1) <= _MOST_VECTORS:
            return 1 / parts
    return 1 / 2


def _neighbours(weights: Weights, step: float) -> Iterator[Weights]:
    """Yield the weights that differ by one ``step`` from one member to another."""
    for taker, giver in permutations(range(len(weights)), 2):
        moved = min(step, weights[giver])
        if moved > 0:
            new = list(weights)
            new[taker], new[giver] = new[taker] + moved, new[giver] - moved
            yield tuple(round(w, 6) for w in new)


def _count(
    slices: Iterator[Slice], vectors: Sequence[Weights], n_slices: int
) -> npt.NDArray[np.int64]:
    """Return the confusion counts (weights, C + 1, C + 1) of all slices."""
    joint: npt.NDArray[np.int64] | None = None
    with progress("searching weights", total=n_slices) as bar:
        for log_shares, truth in slices:
            n = log_shares.shape[1]
            if joint is None:
                joint = np.zeros((len(vectors), n + 1, n + 1), np.int64)
            known = truth >= 0
            shares = np.exp(log_shares[:, :, known])  # (members, classes, pixels)
            rows = truth[known] * (n + 1)
            for k, weights in enumerate(vectors):
                mixed = np.tensordot(np.array(weights, np.float32), shares, axes=1)
                found = np.bincount(rows + mixed.argmax(axis=0), minlength=(n + 1) ** 2)
                joint[k] += found.reshape(n + 1, n + 1)
            bar.advance()
    assert joint is not None
    return joint
