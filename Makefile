# Every target does its own set-up. `make help` prints what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/.ready
# Folders of tests that need servers, a browser, a whole application or patience.
NOT_UNIT := services flows chaos browser bench docs slow
GROUP ?= http
SECONDS ?= 60
export PATH := $(CURDIR)/$(BIN):$(PATH)
# A linked .venv belongs to another checkout: the code to run is nevertheless this one's.
ifneq ($(shell test -L .venv && echo linked),)
export PYTHONPATH := $(CURDIR)/src
endif

help:  ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml scripts/setup
	@scripts/setup
	@touch $@

demo: $(READY)  ## Conduit with seed data, in the foreground; HOST, PORT, DATABASE_URL … are honoured
	@cd examples/conduit
	export DEBUG=1
	mainspring migrate
	mainspring seed
	exec mainspring dev

test: $(READY)  ## the whole test suite; servers that are missing are skipped with their reason
	@exec python -m pytest

unit: $(READY)  ## the tests that need nothing but this folder, in seconds
	@TEST_SERVERS=none exec python -m pytest -q $(foreach folder,$(NOT_UNIT),--ignore-glob='*/$(folder)')

check: $(READY) format-check lint types imports test  ## all that CI checks

format: $(READY)  ## rewrite the code to the house's format
	@ruff format --quiet .
	ruff check --quiet --fix-only .

format-check: $(READY)
	@ruff format --quiet --check .

lint: $(READY)  ## ruff
	@ruff check --quiet .

types: $(READY)  ## mypy and pyright
	@mypy
	pyright

imports: $(READY)  ## the layers of the architecture
	@lint-imports --no-cache

coverage: $(READY)  ## what the whole suite does not run
	@coverage run -m pytest --quiet
	coverage report

bench: $(READY)  ## GROUP=http …: Mainspring and its peers side by side, into bench/results/
	@exec python bench/run.py --group $(GROUP)

chaos: $(READY)  ## SECONDS=60: kill it at random and count what was lost
	@exec python -m tests.chaos --seconds $(SECONDS)

lock: $(READY)  ## requirements/dev.txt and requirements/uv.txt from pyproject.toml, anew
	@compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-emit-index-url "$$@"; }
	compile --group dev --all-extras pyproject.toml --output-file requirements/dev.txt
	compile --no-annotate requirements/uv.in --output-file requirements/uv.txt
	! grep -n '://' requirements/*.txt

services:  ## start, or install, the servers that the tests use
	@scripts/services

clean:  ## what was built, not what was written
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist

.ONESHELL:
.PHONY: help demo test unit check format format-check lint types imports coverage bench chaos lock services clean
