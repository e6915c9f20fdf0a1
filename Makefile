# Everything a fresh machine needs, behind two commands: `make demo` and `make test`.
# PYTHON picks the interpreter (3.11 or newer); SEED and ARGS reach the demo, ARGS and WORKERS the tests.

PYTHON ?= python3
SEED ?= 0
WORKERS ?= 2
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
ROOMS := console rollout envs policy verifiers k8s sandbox traces errors

.PHONY: demo test check bench clean install

demo: $(VENV)/.train
	$(BIN)/podgym demo --seed $(SEED) $(ARGS)

test: $(VENV)/.dev
	$(BIN)/pytest --cov --cov-report= --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)
	@omit=none; docker info >/dev/null 2>&1 || { omit='sandbox/docker/*'; echo "No Docker engine: its provider is left out of the coverage."; }; \
	for room in $(ROOMS); do \
	  $(BIN)/coverage report --include="$$room/*" --omit="$$omit" --fail-under=90 --format=total >/dev/null \
	    || { $(BIN)/coverage report --include="$$room/*" --omit="$$omit" --sort=cover; echo "$$room/ is covered by less than 90 %"; exit 1; }; \
	  printf '%-10s %s %% covered\n' "$$room" "$$($(BIN)/coverage report --include="$$room/*" --omit="$$omit" --format=total)"; \
	done

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/pip install --quiet swe-rex || uv pip install --quiet --python $(BIN)/python swe-rex
	$(BIN)/python benchmarks/sandbox.py

install: $(VENV)/.train

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv where it is installed, plain venv and pip elsewhere. What a failure leaves is removed, or make would take it for the real thing.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "podgym needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	@{ if command -v uv >/dev/null; then uv venv --quiet --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi; } \
	  || { rm -rf $(VENV); echo "No virtual environment can be made. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(VENV)/.train: EXTRAS := train
$(VENV)/.train: pyproject.toml setup.py | $(VENV)/bin/python
	@echo "Installing podgym with torch into $(VENV) (a few gigabytes the first time) ..."
	@$(install)
	@touch $@

$(VENV)/.dev: EXTRAS := train,docker,k8s,postgres,dev
$(VENV)/.dev: pyproject.toml setup.py | $(VENV)/bin/python
	@echo "Installing podgym with everything that its tests use into $(VENV) ..."
	@$(install)
	@touch $@ $(VENV)/.train

define install
if command -v uv >/dev/null; then uv pip install --quiet --python $(BIN)/python -e '.[$(EXTRAS)]'; \
else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'; fi
endef
