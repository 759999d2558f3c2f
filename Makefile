# Tasks of the project. They need Python 3.11 or later and make; the rest they set up themselves.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
INSTALLED := .venv/.installed
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
APT := apt-get install -y -qq --no-install-recommends
PYTEST := $(BIN)/python -m pytest -q
# Many tests wait for other processes, so that two cores have room for more than two of them.
SPREAD ?= -p tests.spread --workers 3
# Many tests start processes, which would compile everything again each time.
unexport PYTHONDONTWRITEBYTECODE
# Seeds of the longer simulation: make sim SEEDS=100000
SEEDS ?= 20000

.PHONY: help setup fmt lint types test sim examples docs notebooks check demo bench clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv, with the package and all that develops it

# uv takes a fifth of pip's time; where only pip knows the way to a package index, pip does it.
$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once)"
	@$(PIP) uv
	@$(BIN)/uv pip install -q --python $(BIN)/python -e '.[dev]' || $(PIP) -e '.[dev]'
	@command -v chromium-headless-shell >/dev/null || { test "$$(id -u)" = 0 \
		&& command -v apt-get >/dev/null && apt-get update -qq \
		&& { $(APT) chromium-headless-shell || $(APT) chromium; } >/dev/null; } \
		|| command -v chromium >/dev/null \
		|| echo "without Chromium, the dashboard's tests fail: apt-get install chromium"
	@touch $@

fmt: $(INSTALLED) ## format, and mend what can be mended
	@$(BIN)/ruff check -q --fix-only .
	@$(BIN)/ruff format -q .

lint: $(INSTALLED) ## style and common mistakes
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .

types: $(INSTALLED) ## pyright, strict
	@$(BIN)/pyright --warnings

test: $(INSTALLED) ## all tests, with the examples, the docs' code and the notebooks
	@$(PYTEST) $(SPREAD)

sim: $(INSTALLED) ## the simulation with more seeds: SEEDS=20000
	@SIMULATION_SEEDS=$(SEEDS) WIRE_SEEDS=$(SEEDS) $(PYTEST) $(SPREAD) tests/simulation

examples: $(INSTALLED) ## run the examples and compare what they print
	@$(PYTEST) tests/test_examples.py

docs: $(INSTALLED) ## write the generated pages, build the site, run the code of README and docs
	@$(BIN)/python -m docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@$(PYTEST) tests/test_docs.py

notebooks: $(INSTALLED) ## execute the notebooks
	@$(PYTEST) tests/test_notebooks.py

check: lint ## what continuous integration runs: lint, types and tests
	@$(MAKE) --no-print-directory -j 2 types test

demo: $(INSTALLED) ## agents on a real local model; their server is killed and they go on
	@$(BIN)/python -m examples.demo.run

bench: $(INSTALLED) ## measure, beside the raw-SQLite floor
	@$(BIN)/python -m benchmarks

clean: ## remove all that these tasks have made
	@rm -rf .venv .llm .demo site .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
