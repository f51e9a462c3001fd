# Everything sets itself up: these need only Python 3.11 or newer, git and make.

VENV ?= .venv
BIN := $(VENV)/bin
# Handed on to the program: make demo ARGS=--interactive
ARGS ?=
# For pytest: two workers more than cores, since many tests wait for programs that they start (each worker
# reads all tests, which takes 4 s of processor time now that they are compiled before); the tests of a file
# stay together, since many share what took long to make.
PYTEST_ARGS ?= -n $(shell expr $$(nproc 2>/dev/null || echo 2) + 2) --dist loadfile

.PHONY: help setup demo run test shake test-tools agents-for-tests agents lint compiled real bench fuzz audit lock clean

help:
	@echo "make demo    the main job, start to end, on two projects made for it (ARGS=--interactive: you play, in a browser)"
	@echo "make run     Orchard for real; DISCORD_TOKEN in .env connects it to Discord"
	@echo "make test    linters, types, import rules and all tests (ARGS=tests/unit: some of them)"
	@echo "make real    real projects and their real changes, fetched for it"
	@echo "make agents  every coding agent that can be fetched, checked with a scripted model"
	@echo "make bench   measurements, as ratios of one run"
	@echo "make shake   tests on a machine that seems to be slow, now here, now there: finds races (ARGS=tests/web)"
	@echo "make fuzz    new examples for every property test, for as long as wanted; make audit: the dependencies"
	@echo "make setup   the virtual environment only; also: test-tools, lint, lock, clean"

setup:
	@VENV="$(VENV)" PYTHON="$(PYTHON)" .ci/setup

demo: setup
	@"$(BIN)/python" -m bot demo $(ARGS)

run: setup
	@"$(BIN)/python" -m bot run $(ARGS)

test: setup
	@"$(MAKE)" --no-print-directory -j3 lint compiled test-tools agents-for-tests
	"$(BIN)/python" -m pytest -q $(PYTEST_ARGS) $(ARGS)

# What tests run for real: other languages' runners, axe, Chromium, Prometheus' own checker.
test-tools:
	@.ci/test-tools

lint: setup
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

# Once for all processes, and also where PYTHONDONTWRITEBYTECODE is set.
compiled: setup
	@"$(BIN)/python" -m tests.compiled

# Kept in .agents between runs. Without a registry, or after the limit, the tests that need one are skipped.
agents-for-tests: setup
	@"$(BIN)/python" -m tests.agents_real --fetch-only --limit 120 codex claude-code mistral-vibe

agents: setup
	@"$(BIN)/python" -m tests.agents_real $(ARGS)
	ORCHARD_TEST_AGENTS=1 "$(BIN)/python" -m pytest -q tests/agents_real/test_whole_orchard.py

real: setup
	@"$(BIN)/python" -m tests.real $(ARGS)

shake: setup
	@"$(BIN)/python" -m pytest -q -p tests.shaken $(PYTEST_ARGS) $(ARGS)

# New examples for every parser of what others wrote: ARGS="--examples 100000 tests/properties/foreign".
fuzz: setup
	@"$(BIN)/python" -m tests.properties $(ARGS)

# Whether requirements.lock can be installed by its hashes alone, and nothing of it was withdrawn. Needs an index.
audit: setup
	@"$(BIN)/python" -m pip check
	@"$(BIN)/python" -m tests.architecture.withdrawn

bench: setup
	@"$(BIN)/python" -m tests.bench $(ARGS)

# Pins every dependency, of every extra, platform and Python, with the hashes of all its files. Names no index.
lock: setup
	@[ -x "$(BIN)/uv" ] || "$(BIN)/python" -m pip install --quiet 'uv>=0.9'
	@UV_CUSTOM_COMPILE_COMMAND="make lock" "$(BIN)/uv" pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --all-extras --output-file requirements.lock pyproject.toml $(ARGS)

clean:
	rm -rf "$(VENV)" build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info tests/tools/js/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
