"""Where the time of a network goes, by its named parts."""

from __future__ import annotations

import copy
import re
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import table, usable_cores
from tomolith.config import require
from tomolith.learn.backends import TorchBackend
from tomolith.learn.networks.ensemble import Ensemble
from tomolith.learn.optimise import Precision, prepare

BATCH, ROUNDS, WARM_UPS = 4, 40, 3
REST = "concatenations, pooling, layout"
# the first pattern that a layer's name meets; OpenVINO's own names are those of attention's
# scaling and of the transposed heads
PARTS = (
    ("patch embedding, positions", r"\b(embed|position)\b"),
    ("units: feed-forward layers", r"\bfeed\b"),
    ("units: attention", r"\bunits\b|^(Multiply|Transpose)_\d+$"),
    ("way down", r"\bdown\b"),
    ("transposed convolutions up", r"\bup\b"),
    ("rise of the tokens", r"\brise\b"),
    ("merging convolutions", r"\bmerge\b"),
    ("head", r"\bhead\b"),
)


@dataclass(frozen=True)
class Part:
    """Seconds and operations for one patch of one part of a network."""

    name: str
    seconds: float
    n_flops: int


def parts_table(networks: Mapping[str, nn.Module], engine: str, precision: Precision) -> str:
    """Return the table of the parts of all networks, with one engine, for 128 × 128 pixels."""
    rows = []
    for title, network in networks.items():
        parts = parts_of(network, engine, precision)
        total_s, total = sum(p.seconds for p in parts), sum(p.n_flops for p in parts)
        for part in [*parts, Part("**all**", total_s, total)]:
            rate = f"{part.n_flops / part.seconds / 1e9:.0f}" if part.n_flops else "–"
            share, flops = f"{part.seconds / total_s:.0%}", f"{part.n_flops / 1e9:.3f}"
            cells = (part.name, f"{1e3 * part.seconds:.2f}", share, flops, rate)
            rows.append((f"`{title}`", *cells))
    return table(("network", "part", "ms per patch", "share", "GFLOP", "GFLOP/s"), rows)


def parts_of(network: nn.Module, engine: str, precision: Precision) -> list[Part]:
    """Return the parts of a network in the order in which they first compute."""
    shape = (BATCH, 1, 128, 128)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    measured = _openvino if engine == "openvino" else _torch
    flops = defaultdict(int)
    for name, n_flops in _flops(network):
        flops[_part(name, network)] += n_flops
    rounds: list[dict[str, float]] = []
    for layers in measured(network, image, precision):
        found: dict[str, float] = defaultdict(float)
        for name, seconds in layers:
            found[_part(name, network)] += seconds / BATCH
        rounds.append(found)
    kept = rounds[WARM_UPS:]
    return [Part(n, statistics.median(r[n] for r in kept), flops[n]) for n in kept[0]]


def _part(layer: str, network: nn.Module) -> str:
    if isinstance(network, Ensemble):
        member = re.search(r"\bmembers\.(\d+)", layer)
        if member is None and not re.match(r"(Multiply|Transpose)_", layer):
            return "mean of their probabilities"
        i = int(member[1]) if member else len(network.members) - 1
        return f"member {i + 1}, {type(network.members[i]).__name__}"
    return next((part for part, pattern in PARTS if re.search(pattern, layer)), REST)


def _openvino(
    network: nn.Module, image: np.ndarray, precision: Precision
) -> Iterator[list[tuple[str, float]]]:
    """Yield the layers and their seconds, from OpenVINO's own counters, round by round."""
    ov = require("openvino", extra="fast")
    module = prepare(network, image.shape, precision)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        model = ov.convert_model(
            module, example_input=torch.zeros(image.shape), input=[image.shape]
        )
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "PERF_COUNT": True,
    }
    request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
    for _ in range(ROUNDS + WARM_UPS):
        request.infer([image])
        timed = ((p.node_name, p.real_time.total_seconds()) for p in request.profiling_info)
        yield [(name, seconds) for name, seconds in timed if seconds > 0]


def _torch(
    network: nn.Module, image: np.ndarray, precision: Precision
) -> Iterator[list[tuple[str, float]]]:
    """Yield the modules and the seconds each takes without its children, round by round."""
    backend = TorchBackend(network, image.shape, precision=precision, n_threads=usable_cores())
    running: list[list[float]] = []  # of each module that runs: its start, its children's seconds
    found: list[tuple[str, float]] = []

    def begin(*_: object) -> None:
        running.append([time.perf_counter(), 0.0])

    def end(name: str) -> None:
        start, children_s = running.pop()
        seconds = time.perf_counter() - start
        found.append((name, seconds - children_s))
        if running:
            running[-1][1] += seconds

    for name, module in backend.module.named_modules():
        module.register_forward_pre_hook(begin)
        module.register_forward_hook(lambda *_, name=name: end(name))
    for _ in range(ROUNDS + WARM_UPS):
        found.clear()
        backend.logits(image)
        yield list(found)


def _flops(network: nn.Module) -> Iterator[tuple[str, int]]:
    """Yield the modules and the operations of each without its children, for one patch."""
    shadow = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        shadow(torch.zeros(1, 1, 128, 128, device="meta"))
    total = {name: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    own = dict(total)
    for name, n_flops in total.items():
        parent = name.rpartition(".")[0]
        while parent and parent not in own:  # lists of modules do not compute, so are not counted
            parent = parent.rpartition(".")[0]
        if parent:
            own[parent] -= n_flops
    yield from ((n.partition(".")[2], n_flops) for n, n_flops in own.items() if n != "Global")
