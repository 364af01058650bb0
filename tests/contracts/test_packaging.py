"""What pip is told: lower bounds for users, exact versions for CI, one version everywhere."""

import re
import tomllib
from pathlib import Path

import yaml

import tomolith

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
CONSTRAINTS = (ROOT / "constraints-ci.txt").read_text(encoding="utf-8").splitlines()


def test_requirements_carry_lower_bounds_only():
    good = r"[A-Za-z0-9_-]+(\[[a-z,-]+\])?(>=[\d.]+)?"
    assert [line for line in REQUIREMENTS if not re.fullmatch(good, line)] == []


def test_constraints_are_plain_names_and_versions():
    odd = [line for line in CONSTRAINTS if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line)]
    assert odd == []


def test_every_direct_requirement_is_pinned_for_ci():
    pinned = {_canonical(line.split("==")[0]) for line in CONSTRAINTS}
    direct = {_canonical(re.split(r"[\[>]", line)[0]) for line in REQUIREMENTS} - {"tomolith"}
    assert direct <= pinned, sorted(direct - pinned)


def test_torchvision_comes_with_the_zoo_alone():
    """Its wheel links CUDA: beside a CPU-only torch it must be mended before it is imported."""
    assert not [line for line in REQUIREMENTS if "torchvision" in line.lower()]
    bringing = "segmentation-models-pytorch", "timm"
    without = [*PROJECT["dependencies"], *EXTRAS["fast"], *EXTRAS["docs"]]
    assert not [line for line in without if line.startswith(bringing)]


def test_torch_is_not_older_than_the_loader_fixes():
    assert "torch>=2.10" in PROJECT["dependencies"]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"] == tomolith.__version__


def test_the_citation_names_the_three_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = " ".join(f"{ref['title']} {ref.get('notes', '')}" for ref in citation["references"])
    for method in ("TransforCNN", "batteryNET", "MatPhase"):
        assert method in text
    assert all(ref["authors"] for ref in citation["references"])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
