# What a user and a developer type. Everything is kept in .venv, made from the lock files; `make` lists the targets.

PYTHON ?= python3
# Programs that tests drive, under the names that Debian's packages and their commands share, and three that have two.
PROGRAMS := strace vim nano tmux
MISSING = $(strip $(shell for program in $(PROGRAMS); do command -v $$program >/dev/null || echo $$program; done) \
	$(if $(shell command -v bwrap 2>/dev/null),,bubblewrap) \
	$(if $(wildcard /sbin/mkfs.ext4),,e2fsprogs) $(if $(wildcard /sbin/mkfs.xfs),,xfsprogs))
CAN_INSTALL := $(and $(filter 0,$(shell id -u)),$(shell command -v apt-get))

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --no-deps
COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/python -m piptools compile --quiet --generate-hashes \
	--strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

# Twice as many tests at once as processors: what most of them do longest is to wait.
PYTEST = -m pytest --numprocesses=$(shell expr 2 '*' $$(getconf _NPROCESSORS_ONLN)) --dist=worksteal

MADE := $(VENV)/made
RUNTIME := $(VENV)/runtime
DEV := $(VENV)/dev

# Real assistant programs, at the versions of their lock file, which says nothing of where they come from.
ASSISTANTS := .assistants
LISTED := tests/assistants/package.json tests/assistants/package-lock.json
MODULES := $(ASSISTANTS)/node_modules

# An environment works only where it was made, and as long as the Python that made it is there.
ifneq ($(shell { $(BIN)/python -c '' && cat $(MADE); } 2>/dev/null),$(CURDIR))
.PHONY: $(MADE)
endif

# Settings of the caller's own Python that would leak into ours.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo setup test test-assistants lint coverage bench lock schema programs wheel clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## show a whole run, with no AI assistant and nothing of yours touched
	@$(BIN)/relay demo $(ARGS)

setup: $(RUNTIME) ## make .venv, so that ./start_workflow.py and ./status.py work

test: $(DEV) programs ## run all tests; make test ARGS='tests/unit -k graph'
	$(BIN)/python $(PYTEST) $(ARGS)

test-assistants: $(DEV) $(ASSISTANTS)/made ## drive the real claude, codex, gemini and opencode against a scripted model
	$(BIN)/python $(PYTEST) --dist=load --maxschedchunk=1 $(or $(ARGS),tests/assistants)

lint: $(DEV) ## check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

coverage: $(DEV) programs ## run all tests and show what they don't reach
	$(BIN)/coverage erase
	-$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(DEV) ## measure what is promised about time and memory
	$(BIN)/python -m benchmarks $(ARGS)

schema: $(DEV) ## write the JSON Schemas of workflows, their cases and state.json, made of the models
	$(BIN)/python -c 'import json; from lib.statefile.document import schema; print(json.dumps(schema(), indent=2))' > templates/state.schema.json
	$(BIN)/python -c 'from lib.workflow.schema import schema_text; print(schema_text(), end="")' > templates/workflow.schema.json
	$(BIN)/python -c 'from lib.workflow.schema import cases_schema, schema_text; print(schema_text(cases_schema()), end="")' > templates/workflow-test.schema.json

wheel: $(DEV) ## build dist/*.whl and dist/*.tar.gz
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --quiet

lock: $(DEV) ## resolve the dependencies again; make lock ARGS=--upgrade
	$(COMPILE) --build-deps-for=wheel --output-file=requirements.lock $(ARGS) pyproject.toml
	$(COMPILE) --extra=dev --constraint=requirements.lock --output-file=requirements-dev.lock $(ARGS) pyproject.toml

programs: ## install the programs that tests drive: with apt-get as root, else it says how
	@test -z "$(MISSING)" || test -n "$(CAN_INSTALL)" \
	|| { echo >&2 "Tests drive $(MISSING); type: sudo apt-get install $(MISSING)"; exit 1; }
	@test -z "$(MISSING)" || { apt-get update && apt-get install --yes --no-install-recommends $(MISSING); }

clean: ## remove all that these targets made
	rm -rf $(VENV) $(ASSISTANTS) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.*' -prune -exec rm -rf {} +

$(MADE):
	@command -v $(PYTHON) >/dev/null || { echo >&2 "Relay needs Python 3.11 or newer, and $(PYTHON) is not found; type: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 "Relay needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version); name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo >&2 "$(PYTHON) comes without venv; type: sudo apt-get install python3-venv"; exit 1; }
	@command -v git >/dev/null || { echo >&2 "Relay needs git; type: sudo apt-get install git"; exit 1; }
	@echo "Making $(VENV), once: about half a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@pwd -P > $@

$(RUNTIME): $(MADE) requirements.lock pyproject.toml
	@$(INSTALL) --require-hashes --requirement=requirements.lock
	@$(INSTALL) --no-build-isolation --editable=.
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.lock
	@$(INSTALL) --require-hashes --requirement=requirements-dev.lock
	@touch $@

# `npm ci` would insist on packages for other systems. Two packages fetch their program in a script of theirs: those
# two are run by name, as not every npm runs such scripts by itself.
$(ASSISTANTS)/made: $(LISTED)
	@command -v npm >/dev/null || test -n "$(CAN_INSTALL)" || { echo >&2 "The assistants are Node programs; type: sudo apt-get install nodejs npm"; exit 1; }
	@command -v npm >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends nodejs npm; }
	@rm -rf $(ASSISTANTS) && mkdir $(ASSISTANTS) && cp $(LISTED) $(ASSISTANTS)
	@echo "Installing the assistants into $(ASSISTANTS), once: 1.2 GB."
	@npm install --prefix $(ASSISTANTS) --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
	@cd $(MODULES)/@anthropic-ai/claude-code && node install.cjs
	@cd $(MODULES)/opencode-ai && node postinstall.mjs
	@touch $@
