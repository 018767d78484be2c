# Everything runs in the project's own virtual environment; nothing but Python >= 3.11 and make is assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-all check format bench docs clean

setup: .setup-done

# uv installs the same wheels as pip, several times faster.
.setup-done: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade uv
	$(BIN)/uv pip install -q --python $(BIN)/python -e '.[test,dev]'
	touch .setup-done

demo: setup
	$(BIN)/sightline demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-all: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/pyright

format: setup
	$(BIN)/ruff format src tests
	$(BIN)/ruff check --fix src tests

# The reference and the tree in README.md, from docstrings; needs nothing installed.
docs:
	$(PYTHON) docs/make_reference.py

bench: setup
	$(BIN)/sightline bench

clean:
	rm -rf $(VENV) .setup-done sightline-demo
