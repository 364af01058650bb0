from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from predict_helpers import small_bundle, small_scan, small_settings
from tomolith.config import Component
from tomolith.errors import ReadError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.calibration import fit_temperature
from tomolith.learn.predict import predict
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train


def sampled(n=40_000, classes=4, seed=0):
    """Return logits, and truths drawn from their softmax: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, classes))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5, 8.0])
def test_a_known_factor_is_found(factor):
    logits, truth = sampled()
    assert fit_temperature(logits * factor, truth) == pytest.approx(factor, rel=0.03)


def test_an_offset_of_all_classes_changes_nothing():
    logits, truth = sampled()
    found = fit_temperature(logits + 1000.0, truth)
    assert found == pytest.approx(fit_temperature(logits, truth), rel=1e-3)


def test_without_pixels_nothing_is_changed_and_perfect_networks_have_a_bound():
    assert fit_temperature(np.zeros((0, 2)), np.zeros(0, int)) == 1.0
    truth = np.array([0, 1])
    assert 0.05 <= fit_temperature(np.eye(2), truth) < 0.06
    assert 19 < fit_temperature(np.eye(2), 1 - truth) <= 20


def test_training_fits_it_and_a_second_training_fits_the_same(blob_example, tmp_path):
    example = blob_example()
    settings = TrainSettings(
        network=Component(name="unet", options={"channels": 4, "depth": 2}),
        epochs=2,
        patch_px=32,
        patches_per_epoch=32,
        threads=1,
        device="cpu",
    )
    found = [
        train([example], settings, tmp_path / name, schema=example.labels.schema).bundle
        for name in ("a", "b")
    ]
    assert found[0].temperature == found[1].temperature != 1.0
    assert 0.05 <= found[0].temperature <= 20
    assert ModelBundle.load(tmp_path / "a").temperature == found[0].temperature


def test_older_models_have_none_and_a_bad_one_is_refused(tmp_path):
    replace(small_bundle(), temperature=1.5).save(tmp_path)
    path = tmp_path / "model.yaml"
    values = yaml.safe_load(path.read_text())
    assert values.pop("temperature") == 1.5
    path.write_text(yaml.safe_dump(values))
    assert ModelBundle.load(tmp_path).temperature == 1.0
    path.write_text(yaml.safe_dump({**values, "temperature": 0}))
    with pytest.raises(ReadError, match="temperature is 0"):
        ModelBundle.load(tmp_path)


def test_labels_stay_and_probabilities_grow_softer(tmp_path):
    scan, bundle = small_scan(tmp_path, (2, 64, 70)), small_bundle()
    extras = {"probabilities": True, "entropy": True}
    for name, temperature in (("hot", 1.0), ("cold", 0.1)):
        predict(scan, replace(bundle, temperature=temperature), small_settings(**extras), name=name)
    hot, cold = (scan.labels(name).read(scan.grid.box) for name in ("hot", "cold"))
    assert np.array_equal(hot, cold)
    shares = [scan.extra(f"probabilities/{n}")[...] / 255 for n in ("hot", "cold")]
    assert (shares[0].max(axis=0) <= shares[1].max(axis=0)).all()
    # p ** (1 / T), normalised: as far as bytes can tell
    expected = shares[0] ** 10 / (shares[0] ** 10).sum(axis=0)
    assert abs(expected - shares[1]).mean() < 0.03
    entropy = [scan.extra(f"entropy/{n}")[...].astype(float).mean() for n in ("hot", "cold")]
    assert entropy[0] > entropy[1] + 5
