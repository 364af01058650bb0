"""Real cathodes: systems that learn from two scans, tested on these and on a third one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import Result, table
from benchmarks.comparisons import Outcome, Protocol, circumstances_of, extent_words, run_protocol
from benchmarks.extent import Extent, work_folder
from benchmarks.found import FIRST_SEED, Found, find, labellers, noticed, number

# Slices with labels of all three phases, by scan; each scan has its own grey scale, sharpness and
# sample. The last one of each is left to test on, also where the scan trains.
SCANS = {"A": ("100", "200", "300"), "B": ("103", "360", "510", "738"), "C": ("394", "546", "470")}
# Chooses the weights where its scan trains: the labels of the others part binder and pore worse.
VALIDATION = "360"
SECOND_VALIDATION = "546"


@dataclass(frozen=True)
class Case:
    """One training: the scan that is held out, and what the others are for.

    Examples
    --------
    >>> Case("A").same, Case("A").validation
    (['738', '470'], ['360'])
    """

    held_out: str

    @property
    def other(self) -> list[str]:
        """Slices of the scan that is held out."""
        return list(SCANS[self.held_out])

    @property
    def same(self) -> list[str]:
        """Slices to test on, of the scans that train."""
        return [names[-1] for scan, names in SCANS.items() if scan != self.held_out]

    @property
    def validation(self) -> list[str]:
        """Slices that choose the weights."""
        return [SECOND_VALIDATION if VALIDATION in self.other else VALIDATION]

    @property
    def protocol(self) -> Protocol:
        """The recipe, with the slices divided so."""
        split = {"test": [*self.same, *self.other], "validation": self.validation}
        return Protocol(
            "other_scan",
            changes={"compare": {"train": {"split": split}}},
            short={"compare": {"train": {"batch": 8, "matphase": {"ugsm_batch": 8}}}},
            quick={"compare": {"systems": ["unet", "multi_otsu", "random_forest"]}},
        )


PROTOCOLS = {scan: Case(scan).protocol for scan in SCANS}
Rows = Mapping[tuple[str, str], tuple[Found, Found]]


def run(extent: Extent) -> Result:
    """Train without each scan in turn, and return the page."""
    found: dict[tuple[str, str], tuple[Found, Found]] = {}
    outcomes: list[Outcome] = []
    with ExitStack() as folders:
        for case in (Case(scan) for scan in list(SCANS)[: 1 if extent.quick else None]):
            folder = folders.enter_context(work_folder(extent, f"other_scan-{case.held_out}"))
            outcome = run_protocol(PROTOCOLS[case.held_out], extent, folder)
            outcomes.append(outcome)
            for system, labeller in labellers(outcome):
                same, other = (
                    find(
                        labeller, [(outcome.study.scan(s), 0) for s in names], outcome.study.schema
                    )
                    for names in (case.same, case.other)
                )
                found[case.held_out, system] = same, other
        more = circumstances_of(*outcomes)
    names = outcomes[0].study.schema.names
    return Result(
        "Out of distribution: a real scan that was not learnt from",
        "Nano-CT slices of NMC cathodes of three scans (Su et al., npj Comput. Mater. 8, 30, "
        "2022, Apache-2.0), which differ in grey scale, sharpness and sample. Each system is "
        "trained three times, each time without any slice of one scan, from three or four slices "
        "of the others. *Same* are test slices of the scans that trained, *other* all of the one "
        "that did not. Each slice is normalised by its own percentiles; IoU is pooled over the "
        f"slices. {FIRST_SEED}\n\n{extent_words(outcomes[0])}",
        [_score_table(found), _class_table(found, names)],
        _notes(found),
        arguments=extent.arguments,
        circumstances=more,
    )


def _pairs(row: tuple[Found, Found], key: str) -> tuple[Any, Any]:
    same, other = row
    return getattr(same, key), getattr(other, key)


def _score_table(found: Rows) -> str:
    header = ("held out", "system", "mIoU, same", "other", "pixels wrong, same", "other")
    header += ("mean entropy, same", "other", "calibration error, same", "other")
    rows = [
        (
            scan,
            system,
            *(number(part.iou()) for part in row),
            *(f"{100 * part.error_frac:.1f} %" for part in row),
            *(number(value) for value in _pairs(row, "mean_entropy")),
            *(number(value) for value in _pairs(row, "calibration_error")),
        )
        for (scan, system), row in found.items()
    ]
    return table(header, rows)


def _class_table(found: Rows, names: Sequence[str]) -> str:
    header = ["held out", "system"]
    for name in names:
        header += [f"IoU of {name}, same", "other"]
    rows = [
        (scan, system, *(number(part.iou(i)) for i in range(len(names)) for part in row))
        for (scan, system), row in found.items()
    ]
    return "**Each phase**\n\n" + table(header, rows)


def _notes(found: Rows) -> list[str]:
    systems = list(dict.fromkeys(system for _, system in found))
    means = {
        s: [np.mean([row[i].iou() for (_, of), row in found.items() if of == s]) for i in (0, 1)]
        for s in systems
    }
    best = sorted(systems, key=lambda s: -means[s][1])
    least = sorted(systems, key=lambda s: means[s][0] - means[s][1])
    return [
        "Mean IoU on the scan not learnt from, mean of the held-out scans, best first: "
        + ", ".join(f"{s} {means[s][1]:.3f}" for s in best)
        + ".",
        "Loss of mean IoU from the same scans to the other one, least first: "
        + ", ".join(f"{s} {means[s][0] - means[s][1]:+.3f}" for s in least)
        + ". A system that is poor on both has little to lose.",
        *(
            noticed(s, {k: row for (k, of), row in found.items() if of == s}, "on the other scan")
            for s in systems
        ),
        "Entropy is that of the calibrated probabilities (of a forest: of the votes of its trees), "
        "as a share of the largest possible; the temperature is fitted on the validation slice.",
        "The labels are not exact to the pixel, in slices 200 and 546 they part binder and pore "
        "only weakly (README of the data), and two to four test slices are few.",
    ]
