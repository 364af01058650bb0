"""How good an ensemble is whose members were not chosen: all of a few networks are tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from benchmarks.comparisons import Outcome
from benchmarks.found import Found, count_pairs, true_channels
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.labellers import NetworkLabeller
from tomolith.store.scan import Scan

SIZE = 3
FAILED = 0.5  # mean IoU below which a network is joined with no other


@dataclass(frozen=True)
class EvenEnsembles:
    """Mean IoU of all ensembles of three networks that do not fail; probabilities weigh alike.

    Parameters
    ----------
    members
        The networks that were joined.
    scores
        Mean IoU of each ensemble.
    """

    members: Sequence[str]
    scores: np.ndarray

    def words(self, rival: str, score: float) -> str:
        """Say how the ensembles do against a rival.

        Examples
        --------
        >>> tried = EvenEnsembles("abcd", np.array([0.5, 0.6, 0.7, 0.6]))
        >>> tried.words("the forest", 0.55).split("; ")[1]
        'mean IoU 0.600 on average, 0.500 to 0.700.'
        """
        n, above = len(self.scores), int((self.scores > score).sum())
        return (
            f"Threes weighed alike: of the {n} that can be made of {', '.join(self.members)} "
            f"(first seed), {above} are above {rival} ({score:.3f}); mean IoU "
            f"{self.scores.mean():.3f} on average, {self.scores.min():.3f} to "
            f"{self.scores.max():.3f}."
        )


def even_ensembles(outcome: Outcome) -> EvenEnsembles | None:
    """Score all threes of the networks that do not fail; ``None`` where there are too few."""
    study = outcome.study
    scans = {scan_id: study.scan(scan_id) for scan_id in study.scan_ids()}
    slices = [(scans[r.scan_id], z) for r in outcome.split.test for z in range(r.z_start, r.z_stop)]
    shares = dict(_shares(outcome, slices))
    if len(shares) < SIZE:
        return None
    truths = [true_channels(scan, z, study.schema) for scan, z in slices]
    scores = [
        mean_iou([shares[name] for name in names], truths) for names in combinations(shares, SIZE)
    ]
    return EvenEnsembles(tuple(shares), np.array(scores))


def _shares(
    outcome: Outcome, slices: Sequence[tuple[Scan, int]]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield networks and their probabilities (classes, y, x) in every slice, 255 for 1."""
    settings = outcome.study.recipe.compare.predict
    for name, folder in outcome.runs.items():
        if (outcome.score(name) or 0) <= FAILED:
            continue
        bundle = ModelBundle.load(folder)
        if bundle.network.name != "ensemble":
            # as an ensemble averages them: not divided by the temperature
            labeller = NetworkLabeller(replace(bundle, temperature=1.0), settings)
            found = [labeller.judge_slice(scan, z)[1] for scan, z in slices]
            yield name, [one for one in found if one is not None]


def mean_iou(shares: Sequence[Sequence[np.ndarray]], truths: Sequence[np.ndarray]) -> float:
    """Return the mean IoU of the mean of the members' shares, all slices pooled.

    Parameters
    ----------
    shares
        Of each member, slice by slice: probabilities (classes, y, x), 255 for 1.
    truths
        The true channel of each pixel of a slice; the number of classes where unlabelled.
    """
    n = len(shares[0][0])
    counts = np.zeros((n, n), np.int64)
    for truth, *of_members in zip(truths, *shares, strict=True):
        labels = np.sum(of_members, axis=0, dtype=np.uint16).argmax(axis=0)
        counts += count_pairs(truth, labels, n)
    return Found(counts).iou()
