"""The documentation has no dead ends, and its tables come from the code."""

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
USER_TEXTS = [text for text in TEXTS if text.parent.name != "decisions"]


def blocks(text: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    content = text.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", content, re.DOTALL | re.MULTILINE)


def having(language: str) -> list[Path]:
    return [text for text in USER_TEXTS if blocks(text, language)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def nav_pages(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in nav_pages(part)]


@pytest.fixture(scope="module")
def config() -> dict:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_of_the_navigation_exists(config):
    assert [page for page in nav_pages(config["nav"]) if not (DOCS / page).is_file()] == []


def test_every_page_can_be_found_in_the_navigation(config):
    listed = {*nav_pages(config["nav"])}
    written = {str(page.relative_to(DOCS)) for page in PAGES}
    # pages of these two folders are listed by docs/hooks.py
    assert {p for p in written - listed if not p.startswith(("results/", "decisions/"))} == set()


def test_every_page_of_results_is_linked_in_the_readme():
    linked = {*LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    written = {name_of(page) for page in (DOCS / "results").glob("*.md")}
    assert written - linked == set()


@pytest.mark.parametrize("text", TEXTS, ids=name_of)
def test_every_link_leads_somewhere(text):
    dead = []
    for target in LINK.findall(text.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (text.parent / path).resolve() if path else text
        if not found.exists() or (
            anchor and found.suffix == ".md" and anchor not in anchors(found)
        ):
            dead.append(target)
    assert dead == []


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_table_can_be_filled_from_the_code(page, hooks):
    filled = hooks.fill(page.read_text(encoding="utf-8"))
    assert "{{ " not in re.sub(r"```.*?```", "", filled, flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_documented_object_exists(page):
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        found = importlib.import_module(module)
        assert getattr(found, attribute).__doc__, name


@pytest.mark.parametrize("text", having("sh"), ids=name_of)
def test_every_command_shown_exists(text):
    from tomolith.app.cli import STEP_SUMMARIES, app

    known = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    known |= set(STEP_SUMMARIES)
    used = re.findall(r"^tomolith ([a-z]+)", "\n".join(blocks(text, "sh")), re.MULTILINE)
    assert set(used) <= known


@pytest.mark.parametrize("text", having("yaml"), ids=name_of)
def test_every_recipe_shown_is_accepted(text):
    from tomolith.app.recipe import Recipe
    from tomolith.config import parse_settings

    for block in blocks(text, "yaml"):
        values = {key: {} if v is None else v for key, v in yaml.safe_load(block).items()}
        whole = {"name": "shown", "classes": "li-binary", **values}
        parse_settings(Recipe, whole, where=name_of(text))


@pytest.mark.parametrize("text", having("python"), ids=name_of)
def test_every_python_example_names_what_exists(text):
    for block in blocks(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert [n.name for n in node.names if not hasattr(module, n.name)] == []
