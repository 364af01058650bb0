"""The phantom is the cell that was asked for, and as hard to segment as it claims."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from phantom_helpers import BACKGROUND, DENDRITE, DEPOSITED, ELECTRODE, PIT, REDEPOSITED
from tomolith.core import Box
from tomolith.phantom import Cell, Phantom, PhantomSettings

SETTINGS = PhantomSettings(
    shape_zyx=(48, 148, 160), n_dendrites=12, n_pits=12, n_defects=4, scans=(0, 12, 24)
)
FIELD_UM = SETTINGS.shape_zyx[1] * SETTINGS.voxel_size_um


@pytest.fixture(scope="module", params=[1, 2])
def cell(request):
    return Cell.build(SETTINGS.model_copy(update={"seed": request.param}), 0)


def render(cell, pulse):
    return Phantom.of(cell, f"cell0-t{pulse:02d}", pulse).render(Box.whole(SETTINGS.shape_zyx))


@pytest.fixture(scope="module")
def fresh(cell):
    return render(cell, 0)


@pytest.fixture(scope="module")
def rendered(cell):
    return render(cell, 12)


@pytest.fixture(scope="module")
def discharged(cell):
    return render(cell, 24)


def shares(material):
    return np.bincount(material.ravel(), minlength=6) / material.size


def iou(labels, truth, index):
    a, b = labels == index, truth == index
    return (a & b).sum() / (a | b).sum()


def test_a_fresh_cell_is_electrodes_and_polymer(fresh):
    share = shares(fresh[1])
    assert share[ELECTRODE] == pytest.approx(2 * SETTINGS.electrode_um / FIELD_UM, abs=0.005)
    assert share[BACKGROUND] + share[ELECTRODE] == pytest.approx(1)


def test_classes_have_a_sane_share_after_charge(rendered):
    share = shares(rendered[1])
    assert share[ELECTRODE] == pytest.approx((200 - SETTINGS.charge_um) / FIELD_UM, abs=0.005)
    assert 0.004 < share[DENDRITE] < 0.08
    assert 0.01 < share[DEPOSITED] < 0.08
    assert 0.01 < share[PIT] < 0.05
    assert share[REDEPOSITED] == 0


def test_classes_have_a_sane_share_after_discharge(discharged):
    share = shares(discharged[1])
    assert share[DENDRITE] < 0.01
    assert share[DEPOSITED] < 0.001
    assert 0.02 < share[REDEPOSITED] < 0.1
    assert 0 < share[PIT] < 0.03


@pytest.mark.parametrize("side", ["stripping", "plating"])
def test_electrodes_are_as_thick_as_asked(fresh, side):
    _, material = fresh
    half = material.shape[1] // 2
    part = material[:, :half] if side == "stripping" else material[:, half:]
    thickness_um = (part == ELECTRODE).sum(axis=1).mean() * SETTINGS.voxel_size_um
    assert thickness_um == pytest.approx(SETTINGS.electrode_um, abs=2 * SETTINGS.voxel_size_um)


@pytest.mark.parametrize("pulse", [0, 12])
def test_the_electrolyte_is_as_thick_as_asked_and_swells(fresh, rendered, pulse):
    _, material = rendered if pulse else fresh
    swollen_um = SETTINGS.swelling_um + SETTINGS.charge_um if pulse else 0
    first = np.argmax(material == ELECTRODE, axis=1)
    last = material.shape[1] - np.argmax(material[:, ::-1] == ELECTRODE, axis=1)
    rest = (last - first - (material == ELECTRODE).sum(axis=1)).mean() * SETTINGS.voxel_size_um
    expected_um = SETTINGS.electrolyte_um + swollen_um
    assert rest == pytest.approx(expected_um, abs=2 * SETTINGS.voxel_size_um)


def test_dendrites_hang_on_the_plating_electrode(rendered):
    _, material = rendered
    pieces, _ = ndimage.label(material == DENDRITE, np.ones((3, 3, 3)))
    beneath = np.roll(material == ELECTRODE, -1, axis=1)
    beneath[:, : material.shape[1] // 2] = False
    rooted = np.unique(pieces[beneath & (pieces > 0)])
    sizes = np.bincount(pieces.ravel())
    # the rest are branches that a pore cut off, or whose root lies outside the field
    assert sizes[rooted].sum() > 0.75 * sizes[1:].sum()


def test_no_dendrite_reaches_the_stripping_electrode(rendered):
    _, material = rendered
    above = np.roll(material == ELECTRODE, 1, axis=1)
    above[:, material.shape[1] // 2 :] = False
    assert not (above & (material == DENDRITE)).any()


def test_porosity_opens_the_dendrites():
    n = {}
    for porosity in (0.0, 0.4):
        # few dendrites, so that all of them grow up
        few = {"porosity_frac": porosity, "n_dendrites": 4, "dendrite_share": 1.0}
        cell = Cell.build(SETTINGS.model_copy(update=few), 0)
        material = cell.draw(Box.whole(SETTINGS.shape_zyx), 12).material
        n[porosity] = (material == DENDRITE).sum()
    assert 1 - n[0.4] / n[0.0] == pytest.approx(0.4, abs=0.12)


def test_contrast_is_low_but_there(rendered):
    image, material = rendered
    polymer = image[:, 60:84][material[:, 60:84] == BACKGROUND].astype(float)
    dendrite = image[material == DENDRITE].astype(float)
    contrast_to_noise = (polymer.mean() - dendrite.mean()) / polymer.std()
    assert 1 < contrast_to_noise < 5


def test_otsu_does_badly(rendered):
    image, material = rendered
    bins = np.digitize(image, threshold_multiotsu(image, classes=3))
    # give Otsu the best of both ways of naming its classes
    dark_first = {0: (1, 2, 0), 1: (2, 1, 0)}
    best = max(iou(np.array(order)[bins], material, DENDRITE) for order in dark_first.values())
    assert best < 0.3


def test_a_cell_without_dendrites_has_none():
    cell = Cell.build(SETTINGS.model_copy(update={"n_dendrites": 0, "n_defects": 0}), 0)
    for pulse in SETTINGS.scans:
        material = cell.draw(Box.whole(SETTINGS.shape_zyx), pulse).material
        assert not (material == DENDRITE).any()
