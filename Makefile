# Two commands from a fresh clone, with nothing but Python 3.11 or newer and make:
#   make demo    a finished federated study of five synthetic hospitals, with a report
#   make test    the whole test suite
PYTHON ?= python3
ACCELERATOR ?= cpu
BIN := .venv/bin
WORKERS ?= auto

.PHONY: demo test check install clean

demo: .venv/.installed
	$(BIN)/fedward-simulate run demo

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations 25

check: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/.installed

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo 'venv failed; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(ACCELERATOR)]'
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(ACCELERATOR),encoders,openvino,test,tracking]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
