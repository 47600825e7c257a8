# make demo    see the whole chain once (KEEP=1 leaves node and archive running)
# make test    everything that must hold: style, types, layers, tests
# make lint    the first three of these
# make fuzz    100,000 damaged inputs, new in each run (CASES=... for another number)
# make bench   speed and memory beside dcmtk and Orthanc; prints, asserts nothing
# make soak    1,000 small studies while processes are killed (ARGS="--studies 100 --kills 10")
# make sbom    write build/sbom.cdx.json: every locked package, with hashes and licences
# make lock    renew requirements/*.lock after a change in pyproject.toml (needs uv)
# make clean   remove .venv and what tools left behind
#
# PYTHON=python3.12 chooses the Python of the environment; ARGS=... is handed to pytest.
# Tests run in as many processes as there are processors, at most 4; JOBS=0 runs them in one.

PYTHON ?= python3
VENV ?= .venv
KEEP ?=
ARGS ?=
JOBS ?= logical
BIN := $(VENV)/bin

LOCKED := requirements/install.py pyproject.toml
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

.PHONY: help install demo test lint fuzz bench soak sbom lock clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

install: $(RUNTIME)

# Each stamp is older than its lock only when the lock changed: then, and only then, pip runs.
$(RUNTIME): requirements/runtime.lock $(LOCKED)
	@$(PYTHON) requirements/install.py $(VENV) runtime
	@touch $@

$(DEV): requirements/dev.lock requirements/runtime.lock $(LOCKED)
	@$(PYTHON) requirements/install.py $(VENV) dev
	@touch $(RUNTIME) $@

demo: $(RUNTIME)
	@$(BIN)/onconode demo $(if $(filter-out 0,$(KEEP)),--keep)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each process that runs acceptance tests keeps a node of its own: 1.5 GB. These tests are the long
# ones and first by name: without order they would be last, since few of them fill a file.
PARALLEL := --numprocesses $(JOBS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: lint
	$(BIN)/pytest $(PARALLEL) $(ARGS)

# Two processes: each target is by itself, and two processors are what CI has.
CASES ?= 100000
FUZZ := ONCONODE_FUZZ_CASES=$(CASES) $(BIN)/pytest -q -p no:cacheprovider tests/fuzz

fuzz: $(DEV)
	@$(FUZZ) -k "not ($(FUZZ_HALF))" $(ARGS) & other=$$!; \
	$(FUZZ) -k "$(FUZZ_HALF)" $(ARGS); one=$$?; \
	wait $$other && exit $$one

# About half of the work.
FUZZ_HALF := association_request or walk or messages or folder or configuration or pointing

bench: $(DEV)
	@for script in tests/benchmarks/*_bench.py; do \
		echo "== $$script"; PYTHONPATH=.:tests $(BIN)/python "$$script" $(ARGS) || exit 1; \
	done

soak: $(DEV)
	@PYTHONPATH=.:tests $(BIN)/python tests/benchmarks/soak.py $(ARGS)

sbom: $(DEV)
	@$(BIN)/python requirements/sbom.py build/sbom.cdx.json

# Existing pins stay unless they must move; `make lock UPGRADE=--upgrade` moves all.
UPGRADE ?=
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-annotate --no-header $(UPGRADE)
PROJECT := pyproject.toml --group build

lock:
	$(COMPILE) $(PROJECT) -o requirements/runtime.lock
	$(COMPILE) $(PROJECT) --group dev -c requirements/runtime.lock -o requirements/dev.lock
	echo 'psycopg[binary]' | $(COMPILE) -c requirements/dev.lock -o requirements/postgresql.lock -

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
