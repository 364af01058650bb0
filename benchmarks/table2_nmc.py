"""MatPhase, its baselines and classical methods on real nano-CT slices of NMC cathodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.common import Result, table
from benchmarks.comparison_page import Page, compare_by
from benchmarks.comparisons import (
    TIE,
    Outcome,
    Protocol,
    difference_words,
    is_tie,
    rank_words,
)
from benchmarks.even_ensembles import even_ensembles
from benchmarks.extent import Extent
from benchmarks.found import FIRST_SEED, labellers

ONLY_NMC = ("1", "622")  # slices whose labels part NMC from the rest, and nothing else
ACTIVE = "nmc"
RIVALS = ("random_forest", "dynunet", "dynunet-dice")
PROTOCOL = Protocol(
    "table2_nmc",
    repeated=(
        *("matphase", "unet-dice", "transforcnn-dice", "manet", "mcd_unet", "adapted_lcgar"),
        *("e-net-dice", "e-net-matphase", "e-net-even"),
        *RIVALS,
    ),
    short={"compare": {"train": {"batch": 8, "matphase": {"ugsm_batch": 8}}}},
    quick={"compare": {"systems": ["unet", "multi_otsu"]}},
)


def run(extent: Extent) -> Result:
    """Run the protocol, and return the page."""
    page = Page(
        "table2_nmc",
        "Table II of MatPhase: real slices of NMC cathodes",
        _what,
        notes,
        _alt,
        _two_class_table,
    )
    return compare_by(PROTOCOL, extent, page)


def _what(outcome: Outcome) -> str:
    split = outcome.study.recipe.compare.train["split"]
    return (
        "Nano-CT slices of NMC cathodes of three scans (Su et al., npj Comput. Mater. 8, 30, "
        "2022, Apache-2.0), labelled by people with the help of thresholds: five slices "
        f"to learn from, {' and '.join(split['validation'])} to choose the weights, "
        f"{', '.join(split['test'])} (one of each scan) to test. Each slice is normalised by "
        "its own percentiles. `table2_matphase` has a simulated cathode."
    )


def _two_class_table(outcome: Outcome) -> list[str]:
    return [
        "**NMC against the rest, in slices 1 and 622**: their labels do not part binder "
        "and pore (README of the data), so they are neither learnt from nor part of the "
        f"scores above. {FIRST_SEED}\n\n"
        + table(("system", "slice", "IoU of NMC", "Dice of NMC"), list(_two_class(outcome)))
    ]


def notes(outcome: Outcome) -> list[str]:
    """Say what the tables say: ranks, and the best network of ours against its rivals."""
    networks = [s.name for s in outcome.comparison.ranked if s.name in outcome.runs]
    ours = next(name for name in networks if not name.startswith("dynunet"))
    return [
        rank_words(outcome, ()),
        f"{difference_words(outcome, ours, RIVALS)} It is our best network on these very slices. "
        "The goal is to be better than a forest and than DynUNet, also with its Dice loss, by more "
        f"than {TIE:g} or than the spread over seeds, which three slices cannot tell from chance: "
        + _verdict(outcome, ours),
        *_threes(outcome),
        "Of networks trained in stages, 'patches seen' counts the last stage alone.",
        "The labels are not exact to the pixel, in slices 200 and 546 they part binder and pore "
        "only weakly (README of the data), and three test slices are few.",
    ]


def _verdict(outcome: Outcome, ours: str) -> str:
    rivals = [name for name in RIVALS if outcome.score(name) is not None]
    (_, best, sd), *others = outcome.scored([ours, *rivals])
    lost = [name for name, score, other_sd in others if is_tie(best - score, sd, other_sd)]
    missing = [name for name in RIVALS if name not in rivals]
    words = f"**not reached** against {', '.join(lost)}" if lost else "reached"
    return words + (f"; not measured against {', '.join(missing)}." if missing else ".")


def _threes(outcome: Outcome) -> Iterator[str]:
    """Say that `e-net-even` was put in late, and how ensembles do whose members nobody chose."""
    forest, tried = outcome.score("random_forest"), even_ensembles(outcome)
    if "e-net-even" in outcome.runs:
        yield (
            "`e-net-even` was put in when the scores of all others on these test slices were "
            "known; its members are six networks, one of each kind."
        )
    if forest is not None and tried is not None:
        yield tried.words("the forest", forest)


def _two_class(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    """Yield system, slice, and IoU and Dice of NMC against the rest."""
    active = outcome.study.schema[ACTIVE].value
    for system, labeller in labellers(outcome):
        for name in ONLY_NMC:
            found = labeller.label_slice(outcome.study.scan(name), 0) == active
            truth = _true_nmc(outcome, name)
            both, either = np.count_nonzero(found & truth), np.count_nonzero(found | truth)
            iou = both / either
            yield system, name, f"{iou:.3f}", f"{2 * iou / (1 + iou):.3f}"


def _true_nmc(outcome: Outcome, name: str) -> np.ndarray:
    """Return where the label file of a slice says NMC, which is 0 in it."""
    scans = outcome.study.recipe.import_.scans
    image = Path(next(scan.path for scan in scans if scan.id == name))
    values: np.ndarray = tifffile.imread(image.parents[1] / "labels" / f"{name}_label.tif") == 0
    return values


def _alt(name: str) -> str:
    if name.startswith("training"):
        return "Mean IoU on the validation slices during training"
    return f"Slice {name.split('-')[0]} (real): image, labels, and what each system made of it"
