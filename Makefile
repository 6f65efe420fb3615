# `make help` lists what can be done. Settings are given as variables: make run PORT=9080

PYTHON ?= python3
VENV := .venv/bin
COMPILE = $(dir $(VENV))lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-header $(OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help run stop status logs test lint audit lock venv dev-venv python

help: ## List the commands
	@echo "make COMMAND [SETTING=value ...]     for instance: make run PORT=9080"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  %-9s %s\n' "$$name" "$$text"; done

run: export FEIRA_STARTED := $(shell date +%s)
run: venv ## Install what is missing, start everything, print where it is; Ctrl-C ends it
	@exec $(VENV)/python -m local run

stop: ## End everything that runs in this clone
	@test ! -x $(VENV)/python || exec $(VENV)/python -m local stop

status: venv ## Show every process with its state and memory
	@exec $(VENV)/python -m local status

logs: venv ## Follow the logs of all processes, or of one: make logs P=orders
	@exec $(VENV)/python -m local logs $(P)

audit: venv ## Prove the stock and payment invariants of the running system
	@exec $(VENV)/python -m local audit

test: dev-venv ## Run every test that needs no Docker
	$(VENV)/python -m pytest

lint: dev-venv ## Check style, types, and who may import whom
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	PYTHONPATH=microservices $(VENV)/lint-imports

venv: python ## Make .venv and install what `make run` needs
	@exec $(PYTHON) local/install.py requirements/local.txt

dev-venv: python ## The same with the tools of `make test` and `make lint`
	@exec $(PYTHON) local/install.py requirements/local.txt requirements/dev.txt

lock: venv ## Renew the locks in requirements/ from pyproject.toml (OPTIONS=--upgrade: newest)
	@test -x .venv/lock/bin/pip-compile || { $(PYTHON) -m venv --without-pip .venv/lock && \
		$(PYTHON) -m pip --python .venv/lock/bin/python install --quiet pip pip-tools; }
	$(COMPILE) -o requirements/services.txt pyproject.toml
	$(COMPILE) --extra local -c requirements/services.txt -o requirements/local.txt pyproject.toml
	$(COMPILE) --extra local --extra dev -c requirements/local.txt -o requirements/dev.txt \
		pyproject.toml

python:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not there: Feira needs Python 3.11 or newer (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Feira needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1) (make PYTHON=...)" >&2; exit 1; }
