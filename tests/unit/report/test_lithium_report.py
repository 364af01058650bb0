"""The lithium figures and the verdict, from files with made-up numbers."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from lithium_helpers import SCANS, rows, write_lithium
from tomolith.core import PRESETS
from tomolith.measure.colocalisation import GROWTH_PART
from tomolith.measure.rows import QuantityRow
from tomolith.measure.verdict import VerdictSettings, judge, write_verdict
from tomolith.report import ReportSettings, write_report
from tomolith.report.lithium import ORDER
from tomolith.report.lithium_curves import draw_curves
from tomolith.report.lithium_cycler import draw_cycler
from tomolith.report.lithium_files import LithiumFiles, read_lithium
from tomolith.report.lithium_maps import draw_maps, scans_shown
from tomolith.report.lithium_style import Drawn, bars_text, stage_titles
from tomolith.report.tabulate import volume_table

SCHEMA = PRESETS["li-operando"]
RULES = ("dendrite.volume_um3 < 1e6", "gap_um < 190", "cell.swelling_um < 33")
DRAWN = ("volumes", "thickness", "coverage", "pits", "pearson", "swelling")
CURVES = [f"lithium-{n}.png" for n in DRAWN]


def read(folder: Path, table: list[QuantityRow] | None = None) -> tuple[LithiumFiles, list[str]]:
    problems: list[str] = []
    found = read_lithium(folder, rows() if table is None else table, SCHEMA.classes, problems)
    return found, problems


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lithium") / "measurements"
    folder.mkdir()
    write_lithium(folder)
    return folder


@pytest.fixture(scope="module")
def study(measured: Path) -> Path:
    root = measured.parent
    (root / "recipe.yaml").write_text("name: x\nclasses: li-operando\nmeasure: {}\nverdict: {}\n")
    write_verdict(judge(rows(), VerdictSettings(rules=RULES)), root / "verdict.json")
    write_report(root, ReportSettings())
    return root


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    return (study / "report" / "index.html").read_text(encoding="utf-8")


def test_every_figure_is_there_with_a_title_and_a_caption(study: Path, page: str) -> None:
    names = {path.stem for path in (study / "report" / "figures").glob("lithium-*.png")}
    assert names == set(ORDER)
    part = page[page.index('<section id="lithium">') : page.index('<section id="scores">')]
    captions = re.findall(r"<figcaption>(.+?)</figcaption>", part)
    assert len(captions) == len(ORDER)
    assert all(c.endswith(".") for c in captions)
    assert sum("95 % interval (half-voxel boundary shift)" in c for c in captions) == 6
    assert "matched to the rests by their order" in part
    assert "In brackets: the 95 % interval" in page
    assert '>2,800,000<span class="interval"> (2,420,000 to 3,180,000)</span></td>' in page
    assert "from cell.mpt" in part
    assert len(re.findall('<p class="soft paper">', page)) == 1  # the parts in nine scans
    groups = re.findall(r'<th scope="rowgroup"[^>]*>(.+?)</th>', page)
    assert len(groups) == len(set(groups))
    assert "the series as a whole" in page


def test_numbers_that_tell_nothing_are_left_out_and_counted() -> None:
    def row(
        scan: str, quantity: str, value: float | None, high: float | None = None
    ) -> QuantityRow:
        low = None if high is None else 0.0
        return QuantityRow(scan, "p", "pit, x", quantity, value, "1", low, high, "", "")

    table = [
        *(row(s, "tilt", v) for s, v in (("a", 0.0), ("b", 2.0))),
        *(row(s, "dendrite_number", 0.0) for s in "ab"),
        *(row(s, "boundary_volume", 5.0) for s in "ab"),
        *(row(s, "penetration_frac", 0.0, 0.02) for s in "ab"),
        *(row(s, "void_depth", None) for s in "ab"),
    ]
    (shown,) = volume_table(table)
    assert [line.group for line in shown.rows] == ["tilt", "penetration frac", "void depth"]
    assert shown.n_left_out == 2
    assert volume_table([row("a", "dendrite_number", 0.0)]) == []


def test_the_verdict_stands_first_with_words_and_icons(page: str) -> None:
    assert page.index('<section id="verdict">') < page.index('<section id="slices">')
    part = page[page.index('<section id="verdict">') : page.index('<section id="slices">')]
    words = re.findall(r'<th scope="row" class="(\w+)"><svg.+?</svg>\s*(\w+)</th>', part, re.S)
    assert words == [("fail",) * 2, ("pass",) * 2, ("undecided",) * 2]
    assert '<p class="verdict fail">' in part
    assert len(set(re.findall(r"<svg.+?</svg>", part, re.S))) == 3
    assert "2,800,000 (2,420,000 to 3,180,000) µm³ in t04" in part


def test_a_verdict_that_was_not_asked_for_or_is_damaged_is_not_shown(
    study: Path, tmp_path: Path
) -> None:
    text = (study / "verdict.json").read_text()
    for recipe, verdict, shown, word in (
        ("name: x\nmeasure: {}\n", text, False, ""),
        ("name: x\nverdict: {}\n", text[:50], False, "The verdict is not shown"),
        ("name: x\nverdict: {}\n", text, True, ""),
    ):
        (tmp_path / "recipe.yaml").write_text(recipe)
        (tmp_path / "verdict.json").write_text(verdict)
        found = write_report(tmp_path, ReportSettings()).read_text()
        assert ('<section id="verdict">' in found) == shown
        assert word in found


def test_without_cycler_and_maps_the_rows_alone_are_drawn(tmp_path: Path) -> None:
    files, problems = read(tmp_path, rows(bars=False))
    figures = list(draw_curves(files))
    assert [f.file_name for f in figures] == CURVES
    assert all("No error bars" in f.caption for f in figures)
    assert not any("shaded" in f.caption for f in figures)
    assert files.places["t03"] == 3.0
    assert list(draw_cycler(files)) == list(draw_maps(files, problems)) == problems == []


def test_points_of_scans_that_are_no_series_are_not_joined(measured: Path) -> None:
    table = [r for r in rows() if r.quantity in ("volume", "plan_coverage")]
    problems: list[str] = []
    folder = measured.parent  # where no cycler and no map lies
    alone = read_lithium(folder, table, SCHEMA.classes, problems)
    assert alone.series == ()
    assert all("not joined" in f.caption for f in draw_curves(alone))
    told = read_lithium(folder, table, SCHEMA.classes, problems, series=("t04", "t02"))
    assert told.scans == ("t04", "t02")
    joined = [f.png for f in draw_curves(told)]
    assert len(joined) == 2
    assert not any("not joined" in f.caption for f in draw_curves(told))
    apart = [f.png for f in draw_curves(replace(told, series=(), rows=told.rows))]
    assert joined != apart


def test_one_scan_has_no_curve_and_a_series_without_numbers_none(tmp_path: Path) -> None:
    table = [r for r in rows() if r.scan == "t04"]
    assert list(draw_curves(read(tmp_path, table)[0])) == []
    table = [r for r in rows() if r.quantity == "voxel_count"]
    assert list(draw_curves(read(tmp_path, table)[0])) == []


def test_scans_stand_at_the_time_under_current_and_half_cycle_is_where_current_turns(
    measured: Path,
) -> None:
    files, _ = read(measured)
    assert files.places["t03"] == 30.0
    assert files.stages == {"first": "t00", "half": "t04", "last": "t08"}
    assert stage_titles(files)["t04"] == "half cycle: t04"
    some = [r for r in rows() if r.scan in ("t00", "t01", "t02", "t08")]
    early = read(measured, some)[0]
    assert early.stages["half"] == "t02"
    assert stage_titles(early)["t02"] == "middle: t02"
    two = [r for r in some if r.scan in ("t00", "t01")]
    assert read(measured, two)[0].stages == {"first": "t00", "last": "t01"}


def test_a_class_has_the_colour_of_the_schema(measured: Path) -> None:
    figure = next(f for f in draw_curves(read(measured)[0]) if "volumes" in f.file_name)
    image = imread(BytesIO(figure.png))[..., :3]
    for name in ("dendrite", "pit", "deposited", "redeposited", "electrode"):
        near = np.abs(image - to_rgb(SCHEMA[name].colour)).max(axis=-1) < 0.01
        assert near.sum() > 200, name


def test_pearson_fills_what_is_significant_and_names_what_is_not_drawn(measured: Path) -> None:
    def drawn(table: list[QuantityRow]) -> Drawn:
        return next(f for f in draw_curves(read(measured, table)[0]) if "pearson" in f.file_name)

    tested, untested = drawn(rows()), drawn([r for r in rows() if r.quantity != "pearson_p"])

    def ink(found: Drawn) -> int:
        return int((imread(BytesIO(found.png))[..., :3].max(axis=-1) < 0.2).sum())

    assert ink(tested) > ink(untested) + 1000
    assert "Not drawn" not in tested.caption
    one = next(r for r in rows() if r.quantity == "pearson" and r.value is not None)
    once = replace(one, class_name="deposited ~ redeposited")
    never = replace(one, class_name="void_depth ~ pit", value=None, low=None, high=None)
    more = drawn([*rows(), once, never])
    assert imread(BytesIO(more.png)).shape[0] > imread(BytesIO(tested.png)).shape[0]
    assert more.caption.endswith("everywhere in every scan: void_depth and pit.")


def test_plan_views_are_spread_over_the_series_and_show_its_turn_and_its_end(
    measured: Path,
) -> None:
    files, problems = read(measured)
    views = next(f for f in draw_maps(files, problems) if "plan-views" in f.file_name)
    assert "6 of 9 scans" in views.caption
    titles = scans_shown(files)
    assert list(titles) == ["t00", "t02", "t04", "t05", "t06", "t08"]
    assert titles["t04"] == "half cycle:\nt04"
    assert titles["t05"] == "t05"
    assert set(scans_shown(replace(files, rows=files.rows[:1]))) == {"t00"}


def test_the_growth_of_old_sites_says_how_alike_the_maps_are(measured: Path) -> None:
    r, p = (
        QuantityRow("series", "p", GROWTH_PART, name, value, "1", low, high, "x", "")
        for name, value, low, high in (
            ("pearson", 0.31, 0.1, 0.5),
            ("pearson_p", 0.004, None, None),
        )
    )
    files, problems = read(measured, [*rows(), r, p])
    growth = next(f for f in draw_maps(files, problems) if "growth" in f.file_name)
    assert "two thickness maps: 0.31 (0.10 to 0.50), p = 0.004." in growth.caption
    assert "later (counted voxels); share of" in growth.caption  # not what the interval means


def test_intervals_need_not_hold_the_number(measured: Path) -> None:
    table = [
        QuantityRow(s, "p", "pit", "volume", 1.0, "um3", 2.0, 3.0, "x; 95 %: a bias", "")
        for s in SCANS
    ]
    files, _ = read(measured, table)
    figure = next(draw_curves(files))
    assert figure.caption.endswith("Bars: 95 % interval (a bias).")
    line = files.line("volume", "pit")
    assert line is not None
    assert line.points[0].low == 2.0
    bare = replace(line, points=(replace(line.points[0], low=None, high=None),))
    assert bars_text([line, bare]) == "Bars: 95 % interval, where known (a bias)."
    assert "beside each other" in bars_text([line, line])
    exact = replace(table[0], low=1.0, high=1.0, method="x; 95 %: exact, held against itself")
    line = read(measured, [exact, *table[1:]])[0].line("volume", "pit")
    assert line is not None and line.meanings == ("a bias",)


@pytest.mark.parametrize(
    ("file", "content", "word", "kept"),
    [
        ("cycler.json", "{", "The cycler's numbers are not shown", set()),
        ("cycler.json", '{"file": 1}', "The cycler's numbers are not shown", set()),
        ("voltage.parquet", "x", "The voltage is not shown", {"inventory", "capacity"}),
        ("maps/index.json", "[{}]", "The plan maps are not shown", set()),
        (
            "maps/t08/void_depth.tif",
            "x",
            "void_depth' of t08 cannot be",
            {"plan-views", "edges", "growth"},
        ),
    ],
)
def test_damaged_files_are_named_and_the_rest_is_drawn(
    file: str, content: str, word: str, kept: set[str], tmp_path: Path
) -> None:
    write_lithium(tmp_path)
    (tmp_path / file).write_text(content)
    files, problems = read(tmp_path)
    figures = draw_maps(files, problems) if file.startswith("maps") else draw_cycler(files)
    assert {f.file_name for f in figures} == {f"lithium-{name}.png" for name in kept}
    assert len(problems) == 1
    assert word in problems[0]


def test_maps_without_pixel_size_have_no_scale_bar_and_say_so(tmp_path: Path) -> None:
    write_lithium(tmp_path, cycler=False)
    index = tmp_path / "maps" / "index.json"
    entries = [{**e, "pixel_um": None} for e in json.loads(index.read_text())]
    index.write_text(json.dumps(entries))
    files, problems = read(tmp_path)
    figures = {f.file_name: f for f in draw_maps(files, problems)}
    assert "no scale bar" in figures["lithium-plan-views.png"].caption
    assert "lithium-edges.png" not in figures


def test_ratios_far_beyond_the_axis_are_said_to_be(tmp_path: Path) -> None:
    write_lithium(tmp_path)
    path = tmp_path / "cycler.json"
    values = json.loads(path.read_text())
    values["ratios"][0]["high"] = 50.0
    path.write_text(json.dumps(values))
    captions = {f.file_name: f.caption for f in draw_cycler(read(tmp_path)[0])}
    assert "reach beyond the axis" in captions["lithium-capacity.png"]
    assert "below 1 %, which is not drawn" in captions["lithium-inventory.png"]


# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("preset", PRESETS)
def test_class_colours_can_be_told_apart_by_the_colour_blind(blindness: str, preset: str) -> None:
    from skimage.color import rgb2lab

    matrix = np.array(BLINDNESS[blindness])

    def seen(colour: str) -> np.ndarray:
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(matrix @ linear, 0, 1)
        back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return rgb2lab(back[None, None])[0, 0]

    colours = [c.colour for c in PRESETS[preset].classes if c.role != "background"]
    for a, b in itertools.combinations(colours, 2):
        assert np.linalg.norm(seen(a) - seen(b)) > 15, (a, b)
