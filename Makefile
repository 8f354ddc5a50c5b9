# Two commands set everything up by themselves: `make demo` and `make test`.
# PREFECT=latest takes the second lock, with the newest Prefect 3, in an environment of its own.

PREFECT ?= 3.4.14
LOCK    := requirements/prefect-$(PREFECT).hashes.txt
VENV    := $(if $(filter 3.4.14,$(PREFECT)),.venv,.venv-prefect-$(PREFECT))
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
DOCS    := $(VENV)/docs/.ready
# The first Python from 3.11 to 3.13 that there is; PYTHON=… chooses another.
PYTHON  ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	command -v $$python >/dev/null 2>&1 && \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && \
	echo $$python && break; done)

.DEFAULT_GOAL := help
.PHONY: help demo test lab up down bench docs lint format lock audit dist clean

help: ## What there is to type
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(READY) ## The whole loop on real prices, in a few minutes
	@$(BIN)/workbench demo $(ARGS)

test: $(READY) $(DOCS) ## Lint, types, import contracts and every test
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run.sh $(ARGS)

lab: $(READY) ## JupyterLab at notebooks/00_start_here.ipynb
	@$(BIN)/workbench lab $(ARGS)

up: $(READY) ## Start the servers, the worker and the relay, and keep them running
	@$(BIN)/workbench up --detach

down: $(READY) ## Stop everything
	@$(BIN)/workbench down

# The peers of the benchmarks; ArcticDB asks for an older pandas, so it has an environment of its own.
PEERS    := $(VENV)/.bench-ready
ARCTICDB := .venv-bench-arcticdb

bench: $(READY) $(PEERS) $(ARCTICDB)/.ready ## Each headline speed against its peers, in one run
	@$(BIN)/python -m benchmarks load write growth as_known lineage startup sweep backtest universe $(ARGS)

$(PEERS): requirements/bench.txt $(READY)
	@echo "Installing the benchmarks' peers into $(VENV)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -r requirements/bench.txt
	@touch $@

# Where there is no ArcticDB for this machine, the benchmarks say so and tell no figure that compares with it.
$(ARCTICDB)/.ready: requirements/bench-arcticdb.txt
	@echo "Installing ArcticDB into $(ARCTICDB)" >&2
	@$(PYTHON) -m venv --clear $(ARCTICDB)
	@$(ARCTICDB)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		-r requirements/bench-arcticdb.txt || echo "ArcticDB cannot be installed here" >&2
	@touch $@

docs: $(READY) $(DOCS) ## The documentation as a site, site/index.html
	@PYTHONPATH="$(CURDIR)/$(VENV)/docs:$(CURDIR)" $(BIN)/python -m docs.site $(ARGS)

# Sphinx lies in a folder of its own, and the environment stays what its lock says.
$(DOCS): requirements/docs.txt $(READY)
	@echo "Installing Sphinx into $(VENV)/docs" >&2
	@rm -rf $(VENV)/docs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary \
		--target $(VENV)/docs -r requirements/docs.txt
	@touch $@

lint: $(READY) ## Lint, format check, types and import contracts
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run.sh lint

format: $(READY) ## Put the code in order
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format --quiet .

lock: ## Resolve every lock anew (needs uv)
	@for lock in prefect-3.4.14 prefect-latest; do \
		uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --upgrade \
			--custom-compile-command "make lock" pyproject.toml requirements/$$lock.in -o requirements/$$lock.txt; \
		uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --generate-hashes \
			--custom-compile-command "make lock" pyproject.toml requirements/$$lock.in \
			-c requirements/$$lock.txt -o requirements/$$lock.hashes.txt; done
	@for lock in bench bench-arcticdb audit docs; do \
		uv pip compile --quiet --universal --python-version 3.11 --no-annotate --upgrade \
			--custom-compile-command "make lock" requirements/$$lock.in -o requirements/$$lock.txt; done

audit: .venv-audit/.ready ## Known weaknesses of what the locks hold (asks api.osv.dev)
	@.venv-audit/bin/python requirements/audit.py $(ARGS)

.venv-audit/.ready: requirements/audit.txt
	@$(PYTHON) -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary -r requirements/audit.txt
	@touch $@

dist: $(READY) ## The sdist and the wheel in dist/, with the tested sets as constraints
	@rm -rf dist
	@$(BIN)/python -m hatchling build -d dist
	@for lock in prefect-3.4.14 prefect-latest; do cp requirements/$$lock.txt dist/constraints-$$lock.txt; done

clean: ## Remove the environments, the site, dist/ and caches (data in .workbench/ stays)
	@rm -rf site dist .venv .venv-prefect-* .venv-bench-* .venv-audit .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Made anew when the lock changes; the marker is written last, so that a broken install is done again.
$(READY): $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" || { echo "workbench needs Python 3.11, 3.12 or 3.13; found none (name one: make PYTHON=/path/to/python3.12)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the tested set into $(VENV) (a few minutes the first time)" >&2
	@# Everything stands in the lock; pip, left to look for more, takes `name[extra]` for something without a hash.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary --no-deps --require-hashes -r $(LOCK)
	@# Up to version 0.4 this was installed under the name `workbench`.
	@$(BIN)/python -m pip uninstall --quiet --yes workbench 2>/dev/null || true
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@# The compiled loops are made now, or the first large load and the first sweep would wait for them.
	@$(BIN)/python -c "from workbench.db import wire; wire.compile_all()"
	@$(BIN)/python -c "from workbench.fills import loop, pairing; loop.compile_all(); pairing.compile_pairing()"
	@touch $@
