# Everything that a newcomer needs: Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
NUMERIC := $(addprefix tests/,network/test_model.py network/test_losses.py network/test_learner.py \
	network/test_inference.py network/test_training.py::test_two_processes_learn_what_one_learns \
	data/test_clips.py data/test_coding.py data/test_flow.py \
	evaluation/test_metrics.py evaluation/test_metric_learning.py evaluation/test_reranking.py \
	report/test_frame_influence.py synthetic/test_synthesize.py::test_pixels_follow_from_the_seed)

.PHONY: demo test test-numeric cluster lint docs bench fuzz soak clean

demo: $(VENV)/.installed
	$(BIN)/reseen demo

# One test process for each core, so that each computes with one thread.
test test-numeric: export OMP_NUM_THREADS ?= 1
test: lint
	$(BIN)/pytest --numprocesses auto --dist worksteal

# What is computed, computed by other kernels: plain ones for this processor's vectors. What differs between two machines differs here as well.
test-numeric: export ATEN_CPU_CAPABILITY = default
test-numeric: export MKL_CBWR = COMPATIBLE
test-numeric: export ONEDNN_MAX_CPU_ISA = SSE41
test-numeric: export NPY_DISABLE_CPU_FEATURES = AVX512_ICL X86_V4 X86_V3
test-numeric: export OPENCV_IPP = disabled
test-numeric: export OPENCV_CPU_DISABLE = AVX512-SKX,AVX2,AVX,FP16
test-numeric: $(VENV)/.installed-dev
	$(BIN)/pytest --numprocesses auto --dist worksteal $(NUMERIC)

# Ray, and an object store on loopback, for which other tests have stand-ins alone.
cluster: $(VENV)/.installed-dev
	$(PIP) '.[cluster]'
	$(BIN)/pytest tests/test_cluster.py tests/test_object_store.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in build/site; a broken link or a docstring that cannot be read is an error.
docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# Ratios measured in one run each; needs a quiet machine.
bench: $(VENV)/.installed-dev
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

# Ten thousand damaged files for every reader together, in a minute or two.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/fuzz.py

# Every verb that writes, stopped at random moments and run twice at once; takes a quarter of an hour.
soak: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/soak.py

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
	$(PIP) '.[onnx,tensorboard,docs,dev]'
	touch $(VENV)/.installed $@
