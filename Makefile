# The two commands are `make demo` and `make test`; everything else serves them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MURMUR := $(BIN)/murmur
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast simulate chaos lint format bench up down clean

help:
	@echo 'make demo     a real local swarm end to end: broker, worker, ClickHouse, report (about a minute)'
	@echo 'make test     all tests, on real servers; TESTS=tests/unit picks some'
	@echo 'make test-fast   those that start no server (about a minute)'
	@echo 'make simulate SEED=1 STEPS=20000   schedules of faults in a simulated installation'
	@echo 'make chaos SECONDS=60 SEED=1 BROKER=embedded|kafka   faults on real servers; CHAOS=soak picks some'
	@echo 'make lint     ruff and mypy'
	@echo 'make bench    events per second beside other engines; BENCH=anomaly|closed|comparison|emit|freshness|page|recovery|scale|storage|reads|replay|report|unseen|all'
	@echo 'make up|down  start / stop the local stack in the background'
	@echo 'make clean    remove the environment and caches'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Murmuration needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11 ...' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.app: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo 'installing into $(VENV) (about 1.4 GB, a minute or two) ...'
	@$(PIP) install --constraint constraints.txt --editable '.[server,embedded,pdf]'
	@touch $@

$(VENV)/.dev: $(VENV)/.app
	@$(PIP) install --constraint constraints.txt --editable '.[server,embedded,pdf,dev]'
	@touch $@

demo: $(VENV)/.app
	@$(MURMUR) demo

# A file's tests stay together, so that what they share is started once. PYTEST_WORKERS=0: all in this process.
TESTS ?= tests
PYTEST_WORKERS ?= 2
test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(TESTS) -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

# No server, no browser: everything that is decided within one process, in about a minute.
# The simulation plays fewer of its random schedules here; `make test` plays all.
FAST := not (integration or e2e or browser or kafka or slow)
test-fast: $(VENV)/.dev
	@MURMUR_SIM_STEPS=400 $(BIN)/python -m pytest $(TESTS) -m '$(FAST)' $(PYTEST_FLAGS)

SEED ?= 1
STEPS ?= 20000
simulate: $(VENV)/.dev
	@MURMUR_SIM_SEED=$(SEED) MURMUR_SIM_STEPS=$(STEPS) $(BIN)/python -m pytest \
	  tests/simulation/test_simulation.py -k every_schedule --timeout=0 --log-level=ERROR -s -q $(PYTEST_FLAGS)

# SECONDS of faults in each scenario; drains and comparisons come on top. CHAOS: words of pytest's -k.
SECONDS ?= 60
BROKER ?= embedded
CHAOS ?= test
chaos: $(VENV)/.dev
	@MURMUR_CHAOS_SECONDS=$(SECONDS) MURMUR_CHAOS_SEED=$(SEED) MURMUR_CHAOS_BROKER=$(BROKER) \
	  $(BIN)/python -m pytest tests/chaos -k '$(CHAOS)' --timeout=0 -v -s $(PYTEST_FLAGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The engines we are measured beside need other versions of some packages, so they live in an environment of their own.
PEERS := .venv-bench
$(PEERS)/.peers: benchmarks/peers/requirements.txt | $(VENV)/bin/python
	@echo 'installing the peers of the ingest benchmark into $(PEERS) ...'
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

BENCH ?= ingest
bench: $(VENV)/.dev $(if $(filter ingest all,$(BENCH)),$(PEERS)/.peers)
	@$(BIN)/python -m benchmarks.$(BENCH) $(BENCH_FLAGS)

up: $(VENV)/.app
	@$(MURMUR) up

down: $(VENV)/.app
	@$(MURMUR) down

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis murmur-demo
