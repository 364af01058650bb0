"""A torchvision without its operators is made importable; one that works is left alone."""

from __future__ import annotations

import os
import subprocess
import sys

BROKEN = """
import torch
@torch.library.register_fake("torchvision::nms")
def meta_nms(dets, scores, iou_threshold): ...
@torch.library.register_fake("torchvision::qnms")
def meta_qnms(dets, scores, iou_threshold): ...
"""


def _import_after(tmp_path, init, registrations=BROKEN):
    """Mend a made-up torchvision in a fresh interpreter, then import it."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(init)
    (package / "_meta_registrations.py").write_text(registrations)
    code = (
        "from tomolith.errors import ResourceError\n"
        "from tomolith.learn.torchvision import mend_torchvision\n"
        "try:\n    print(mend_torchvision(), mend_torchvision())\n"
        "except ResourceError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_operators_that_cannot_be_loaded_are_named(tmp_path):
    found = _import_after(tmp_path, "from torchvision import _meta_registrations\n")
    assert found == "True True\n"


def test_what_naming_does_not_mend_is_said(tmp_path):
    other = BROKEN.replace('"torchvision::qnms"', "NAME")  # a name that no text shows
    other = 'NAME = "torchvision::other"\n' + other
    found = _import_after(tmp_path, "from torchvision import _meta_registrations\n", other)
    assert "operator torchvision::other does not exist" in found
    assert "pip uninstall torchvision" in found


def test_a_working_one_is_left_alone(tmp_path):
    assert _import_after(tmp_path, "", "raise AssertionError\n") == "True True\n"
