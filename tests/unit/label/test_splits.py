from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.errors import RecipeError
from tomolith.label.split_checks import check_whole_scans
from tomolith.label.splits import LabelledScan, SliceRange, Split, SplitSettings, slabs, split


def _places(ranges):
    return {(r.scan_id, z) for r in ranges for z in range(r.z_start, r.z_stop)}


def test_a_volume_is_cut_into_blocks_with_gaps():
    parts = split([LabelledScan("a", tuple(range(100)))], SplitSettings(gap=3))
    train, validation, test = (_places(p) for p in (parts.train, parts.validation, parts.test))
    assert test == {("a", z) for z in range(90, 100)}
    assert validation == {("a", z) for z in range(77, 87)}  # 87..89 are the gap
    assert max(z for _, z in train) == min(z for _, z in validation) - 4


def test_sections_are_drawn_singly_and_need_no_gap():
    parts = split([LabelledScan("a", tuple(range(100)), sections=True)], SplitSettings(gap=3))
    n = [len(_places(p)) for p in (parts.train, parts.validation, parts.test)]
    assert n == [80, 10, 10]
    assert _places(parts.test) != {("a", z) for z in range(90, 100)}


def test_the_seed_decides_which_sections():
    scans = [LabelledScan(str(i), (0,), sections=True) for i in range(20)]
    draws = {split(scans, SplitSettings(seed=seed)).test for seed in range(5)}
    assert len(draws) > 1
    assert split(scans, SplitSettings(seed=3)) == split(scans, SplitSettings(seed=3))


def test_scans_and_slices_set_apart_by_name():
    scans = [LabelledScan("300", (0,), True), LabelledScan("1", (0,), True)]
    settings = SplitSettings(validation=[300], test_frac=0)
    assert _places(split(scans, settings).validation) == {("300", 0)}

    stack = [LabelledScan("p", tuple(range(12)))]
    parts = split(stack, SplitSettings(validation="p[9-11]", test_frac=0))
    assert _places(parts.validation) == {("p", 9), ("p", 10), ("p", 11)}
    assert _places(parts.train) == {("p", z) for z in range(8)}


def test_a_name_with_brackets_may_be_a_scan():
    scans = [LabelledScan("p[3]", (0,), True), LabelledScan("q", (0,), True)]
    parts = split(scans, SplitSettings(validation="p[3]", test_frac=0))
    assert _places(parts.validation) == {("p[3]", 0)}


def test_lone_slices_of_many_volumes_are_shared_out():
    scans = [LabelledScan(f"v{i}", (10 * i,)) for i in range(10)]
    parts = split(scans, SplitSettings())
    assert [len(_places(p)) for p in (parts.train, parts.validation, parts.test)] == [8, 1, 1]


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match=r"'stak\[0\]' is no labelled scan") as caught:
        split([LabelledScan("stack", (0, 1))], SplitSettings(validation="stak[0]"))
    assert "did you mean 'stack'?" in str(caught.value)


def test_a_slice_without_labels_is_refused():
    with pytest.raises(RecipeError, match="holds no labelled slice"):
        split([LabelledScan("stack", (0, 1))], SplitSettings(validation="stack[7]"))


def test_a_slice_in_two_parts_is_refused():
    with pytest.raises(RecipeError, match=r"both validation and test: a\[1\]"):
        split([LabelledScan("a", (0, 1, 2))], SplitSettings(validation="a[1]", test="a[1-2]"))


@pytest.mark.parametrize(
    ("scans", "settings", "part"),
    [
        ([LabelledScan("a", (0,))], SplitSettings(), "validation"),
        ([LabelledScan("a", (0, 1))], SplitSettings(gap=5), "training"),
        ([LabelledScan("a", (0, 1))], SplitSettings(validation="a"), "training"),
    ],
)
def test_an_empty_part_is_refused_with_a_way_to_mend(scans, settings, part):
    with pytest.raises(RecipeError, match=f"no slice for {part}") as caught:
        split(scans, settings)
    assert "name validation slices yourself" in str(caught.value)


@given(
    st.lists(st.sets(st.integers(0, 60), min_size=1), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.integers(0, 4),
    st.integers(0, 5),
)
def test_no_slice_twice_and_no_neighbours_across(slices, sections, gap, seed):
    scans = [LabelledScan(f"s{i}", tuple(sorted(z)), sections[i]) for i, z in enumerate(slices)]
    try:
        parts = split(scans, SplitSettings(gap=gap, seed=seed))
    except RecipeError:
        return
    places = [_places(p) for p in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, places)) == len(set().union(*places))
    volumes = {s.scan_id for s in scans if not s.sections}
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for scan, z in places[i]:
            near = [w for other, w in places[j] if other == scan and abs(w - z) <= gap]
            assert scan not in volumes or not near
    assert Split.from_dict(parts.to_dict()) == parts


def test_slabs_are_whole_slices_of_their_scans():
    ranges = [SliceRange("a", 0, 2), SliceRange("b", 3, 4), SliceRange("a", 5, 6)]
    found = slabs(ranges, {"a": (6, 4, 5), "b": (9, 7, 8)})
    assert [(b.start_zyx, b.stop_zyx) for b in found["a"]] == [
        ((0, 0, 0), (2, 4, 5)),
        ((5, 0, 0), (6, 4, 5)),
    ]
    assert [b.stop_zyx for b in found["b"]] == [(4, 7, 8)]


def test_slabs_of_a_plane_lie_across_and_hold_the_voxels_of_its_slices():
    ranges = (SliceRange("a", 1, 3), SliceRange("b", 0, 1))
    shapes = {"a": (6, 4, 5), "b": (9, 7, 8)}
    assert {k: [b.shape_zyx for b in v] for k, v in slabs(ranges, shapes, plane="xz").items()} == {
        "a": [(6, 2, 5)],
        "b": [(9, 1, 8)],
    }
    assert slabs(ranges, shapes, plane="yz")["a"][0].start_zyx == (0, 0, 1)


@pytest.mark.parametrize("names", [["b[3]"], ["b", "b[3-4]"], ["c[1]"]])
def test_slices_are_not_held_out_where_another_plane_trains(names):
    check_whole_scans(SplitSettings(test=names), "xy", ["a", "b"])
    with pytest.raises(RecipeError, match="whole scans, or nothing"):
        check_whole_scans(SplitSettings(test=names), "yz", ["a", "b"])


def test_scans_or_nothing_may_be_held_out_where_another_plane_trains():
    check_whole_scans(SplitSettings(test=["b[3]"]), "yz", ["a", "b[3]"])  # a scan of that name
    check_whole_scans(SplitSettings(test_frac=0), "xz", ["a"])
