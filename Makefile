# Everything that a newcomer needs: Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	$(BIN)/reseen demo

test: lint
	$(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

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
	$(PIP) '.[search,onnx,tensorboard,dev]'
	touch $(VENV)/.installed $@
