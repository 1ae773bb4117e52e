# Needs Python 3.11 or later with pip, make (also the 3.81 of macOS) and git; fetches the rest,
# each file checked against the hash in requirements/. Options: PYTHON=python3.12, ARGS="...".

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# Someone's active environment or settings for their own projects must not steer this one. An index,
# a proxy or certificates in PIP_* and UV_* variables do count.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_NO_BINARY PIP_CONSTRAINT PIP_REQUIREMENT
unexport UV_PYTHON UV_SYSTEM_PYTHON UV_BREAK_SYSTEM_PACKAGES UV_TARGET UV_PREFIX UV_CONSTRAINT
unexport UV_OVERRIDE UV_NO_BINARY UV_NO_BUILD UV_EXCLUDE_NEWER UV_RESOLUTION UV_OFFLINE UV_CONFIG_FILE
export PIP_USER := 0
export PIP_REQUIRE_VIRTUALENV := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

BIN := .venv/bin
UV := .tools/bin/uv --no-config --quiet
INSTALL := $(UV) pip install --python $(BIN)/python --require-hashes --no-deps --no-build -r
LOCK := $(UV) pip compile --universal --fork-strategy fewest --python-version 3.11 --no-emit-index-url \
	--generate-hashes --custom-compile-command "make lock"
LOCK_OURS := $(LOCK) --override requirements/without.txt

.PHONY: demo test check fix bench soak mutants lock clean help

demo: .venv/.runtime  ## Place a real phone call and freeze its model; no keys (ARGS="--help" for more)
	@$(BIN)/trunkline demo $(ARGS)

test: .venv/.dev  ## Run the tests in virtual time (core: every branch covered), then the quick trials
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered $(ARGS)
	@if grep -rq 'pytest\.mark\.ci' trials; then set -x; $(BIN)/pytest trials -m ci; fi

check: .venv/.dev  ## Lint, format, types, layers, and the house rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/test_tidy.py tests/test_docs.py

fix: .venv/.dev  ## Mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.dev  ## Measure, in real time (a quiet machine gives better figures)
	$(BIN)/python -m benchmarks $(ARGS)

soak: .venv/.dev  ## Run all trials: real sockets, real processes, real time
	$(BIN)/pytest trials -s $(ARGS)

mutants: .venv/.dev  ## Break the core one small thing at a time: do its tests notice? (half an hour; ARGS="core/lane")
	$(BIN)/python scripts/mutate.py $(ARGS)

lock: .tools/.uv  ## Compile requirements/*.txt, and those of the peers, anew (ARGS="--upgrade" for newer versions)
	$(LOCK_OURS) pyproject.toml requirements/runtime.in --extra espeak -o requirements/runtime.txt $(ARGS)
	$(LOCK_OURS) pyproject.toml requirements/dev.in --extra espeak --group dev -o requirements/dev.txt $(ARGS)
	$(LOCK_OURS) requirements/tools.in -o requirements/tools.txt $(ARGS)
	for peer in benchmarks/*/peers/*.in; do \
		$(LOCK) $$peer -o $${peer%.in}.txt $(ARGS) || exit 1; \
	done

clean:  ## Remove everything that make made
	rm -rf .venv .tools .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests trials -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-13s %s\n", $$1, $$2 }'

# The stamps: while they are newer than what they were made from, make installs nothing.

# .tools/.uv holds the Python for .venv. The speech packages have no wheels for 3.14 (November 2026):
# there uv finds a 3.13, or fetches one.
.tools/.uv: requirements/tools.txt
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 /usr/bin/python3); do \
		if $$python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "fetching uv with $$python"; rm -rf .tools; \
			$$python -m pip install --quiet --require-hashes --only-binary :all: --target .tools -r $< || exit 1; \
			$$python -c 'import sys; print(sys.executable if sys.version_info < (3, 14) else "3.13")' > $@; \
			exit 0; \
		fi; \
	done; \
	echo "make: $(or $(PYTHON),python3) is no Python 3.11 or later with pip. Install one (on Debian:" \
		"apt install python3 python3-pip), or name yours: make PYTHON=/path/to/python3" >&2; exit 1

.venv/pyvenv.cfg: .tools/.uv
	@rm -rf .venv
	@$(UV) venv --python "$$(cat .tools/.uv)" .venv
	@touch $@

.venv/.runtime: requirements/runtime.txt pyproject.toml .venv/pyvenv.cfg
	@echo "installing what runs"
	@$(INSTALL) requirements/runtime.txt
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.runtime
	@echo "installing what checks"
	@$(INSTALL) requirements/dev.txt
	@touch $@
