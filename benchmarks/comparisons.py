"""What the benchmarks that compare systems share: a recipe, taken to its end or shortened."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from benchmarks.common import commit, table
from benchmarks.extent import Extent
from tomolith.app.run import run_study
from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.core import Box
from tomolith.label.splits import Split
from tomolith.learn.bundle import ModelBundle
from tomolith.report.compared import Comparison, SystemFiles, read_comparison
from tomolith.report.comparison import tables
from tomolith.report.study_files import read_log

RECIPES = Path(__file__).resolve().parent / "recipes"
# What a time limit takes the place of.
_LENGTHS = ("epochs", "minutes", "patience", "patches_per_epoch")
_ENDLESS = 100_000
_ENDLESS_STAGES = {"ugsm_epochs": _ENDLESS, "epochs": _ENDLESS}
FOREST_PX = 60_000  # that a forest learns from, in a shortened run
_PICTURE_PX = 1000
TIE = 0.01  # mean IoU that one seed cannot tell from chance
QUIET = "`latency` compares the networks in turns."
BUSY = (
    "A shortened run takes latency and throughput for a tenth of a second each, in batches of one, "
    "while other programs run: **orders of magnitude, not to rank by**. `latency` compares the "
    "networks in turns, with their best batches."
)
_SHORT_PATCHES = 512  # patches between two looks at the validation slices


Scored = tuple[str, float, float | None]  # name, mean over the seeds, standard deviation


@dataclass(frozen=True)
class Protocol:
    """A comparison as it should be run, and what a shortened run leaves out of it.

    Parameters
    ----------
    recipe
        Name of the file in ``benchmarks/recipes``, without its ending.
    changes
        Changes of the recipe, section by section.
    short_systems
        Systems of a shortened run; empty: all.
    repeated
        Systems that a shortened run trains with all the seeds asked for, all others with the
        first; empty, or where the systems are named: all.
    short, quick
        Changes of the recipe of a shortened and of a quick run, section by section.
    """

    recipe: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    short_systems: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    short: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)

    def load(self, extent: Extent) -> dict[str, Any]:
        """Return the recipe for ``extent``."""
        text = (RECIPES / f"{self.recipe}.yaml").read_text(encoding="utf-8")
        recipe: dict[str, Any] = yaml.safe_load(text)
        _merge(recipe, self.changes)
        if kept := self._kept(extent):
            systems = {one["name"]: one for one in map(_named, recipe["compare"]["systems"])}
            if unknown := [name for name in kept if name not in systems]:
                raise ValueError(f"{self.recipe} has no {unknown[0]}; it has {', '.join(systems)}")
            recipe["compare"]["systems"] = [s for name, s in systems.items() if name in kept]
        if extent.is_short:
            recipe = shortened(recipe, extent)
            _merge(recipe, self.short)
            _inherit_stages(recipe["compare"])
        if extent.quick:
            _merge(recipe, self.quick)
        if extent.seeds is not None:
            recipe["compare"]["seeds"] = list(range(extent.seeds))
            for system in self._once(recipe, extent):
                system["seeds"] = [0]
        if extent.threads is not None:
            recipe["compare"]["threads"] = extent.threads
            recipe["compare"].setdefault("train", {})["threads"] = extent.threads
        return recipe

    def left_out(self, extent: Extent) -> list[str]:
        """Return the systems that a run leaves out."""
        names = [_named(system)["name"] for system in self.load(Extent())["compare"]["systems"]]
        kept = self._kept(extent)
        return [name for name in names if kept and name not in kept]

    def _once(self, recipe: Mapping[str, Any], extent: Extent) -> list[dict[str, Any]]:
        """Return the systems that a shortened run trains with the first seed alone."""
        if not self._repeats_some(extent):
            return []
        return [s for s in recipe["compare"]["systems"] if s["name"] not in self.repeated]

    def seed_words(self, extent: Extent) -> str:
        """Say how many seeds a shortened run has, and which systems have them.

        Examples
        --------
        >>> Protocol("table1_binary", repeated=("unet",)).seed_words(Extent(minutes=1, seeds=3))
        '3 seeds for unet, and one for all others'
        >>> Protocol("table1_binary").seed_words(Extent(minutes=1))
        'one seed'
        """
        if not self._repeats_some(extent) or extent.seeds == 1:
            return extent.seed_words
        return f"{extent.seed_words} for {', '.join(self.repeated)}, and one for all others"

    def _repeats_some(self, extent: Extent) -> bool:
        given = extent.is_short and extent.seeds is not None and not extent.systems
        return given and bool(self.repeated)

    def _kept(self, extent: Extent) -> tuple[str, ...]:
        return extent.systems or (self.short_systems if extent.is_short else ())


def shortened(recipe: Mapping[str, Any], extent: Extent) -> dict[str, Any]:
    """Return a recipe whose networks are trained for some minutes each, with one seed.

    Examples
    --------
    >>> full = {"compare": {"seeds": [0, 1], "systems": [{"name": "a", "train": {"epochs": 9}}]}}
    >>> short = shortened(full, Extent(minutes=2))["compare"]
    >>> short["seeds"], short["systems"], short["train"]["minutes"]
    ([0], [{'name': 'a', 'train': {}}], 2)
    """
    made = copy.deepcopy(dict(recipe))
    section = made["compare"]
    section["systems"] = [_named(system) for system in section["systems"]]
    for system in section["systems"]:
        own = system.get("train")
        if own is not None:
            system["train"] = {k: v for k, v in own.items() if k not in _LENGTHS}
        system.pop("seeds", None)
    section["seeds"] = [0]
    section["train"] = {
        **section.get("train", {}),
        "minutes": 0.05 if extent.quick else extent.minutes,
        "epochs": _ENDLESS,
        "patience": None,
        "patches_per_epoch": 32 if extent.quick else _SHORT_PATCHES,
        "matphase": dict(_ENDLESS_STAGES),
    }
    most_px = FOREST_PX // 30 if extent.quick else FOREST_PX
    for system in section["systems"]:
        if system["name"] == "random_forest":
            system["method"] = {"name": "random_forest", "max_pixels": most_px}
    # the machine of a shortened run is rarely quiet: latency is measured by `latency`
    section["timing"] = {"rounds": 1, "max_batch": 1, "seconds": 0.1}
    return made


def _inherit_stages(section: Mapping[str, Any]) -> None:
    """Give a system that changes stages of MatPhase the shortened lengths of all others."""
    for system in section["systems"]:
        own = system.get("train") or {}
        if "matphase" in own:
            own["matphase"] = {**own["matphase"], **section["train"]["matphase"]}


def _named(system: Any) -> dict[str, Any]:
    return {"name": system} if isinstance(system, str) else dict(system)


def _merge(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


@dataclass(frozen=True)
class Outcome:
    """A finished comparison: its study, tables, and how far it was taken."""

    study: Study
    comparison: Comparison
    protocol: Protocol
    extent: Extent
    folder: Path

    def score(self, system: str, metric: str = "iou", class_name: str = "") -> float | None:
        """Return a score, pooled over all pixels; the mean over the seeds."""
        row = self.comparison.row(system, metric, convention="pooled", class_name=class_name)
        return None if row is None else row.value

    def scored(self, names: Sequence[str]) -> list[Scored]:
        """Return the mean IoU of systems, with its standard deviation over several seeds."""
        rows = {n: self.comparison.row(n, "iou", convention="pooled") for n in names}
        return [
            (n, r.value, r.sd) for n, r in rows.items() if r is not None and r.value is not None
        ]

    @property
    def best(self) -> str:
        """Name of the system with the best mean IoU."""
        return self.comparison.ranked[0].name

    @property
    def runs(self) -> dict[str, Path]:
        """Folder of the model of each network's first run, by system."""
        folder = self.study.root / "models"
        found = {s.name: folder / s.runs[0][0] for s in self.comparison.systems}
        return {name: path for name, path in found.items() if (path / "model.yaml").exists()}

    @property
    def split(self) -> Split:
        """Which slices trained, validated and tested; the same for all networks."""
        path = next(iter(self.runs.values())) / "split.json"
        return Split.from_dict(json.loads(path.read_text(encoding="utf-8")))


