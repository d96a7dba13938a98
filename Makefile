# Two commands are enough: `make lab` to work, `make test` to know that it works. `make help` lists the rest.
PYTHON ?= python3
BIN    := .venv/bin
RUN    := $(BIN)/python -m
PANEL  := extensions/panel
export MLFLOW_DISABLE_TELEMETRY ?= true

.DEFAULT_GOAL := help
.PHONY: help setup setup-test lab demo test check lint types panel-check unit browser format bench claims faults record gallery pictures doctor wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## environment, packages, JavaScript, data (the other targets do this themselves)
	@$(PYTHON) scripts/setup.py

setup-test:
	@$(PYTHON) scripts/setup.py --chromium

lab: setup ## JupyterLab on the tour
	@$(RUN) workbench lab

demo: setup ## the tour's experiment in the terminal, steered half-way, recorded, in MLflow; under 3 minutes
	@$(BIN)/python scripts/demo.py

test: setup-test check ## everything: linters, types, TypeScript, the whole suite with the browser
	$(RUN) pytest -n 2 --dist loadfile

check: lint types panel-check ## linters and type checkers, without the suite

lint: setup ## ruff, and the rules about who may import whom
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup ## mypy
	$(RUN) mypy

panel-check: setup ## the panel's TypeScript: types, linter, unit tests
	cd $(PANEL) && PATH="$(CURDIR)/$(BIN):$$PATH" sh -c "npm run --silent check && npm test --silent"

unit: setup ## the suite without the browser
	$(RUN) pytest -n 2 --dist loadfile -m "not browser"

browser: setup-test ## only the tests in JupyterLab and Chromium
	$(RUN) pytest -m browser

format: setup ## let ruff rewrite what it can
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: setup-test ## measure, side by side with what one would use otherwise; prints a table; ROWS="loop attach" for some
	$(RUN) tests.benchmarks $(ROWS)

faults: setup ## kill, starve and corrupt in full counts (about half an hour); writes docs/faults.md
	WORKBENCH_FAULTS=full $(RUN) pytest tests/faults --timeout 3600

claims: setup ## run what the papers' claims need (hours; goes on where it was stopped) and remake docs/claims.md
	$(RUN) workbench claims all --save claims
	$(BIN)/python scripts/claims.py

record: setup ## record anew the journals that the detectors' tests read
	$(BIN)/python scripts/record.py
	$(BIN)/python scripts/gallery.py

gallery: setup ## draw the gallery's pictures anew from those journals
	$(BIN)/python scripts/gallery.py

pictures: setup-test ## the README's picture, taken anew by the browser test
	WORKBENCH_PICTURES=docs/images $(RUN) pytest -m browser -q

doctor: setup ## what this machine has, and the one command that mends each gap
	@$(RUN) workbench doctor

wheel: setup ## a wheel that works alone, in dist/
	$(RUN) pip wheel . --no-deps --wheel-dir dist

clean: ## remove what was built; runs and data stay
	rm -rf .venv dist build workbench/panels/static $(PANEL)/node_modules .mypy_cache .ruff_cache .pytest_cache
