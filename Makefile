# Each target sets up what it needs; Linux and macOS, Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-output
# Processes that test; each takes one core and up to 2 GB of memory.
JOBS ?= 2
BIN := $(VENV)/bin

.PHONY: demo test lint bench clean

demo: $(VENV)/plain.stamp          ## a generated head with a stroke: found, measured, drawn
	$(BIN)/strokeseg demo --out "$(OUT)"

test: $(VENV)/test.stamp           ## all tests; fails when none ran
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup --durations 20

lint: $(VENV)/test.stamp           ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/plain.stamp         ## seconds a stage and peak memory of one case
	$(BIN)/python Testing/benchmarks/segment_case.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "StrokeSeg needs Python 3.11 or newer, $(PYTHON) is older; name another: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv "$(VENV)"

$(VENV)/plain.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@ $(VENV)/plain.stamp

clean:
	rm -rf "$(VENV)" demo-output build dist .pytest_cache .mypy_cache .ruff_cache
