"""Li that bears the name of the wrong side is given the right one: none of it is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine_helpers import OPERANDO, make_scan, read, true_series
from tomolith.measure.refine import RefineSettings, refine, stages
from tomolith.measure.refine.effects import Effect
from tomolith.store.layout import Layout

PULSES = (0, 12, 18, 24)
STEPS = ("charge", "discharge", "discharge")
DEPOSITED, REDEPOSITED = OPERANDO["deposited"].value, OPERANDO["redeposited"].value
LI = [OPERANDO[name].value for name in ("dendrite", "deposited", "redeposited")]
# Of 262 144 voxels. The operations that know sizes alone change them: true pieces of fewer voxels
# than 'min_size' become what surrounds them.
MOST_WRONG = 150
MOST_LI_LOST = 30


def misnamed() -> list[np.ndarray]:
    """Return true labels in which each side bears the names of the other."""
    table = np.arange(256, dtype=np.uint8)
    table[[DEPOSITED, REDEPOSITED]] = REDEPOSITED, DEPOSITED
    return [table[labels] for labels in true_series(PULSES)]


def refined(
    folder: Path, labels: list[np.ndarray], **settings: object
) -> tuple[list[np.ndarray], tuple[Effect, ...]]:
    folder.mkdir()
    layout = Layout((16, 64, 64), (16, 64, 64))
    scans = [
        make_scan(folder, f"s{i}", values, size_um=5.32, layout=layout)
        for i, values in enumerate(labels)
    ]
    found = refine(scans, RefineSettings(**settings), steps=STEPS)
    return [read(scan) for scan in scans], found.effects


@pytest.mark.parametrize("time", [False, {}])
def test_misnamed_li_gets_its_true_class_and_keeps_its_volume(tmp_path, time):
    found, effects = refined(tmp_path / "misnamed", misnamed(), time=time)
    for labels, true in zip(found, true_series(PULSES), strict=True):
        assert (labels != true).sum() <= MOST_WRONG
        n, n_true = np.isin(labels, LI).sum(), np.isin(true, LI).sum()
        assert abs(int(n) - int(n_true)) <= MOST_LI_LOST
    assert not [e for e in effects if e.operation in ("time", "allowed")]
    # the wrong names leave no trace: what true labels give is given
    of_true, _ = refined(tmp_path / "true", list(true_series(PULSES)), time=time)
    assert all((one == other).all() for one, other in zip(found, of_true, strict=True))
    assert sum((m != t).sum() for m, t in zip(misnamed(), of_true, strict=True)) > 30_000


@pytest.mark.parametrize(
    "way",
    [
        {"executor": "threads", "workers": 3, "block_zyx": (16, 64, 64)},
        {"executor": "serial", "block_zyx": (32, 64, 64), "backwards": True},
    ],
)
def test_no_order_of_blocks_or_workers_changes_that(tmp_path, monkeypatch, way):
    labels = misnamed()[1:3]
    expected, effects = refined(tmp_path / "whole", labels, executor="serial")
    settings = dict(way)
    if settings.pop("backwards", False):
        run = stages.run_blocks
        monkeypatch.setattr(
            stages, "run_blocks", lambda blocks, *a, **o: run(blocks[::-1], *a, **o)
        )
    found, others = refined(tmp_path / "blocks", labels, **settings)
    assert others == effects
    assert all((one == other).all() for one, other in zip(found, expected, strict=True))
