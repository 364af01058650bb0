"""Real labelled images of three other kinds: pores, alumina with platinum, sandstone."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.common import Result
from benchmarks.comparisons import (
    Outcome,
    Protocol,
    circumstances_of,
    extent_words,
    rank_words,
    run_protocol,
    score_tables,
    small_png,
)
from benchmarks.extent import Extent, work_folder
from tomolith.report.comparison import weight_notes

_QUICK = {"compare": {"systems": ["unet", "multi_otsu"]}}
PROTOCOLS = {
    "Faint pores": Protocol("real_pores", quick=_QUICK),
    "Alumina with platinum": Protocol("real_alumina", quick=_QUICK),
    "Sandstone": Protocol("real_sandstone", quick=_QUICK),
}
# What is known of the data, for readers.
_DATA = {
    "Faint pores": "Slices of one nano-tomography scan, 220 nm apart; pores painted by hand, with "
    "smooth outlines and small ones partly missed. Neighbouring slices look alike.",
    "Alumina with platinum": "Electron tomography; platinum is 0.3 % of the pixels. Tested are the "
    "last slices of both series; the authors' own validation patches leak and are left out.",
    "Sandstone": "Laboratory micro-CT, six slices 50 apart, labelled with a pixel classifier; one "
    "slice is the test. Labels made by a classifier favour classifiers like it.",
}
_MAY_BE_SHOWN = ("Sandstone",)  # of the others no licence is stated


def run(extent: Extent) -> Result:
    """Run all three, and return the page."""
    outcomes: list[Outcome] = []
    parts: list[str] = []
    notes: list[str] = []
    pictures: list[tuple[str, str, bytes]] = []
    with ExitStack() as folders:
        for title, protocol in PROTOCOLS.items():
            folder = folders.enter_context(work_folder(extent, protocol.recipe))
            outcome = run_protocol(protocol, extent, folder)
            outcomes.append(outcome)
            parts += [f"## {title}\n\n{_DATA[title]} {extent_words(outcome)}"]
            parts += score_tables(outcome)
            notes.append(f"{title}. {rank_words(outcome, ())}")
            notes += [f"{title}. {words}" for words in weight_notes(outcome.comparison)]
            if title in _MAY_BE_SHOWN:
                pictures += _shown(outcome, title)
        more = circumstances_of(*outcomes)
    return Result(
        "Real images of other kinds",
        "Three sets of real images with labels that people made, none of a battery: how the "
        "systems do where contrast is faint, a class is rare, or classes are many. Systems: E-Net "
        "with the decoder `light`, first of `table1_binary`, and its members, U-Net and "
        "TransforCNN; MANet and Adapted-LCGAR, the first single networks of `table2_nmc` when "
        "they were chosen; `e-net-even`, which weighs these four networks alike; and the classical "
        "rivals. The networks learn by the Dice loss, Adapted-LCGAR by cross-entropy, as it sees "
        "pixels, not patches.",
        parts,
        [*notes, "Few test images each: differences of a few hundredths may be chance."],
        arguments=extent.arguments,
        circumstances=more,
        pictures=pictures,
    )


def _shown(outcome: Outcome, title: str) -> list[tuple[str, str, bytes]]:
    scan, z = outcome.comparison.samples[0]
    path = outcome.study.measurements / "compare" / f"comparison-{scan}-{z}.png"
    alt = f"{title}, test slice: image, labels, and what each system made of it"
    return [(f"real_sets-{scan}.png", alt, small_png(path.read_bytes()))]
