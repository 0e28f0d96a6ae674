# Kopeyka: everything a newcomer types. Works as root and as an ordinary user.
.DEFAULT_GOAL := help
.PHONY: help demo up test test-long check lint bench clean hledger chromium softhsm poppler

VENV := .venv
BIN := $(VENV)/bin
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$python >/dev/null 2>&1 && $$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
# Each process has its own PostgreSQL; the tests of one file stay together, and tests/conftest.py says which file is next.
PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

help:  ## show this
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z-]+:.*## ' Makefile

demo: $(VENV)/installed  ## a day of real purchases, from the QR code to balanced books (ARGS=--all: every order)
	@$(BIN)/kopeyka demo $(ARGS)

up: $(VENV)/installed  ## start everything and keep it running; Ctrl-C stops it
	@$(BIN)/kopeyka up $(ARGS)

test: $(VENV)/installed-dev hledger softhsm poppler chromium lint  ## every check and every test, on a real PostgreSQL
	$(PYTEST) $(ARGS)

test-long: $(VENV)/installed-dev hledger softhsm  ## the tests that take minutes
	$(PYTEST) -m long $(ARGS)

check: $(VENV)/installed-dev lint  ## format, lint, types, import contracts, tests: before each commit
	$(PYTEST) $(ARGS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports

bench: $(VENV)/installed-dev  ## the measured ratios of the ledger, of the HTTP door, of the SBP rail, of the vault, of plans and of tills
	@$(BIN)/kopeyka bench ledger $(ARGS)
	@$(BIN)/kopeyka bench http $(ARGS)
	@$(BIN)/kopeyka bench sbp $(ARGS)
	@$(BIN)/kopeyka bench vault $(ARGS)
	@$(BIN)/kopeyka bench installments $(ARGS)
	@$(BIN)/kopeyka bench till $(ARGS)

clean:  ## remove the environment and caches; data directories stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call debian,commands any of which will do,package,what is skipped without it)
define debian
@for command in $(1); do command -v $$command >/dev/null 2>&1 && exit 0; done; \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
		&& { apt-get install -y -qq $(2) || { apt-get update -qq && apt-get install -y -qq $(2); }; } >/dev/null 2>&1; } \
	|| echo "$(2) is missing: $(3) will be skipped (Debian: apt install $(2))"
endef

hledger:
	$(call debian,hledger,hledger,its tests)

softhsm:
	$(call debian,softhsm2-util,softhsm2,tests of HSMs)

poppler:
	$(call debian,pdftotext,poppler-utils,a test that reads a PDF)

chromium:
	$(call debian,chromium chromium-browser google-chrome,chromium,tests of pages in a browser)

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "$(PYTHON) is not Python 3.11 or newer: say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make environments: install python3-venv (Debian: apt install python3-venv)"; exit 1; }
	@echo "Making $(VENV)…"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Kopeyka into $(VENV)…"
	@$(PIP) -e . || { echo "Installing failed: is a Python package index reachable?"; exit 1; }
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Kopeyka and its tests' tools into $(VENV)…"
	@$(PIP) -e '.[dev]' || { echo "Installing failed: is a Python package index reachable?"; exit 1; }
	@touch $@ $(VENV)/installed
