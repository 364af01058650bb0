"""The plane through a face, against NumPy's least squares over the columns that show it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomolith.measure.quantities.plane import NOWHERE, Plane, plane_through

SIZE_UM, PLAN_UM, MIDDLE = 2.0, (0.5, 3.0), 20.0


def laid(face: np.ndarray) -> Plane:
    found = plane_through(face, middle=MIDDLE, size_um=SIZE_UM, plan_sizes_um=PLAN_UM)
    assert found is not None
    return found


def least_squares(heights_um: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, float]:
    u, v = np.nonzero(known)
    terms = np.stack([np.ones(len(u)), u * PLAN_UM[0], v * PLAN_UM[1]], axis=1)
    h = heights_um[known]
    coefficients = np.linalg.lstsq(terms, h, rcond=None)[0]
    return coefficients, float(np.sqrt(np.mean((h - terms @ coefficients) ** 2)))


@pytest.mark.parametrize("seed", range(4))
def test_the_plane_is_that_of_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = np.indices((13, 17))
    face = (0.7 * u - 0.2 * v + rng.integers(0, 9, u.shape)).astype(np.int32)
    known = rng.random(face.shape) < 0.8
    face[~known] = NOWHERE
    coefficients, rms_um = least_squares((face - MIDDLE) * SIZE_UM, known)
    found = laid(face)
    assert (found.c, found.a, found.b) == pytest.approx(tuple(coefficients), rel=1e-9)
    assert found.rms_um == pytest.approx(rms_um, rel=1e-9)
    for _ in range(20):
        shift = rng.choice([-0.5, 0.5], face.shape)
        moved, _ = least_squares((face + shift - MIDDLE) * SIZE_UM, known)
        assert math.dist(moved[1:], coefficients[1:]) <= found.slope_doubt


def test_half_a_voxel_tilts_a_row_as_much_as_is_doubted() -> None:
    face = np.zeros((9, 1), np.int32)
    shift = np.sign(np.arange(9) - 4)[:, None] / 2
    tilted, _ = least_squares((face + shift) * SIZE_UM, face == 0)
    assert laid(face).slope_doubt == pytest.approx(tilted[1], rel=1e-12)


def test_a_large_even_face_is_even_to_the_last_digit() -> None:
    u, v = np.indices((900, 700), np.int32)
    found = laid(u - 3 * v)
    assert (found.a, found.b) == pytest.approx((4.0, -2.0), rel=1e-12)
    assert found.rms_um == pytest.approx(0.0, abs=1e-11)


def test_two_columns_are_no_plane() -> None:
    face = np.full((3, 3), NOWHERE, np.int32)
    face[0, :2] = 5
    assert plane_through(face, middle=0.0, size_um=1.0, plan_sizes_um=(1.0, 1.0)) is None