def run_protocol(protocol: Protocol, extent: Extent, folder: Path) -> Outcome:
    """Run a comparison in ``folder``, or what of it is not done yet."""
    recipe = {**protocol.load(extent), "study": str(folder / "study")}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8")
    study = Study.load(path)
    if not is_done(STEPS["compare"], study):
        note_commit(folder)
    run_study(study, say=print, until="compare")
    comparison = read_comparison(study.root)
    assert comparison is not None
    return Outcome(study, comparison, protocol, extent, folder)


def note_commit(folder: Path) -> None:
    """Remember under which commit something is trained: the page may be written later."""
    path = folder / "commits.txt"
    known = path.read_text().splitlines() if path.exists() else []
    path.write_text("\n".join(dict.fromkeys((*known, commit()))) + "\n")


def circumstances_of(*outcomes: Outcome) -> list[tuple[str, str]]:
    """Return the rows that tell seeds, threads and the commits of the trainings."""
    seeds = sorted({s for o in outcomes for s in o.study.recipe.compare.seeds})
    return training_rows([o.folder for o in outcomes], seeds, outcomes[0].extent.threads)


def training_rows(
    folders: Sequence[Path], seeds: Sequence[int], threads: int | None
) -> list[tuple[str, str]]:
    """Return the rows that tell seeds, threads and the commits noted in some folders."""
    commits = [c for f in folders for c in (f / "commits.txt").read_text().splitlines()]
    return [
        ("trained at commit", ", ".join(dict.fromkeys(commits))),
        ("seeds", ", ".join(str(seed) for seed in seeds)),
        ("threads of the networks", "all cores" if threads is None else str(threads)),
    ]


