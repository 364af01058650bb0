"""The report of a small study, whole and in parts."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tomolith.core import PRESETS, Box, Grid, IntensityStats, Provenance
from tomolith.errors import DiskError, InputError
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.tables import measurement_rows, write_scores, write_table
from tomolith.report import ReportSettings, write_report
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]
SHAPE = (6, 40, 60)
LOG = """epoch,step,train_loss,validation_loss,validation_iou,lr,seconds
0,10,1.0,1.1,0.2,0.001,3
1,20,0.5,,0.6,0.001,6
"""


def make_scan(path: Path, *, size: float | None = 2.0, step: str = "import") -> Scan:
    rng = np.random.default_rng(0)
    grid = Grid(SHAPE, None if size is None else (size,) * 3)
    truth = np.zeros(SHAPE, np.uint8)
    truth[:, :10] = 1
    truth[:, 10:30, 20:30] = 2
    image = (truth * 50 + rng.normal(100, 5, SHAPE)).astype(np.uint8)
    provenance = Provenance(step, inputs=("/data/cell <7>.tif",))
    scan = Scan.create(path, grid, np.uint8, provenance=provenance)
    scan.image.array[:] = image
    scan.set_stats([IntensityStats.of_sample(image)])
    scan.finish()
    wrong = np.where(rng.random(SHAPE) < 0.1, 0, truth).astype(np.uint8)
    for name, values in (("truth", truth), ("prediction", wrong), ("otsu", (truth > 0) * 1)):
        writer = scan.create_labels(name, SCHEMA, provenance=provenance)
        writer.array[:] = np.asarray(values, np.uint8)
        writer.finish()
    return Scan.open(path)


def make_study(root: Path, *, size: float | None = 2.0, step: str = "import") -> Path:
    scans = [make_scan(root / "scans" / f"cell-{i}.zarr", size=size, step=step) for i in range(2)]
    (root / "recipe.yaml").write_text(
        "name: 'A <b>cell</b> & more'\nclasses: li-operando\ntrain: {}\n"
    )
    test = (Box((4, 0, 0), SHAPE),)
    pairs = [
        Pair(scan.id, scan.labels(labels), scan.labels("truth"), test, "test", system)
        for scan in scans
        for system, labels in (("unet", "prediction"), ("otsu", "otsu"))
    ]
    write_scores(evaluate(pairs, EvaluateSettings(patch_px=16)), root / "measurements")
    # few numbers, few figures; all where some are refused by name
    settings = MeasureSettings(quantities=("voxel_count", "volume", "share") if size else None)
    rows = [
        row
        for scan in scans
        for row in measurement_rows(
            measure(scan.labels("prediction"), settings, region=scan.id),
            labels="prediction",
        )
    ]
    write_table(rows, root / "measurements" / "quantities")
    model = root / "models" / "default"
    model.mkdir(parents=True)
    (model / "model.yaml").write_text("network: {name: unet}\nprovenance: {seed: 71}\n")
    (model / "log.csv").write_text(LOG)
    split = {"train": [["cell-0", 0, 3]], "validation": [], "test": [["cell-1", 4, 6]]}
    (model / "split.json").write_text(json.dumps(split))
    marks = root / ".tomolith" / "steps"
    marks.mkdir(parents=True)
    mark = {"started_utc": "2026-01-02T03:04:05+00:00", "seconds": 185.0, "key": "00aa11bb"}
    (marks / "train.json").write_text(json.dumps({**mark, "code_version": "9.9"}))
    return root


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_study(tmp_path_factory.mktemp("study"))
    write_report(root, ReportSettings())
    return root


@pytest.fixture
def page(study: Path) -> str:
    return (study / "report" / "index.html").read_text(encoding="utf-8")


class _Balance(HTMLParser):
    """Fails where an element is closed that was not opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_one_well_formed_file_without_scripts(page: str) -> None:
    balance = _Balance()
    balance.feed(page)
    assert balance.open == []
    assert "<script" not in page
    sources = re.findall(r'(?:src|href)="([^"]{1,40})', page)
    assert all(s.startswith(("data:image/png;base64,", "#")) for s in sources)
    anchors = {s[1:] for s in sources if s.startswith("#")}
    assert anchors == set(re.findall(r'<section id="([a-z]+)"', page))


def test_the_summary_compares_the_network_with_otsu(page: str, study: Path) -> None:
    text = re.search(r'class="summary">(.*?)</p>', page, re.S).group(1)
    assert "background, electrode and dendrite" in text
    values = re.findall(r"0\.\d{3}", text)
    assert len(values) == 3
    assert float(values[0]) - float(values[1]) == pytest.approx(float(values[2]), abs=0.0011)


def test_what_the_user_wrote_is_escaped(page: str) -> None:
    assert "A &lt;b&gt;cell&lt;/b&gt; &amp; more" in page
    assert "cell &lt;7&gt;.tif" in page
    assert "<b>cell</b>" not in page


