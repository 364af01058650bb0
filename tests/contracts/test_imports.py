"""Rooms import in one direction, and heavy libraries only where they are needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "torch",
    "lightning",
    "openvino",
    "monai",
    "napari",
    "matplotlib",
    "pandas",
    "zarr",
    "numba",
)


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after ``code``."""
    end = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{end}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_layers_and_the_forbidden_imports_hold():
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_is_light():
    assert not modules_after("import tomolith") & set(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_the_command_line_answers_help_without_heavy_libraries(arguments):
    code = f"""
import sys
sys.argv = ["tomolith", *{arguments!r}]
from tomolith.app.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert not modules_after(code) & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "tomolith.config",
        "tomolith.core",
        "tomolith.store.readers",
        "tomolith.blocks",
        "tomolith.label",
        "tomolith.phantom",
        "tomolith.measure",
        "tomolith.report",
        "tomolith.learn",
        "tomolith.learn.settings",
        "tomolith.learn.networks",
        "tomolith.learn.losses",
        "tomolith.app.recipe",
        "tomolith.app.check",
    ],
)
def test_nothing_but_learning_itself_imports_torch(module):
    assert not modules_after(f"import {module}") & {"torch", "lightning", "openvino", "monai"}


def test_the_library_never_prints():
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "src").rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.lstrip().startswith("print(")
    ]
    assert found == []


def test_no_module_is_longer_than_a_reader_can_hold():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "src").rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > 440} == {}  # about 400, says the design
