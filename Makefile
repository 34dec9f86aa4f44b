# Each target does its own set-up: a fresh clone needs Python 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet \
	--generate-hashes --allow-unsafe --strip-extras --newline lf \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

.NOTPARALLEL:
.PHONY: all test check test-browser test-faults report calibrate bench lock clean help

all: .venv/runtime ## run every page, write results/ with the report
	$(BIN)/dlclaims run

test: .venv/development ## lint, types, tests, and the committed report is fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile
	$(BIN)/dlclaims report --check

check: test test-browser ## test, and the report in a real browser

test-browser: .venv/browser ## the report in Chromium (apt-get install chromium)
	$(BIN)/python -m pytest --quiet -m browser tests/test_browser.py

report: .venv/runtime ## render the report again from results/, training nothing
	$(BIN)/dlclaims report

calibrate: .venv/development ## how often verdicts err: simulations, A/A, replication
	$(BIN)/dlclaims calibrate

bench: .venv/development ## time the engine beside its peers, write benchmarks/results/
	$(BIN)/python -m benchmarks

test-faults: .venv/development ## kill, fill, damage: minutes, writes results/faults.csv
	$(BIN)/python -m pytest --quiet -m "" --numprocesses 2 --dist worksteal \
		--faults results/faults.csv tests/test_faults.py tests/test_equal_bytes.py

lock: | $(BIN)/python ## resolve pyproject.toml (delete a lock first to upgrade it)
	@$(PIP); $(BIN)/pip-compile --version >/dev/null 2>&1 || $$pip install pip-tools
	$(COMPILE) --build-deps-for editable \
		--output-file requirements.lock pyproject.toml
	$(COMPILE) --build-deps-for editable --extra dask --extra dev --extra jax \
		--constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --build-deps-for editable --extra browser \
		--constraint requirements-dev.lock \
		--output-file requirements-browser.lock pyproject.toml

clean: ## remove caches and build products; results and .venv stay
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find dlclaims experiments tests -name __pycache__ -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

# A stamp is younger than what was installed. The development lock contains the other.
.venv/runtime: requirements.lock pyproject.toml | $(BIN)/python
	@$(call install,requirements.lock)
	@touch $@

.venv/development: requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(call install,requirements-dev.lock)
	@touch .venv/runtime $@

.venv/browser: requirements-browser.lock .venv/development | $(BIN)/python
	@$(call install,requirements-browser.lock)
	@touch .venv/runtime .venv/development $@

# Debian's venv lacks pip without python3-venv; then the system's pip fills it.
PIP := pip="$(BIN)/python -m pip"; \
	$$pip --version >/dev/null 2>&1 || pip="$(PYTHON) -m pip --python $(BIN)/python"; \
	pip="$$pip --disable-pip-version-check --quiet"

define install
echo "installing $(1) into .venv (700 MB, about 2 minutes the first time)"; $(PIP); \
$$pip install --require-hashes --requirement $(1) && \
PYTHONWARNINGS=ignore $$pip install --no-deps --no-build-isolation --editable .
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	|| { echo "Python 3.11 to 3.13 is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv >/dev/null 2>&1 \
	|| { $(PYTHON) -m venv --clear --without-pip .venv \
	&& $(PYTHON) -m pip --python $@ --version; } >/dev/null 2>&1 \
	|| { rm -rf .venv; echo "no Python with pip: apt-get install python3-venv" >&2; \
	exit 1; }
