# `make run` and `make test` work on a fresh Debian 12: they install what is missing (as root, or with sudo) and then do their job.
# Everything of Python lives in .venv; a stamp file there says what has been installed, so that a repeated call is quick.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:

# Debian keeps haproxy where ordinary users do not look.
export PATH := $(PATH):/usr/sbin:/sbin

VENV := .venv
BIN := $(VENV)/bin
SOURCES := lighthouse workers ipc tests benchmarks examples setup.py
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-input

.PHONY: help
help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: run
run: $(VENV)/.stamp-run ## Install what is missing and start the quickstart: three web instances behind a HAProxy
	@.ci/need haproxy
	@exec $(BIN)/python examples/quickstart/run.py

.PHONY: test
test: $(VENV)/.stamp-test ## Run all tests but those of the wheel
	@.ci/need haproxy java openssl redis-server systemd-analyze zookeeper
	.ci/run-tests $(BIN)/python

.PHONY: venv
venv: $(VENV)/.stamp-test $(VENV)/.stamp-lint ## Make .venv with everything that development needs

.PHONY: lint
lint: $(VENV)/.stamp-lint ## Judge style
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/ruff format --check $(wildcard $(SOURCES))

# The folders workers/ and ipc/ install as lighthouse.workers and lighthouse.ipc, so only an installed copy has the names that
# the types are looked up by. setuptools keeps what it once copied in build/lib, files since deleted included: it goes first.
.PHONY: typecheck
typecheck: $(VENV)/.stamp-lint ## Check types, strictly
	rm -rf build/types build/lib build/bdist.*
	$(PIP) --no-deps --target build/types .
	cd build && MYPYPATH=types ../$(BIN)/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache -p lighthouse

.PHONY: test-versions
test-versions: $(VENV)/.stamp-test ## Run all tests of HAProxy with other versions of it, which are fetched into build/
	@.ci/need haproxy java openssl zookeeper
	HAPROXY_RELEASES='trixie sid experimental' .ci/test-versions $(BIN)/python

.PHONY: test-versions-quick
test-versions-quick: $(VENV)/.stamp-test ## Run the decisive ones of them
	@.ci/need haproxy
	.ci/test-versions $(BIN)/python -m versions

.PHONY: wheel-test
wheel-test: $(VENV)/.stamp-test ## Build the wheel and test it in an environment of its own, outside the checkout
	@.ci/need haproxy
	.ci/wheel-test $(BIN)/python

.PHONY: bench
bench: $(VENV)/.stamp-test ## Measure
	@.ci/need haproxy java zookeeper
	$(BIN)/python benchmarks/run.py

.PHONY: check
check: lint typecheck test test-versions-quick wheel-test ## All of what CI runs

.PHONY: clean
clean: ## Remove what was built and the virtual environment
	rm -rf build dist .venv ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	.ci/make-venv $(VENV)

$(VENV)/.stamp-run: setup.py $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.stamp-test: setup.py $(BIN)/python
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-lint: setup.py $(BIN)/python
	$(PIP) -e '.[lint,test]'
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test
