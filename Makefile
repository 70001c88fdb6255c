# Every habit of the house. `make help` lists them; demo and test set everything up by themselves.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Also right under `make -C elsewhere/repo demo` and `make -f elsewhere/repo/Makefile demo`.
ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
VENV := $(ROOT)/.venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
IN := cd "$(ROOT)" &&
PACKAGES := contracts chassis gateway system_apis process_apis experience_apis sandbox firmwire
# Say PYTHON=/path/to/python3.12 to choose; otherwise the first of these that is new enough.
PYTHON ?=
ARGS ?=

.PHONY: help setup demo demo-real test check lint types rooms contracts bench bench-gateway clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' "$(ROOT)/Makefile"

setup: ## a virtual environment of our own in .venv; again only when dependencies change
	@$(IN) ROOT="$(ROOT)" VENV="$(VENV)" PYTHON="$(PYTHON)" bash .ci/setup

demo: setup ## approved time becomes posted invoices, on this machine, with simulated vendors
	@$(IN) "$(BIN)/firmwire" demo $(ARGS)

demo-real: setup ## the same, posting into the open-source ERP that nobody here wrote
	@$(IN) "$(BIN)/firmwire" demo --real-erp $(ARGS)

test: setup ## every test, a real ERP included (built once); ARGS="tests/chassis -k outbound" for some
	@$(IN) FIRMWIRE_TEST_REAL_ERP="$${FIRMWIRE_TEST_REAL_ERP-1}" "$(BIN)/python" -m pytest -q -n auto --dist loadgroup $(ARGS)

check: lint types rooms ## what must hold before a test is worth running

lint: setup ## ruff: style and likely mistakes
	@$(IN) "$(BIN)/ruff" check --quiet . && echo "lint: clean"

types: setup ## mypy, strict
	@$(IN) "$(BIN)/mypy" --no-error-summary && echo "types: clean"

rooms: setup ## who may import whom, and the house rules
	@$(IN) "$(BIN)/lint-imports" --no-cache >"$(VENV)/rooms.log" 2>&1 \
		|| { cat "$(VENV)/rooms.log"; exit 1; }
	@$(IN) "$(BIN)/python" -m pytest -q tests/house -p no:cacheprovider
	@$(IN) echo "rooms: clean; escapes from house rules: $$(git grep -c '# house: ' -- '*.py' \
		| awk -F: '{n += $$2} END {print n + 0}')"

contracts: setup ## write what is generated from the code: openapi documents, names.lock
	@$(IN) "$(BIN)/python" tests/house/test_names_lock.py
	@$(IN) "$(BIN)/firmwire" contracts $(ARGS)

bench: setup ## the figures, each a ratio taken side by side in one run
	@$(IN) "$(BIN)/python" -m bench $(ARGS)

bench-gateway: setup ## the gateway alone, beside nginx + Lua, haproxy and Envoy
	@$(IN) "$(BIN)/python" -m bench gateway bodies swaps throttling $(ARGS)

clean: ## remove the virtual environment, caches and local data
	@$(IN) rm -rf .venv .firmwire .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@$(IN) find . -name __pycache__ -type d -prune -exec rm -rf {} +
