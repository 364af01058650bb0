# Every target sets up its own .venv from nothing. Python 3.11 or newer and make are all it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
DOCS := $(VENV)/.installed-docs
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints-ci.txt
SOURCES := $(wildcard src tests benchmarks examples docs/hooks.py)
DEMO := examples/demo/recipe.yaml
# Tests side by side; a file of tests stays in one process.
JOBS ?= 2
# Rooms whose lines tests must reach.
COVERED := config core store blocks measure
comma := ,
COVERED_FILES := $(subst $() ,$(comma),$(COVERED:%=*/tomolith/%/*))

.PHONY: help demo test test-slow check format bench docs clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo    simulate a cell, segment and measure it, write a report"
	@echo "make test    all tests that a change must pass, with coverage"
	@echo "make check   format, lint, types, import layers"
	@echo "make bench   measure speed and accuracy"
	@echo "make docs    build the documentation into site/"
	@echo "make format  put the sources in shape"
	@echo "make clean   remove .venv and what was built"

# An environment that somebody stopped half-way has no working pip: make it anew. A whole one stays.
$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer not found; give its path: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN): $(MADE) pyproject.toml constraints-ci.txt
	@echo "installing tomolith into $(VENV); the first time this takes some minutes"
	$(PIP) -e ".[fast]"
	@touch $@

$(DEV): $(RUN)
	@echo "installing what tests and checks need into $(VENV)"
	$(PIP) -e ".[dev]"
	@touch $@

$(DOCS): $(RUN)
	@echo "installing what the documentation needs into $(VENV)"
	$(PIP) -e ".[docs]"
	@touch $@

# 6 and 7 are verdicts on the cell, which the report explains; the demo itself worked.
demo: $(RUN)
	$(BIN)/tomolith run $(DEMO) || case $$? in 6|7) ;; *) exit $$?;; esac

test: $(DEV)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow or slow_ci" --cov --cov-report=
	@$(BIN)/python -m coverage report --skip-covered --fail-under=90 --include='$(COVERED_FILES)'

test-slow: $(DEV)
	$(BIN)/python -m pytest

check: $(DEV)
	$(BIN)/python -m ruff format --check $(SOURCES)
	$(BIN)/python -m ruff check $(SOURCES)
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: $(DEV)
	$(BIN)/python -m ruff format $(SOURCES)
	$(BIN)/python -m ruff check --fix $(SOURCES)

bench: $(DEV)
	$(BIN)/python -m benchmarks

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info
