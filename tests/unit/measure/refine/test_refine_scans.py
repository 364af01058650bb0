"""Stored scans are refined whole: same labels for any blocks and workers, nothing done twice."""

from __future__ import annotations

import numpy as np
import pytest

from refine_helpers import CHUNK, OPERANDO, make_scan, read, true_series, with_flips
from tomolith.core import PRESETS
from tomolith.errors import IncompleteError, InputError, MemoryBudgetError, MismatchError
from tomolith.measure.refine import RefineSettings, given, refine, stages
from tomolith.measure.refine.given import Given
from tomolith.store.integrity import verify_scan
from tomolith.store.layout import Layout

STEPS = ("charge", "both")
ALL = {"time": {}, "region": {"z": (1, 15)}, "min_size": {"voxels": 9}}
WAYS = [
    {"executor": "serial"},
    {"executor": "threads", "workers": 2, "block_zyx": (8, 32, 32)},
]


def noisy() -> list[np.ndarray]:
    series = true_series((0, 12, 18))
    return [with_flips(v[:16, :, :32], 0.05, seed) for seed, v in enumerate(series)]


def make(folder, labels=None) -> list:
    folder.mkdir(exist_ok=True)
    layout = Layout((8, 32, 32), (8, 32, 32))
    return [
        make_scan(folder, f"s{i}", v, size_um=5.32, layout=layout)
        for i, v in enumerate(labels or noisy())
    ]


def test_labels_do_not_depend_on_blocks_or_workers(tmp_path):
    results = []
    for i, way in enumerate(WAYS):
        scans = make(tmp_path / str(i))
        found = refine(scans, RefineSettings(**ALL, **way), steps=STEPS)
        assert found.operations == (
            "region",
            "time",
            "split",
            "allowed",
            "min_size",
            "fill_holes",
        )
        results.append(([read(scan) for scan in scans], found.effects))
        assert [(read(s, "prediction") == v).all() for s, v in zip(scans, noisy(), strict=True)]
        assert not list((tmp_path / str(i) / ".tomolith").rglob("stage-*"))
    for labels, effects in results[1:]:
        assert effects == results[0][1]
        for one, other in zip(labels, results[0][0], strict=True):
            assert (one == other).all()
    assert not verify_scan(scans[0].path)


def test_effects_add_up_to_what_differs(tmp_path):
    labels = noisy()[1]
    (scan,) = make(tmp_path, [labels])
    settings = RefineSettings(split=False, min_size=False, fill_holes=False)
    found = refine([scan], settings)
    out = read(scan)
    assert {effect.operation for effect in found.effects} == {"allowed"}
    for effect in found.effects:
        before, after = OPERANDO[effect.before].value, OPERANDO[effect.after].value
        assert effect.n_voxels == ((labels == before) & (out == after)).sum()
    assert sum(e.n_voxels for e in found.effects) == (labels != out).sum() > 0


def test_other_labels_or_other_code_make_new_ones(tmp_path, monkeypatch):
    labels = noisy()[:2]
    scans = make(tmp_path, labels)
    settings = RefineSettings(time={"evidence": "labels"})

    def key() -> str:
        return Given.of(scans, settings, "prediction").key(0, settings, STEPS[:1])

    def rewrite(values: np.ndarray) -> None:  # the provenance stays as it is
        made = scans[1].labels("prediction").volume.provenance
        writer = scans[1].create_labels("prediction", OPERANDO, provenance=made)
        writer.array[:] = values
        writer.finish()

    first = key()
    other = labels[1].copy()
    other[3, 4, 5] = (other[3, 4, 5] + 1) % 6
    rewrite(other)
    assert key() != first
    rewrite(labels[1])
    assert key() == first
    monkeypatch.setattr(given, "code_digest", lambda *_: "other code")
    assert key() != first


def test_made_labels_are_kept_and_other_settings_make_new_ones(tmp_path, monkeypatch):
    (scan,) = make(tmp_path, [noisy()[1]])
    first = refine([scan], RefineSettings())
    monkeypatch.setattr(stages, "run_blocks", None)  # nothing may be run
    again = refine([scan], RefineSettings(memory="2GiB", executor="serial"))
    assert again.effects == first.effects
    with pytest.raises(TypeError):
        refine([scan], RefineSettings(min_size={"voxels": 5}))


def test_refined_labels_that_are_damaged_are_made_anew(tmp_path):
    (scan,) = make(tmp_path, [noisy()[1]])
    settings = RefineSettings(executor="serial")
    refine([scan], settings)
    good = read(scan)
    next(f for f in (scan.path / "labels/refined/0/c").rglob("*") if f.is_file()).unlink()
    refine([scan], settings)
    assert (read(scan) == good).all()


