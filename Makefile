# Everything that a developer or CI does, one target each; `make` lists them.
# Where a target needs more than a line, a script in tools/ has it.
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
UV := .tools/bin/uv
CHECKS := lock-check format-check lint types contracts protos-check docs test-alone template interop

.DEFAULT_GOAL := help
.PHONY: help setup programs demo test check checks lock-check format format-check lint types contracts
.PHONY: protos protos-check test-alone template interop docs wheels new-driver fuzz bench clean

.tools/bin/uv: tools/requirements.txt tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py && touch $@

.venv/.ready: .tools/bin/uv uv.lock pyproject.toml VERSION hatch_build.py $(wildcard packages/*/pyproject.toml)
	@$(UV) sync --quiet --frozen --all-packages --all-groups --python $(PYTHON) && touch $@

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: .venv/.ready ## Make .tools and .venv, with every package in place

programs: ## Install the programs that the tests talk to, where missing
	@$(PYTHON) tools/programs.py

demo: setup ## Power, upload, netboot and a port forward on this machine (FILE=path)
	@$(PYTHON) tools/programs.py curl
	@$(PY) tools/demo.py $(if $(FILE),"$(FILE)")

test: setup programs ## Run the whole test suite
	@$(PY) tools/tests.py

check: test $(CHECKS) ## Run all that CI runs

checks: ## Print the names of the checks, for .ci/run
	@echo $(CHECKS)

lock-check: setup ## Fail where uv.lock lags behind a pyproject.toml
	@$(UV) lock --quiet --check

format: setup ## Format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix && $(BIN)/ruff format --quiet

format-check: setup ## Fail where `make format` would change something
	@$(BIN)/ruff format --check --quiet

lint: setup ## Lint with ruff
	@$(BIN)/ruff check --quiet

types: setup ## Check the types with pyright
	@$(BIN)/pyright --warnings

contracts: setup ## Check who imports whom
	@$(PY) tools/contracts.py

protos: setup ## Generate the stubs from protos/
	@$(PY) protos/generate.py

protos-check: setup ## Fail where `make protos` would change something
	@$(PY) protos/generate.py --check

test-alone: setup programs ## Install each wheel by itself and run its tests there
	@$(PY) tools/test_alone.py

template: setup ## Make a driver from the template in a copy, and check it there
	@$(PY) tools/check_template.py

interop: setup ## Run driver packages of release 0.9.0 on this core, and its programs in our lab
	@$(PY) tools/interop.py

docs: setup ## Build the documentation into docs/_build
	@$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going --fresh-env docs docs/_build

wheels: setup ## Build every package into dist/
	@$(UV) build --quiet --all-packages --wheel --clear --out-dir dist && ls dist

new-driver: setup ## Start a driver package from the template (NAME=my-board)
	@$(PY) tools/new_driver.py "$(NAME)"

fuzz: setup ## Give the TFTP server what nobody would send it (SECONDS=60)
	@$(PY) fuzz/run.py $(or $(SECONDS),60)

bench: setup ## Measure the speed beside release 0.9.0
	@$(PY) benchmarks/run.py

clean: ## Remove everything that make made
	@rm -rf .venv .tools .peers dist docs/_build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
