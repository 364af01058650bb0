# Every target sets up its own .venv from nothing. Python 3.11 and make are all it needs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
RUN := $(VENV)/.installed-run
DOCS := $(VENV)/.installed-docs

.PHONY: demo test test-slow check format bench docs clean

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 not found; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(RUN): $(BIN)/python pyproject.toml constraints-ci.txt
	$(BIN)/pip install -q -c constraints-ci.txt -e ".[fast]"
	@touch $@

$(DEV): $(RUN)
	$(BIN)/pip install -q -c constraints-ci.txt -e ".[dev]"
	@touch $@

$(DOCS): $(RUN)
	$(BIN)/pip install -q -c constraints-ci.txt -e ".[docs]"
	@touch $@

demo: $(RUN)
	$(BIN)/tomolith run examples/demo/recipe.yaml

test: $(DEV)
	$(BIN)/python -m pytest -m "not slow or slow_ci" --cov --cov-report=

test-slow: $(DEV)
	$(BIN)/python -m pytest

check: $(DEV)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: $(DEV)
	$(BIN)/python -m benchmarks

docs: $(DOCS)
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info
