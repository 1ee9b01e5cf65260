# demo: the dashboard on http://127.0.0.1:8501    test: everything, in a real browser too    bench: the numbers in README.md
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench lint screenshot clean

demo: $(VENV)/.installed
	$(BIN)/python -m streamlit run dashboard/app.py --server.port $(PORT)

test: $(VENV)/.installed-dev
	$(BIN)/python tests/find_chromium.py --install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m mypy

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.recording
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.overlay

screenshot: $(VENV)/.installed-dev
	$(BIN)/python tests/find_chromium.py --install
	$(BIN)/python docs/screenshot.py

$(VENV)/.installed: requirements.txt scripts/install.py
	$(PYTHON) scripts/install.py requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt scripts/install.py
	$(PYTHON) scripts/install.py requirements-dev.txt
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis artifacts
