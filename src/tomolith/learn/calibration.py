"""One temperature that makes a network's probabilities as good as its word.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2: logits are
divided by a temperature before the softmax; it is fitted to the negative log-likelihood of
held-out pixels. Which class is the likeliest does not change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from tomolith.learn.losses.base import IGNORE
from tomolith.learn.validation import SlicePredictor

LOWEST, HIGHEST = 0.05, 20.0
_N_PIXELS = 2**19  # of all slices together; more would not change the third digit


def fit_temperature(logits: npt.NDArray[np.floating], truth: npt.NDArray[np.integer]) -> float:
    """Return the temperature with the least negative log-likelihood, 0.05 to 20.

    Parameters
    ----------
    logits
        (N, n_classes), of N pixels.
    truth
        (N,), the channel of the true class.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(20_000, 3)) * 2
    >>> truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    >>> round(fit_temperature(logits * 3, truth), 1)
    3.0
    """
    if not len(truth):
        return 1.0
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=1, keepdims=True)
    right = scores[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        total = np.log(np.exp(scores * inverse).sum(axis=1))
        return float((total - right * inverse).mean())

    found = minimize_scalar(  # convex in 1 / T, so there is one minimum
        loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x))


def slices_temperature(predictor: SlicePredictor, places: Sequence[tuple[int, int]]) -> float:
    """Return the temperature for the slices (example, z), predicted whole as ``predict`` does.

    At most 2**19 labelled pixels are kept, drawn from all slices alike with a fixed seed.

    Parameters
    ----------
    predictor
        Gives the logits.
    places
        The validation slices.
    """
    rng = np.random.default_rng(0)
    kept: list[npt.NDArray[np.float32]] = []
    truths: list[npt.NDArray[np.int64]] = []
    for logits, truth in predictor.predict(places):
        at = np.flatnonzero(truth != IGNORE)
        most = _N_PIXELS // len(places)
        if len(at) > most:
            at = rng.choice(at, most, replace=False)
        kept.append(logits.reshape(len(logits), -1)[:, at].T)
        truths.append(truth.ravel()[at])
    if not kept:
        return 1.0
    return fit_temperature(np.concatenate(kept), np.concatenate(truths))
