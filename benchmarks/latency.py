"""Latency of every registered network on 128×128 patches, against the U-Net."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.common import Result, table, usable_cores
from benchmarks.latency_parts import BATCH as PARTS_BATCH
from benchmarks.latency_parts import parts_table
from benchmarks.predict_vs_monai import default_choice
from tomolith.config import Component
from tomolith.errors import MissingExtraError, TomolithError
from tomolith.learn.backends import Backend, build_backend
from tomolith.learn.comparison.cost import count_flops, count_parameters
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import has_depth
from tomolith.learn.settings import PredictSettings

PATCH_PX = 128
REFERENCE = "unet"
LIGHT = Component(name="transforcnn", options={"decoder": "light"})
VARIANTS = {
    "transforcnn, decoder: light": LIGHT,
    "ensemble, decoder: light": Component(
        name="ensemble", options={"members": [REFERENCE, {"name": LIGHT.name, **LIGHT.options}]}
    ),
}
ENGINES = (("openvino", "mixed"), ("torch", "fp32"), ("torch", "bf16"))
BATCHES = (1, 4, 16)
LEAST_ROUNDS, ROUNDS, WARM_UPS = 3, 15, 2
QUICK_ROUNDS, QUICK_S = 45, 4.0  # most rounds, and seconds of them, in each batch size
SLOW_S = 0.5  # a network that takes longer for one patch is not measured in larger batches
GOALS = {
    "transforcnn": 1.0,
    "transforcnn, decoder: light": 1.0,
    "ensemble": 2.0,
    "ensemble, decoder: light": 2.0,
}
QUICK = (REFERENCE, "ynet", *GOALS)


@dataclass(frozen=True)
class Timed:
    """Seconds per patch of one network in one batch size, one number per round."""

    batch: int
    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.seconds)

    def ratio(self, other: Timed) -> float:
        """Return the time against that of ``other``: of each round, where both shared rounds."""
        if self.batch != other.batch:
            return self.median_s / other.median_s
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


@dataclass(frozen=True)
class Rounds:
    """How many networks there are, and how many rounds as time allows."""

    quick: bool
    minutes: float | None

    @property
    def most_rounds(self) -> int:
        """Rounds in each batch size, where time allows."""
        return QUICK_ROUNDS if self.quick else ROUNDS

    @property
    def seconds(self) -> float:
        """Time for the rounds of one batch size, after which only the least rounds are made."""
        if self.quick:
            return QUICK_S
        shares = len(ENGINES) * len(BATCHES)
        return math.inf if self.minutes is None else 60 * self.minutes / shares

    @property
    def arguments(self) -> str:
        """What stood on the command line."""
        given = ["--quick"] if self.quick else []
        return " ".join([*given, *([f"--minutes {self.minutes:g}"] if self.minutes else [])])

    def words(self) -> str:
        """Say what was left out, if anything was."""
        if self.quick:
            return (
                f"**A shortened run**: {len(QUICK)} networks instead of all, and {LEAST_ROUNDS} "
                f"to {QUICK_ROUNDS} rounds, as many as fitted into {QUICK_S:g} s in each batch "
                f"size, instead of {ROUNDS}."
            )
        if self.minutes is not None:
            return (
                f"**A shortened run**: {LEAST_ROUNDS} to {ROUNDS} rounds, as many as fitted into "
                f"{self.minutes:g} minutes without those for preparing, instead of {ROUNDS}."
            )
        return ""


def run(*, quick: bool, minutes: float | None = None) -> Result:
    """Measure, and return the page; ``minutes`` for all rounds, where they suffice."""
    extent = Rounds(quick, minutes)
    networks, notes = build_networks(QUICK if quick else (*NETWORKS.names(), *VARIANTS))
    costs = {
        name: (count_parameters(net), count_flops(net, PATCH_PX)) for name, net in networks.items()
    }
    tables, verdicts, reasons = [], [], []
    for backend, precision in ENGINES:
        settings = PredictSettings(backend=backend, precision=precision, device="cpu")
        try:
            found = time_networks(networks, settings, extent)
        except MissingExtraError:
            notes.append(f"{backend} was left out: not installed.")
            continue
        usual = (backend, precision) == default_choice()
        heading = f"## {backend}, {precision}{', what a user gets by default' if usual else ''}"
        tables += [heading, _table(found, costs)]
        if usual:
            reasons = list(_reasons(found, costs))
        verdicts += _verdicts(found, f"{backend}, {precision}")
    tables += _where_the_time_goes(networks)
    what = (
        f"Networks with random weights and the published sizes, one channel and two classes, on "
        f"patches of {PATCH_PX} × {PATCH_PX} pixels, from grey values in memory to logits in "
        f"memory, {usable_cores()} threads. Median of all rounds after {WARM_UPS} for "
        "warming up; in each round all networks take their turn, and '× U-Net' is the median of "
        "the ratios of each round, so that a busy minute meets all alike. 'Best batch' is the "
        f"fastest per patch of {', '.join(map(str, BATCHES))}. A multiplication and an addition "
        "count as two operations."
    )
    return Result(
        "Latency of the networks",
        f"{what}\n\n{extent.words() or f'There were {ROUNDS} rounds.'}",
        tables,
        [*verdicts, *reasons, *notes],
        arguments=extent.arguments,
    )


def _where_the_time_goes(networks: Mapping[str, nn.Module]) -> list[str]:
    shown = {name: networks[name] for name in (REFERENCE, *GOALS) if name in networks}
    found = [
        "## Where the time goes",
        f"Batches of {PARTS_BATCH}, the default of `predict`; medians of each part. The units and "
        "the embedding compute in fp32 in mixed precision.",
    ]
    for backend, precision in dict.fromkeys((default_choice(), ("torch", "fp32"))):
        found += [f"**{backend}, {precision}**", parts_table(shown, backend, precision)]
    return found


def _reasons(
    found: Mapping[str, list[Timed]], costs: Mapping[str, tuple[int, int]]
) -> Iterator[str]:
    """Yield for each goal that is not reached how much of it is work, and how much speed."""
    for name, goal in GOALS.items():
        ratio = _best(found[name]).ratio(_best(found[REFERENCE]))
        work = costs[name][1] / costs[REFERENCE][1]
        if ratio > goal:
            yield (
                f"`{name}` computes {work:.2f} × the U-Net's operations and takes {ratio:.2f} × "
                f"its time at the best batch: at the U-Net's speed it would take {work:.2f} ×"
                + (", still more than asked for." if work > goal else ".")
            )


def build_networks(names: Sequence[str]) -> tuple[dict[str, nn.Module], list[str]]:
    """Return the networks that can be built here, the reference first, and why others cannot."""
    built: dict[str, nn.Module] = {}
    notes: list[str] = []
    for name in sorted(names, key=lambda name: name != REFERENCE):
        torch.manual_seed(0)
        try:
            network = NETWORKS.build(VARIANTS.get(name, Component(name=name)), 1, 2).eval()
        except TomolithError as error:
            notes.append(f"`{name}` was left out: {str(error).splitlines()[0]}")
            continue
        if has_depth(network):
            notes.append(f"`{name}` was left out: it sees cubes, not patches of a slice.")
        elif PATCH_PX % network.divisor:
            notes.append(f"`{name}` was left out: its sides are multiples of {network.divisor}.")
        else:
            built[name] = network
    return built, notes


def time_networks(
    networks: dict[str, nn.Module], settings: PredictSettings, extent: Rounds
) -> dict[str, list[Timed]]:
    """Time all networks in all batch sizes, in turns within each batch size."""
    found: dict[str, list[Timed]] = {name: [] for name in networks}
    for batch in BATCHES:
        shape = (batch, 1, PATCH_PX, PATCH_PX)
        patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        backends = {
            name: build_backend(network, shape, settings)
            for name, network in networks.items()
            if not found[name] or found[name][0].median_s < SLOW_S
        }
        for backend in backends.values():
            for _ in range(WARM_UPS):
                backend.logits(patches)
        rounds = _rounds(backends, patches, extent)
        for name in backends:
            found[name].append(Timed(batch, tuple(taken[name] for taken in rounds)))
    return found


def _rounds(
    backends: Mapping[str, Backend], patches: np.ndarray, extent: Rounds
) -> list[dict[str, float]]:
    """Return the seconds per patch of every network, round by round."""
    rounds: list[dict[str, float]] = []
    start = time.perf_counter()
    while len(rounds) < LEAST_ROUNDS or (
        len(rounds) < extent.most_rounds and time.perf_counter() - start < extent.seconds
    ):
        rounds.append({n: _seconds(b, patches) / len(patches) for n, b in backends.items()})
    return rounds


def _seconds(backend: Backend, patches: np.ndarray) -> float:
    backend.logits(patches[::-1].copy())  # another network has been here: refill the caches
    start = time.perf_counter()
    backend.logits(patches)
    return time.perf_counter() - start


def _best(timed: Sequence[Timed]) -> Timed:
    return min(timed, key=lambda t: t.median_s)


def _table(found: dict[str, list[Timed]], costs: dict[str, tuple[int, int]]) -> str:
    reference = found[REFERENCE]
    rows = []
    for name, timed in sorted(found.items(), key=lambda item: _best(item[1]).median_s):
        one, best = timed[0], _best(timed)
        n_parameters, n_flops = costs[name]
        rows.append(
            (
                f"`{name}`",
                f"{n_parameters / 1e6:.2f}",
                f"{n_flops / 1e9:.2f}",
                f"{1e3 * one.median_s:.2f}",
                f"{one.ratio(reference[0]):.2f}",
                str(best.batch),
                f"{1e3 * best.median_s:.2f}",
                f"{best.ratio(_best(reference)):.2f}",
                f"{PATCH_PX**2 / best.median_s / 1e6:.2f}",
            )
        )
    header = (
        "network",
        "M parameters",
        "GFLOP",
        "ms, batch 1",
        "× U-Net",
        "best batch",
        "ms per patch",
        "× U-Net",
        "Mpx/s",
    )
    return table(header, rows)


def _verdicts(found: dict[str, list[Timed]], engine: str) -> list[str]:
    lines = []
    for name, goal in GOALS.items():
        if name not in found:
            continue
        one = found[name][0].ratio(found[REFERENCE][0])
        best = _best(found[name]).ratio(_best(found[REFERENCE]))
        reached = max(one, best) <= goal
        lines.append(
            f"{engine}, `{name}`: {one:.2f} × U-Net at batch 1, {best:.2f} × at the best batch. "
            f"Asked for was at most {goal:.1f} ×: **{'reached' if reached else 'NOT reached'}**."
        )
    return lines