def extent_words(outcome: Outcome) -> str:
    """Say whether this is the protocol or a shortened run of it."""
    extent, protocol = outcome.extent, outcome.protocol
    left_out = protocol.left_out(extent)
    not_run = f" Not run: {', '.join(left_out)}." if left_out else ""
    if not extent.is_short:
        return f"The full protocol, with its epochs and seeds.{not_run}"
    threads = "all cores" if extent.threads is None else f"{extent.threads} CPU thread(s)"
    words = (
        f"**A shortened run**: {extent.minutes or 0.05:g} minutes of training for each network on "
        f"{threads}, {protocol.seed_words(extent)}, instead of the protocol's epochs, early "
        f"stopping and seeds. {_other_changes(protocol)}"
    )
    if any(system.name == "random_forest" for system in outcome.comparison.systems):
        words += f"A random forest learns from {FOREST_PX:,} pixels. "
    words += (
        "Ranks may change with longer training, and differences of a few hundredths may be chance. "
        "A network whose turn fell into a busy time of the machine saw fewer patches than its "
        "speed allows."
    )
    return words + not_run


def _other_changes(protocol: Protocol) -> str:
    """Say what else a shortened run of a protocol changes."""
    full = protocol.load(Extent())
    found = [
        f"`{'.'.join(keys)}` {value}" + (f" (protocol: {before})" if before is not None else "")
        for keys, value in _leaves(protocol.short)
        for before in [_at(full, keys)]
    ]
    return f"Also changed: {', '.join(found)}. " if found else ""


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from (((key, *keys), leaf) for keys, leaf in _leaves(value))
        else:
            yield (key,), value


