# Everything that a newcomer needs: Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: demo test lint bench clean

demo: $(VENV)/.installed
	$(BIN)/reseen demo

test: lint
	$(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Ratios measured in one run each; needs a quiet machine.
bench: $(VENV)/.installed-dev
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) demo

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV); the first time this takes some minutes."
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	@echo "Installing into $(VENV); the first time this takes some minutes."
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(PIP) '.[onnx,tensorboard,dev]'
	touch $(VENV)/.installed $@
