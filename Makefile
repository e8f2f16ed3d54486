# Two commands on a fresh machine: `make demo`, `make test`. Each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test check bench soak clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Torpor needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e '.[test,check,flash]'
	@touch $@

demo: setup
	$(BIN)/torpor run examples/frost --on virtual --for 365d

test: setup
	$(BIN)/python -m pytest -n 2 -q

# The linters, both type checks (host; device against the vendors' stubs) and the size report.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/check_stubs.py
	$(BIN)/python tools/check_size.py
	$(BIN)/python tools/build_native.py --check

bench: setup
	$(BIN)/python -m pip install -q -e '.[bench]'
	$(BIN)/python tools/bench/run.py
	$(BIN)/python tools/bench/native.py
	$(BIN)/python tools/bench/on_micropython.py
	PYTHONPATH=device:host:tests $(BIN)/python tools/bench/cortex.py --layers
	$(BIN)/python tools/bench/ulab.py
	PYTHONPATH=device:host:tests $(BIN)/python tools/bench/viper.py
	PYTHONPATH=device:host:tests $(BIN)/python tools/bench/xtensa.py

# CASES random models on every kernel set, IMAGES damaged images, the published models on all of their inputs.
soak: setup
	PYTHONPATH=device:host:tests $(BIN)/python tools/soak.py $(if $(CASES),--cases $(CASES)) \
	  $(if $(IMAGES),--images $(IMAGES))

clean:
	rm -rf $(VENV) .stubs out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