def _at(values: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def score_tables(outcome: Outcome) -> list[str]:
    """Return the tables of the comparison as Markdown: scores, classes, images, cost."""
    found = []
    for made in tables(outcome.comparison)[:-1]:
        rows = [(row.heading, *row.cells) for row in made.rows]
        found.append(f"**{made.title}**\n\n" + table(("system", *made.columns), rows))
    return [*found, _cost(outcome)]


def _cost(outcome: Outcome) -> str:
    made, is_short = tables(outcome.comparison)[-1], outcome.extent.is_short
    kept = [i for i, name in enumerate(made.columns) if not (is_short and "best batch" in name)]
    header = ("system", *(made.columns[i] for i in kept), "patches seen")
    rows = [
        (row.heading, *(row.cells[i] for i in kept), _seen(outcome, system))
        for row, system in zip(made.rows, outcome.comparison.ranked, strict=True)
    ]
    title = (
        "Cost; patches seen say how far the first seed came; the training of an ensemble is that "
        "of its weights alone"
    )
    return f"**{title}**\n\n{table(header, rows)}\n\n{BUSY if is_short else QUIET}"


def _seen(outcome: Outcome, system: SystemFiles) -> str:
    """Return how many patches the first training saw; with stages, those of the last."""
    folder = outcome.runs.get(system.name)
    log = None if folder is None else folder / "log.csv"
    if log is None or not log.exists():
        return "–"
    settings = ModelBundle.load(log.parent).settings
    return "–" if settings is None else f"{last_step(log) * settings.batch:,}"


def last_step(log: Path) -> int:
    """Return how many steps a training had, by its ``log.csv``."""
    return int(read_log(log)["step"][-1] or 0)


def rank_words(outcome: Outcome, networks: Sequence[str]) -> str:
    """Say in which order the systems came in, by mean IoU."""
    order = [s.name for s in outcome.comparison.ranked]
    words = "Rank by mean IoU: " + ", ".join(f"{i + 1}. {name}" for i, name in enumerate(order))
    rivals = outcome.scored([name for name in order if name in networks])
    return f"{words}. {winner_words(rivals)}" if len(rivals) > 1 else words + "."


def winner_words(ranked: Sequence[Scored]) -> str:
    """Say against which of the ranked networks the first wins, and with which it is level.

    Examples
    --------
    >>> winner_words([("unet", 0.90, None), ("ynet", 0.85, None)])
    'The plain U-Net wins against ynet.'
    >>> winner_words([("unet", 0.9, 0.02), ("a", 0.87, 0.02), ("b", 0.7, 0.01)])
    'The plain U-Net wins against b; level with a (mean ± sd over the seeds overlap).'
    >>> winner_words([("a", 0.9, None), ("unet", 0.899, None)])
    '**a** is level with unet (with one seed, less than 0.01 is no win).'
    """
    (best, score, sd), *others = ranked
    level = [name for name, other, other_sd in others if is_tie(score - other, sd, other_sd)]
    beaten = [name for name, _, _ in others if name not in level]
    winner = "The plain U-Net" if best == "unet" else f"**{best}**"
    reason = " or ".join(_ways_to_tie([sd, *(sd for name, _, sd in others if name in level)]))
    tie = f"level with {', '.join(level)} ({reason})"
    if not beaten:
        return f"{winner} is {tie}."
    return f"{winner} wins against {', '.join(beaten)}" + (f"; {tie}." if level else ".")


def _ways_to_tie(deviations: Sequence[float | None]) -> Iterator[str]:
    best, *others = deviations
    if best is not None and any(sd is not None for sd in others):
        yield "mean ± sd over the seeds overlap"
    if best is None or None in others:
        yield f"with one seed, less than {TIE:g} is no win"


def is_tie(difference: float, first_sd: float | None, second_sd: float | None) -> bool:
    """Tell whether a difference may be chance, by the spread over seeds or for want of seeds."""
    if first_sd is None or second_sd is None:
        return difference < TIE
    return difference <= first_sd + second_sd


def slices_words(outcome: Outcome) -> str:
    """Say what systems called ``-5slices`` are; nothing where there are none."""
    if not any("slices" in system.name for system in outcome.comparison.systems):
        return ""
    return (
        " Systems called `-5slices` or `-9slices` are not of the papers: they see as many slices, "
        "the one to label in the middle (`train.context_slices`)."
    )


def difference_words(outcome: Outcome, name: str, others: Sequence[str]) -> str:
    """Say how much better or worse a system's mIoU is than that of others."""
    found = []
    for other in others:
        first, second = outcome.score(name), outcome.score(other)
        if first is not None and second is not None:
            found.append(f"{first - second:+.3f} against {other}")
    return f"mIoU of {name}: " + (", ".join(found) or "nothing to compare with") + "."


def ruler_words(outcome: Outcome) -> str:
    """Say how little it takes to miss a goal: the truth moved by one pixel along y, scored."""
    schema, study = outcome.study.schema, outcome.study
    counts = np.zeros((len(schema), len(schema)), np.int64)
    for part in outcome.split.test:
        labels = study.scan(part.scan_id).labels(outcome.comparison.truth)
        _, height, width = labels.volume.grid.shape_zyx
        truth = labels.read(Box((part.z_start, 0, 0), (part.z_stop, height, width)))
        first, second = truth[:, 1:], truth[:, :-1]
        for i, a in enumerate(schema.values):
            for j, b in enumerate(schema.values):
                counts[i, j] += np.count_nonzero((first == a) & (second == b))
    hits = np.diag(counts)
    unions = counts.sum(0) + counts.sum(1) - hits
    iou = {n: h / u for n, h, u in zip(schema.names, hits, unions, strict=True) if u}
    each = ", ".join(f"{name} {value:.3f}" for name, value in iou.items())
    return (
        "For scale: the true labels of the test slices against themselves, moved by one pixel "
        f"along y, have an mIoU of {np.mean(list(iou.values())):.3f} ({each})."
    )


def goal_words(what: str, found: float | None, wanted: float) -> str:
    """Say whether a goal is reached.

    Examples
    --------
    >>> goal_words("mIoU", 0.9, 0.95)
    'mIoU 0.900; goal 0.95: **not reached**.'
    """
    if found is None:
        return f"{what}: goal {wanted:g}, not measured."
    verdict = "reached" if found >= wanted else "**not reached**"
    return f"{what} {found:.3f}; goal {wanted:g}: {verdict}."


def pictures(outcome: Outcome) -> dict[str, bytes]:
    """Return a test slice of each test scan, and the training curves, by file name; small PNG."""
    folder = outcome.study.measurements / "compare"
    first: dict[str, tuple[str, int]] = {}
    for scan, z in outcome.comparison.samples:
        first.setdefault(scan, (scan, z))
    names = [f"{scan}-{z}" for scan, z in first.values()]
    found = {f"{name}.png": folder / f"comparison-{name}.png" for name in names}
    made = {name: small_png(path.read_bytes()) for name, path in found.items() if path.exists()}
    curves = folder / "comparison-training.png"
    return {**made, **({"training.png": curves.read_bytes()} if curves.exists() else {})}


def small_png(png: bytes) -> bytes:
    """Return a picture of at most ``_PICTURE_PX`` pixels of width, in 256 colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    width = min(_PICTURE_PX, picture.width)
    height = round(picture.height * width / picture.width)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    made = io.BytesIO()
    # an octree keeps the colours of the classes apart; other palettes blend them into the greys
    small.quantize(256, Image.Quantize.FASTOCTREE).save(made, "PNG", optimize=True)
    return made.getvalue()
