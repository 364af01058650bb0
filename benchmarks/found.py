"""What a trained system finds in slices it did not learn from, and how sure it is of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.comparisons import Outcome
from tomolith.app.steps.compare import label_names
from tomolith.core import Box, ClassSchema
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.labellers import Labeller, NetworkLabeller, fit_classical
from tomolith.learn.comparison.material import Material
from tomolith.learn.settings import TrainSettings
from tomolith.measure.reliability import Reliability
from tomolith.store.scan import Scan

FIRST_SEED = "These are the weights of the first seed, also of systems that have more."


def labellers(outcome: Outcome) -> Iterator[tuple[str, Labeller]]:
    """Yield the systems of a comparison by name, as trained with the first seed."""
    study, section = outcome.study, outcome.study.recipe.compare
    scans = tuple(study.scan(scan_id) for scan_id in study.scan_ids())
    material = Material(scans, study.schema, *label_names(study))
    for run in section.runs(TrainSettings()):
        if run.seed not in (None, section.seeds[0]):
            continue
        if run.is_classical:
            yield run.system, fit_classical(run, material, outcome.split)
        elif run.system in outcome.runs:
            bundle = ModelBundle.load(outcome.runs[run.system])
            yield run.system, NetworkLabeller(bundle, section.predict)


@dataclass
class Found:
    """What one system did on some slices.

    Parameters
    ----------
    counts
        Labelled pixels by true class (rows) and found class.
    entropy
        Sum over the pixels whose probabilities are known, as a share of the largest possible.
    n_judged
        How many pixels those are.
    reliability
        Of their probabilities.
    """

    counts: np.ndarray
    entropy: float = 0.0
    n_judged: int = 0
    reliability: Reliability = field(default_factory=Reliability)

    def iou(self, channel: int | None = None) -> float:
        """Return the IoU of a class, or the mean over those that occur.

        Examples
        --------
        >>> Found(np.array([[3, 1], [0, 4]])).iou(0)
        0.75
        """
        hits = np.diag(self.counts)
        unions = self.counts.sum(0) + self.counts.sum(1) - hits
        if channel is not None:
            return float(hits[channel] / unions[channel]) if unions[channel] else float("nan")
        present = self.counts.sum(1) > 0
        return float(np.mean(hits[present] / unions[present]))

    @property
    def error_frac(self) -> float:
        """Share of the pixels that are wrong."""
        return float(1 - np.trace(self.counts) / self.counts.sum())

    @property
    def mean_entropy(self) -> float | None:
        """Mean entropy of the probabilities, 0 to 1; ``None`` where there are none."""
        return self.entropy / self.n_judged if self.n_judged else None

    @property
    def calibration_error(self) -> float | None:
        """Expected calibration error; ``None`` where there are no probabilities."""
        return self.reliability.record("", "").error if self.n_judged else None


def channel_table(schema: ClassSchema) -> np.ndarray:
    """Return the channel of each label value; as many as there are classes where unlabelled."""
    channel_of = np.full(256, len(schema), np.uint8)
    channel_of[list(schema.values)] = range(len(schema))
    return channel_of


def true_channels(scan: Scan, z: int, schema: ClassSchema) -> np.ndarray:
    """Return the true channels (y, x) of a slice."""
    _, height, width = scan.grid.shape_zyx
    box = Box((z, 0, 0), (z + 1, height, width))
    return channel_table(schema)[scan.labels("truth").read(box)[0]]


def count_pairs(truth: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Count pixels by true channel (rows) and found channel, of ``n``, where there is a truth."""
    known = truth < n
    pairs = truth[known].astype(np.int64) * n + labels[known]
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def find(labeller: Labeller, slices: Iterable[tuple[Scan, int]], schema: ClassSchema) -> Found:
    """Label slices, and compare with the truth wherever there is one."""
    n, channel_of = len(schema), channel_table(schema)
    found = Found(np.zeros((n, n), np.int64))
    for scan, z in slices:
        truth = true_channels(scan, z, schema)
        values, shares = labeller.judge_slice(scan, z)
        labels, known = channel_of[values], truth < n
        found.counts += count_pairs(truth, labels, n)
        if shares is None:
            continue
        part = np.maximum(shares[:, known], 1) / 255.0
        found.entropy += float(-(part * np.log(part)).sum() / np.log(n))
        found.n_judged += int(known.sum())
        found.reliability.update(shares.max(axis=0)[known], (labels == truth)[known])
    return found


def noticed(system: str, pairs: Mapping[str, tuple[Found, Found]], where: str) -> str:
    """Say whether a system that is wrong more often away from home is less sure there.

    Parameters
    ----------
    system
        Its name.
    pairs
        By name of the change: what it found on what is like the training, and away from it.
    where
        What the changes are, in words.
    """
    judged = [name for name, pair in pairs.items() if all(found.n_judged for found in pair)]
    if not judged:
        return f"{system}: knows of no probabilities."
    worse = [name for name in judged if pairs[name][1].error_frac > pairs[name][0].error_frac]
    rises = {
        key: [name for name in worse if _rise(pairs[name], key) > 0]
        for key in ("mean_entropy", "calibration_error")
    }
    sure = [name for name in worse if name not in rises["mean_entropy"]]
    worst = max(judged, key=lambda name: pairs[name][1].error_frac)
    home, away = pairs[worst]
    return (
        f"{system}: more pixels are wrong {where} in {len(worse)} of {len(judged)} cases; its mean "
        f"entropy rises in {len(rises['mean_entropy'])} of these"
        f"{' (not: ' + ', '.join(sure) + ')' if sure else ''}, its calibration error in "
        f"{len(rises['calibration_error'])}. At its worst ({worst}) "
        f"{_times(away.error_frac, home.error_frac)} as many pixels are wrong, and its mean "
        f"entropy is {_times(away.mean_entropy, home.mean_entropy)} as large."
    )


def _times(value: float, reference: float) -> str:
    return f"{value / reference:.1f} times" if reference > 0 else "beyond measure"


def _rise(pair: tuple[Found, Found], key: str) -> float:
    home, away = (getattr(found, key) for found in pair)
    return float(away - home)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as text; a dash for none."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"
