# Every target makes what it needs. `make` alone lists them.

BIN    := .venv/bin
STAMP  := .venv/.installed
COQC   ?= coqc
EXTRAS ?= dev,proofs,onnx,models,report,runtimes,experiment
PYTHON ?= $(shell for candidate in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$candidate && break; done)
TORCH  := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet

export PYTHONUTF8 := 1

.PHONY: help demo test lint rocq bench experiment gpu docs package clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# torch comes first and by its exact version: a later resolution then finds it in place and looks for no other build.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'symconv needs Python 3.11 or newer and found none. Use: make PYTHON=/path/to/python3'; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -qq -y python3-venv \
		&& $(PYTHON) -m venv --clear .venv; }
	$(PIP) $(TORCH)
	$(PIP) -c constraints.txt hatchling
	$(PIP) -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)  ## check and convert real decoders; certificates in build/demo
	@mkdir -p build
	$(BIN)/python -m symconv.app.demo

test: $(STAMP)  ## the fast tests, on two cores
	$(BIN)/python -m pytest -n 2 -m 'not slow and not gpu'

lint: $(STAMP)  ## ruff, mypy, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

rocq:  ## compile the Rocq proofs and print what they assume (needs coqc: Debian's package coq)
	@command -v $(COQC) >/dev/null || { echo 'The Rocq proofs need coqc 8.16 or newer. On Debian: apt-get install coq'; exit 1; }
	@rm -rf build/rocq && mkdir -p build && cp -r proofs/rocq build/rocq
	build/rocq/check.sh

bench: $(STAMP)  ## benchmarks; figures in build/bench.json
	@mkdir -p build
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-sort=name --benchmark-json=build/bench.json

experiment: $(STAMP)  ## LR against HR networks on images, closed forms and training; goes on where it was stopped
	@mkdir -p build
	$(BIN)/python -m symconv power --part all --state build/experiment -o build/representation-power.json --page build/representation-power.md --force
	$(BIN)/python -m symconv power --results build/representation-power.json --against docs/evidence/representation-power.json

gpu: $(STAMP)  ## everything that needs a CUDA device, under 10 minutes; evidence in docs/evidence (fails where there is no device)
	$(BIN)/python -m symconv.app.gpu_evidence -o docs/evidence/cuda.json --device cuda --seconds 360 --force
	$(BIN)/python -m pytest -m gpu

docs: $(STAMP)  ## run the code blocks of the documentation
	$(BIN)/python -m pytest tests/test_docs.py

package: $(STAMP)  ## build the wheel and test it installed, outside the checkout
	$(BIN)/python -m pytest tests/test_packaging.py

clean:  ## remove everything that make made
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