def test_a_stopped_run_goes_on_and_does_nothing_twice(tmp_path, monkeypatch):
    settings = RefineSettings(**ALL, executor="serial", block_zyx=(8, 64, 32))
    whole = make(tmp_path / "whole")
    expected = refine(whole, settings, steps=STEPS)
    scans = make(tmp_path / "stopped")
    begun: list[str] = []
    call = stages._Writer.__call__

    def stopping(writer, block):
        begun.append(f"{writer._stage.name} {writer._jobs[0].scan.id} {block.name}")
        if len(begun) % 3 == 0:
            raise KeyboardInterrupt
        return call(writer, block)

    monkeypatch.setattr(stages._Writer, "__call__", stopping)
    for _ in range(40):
        try:
            found = refine(scans, settings, steps=STEPS)
            break
        except KeyboardInterrupt:
            assert "refined" not in scans[2].label_names()
    assert found.effects == expected.effects
    for one, other in zip(scans, whole, strict=True):
        assert (read(one) == read(other)).all()
    # time has 2 blocks, the others 2 for each of three scans; every stop repeats one
    n_stops = len(begun) // 3
    assert n_stops > 3 and len(begun) == 2 + 3 * 3 * 2 + n_stops
    assert not verify_scan(scans[1].path)


def test_a_block_that_fails_is_named_and_nothing_looks_finished(tmp_path, monkeypatch):
    scans = make(tmp_path, [noisy()[1]])
    labels = scans[0].path / "labels/prediction/0/c"
    next(f for f in sorted(labels.rglob("*")) if f.is_file()).write_bytes(b"spoilt")
    settings = RefineSettings(allowed=False, split=False, min_size=False, region={"z": (0, 9)})
    with pytest.raises(IncompleteError, match=r"refine: region: .* blocks failed"):
        refine(scans, settings)
    assert scans[0].label_names() == ("prediction",)


def test_probabilities_are_used_where_every_scan_has_them(tmp_path):
    labels = [np.zeros((8, 40, 32), np.uint8) for _ in range(3)]
    for one in labels:
        one[:, :8] = one[:, 30:] = 1
    labels[2][5:7, 20, 5:9] = 2
    results = []
    for name, share in (("sure", 255), ("unsure", 140), ("none", None)):
        scans = make(tmp_path / name, labels)
        for scan, one in zip(scans, labels, strict=True):
            if share is None:
                continue
            writer = scan.create_extra(
                "probabilities/prediction", OPERANDO.names, np.uint8, provenance=scan.provenance
            )
            shares = np.stack([np.where(one == v, share, 0) for v in range(6)])
            shares[0] += np.where(one == 2, 255 - share, 0)
            writer.array[:] = shares.astype(np.uint8)
            writer.finish()
        off = {"allowed": False, "split": False, "min_size": False, "fill_holes": False}
        refine(scans, RefineSettings(time={}, **off), steps=("charge", "charge"))
        results.append(int((read(scans[2]) == 2).sum()))
    assert results == [8, 0, 8]
    with pytest.raises(InputError, match="no probabilities"):
        refine(scans, RefineSettings(time={"evidence": "probabilities"}), steps=("charge",) * 2)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"steps": None}, InputError, ["charged or discharged", "refine.time.charging"]),
        ({"steps": ("charge",)}, InputError, ["charged or discharged"]),
        ({"name": "prediction"}, InputError, ["would replace"]),
        ({"settings": {"allowed": {"reference": "s9"}}}, InputError, ["s9", "one of s0, s1"]),
        ({"settings": {"memory": "1MB"}}, MemoryBudgetError, ["at least"]),
        ({"settings": {"region": {"z": (0, 99)}}}, InputError, ["at most (16, 64, 32)"]),
        ({"settings": {"block_zyx": (5, 32, 32)}}, InputError, ["whole shards"]),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, changes, error, words):
    scans = make(tmp_path)[:3]
    given = {"time": {}, "executor": "serial", **changes.get("settings", {})}
    how = {"steps": changes.get("steps", STEPS), "name": changes.get("name", "refined")}
    with pytest.raises((error, IncompleteError)) as caught:
        refine(scans, RefineSettings(**given), **how)
    for word in words:
        assert word in str(caught.value)
    assert all(scan.label_names() == ("prediction",) for scan in scans)


def test_one_scan_has_no_history(tmp_path):
    with pytest.raises(InputError, match="a single scan"):
        refine(make(tmp_path, noisy()[:1]), RefineSettings(time={}), steps=())


def test_scans_of_other_shapes_are_no_series_but_can_be_refined_alone(tmp_path):
    first = make(tmp_path, noisy()[:1])
    other = make_scan(tmp_path, "other", noisy()[1][:8], size_um=5.32)
    with pytest.raises(MismatchError, match="differ in shape"):
        refine([*first, other], RefineSettings(time={}), steps=("charge",))
    found = refine([*first, other], RefineSettings())
    assert {effect.scan for effect in found.effects} == {"s0", "other"}


def test_a_schema_without_electrodes_is_refined_as_far_as_it_can_be(tmp_path):
    labels = np.zeros((8, 16, 32), np.uint8)
    labels[2:6, 4:12, 4:20] = 1
    labels[3, 7, 7] = 0
    labels[7, 14, 30] = 1
    scan = make_scan(tmp_path, "a", labels, schema=PRESETS["li-binary"], layout=CHUNK)
    found = refine([scan], RefineSettings())
    assert [one.operation for one in found.left_out] == ["split", "allowed"]
    out = read(scan)
    assert out[3, 7, 7] == 1 and out[7, 14, 30] == 0 and (out != labels).sum() == 2
