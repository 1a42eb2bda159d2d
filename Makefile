# `make run` and `make test` do all of their own set-up; they need Python 3.11 or newer, and nothing else.
# Another Python: make PYTHON=python3.13 run. More arguments: make run ARGS=--reset, make test ARGS="-k join".

PYTHON ?=
ARGS ?=
# Tests run side by side, in so many processes; each has databases, a Valkey and ports of its own. JOBS=0: one after the other.
JOBS ?= 3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint format types contract bench chaos understand-report lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

run: .venv/ready ## Start everything on this machine, with made-up members and no account anywhere
	@$(BIN)/hearthline demo $(ARGS)

test: .venv/ready ## Run every test, on SQLite and on PostgreSQL, with a real Valkey and a real browser
	@CHROMIUM="$$($(BIN)/python tests/ensure_browser.py)" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

lint: .venv/ready ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: .venv/ready ## Put style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: .venv/ready ## Check types
	@$(BIN)/mypy

contract: .venv/ready ## Check that dependencies point one way
	@$(BIN)/lint-imports --no-cache

bench: .venv/ready ## Measure speed, with a ceiling beside each figure
	@$(BIN)/hearthline bench $(ARGS)

chaos: .venv/ready ## Break everything at random while campaigns leave: 50 schedules, or ARGS="--seed 7" for one again
	@$(BIN)/python -m tests.chaos $(ARGS)

understand-report: .venv/ready ## Score what texts are taken to mean, on the held-out half of the labelled sets
	@$(BIN)/python -m tests.understanding.report $(ARGS)

lock: .venv/ready ## Write requirements.lock anew from pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	@# With the build backend: .ci/setup builds without an environment of its own, which would fetch any version.
	@printf 'hatchling\neditables\n' | $(BIN)/uv pip compile pyproject.toml - --universal --python-version 3.11 --extra dev --upgrade --quiet \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean: ## Remove what was built and set up; the demo's data in var/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: requirements.lock pyproject.toml .ci/setup
	@.ci/setup $(PYTHON)
