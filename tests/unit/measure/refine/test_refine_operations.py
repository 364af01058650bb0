"""Each operation by itself, on labels whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from refine_helpers import OPERANDO, true_series, with_flips
from tomolith.config import parse_settings
from tomolith.core import ClassSchema, Grid, LabelMap, Volume
from tomolith.core.schema import LabelClass
from tomolith.errors import InputError, RecipeError
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.refine.allowed import Allowed
from tomolith.measure.refine.faces import Faces, find_faces
from tomolith.measure.refine.plan import chosen_operations
from tomolith.measure.refine.region import Region
from tomolith.measure.refine.settings import (
    AllowedSettings,
    RefineSettings,
    RegionSettings,
)
from tomolith.measure.refine.split import HalfDepth, Nearest, Split

BACKGROUND, ELECTRODE, DENDRITE, PIT, DEPOSITED, REDEPOSITED = range(6)
LOW, HIGH = 9, 30


def labelmap(values: np.ndarray, schema: ClassSchema = OPERANDO, size_um=1.0) -> LabelMap:
    sizes = None if size_um is None else (size_um,) * 3
    return LabelMap(Volume(values, Grid(values.shape, sizes)), schema)


def cell(n_z: int = 6, n_x: int = 7) -> np.ndarray:
    """Electrodes of the voxels 0 to 9 and 30 to 39 along y."""
    values = np.zeros((n_z, 40, n_x), np.uint8)
    values[:, : LOW + 1] = values[:, HIGH:] = ELECTRODE
    return values


def faces_of(values: np.ndarray, *, axis: int = 1, high: bool = True, block=(3, 40, 7)) -> Faces:
    return find_faces(labelmap(values), axis=axis, plating_high=high, block_zyx=block)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("plating_high", [True, False])
def test_faces_are_found_along_any_axis(axis, plating_high):
    values = np.moveaxis(cell(), 1, axis)
    faces = faces_of(values, axis=axis, high=plating_high, block=(4, 4, 4))
    assert (faces.low == LOW).all() and (faces.high == HIGH).all()
    plating = faces.of_side(PLATING)
    assert (plating == (HIGH if plating_high else LOW)).all()
    assert faces.outer == {STRIPPING: None, PLATING: None}  # both leave the scan


def test_strays_do_not_move_a_face_whatever_the_blocks():
    values = with_flips(cell(24, 24), 0.08, seed=2)
    found = [faces_of(values, block=block) for block in ((24, 40, 24), (5, 7, 24), (24, 3, 11))]
    # at the end of the plan, where the median repeats what it has, a few columns may be off
    assert (found[0].low == LOW).mean() > 0.98 and (found[0].high == HIGH).mean() > 0.98
    for other in found[1:]:
        assert (other.low == found[0].low).all() and (other.high == found[0].high).all()


def test_a_scan_without_one_electrode_is_refused():
    values = cell()
    values[:, 20:] = BACKGROUND
    with pytest.raises(InputError, match="no electrode is seen on the plating side") as caught:
        find_faces(labelmap(values), axis=1, plating_high=True, block_zyx=(3, 40, 7), scan="t06")
    assert caught.value.where == "scan t06"


def test_outside_of_the_region_nothing_has_a_class():
    grid = Grid((4, 5, 6), None)
    region = Region(RegionSettings(z=(1, 3), x=(2, 6)), grid, OPERANDO)
    values = np.full((4, 5, 6), DENDRITE, np.uint8)
    out = np.empty_like(values)
    for box in grid.box.tiles((3, 2, 4)):
        out[box.slices] = region.apply(values[box.slices], box)
    assert (out[1:3, :, 2:] == DENDRITE).all()
    assert (out == OPERANDO.unlabelled).sum() == values.size - 2 * 5 * 4
    with pytest.raises(InputError, match=r"ends at \(4, 5, 9\)"):
        Region(RegionSettings(x=(2, 9)), grid, OPERANDO)


def test_the_papers_cut_leaves_its_number_of_voxels():
    grid = Grid((3896, 698, 1707), (1.33,) * 3)
    region = Region(RegionSettings(z=(808, 3088)), grid, OPERANDO)
    assert region._box.shape_zyx == (2280, 698, 1707)


@pytest.mark.parametrize("settings", [{}, {"z": (5, 5)}, {"y": (-1, 4)}])
def test_a_region_that_is_no_box_is_refused(settings):
    with pytest.raises(ValidationError):
        RegionSettings(**settings)


def nearest_by_edt(faces: Faces, shape, sizes) -> np.ndarray:
    index = np.arange(shape[1])[None, :, None]
    far = [
        ndimage.distance_transform_edt(~behind, sampling=sizes)
        for behind in (index <= faces.low[:, None], index >= faces.high[:, None])
    ]
    return np.sign(np.round(far[0] - far[1], 9)).astype(np.int8)


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (3.0, 0.7, 1.3)])
def test_the_nearest_electrode_is_that_of_a_distance_transform(sizes):
    rng = np.random.default_rng(0)
    shape = (17, 30, 19)
    rough = [ndimage.gaussian_filter(rng.normal(size=(17, 19)), 1.0) * 14 for _ in range(2)]
    low, high = (8 + rough[0]).astype(np.int32), (21 + rough[1]).astype(np.int32)
    faces = Faces(Frame(), np.minimum(low, 13), np.maximum(high, 16), {}, {})
    u, index, v = (a.ravel() for a in np.indices(shape))
    found = Nearest(faces, sizes).side(u, index, v).reshape(shape)
    assert (found == nearest_by_edt(faces, shape, sizes)).all()
    column = np.sign(
        np.maximum(np.arange(30)[None, :, None] - faces.low[:, None], 0)
        - np.maximum(faces.high[:, None] - np.arange(30)[None, :, None], 0)
    )
    assert (found != column).sum() > 50  # it is not the nearest in the column


@pytest.mark.parametrize("plating_high", [True, False])
def test_deposits_take_the_class_of_their_side(plating_high):
    values = cell()
    values[:, 12:28] = np.tile([DEPOSITED, REDEPOSITED], 8)[None, :, None]
    faces = faces_of(values, high=plating_high)
    map_ = labelmap(values)
    out = Split.nearest(OPERANDO, faces, map_.grid).apply(values, map_.grid.box)
    low, high = (REDEPOSITED, DEPOSITED) if plating_high else (DEPOSITED, REDEPOSITED)
    assert (out[:, 12:20] == low).all() and (out[:, 20:28] == high).all()
    same = np.isin(values, [DEPOSITED, REDEPOSITED], invert=True)
    assert (out[same] == values[same]).all()


def test_half_depth_cuts_at_half_and_the_middle_keeps_its_class():
    values = np.full((1, 5, 1), DEPOSITED, np.uint8)
    frame = Frame.half_depth(values.shape)
    split = Split(OPERANDO, frame, HalfDepth(frame, values.shape))
    out = split.apply(values, Grid(values.shape, None).box)
    assert out.ravel().tolist() == [REDEPOSITED] * 2 + [DEPOSITED] * 3


def test_electrodes_are_split_where_the_schema_has_both():
    names = ("background", "electrode", "plating-electrode", "stripping-electrode")
    colours = ("#000000", "#111111", "#222222", "#333333")
    classes = zip(names, colours, strict=True)
    schema = ClassSchema(tuple(LabelClass(n, i, c) for i, (n, c) in enumerate(classes)))
    values = cell()
    values[:, 2] = 2  # a plating electrode on the wrong side
    map_ = labelmap(values, schema)
    faces = find_faces(map_, axis=1, plating_high=True, block_zyx=(3, 40, 7))
    out = Split.nearest(schema, faces, map_.grid).apply(values, map_.grid.box)
    assert (out[:, : LOW + 1] == 3).all() and (out[:, HIGH:] == 2).all()
    assert (out[:, LOW + 1 : HIGH] == 0).all()


def allow(values: np.ndarray, *, margin_um: float = 2.0, reference: int = LOW, **how) -> np.ndarray:
    faces = faces_of(cell(*values.shape[::2]), **how)
    grid = Grid(values.shape, (1.0,) * 3)
    plan = np.full(faces.low.shape, reference, np.int32)
    allowed = Allowed(
        AllowedSettings(margin_um=margin_um), grid, OPERANDO, faces=faces, reference=plan
    )
    out = np.empty_like(values)
    for box in grid.box.tiles((3, 16, 5)):
        out[box.slices] = allowed.apply(values[box.slices], box)
    return out


@pytest.mark.parametrize(
    ("value", "kept"),
    [  # first and last voxel that may be of the class, with a margin of 2
        (PIT, [(0, LOW + 2)]),
        (REDEPOSITED, [(0, HIGH + 1)]),
        (DEPOSITED, [(LOW - 1, HIGH + 1)]),
        (DENDRITE, [(LOW - 1, HIGH + 1)]),
        (ELECTRODE, [(0, LOW + 2), (HIGH - 2, 39)]),
    ],
)
def test_a_class_stays_only_where_it_can_be(value, kept):
    values = np.full((6, 40, 7), value, np.uint8)
    out = allow(values)
    index = np.arange(40)
    right = np.any([(index >= a) & (index <= b) for a, b in kept], axis=0)
    behind = (index <= LOW) | (index >= HIGH)
    expected = np.where(right, value, np.where(behind, ELECTRODE, BACKGROUND))
    assert (out == expected[None, :, None]).all()


def test_whatever_its_name_and_however_rough_the_electrodes_li_in_the_gap_stays():
    rng = np.random.default_rng(3)
    rough = [ndimage.gaussian_filter(rng.normal(size=(16, 18)), 1.0) * 14 for _ in range(2)]
    low, high = (8 + rough[0]).astype(np.int32), (30 + rough[1]).astype(np.int32)
    low, high = np.minimum(low, 17), np.maximum(high, 21)
    faces, grid = Faces(Frame(), low, high, {}, {}), Grid((16, 40, 18), (1.0,) * 3)
    index = np.arange(40)[None, :, None]
    in_gap = (index > low[:, None]) & (index < high[:, None])
    values = np.where(in_gap, rng.choice([DEPOSITED, REDEPOSITED], grid.shape_zyx), ELECTRODE)
    values = values.astype(np.uint8)
    named = Split.nearest(OPERANDO, faces, grid).apply(values, grid.box)
    allowed = Allowed(
        AllowedSettings(margin_um=0), grid, OPERANDO, faces=faces, reference=np.zeros_like(low)
    )
    assert (allowed.apply(named, grid.box) == named).all()
    assert {DEPOSITED, REDEPOSITED} == set(named[in_gap].tolist())


def test_the_reference_says_how_far_pits_may_reach():
    values = np.full((6, 40, 7), PIT, np.uint8)
    out = allow(values, reference=14)
    assert (out[:, :17] == PIT).all() and (out[:, 17:HIGH] == BACKGROUND).all()


def test_true_labels_are_allowed_and_rightly_split():
    first = None
    for values in true_series((0, 6, 12, 18, 24)):
        map_ = labelmap(values, size_um=5.32)
        faces = find_faces(map_, axis=1, plating_high=True, block_zyx=(64, 64, 64))
        first = faces if first is None else first
        allowed = Allowed(
            AllowedSettings(), map_.grid, OPERANDO, faces=faces, reference=first.of_side(STRIPPING)
        )
        assert (allowed.apply(values, map_.grid.box) == values).all()
        split = Split.nearest(OPERANDO, faces, map_.grid)
        assert (split.apply(values, map_.grid.box) == values).all()


@pytest.mark.parametrize(
    ("schema", "asked", "words"),
    [
        ("li-binary", {"split": {}}, ["'split'", "no class 'electrode'", "refine.split"]),
        ("li-binary", {"allowed": True}, ["'allowed'", "no class 'electrode'"]),
        ("li-binary", {"time": None}, ["'time'", "no class 'electrode'"]),
        ("cathode-3phase", {"time": {}}, ["no class 'electrode'"]),
        ("li-operando", {"min_size": {"classes": {"pore": 9}}}, ["'min_size'", "no class 'pore'"]),
        ("li-operando", {"fill_holes": {"classes": ["pore"]}}, ["no class 'pore'"]),
    ],
)
def test_what_the_classes_do_not_allow_is_refused_where_it_is_asked_for(schema, asked, words):
    from tomolith.core import PRESETS

    settings = parse_settings(RefineSettings, asked, where="recipe")
    with pytest.raises(InputError) as caught:
        chosen_operations(settings, Grid((4, 4, 4), (1.0,) * 3), PRESETS[schema])
    for word in words:
        assert word in str(caught.value)


def test_what_nobody_asked_for_is_left_out_and_said():
    done, left_out = chosen_operations(RefineSettings(), Grid((4, 4, 4), None), OPERANDO)
    assert done == ("split", "min_size", "fill_holes")
    assert [(one.operation, "voxel size" in one.why) for one in left_out] == [("allowed", True)]
    sections = Grid((4, 4, 4), (1.0,) * 3, sections=True)
    only_region = RefineSettings(region={"x": (0, 2)})
    assert chosen_operations(only_region, sections, OPERANDO)[0] == ("region",)
    with pytest.raises(InputError, match="nothing to refine"):
        chosen_operations(RefineSettings(), sections, OPERANDO)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"time": {"natural_cost": 9}}, ["against_cost"]),
        ({"min_size": {"voxels": 1}}, ["min_size"]),
        ({"min_size": {"classes": {"pit": 1}}}, ["at least 2"]),
        ({"memory": "much"}, ["memory"]),
        ({"regoin": {}}, ["regoin", "did you mean 'region'"]),
        ({"split": {"by": "colour"}}, ["split"]),
    ],
)
def test_bad_settings_are_refused_by_name(values, words):
    with pytest.raises(RecipeError) as caught:
        parse_settings(RefineSettings, values, where="recipe")
    for word in words:
        assert word in str(caught.value)