def test_held_out_slices_come_first_and_have_four_panels(page: str, study: Path) -> None:
    captions = re.findall(r"<h3>(cell-.*?)</h3>", page)
    assert captions[0] == "cell-1, slice 4 (held out for testing, never seen in training)"
    assert captions[1].startswith("cell-0, slice 1 (used for training")
    first = page[page.index(captions[0]) : page.index(captions[1])]
    titles = re.findall(r"<figcaption>(\w+)</figcaption>", first)
    assert titles == ["Image", "Truth", "Prediction", "Otsu"]


def test_refined_labels_are_shown_where_they_are_asked_for(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    scan = Scan.open(copy / "scans" / "cell-1.zarr")
    writer = scan.create_labels("refined", SCHEMA, provenance=Provenance("refine"))
    writer.array[:] = np.ones(SHAPE, np.uint8)
    writer.finish()
    recipe = (copy / "recipe.yaml").read_text()
    for more, shown in (("", 0), ("refine: {}\n", 1)):
        (copy / "recipe.yaml").write_text(recipe + more)
        page = write_report(copy, ReportSettings()).read_text()
        assert page.count("<figcaption>Refined</figcaption>") == shown


def test_pictures_bear_the_colours_of_the_schema(study: Path) -> None:
    image = imread(study / "report" / "figures" / "preview-cell-1-4-truth.png")[..., :3] * 255
    plain = imread(study / "report" / "figures" / "preview-cell-1-4-image.png")[..., :3] * 255
    factor = image.shape[0] // SHAPE[1]
    y, x = 20 * factor, 25 * factor
    expected = (plain[y, x] + np.array(SCHEMA["dendrite"].rgb)) / 2
    np.testing.assert_allclose(image[y, x], expected, atol=2)
    np.testing.assert_array_equal(image[35 * factor, 5], plain[35 * factor, 5])


def test_figures_are_saved_and_embedded(page: str, study: Path) -> None:
    embedded = {base64.b64decode(t) for t in re.findall(r"base64,([^\"]+)", page)}
    saved = {path.read_bytes() for path in (study / "report" / "figures").glob("*.png")}
    assert embedded == saved
    names = {path.name for path in (study / "report" / "figures").glob("*.png")}
    assert {"training-default.png", "confusion-unet-test.png", "confusion-otsu-test.png"} <= names


def test_scores_volumes_training_and_provenance_are_there(page: str) -> None:
    for text in (
        "network (unet), test slices, mean over patches",
        "patch of 16 × 16 pixels",
        "Mean IoU per scan",
        "volume (µm³)",
    ):
        assert text.lower() in page.lower()
    assert "3 min 05 s" in page
    assert "00aa11bb" in page
    assert ">71<" in page
    assert "3 (cell-0: 0 to 2)" in page
    assert "–" in page  # pit and others occur nowhere: null, explained
    assert "does not exist" in page
    assert "name: &#39;A &lt;b&gt;" in page
    assert "simulated" not in page.lower()


def test_the_reliability_diagram_is_there_where_probabilities_are(
    page: str, tmp_path: Path
) -> None:
    assert "Whether the probabilities keep their word" not in page
    root = make_study(tmp_path)
    pairs = []
    for i in range(2):
        scan = Scan.open(root / "scans" / f"cell-{i}.zarr")
        labels = scan.labels("prediction").read(scan.grid.box)
        shares = np.stack([np.where(labels == v, 230, 5) for v in SCHEMA.values]).astype(np.uint8)
        box = Box((4, 0, 0), SHAPE)
        maps = scan.labels("prediction"), scan.labels("truth")
        pairs.append(Pair(scan.id, *maps, (box,), "test", "unet", shares))
    write_scores(evaluate(pairs, EvaluateSettings()), root / "measurements")
    write_report(root, ReportSettings())
    text = (root / "report" / "index.html").read_text(encoding="utf-8")
    assert "Whether the probabilities keep their word" in text
    assert "calibration error" in text
    picture = imread(root / "report" / "figures" / "reliability-unet-test.png")
    assert picture[..., :3].std() > 0.05


def test_what_is_simulated_is_said_to_be(tmp_path: Path) -> None:
    make_scan(tmp_path / "scans" / "p.zarr", step="phantom")
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert "The scan of this study is simulated" in page
    make_scan(tmp_path / "scans" / "real.zarr")
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert "The scan p of this study is simulated" in page


def test_unknown_voxel_size_gives_no_scale_bar_and_no_volume(tmp_path: Path) -> None:
    make_study(tmp_path, size=None)
    page = write_report(tmp_path, ReportSettings(max_previews=1)).read_text()
    assert "no scale bar" in page
    assert "without a voxel size there is no volume" in page
    assert page.count("<h3>cell-") == 1


@pytest.mark.parametrize(
    ("remove", "sentence"),
    [
        ("measurements/scores.parquet", "the step <code>evaluate</code> makes them"),
        ("measurements/quantities.parquet", "the step <code>measure</code> counts"),
        ("models", "the step <code>train</code> does that"),
        ("models/default/log.csv", "the step <code>train</code> writes it"),
        ("scans", "brings them in"),
        ("recipe.yaml", "holds no <code>recipe.yaml</code>"),
        (".tomolith", "No step has left a mark"),
    ],
)
def test_missing_parts_name_their_step(
    remove: str, sentence: str, study: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    path = copy / remove
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = write_report(copy, ReportSettings()).read_text()
    assert sentence in page
    assert sentence not in (study / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda root: _cut(root / "measurements" / "scores.parquet"), "scores are not shown"),
        (lambda root: _cut(root / "measurements" / "quantities.parquet"), "not shown"),
        (lambda root: _cut(root / "scans" / "cell-0.zarr" / "zarr.json"), "cell-0 is not shown"),
        (lambda root: _cut(root / "models" / "default" / "split.json"), "cell-0, slice 3"),
        (lambda root: _cut(root / ".tomolith" / "steps" / "train.json"), "No step has left"),
    ],
)
def test_damaged_files_are_named_and_the_rest_is_shown(
    damage: Callable[[Path], None], sentence: str, study: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    damage(copy)
    assert sentence in write_report(copy, ReportSettings()).read_text()


def _cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_only_what_the_last_runs_made_is_shown(tmp_path: Path) -> None:
    make_scan(tmp_path / "scans" / "gone.zarr")
    for name in ("kept", "other"):
        make_scan(tmp_path / "scans" / f"{name}.zarr")
    shutil.rmtree(tmp_path / "scans" / "other.zarr" / "labels" / "prediction")
    for name in ("default", "older"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.yaml").write_text("provenance: {seed: 1}\n")
    (tmp_path / "recipe.yaml").write_text("name: x\nimport: {}\ntrain: {}\npredict: {}\n")
    outputs = {
        "import": ["scans/kept.zarr/zarr.json", "scans/other.zarr/zarr.json"],
        "train": ["models/default/model.yaml"],
        "phantom": ["scans/gone.zarr/zarr.json"],  # a section that the recipe no longer has
    }
    marks = tmp_path / ".tomolith" / "steps"
    marks.mkdir(parents=True)
    for step, made in outputs.items():
        mark = {"overrides": ["train.epochs=<2>"], "outputs": dict.fromkeys(made, "")}
        (marks / f"{step}.json").write_text(json.dumps(mark))
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert "One scan of 6 × 40 × 60 voxels (z, y, x) was segmented" in page
    assert '<th scope="row">other</th>' in page
    assert "gone" not in page
    assert '<th scope="row">default</th>' in page
    assert "older" not in page
    assert "<code>train.epochs=&lt;2&gt;</code></th><td>import, train</td>" in page.replace(
        "train, import", "import, train"
    )


def test_names_of_label_maps_are_those_of_the_run(tmp_path: Path) -> None:
    make_scan(tmp_path / "scans" / "a.zarr")
    (tmp_path / "recipe.yaml").write_text("name: x\npredict: {}\n")
    marks = tmp_path / ".tomolith" / "steps"
    marks.mkdir(parents=True)
    mark = {"settings": {"labels": "elsewhere"}, "overrides": ["predict.labels=elsewhere"]}
    (marks / "predict.json").write_text(json.dumps(mark))
    assert "nothing is segmented yet" in write_report(tmp_path, ReportSettings()).read_text()
    found = measure(Scan.open(tmp_path / "scans" / "a.zarr").labels("truth"), MeasureSettings())
    rows = measurement_rows(found, labels="truth")
    write_table(rows, tmp_path / "measurements" / "quantities")
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert "(z, y, x) was measured in the label map &#39;truth&#39;" in page


def test_old_figures_do_not_stay(tmp_path: Path) -> None:
    make_scan(tmp_path / "scans" / "a.zarr")
    write_report(tmp_path, ReportSettings())
    assert len(list((tmp_path / "report" / "figures").iterdir())) == 4
    write_report(tmp_path, ReportSettings(max_previews=0, title="Other"))
    assert not list((tmp_path / "report" / "figures").iterdir())
    assert "<h1>Other</h1>" in (tmp_path / "report" / "index.html").read_text()


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no study"):
        write_report(tmp_path, ReportSettings())
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_is_an_error_not_half_a_page(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x")
    (tmp_path / "report").write_text("in the way")
    with pytest.raises((DiskError, OSError)):
        write_report(tmp_path, ReportSettings())
    assert (tmp_path / "report").read_text() == "in the way"
