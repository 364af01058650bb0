"""What is mended in projections before they are back-projected: beam, rings, the rotation axis."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tomolith.config import require
from tomolith.errors import InputError
from tomolith.prepare.angles import Angles

Floats = npt.NDArray[np.float32]
Rings = Literal["sorting", "filtering", "large", "dead", "all"]

_FLOOR = 1e-5  # transmission below which nothing can be told from the dark field
_RING_REMOVERS = {
    "sorting": "remove_stripe_based_sorting",
    "filtering": "remove_stripe_based_filtering",
    "large": "remove_large_stripe",
    "dead": "remove_dead_stripe",
    "all": "remove_all_stripe",
}


def line_integrals(counts: Floats, white: Floats, dark: Floats, *, where: str) -> Floats:
    """Return minus the logarithm of the transmission; dead pixels take their neighbours' values.

    Parameters
    ----------
    counts
        Axes (row, angle, column).
    white, dark
        Mean flat and dark field, axes (row, column).
    where
        The file, for the message.

    Raises
    ------
    InputError
        A row of the flat field is nowhere brighter than the dark field.
    MissingExtraError
        algotom is not installed.

    Examples
    --------
    >>> white, dark = np.full((1, 3), 110, np.float32), np.full((1, 3), 10, np.float32)
    >>> line_integrals(np.full((1, 2, 3), 60, np.float32), white, dark, where="a.h5")[0, 0].round(3)
    array([0.693, 0.693, 0.693], dtype=float32)
    """
    correction = require("algotom.prep.correction", extra="recon")
    alive = white > dark
    if not alive.any(axis=1).all():
        raise InputError(
            "the flat fields are not brighter than the dark fields",
            expected="images of the open beam in 'exchange/data_white'",
            where=where,
        )
    # algotom gives a dead pixel the mean beam: here any beam will do, its values are replaced
    beam = np.where(alive, white, dark + 1)
    depth = _logarithm(correction.flat_field_correction(counts, beam[:, None], dark[:, None]))
    columns = np.arange(depth.shape[2])
    for row in np.flatnonzero(~alive.all(axis=1)):
        good, bad = columns[alive[row]], columns[~alive[row]]
        for line in depth[row]:
            line[bad] = np.interp(bad, good, line[good])
    return depth


def remove_rings(sinograms: Floats, method: Rings) -> Floats:
    """Return sinograms (row, angle, column) without the stripes that become rings.

    Stripes are removed from the transmission, where an error of gain is a factor. N. T. Vo, R. C.
    Atwood, M. Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
    micro-tomography", Opt. Express 26 (2018) 28396, as algotom has them.

    Raises
    ------
    MissingExtraError
        algotom is not installed.
    """
    removal = require("algotom.prep.removal", extra="recon")
    remove = getattr(removal, _RING_REMOVERS[method])
    mended = np.empty_like(sinograms)
    for found, sinogram in zip(mended, sinograms, strict=True):
        found[:] = _logarithm(np.asarray(remove(np.exp(-sinogram)), np.float32))
    return mended


def find_centre(sinogram: Floats, theta_rad: Angles) -> float:
    """Return the column of the rotation axis of a sinogram (angle, column) over half a turn.

    N. T. Vo et al., "Reliable method for calculating the center of rotation in parallel-beam
    tomography", Opt. Express 22 (2014) 19078, as algotom has it. The axis must lie within a
    sixteenth of the width from the middle.

    Raises
    ------
    MissingExtraError
        algotom is not installed.
    """
    calculation = require("algotom.prep.calculation", extra="recon")
    rising: Any = sinogram[np.argsort(theta_rad, kind="stable")]
    return float(calculation.find_center_vo(rising, ncore=1))


def _logarithm(light: Floats) -> Floats:
    """Return minus the logarithm of the transmission, in place."""
    np.maximum(light, _FLOOR, out=light)
    np.log(light, out=light)
    return np.negative(light, out=light)
