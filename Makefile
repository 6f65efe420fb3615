# `make help` lists what can be done. Settings are given as variables: make run PORT=9080

PYTHON ?= python3
VENV := .venv/bin
COMPILE = $(dir $(VENV))lock/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-header $(OPTIONS)

# `--time 5` of TIME=5 after `make bench`; what a shell has by that name (HOST) is no setting.
option = $(if $(filter command,$(origin $(1))),--$(shell echo $(1) | tr A-Z a-z) '$($(1))')

# Of VOLUMES=1 and the like; anything but 1 and 0 would be a guess about somebody's data.
yes = $(if $(filter-out 0 1,$($(1))),$(error $(1) is 1 or 0, not `$($(1))`),$(filter 1,$($(1))))
$(if $(filter-out compose embedded,$(ON)),$(error ON is compose or embedded, not `$(ON)`))

DOCKERFILES := microservices/Dockerfile nginx/Dockerfile postgres/Dockerfile postgres/etcd.Dockerfile compose/observability/Dockerfile

.DEFAULT_GOAL := help
.PHONY: help run branches demo-branches stop status logs test test-browser race controls lint audit \
	drill bench load flash-sale report lock venv dev-venv \
	python up down upgrade backup restore test-docker

help: ## List the commands
	@echo "make COMMAND [SETTING=value ...]     for instance: make run PORT=9080"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name text; do printf '  %-11s %s\n' "$$name" "$$text"; done

run: export FEIRA_STARTED := $(shell date +%s)
run: venv ## Install what is missing, start everything, print where it is; Ctrl-C ends it
	@exec $(VENV)/python -m local run

stop: ## End everything that runs in this clone
	@test ! -x $(VENV)/python || exec $(VENV)/python -m local stop

status: venv ## Show every process with its state and memory
	@exec $(VENV)/python -m local status

logs: venv ## Follow the logs of all processes, or of one: make logs P=orders
	@exec $(VENV)/python -m local logs $(P)

branches: export FEIRA_STARTED := $(shell date +%s)
branches: $(if $(filter compose,$(ON)),python,venv) ## Start several branches on this machine, each a whole shop that sells from its own stock: N=3 (ON=compose: in containers; then DOWN=1 removes them, VOLUMES=1: with their data)
	@exec $(if $(filter compose,$(ON)),$(PYTHON) -m local.compose,$(VENV)/python -m local) branches $(or $(N),3) \
		$(if $(filter compose,$(ON)),$(call option,PORT) $(if $(call yes,DOWN),--down) $(if $(call yes,VOLUMES),--volumes))

demo-branches: venv ## Play what branches do when they race, are cut off and are lied to, with figures
	@exec $(VENV)/python -m local demo-branches

audit: $(if $(filter compose,$(ON)),python,venv) ## Prove the stock and payment invariants of the running system (ON=compose: of `make up`; ALL=1: of all branches)
	@exec $(if $(filter compose,$(ON)),$(PYTHON) -m local.compose,$(VENV)/python -m local) audit \
		$(if $(call yes,ALL),--all)

# ON=compose breaks parts of the running system; without it the drill starts a stack of its own.
drill: venv ## Kill and cut off parts under load, with figures (ON=compose: of what `make up` started; KIND=, TIMES=, RATE=, FULL=1)
	@exec $(VENV)/python -m loadtests.drills $(if $(ON),--on $(ON)) $(if $(KIND),--kind '$(KIND)') \
		$(if $(TIMES),--times $(TIMES)) $(if $(RATE),--rate $(RATE)) $(if $(filter-out 0,$(FULL)),--full)

# The tests start hundreds of processes, which would each compile all that they load.
test test-browser race: export PYTHONDONTWRITEBYTECODE :=

# Outages are mostly waiting, so the tests are shared out to three processes with a stack each.
test: dev-venv ## Run every test that needs no Docker
	$(VENV)/python -m pytest --numprocesses 3 --dist worksteal --durations 25 --durations-min 3

# One process: the tests share a stack, and kill parts of it.
test-browser: dev-venv ## Try the shop and the console in Chromium (Debian: apt install chromium), with figures and screenshots in reports/
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { echo "error: no Chromium is there (apt install chromium, or CHROMIUM=its path); nothing of tests/browser was run: $$(ls tests/browser/test_*.py | xargs -n1 basename | xargs)" >&2; exit 1; }
	@$(PYTHON) local/install.py requirements/browser.txt
	FEIRA_BROWSER=1 $(VENV)/python -m pytest --durations 8 --timeout 90 tests/browser

race: dev-venv ## Prove the promises at full counts, then the audit; some of them: make race P=1,7
	@FEIRA_FULL=1 $(VENV)/python -m pytest -p tests.proof --timeout 3600 $(if $(P),--promises $(P)) \
		tests/race tests/outage tests/events tests/branches tests/async_orders tests/integration/test_events.py \
		tests/integration/test_time.py \
		tests/integration/test_traces.py tests/integration/test_backup.py \
		tests/cart/test_cart_race.py tests/cart/test_cart_outage.py \
		tests/cart/test_cart_contract.py::test_an_unused_cart_expires_on_time \
		tests/integration/test_load_programs.py::test_a_load_that_grows_finds_where_the_shop_is_saturated

controls: dev-venv ## Take each guard out of a copy and see its test fail; some of them: make controls C=if-match
	@$(VENV)/python -m tests.controls $(C)

bench: $(if $(PROFILE),dev-venv,venv) ## Measure speed and cost beside bare servers and judge the bars (TIME=2 ROUNDS=5 ONLY=purchase; PROFILE=1: where a purchase spends its time; GROWTH=1: what a million products, carts and orders change)
	@exec $(VENV)/python -m loadtests.bench$(if $(PROFILE),.profile)$(if $(GROWTH),.growth) $(foreach name,TIME ROUNDS CLIENTS ONLY SIZES,$(call option,$(name)))

flash-sale: venv ## Sell 1,000 units to 5,000 shoppers who come at once, and one row of stock beside pgbench (SHOPPERS=, UNITS=)
	@exec $(VENV)/python -m loadtests.flash_sale $(foreach name,SHOPPERS UNITS,$(call option,$(name)))

load: python ## Put shoppers on a running shop with locust's web page (HEADLESS=1 USERS=100 TIME=60s: a summary and thresholds; SHAPE=knee: until it is saturated; WORKERS=2, JOIN=host: from several machines)
	@$(PYTHON) local/install.py requirements/local.txt requirements/load.txt
	@exec $(VENV)/python -m loadtests.load $(if $(HEADLESS),--headless) $(foreach name,HOST USERS RATE TIME THINK THRESHOLDS SHAPE STAGE CLASSES OUT WORKERS JOIN,$(call option,$(name)))

report: dev-venv ## Measure all of this, draw it, and set it beside the report before, in about 8 minutes (DOCKER=1: in containers; ONLY=faults,...; LANG_REPORT=en)
	@exec $(VENV)/python -m loadtests.report $(if $(call yes,DOCKER),--on compose) \
		$(if $(LANG_REPORT),--language '$(LANG_REPORT)') $(foreach name,ONLY AGAIN,$(call option,$(name)))

lint: dev-venv ## Check style, types, who may import whom, and the Dockerfiles
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	PYTHONPATH=microservices $(VENV)/lint-imports
	@if [ -x $(VENV)/hadolint ]; then $(VENV)/hadolint $(DOCKERFILES) && echo "hadolint: clean"; \
		else echo "lint: SKIPPED hadolint, which is not there: $(DOCKERFILES)"; fi

venv: python ## Make .venv and install what `make run` needs
	@exec $(PYTHON) local/install.py requirements/local.txt

dev-venv: python ## The same with the tools of `make test` and `make lint`
	@exec $(PYTHON) local/install.py requirements/local.txt requirements/load.txt requirements/dev.txt

lock: venv ## Renew the locks in requirements/ from pyproject.toml (OPTIONS=--upgrade: newest)
	@test -x .venv/lock/bin/pip-compile || { $(PYTHON) -m venv --without-pip .venv/lock && \
		$(PYTHON) -m pip --python .venv/lock/bin/python install --quiet pip pip-tools; }
	$(COMPILE) -o requirements/services.txt pyproject.toml
	$(COMPILE) --extra kafka -c requirements/services.txt -o requirements/kafka.txt pyproject.toml
	$(COMPILE) --extra local -c requirements/services.txt -o requirements/local.txt pyproject.toml
	$(COMPILE) --extra local --extra load -c requirements/local.txt -o requirements/load.txt \
		pyproject.toml
	$(COMPILE) --extra local --extra load --extra report --extra kafka --extra dev -c requirements/load.txt \
		-o requirements/dev.txt pyproject.toml
	$(COMPILE) --extra browser -c requirements/dev.txt -o requirements/browser.txt pyproject.toml
	$(COMPILE) -c requirements/local.txt -o postgres/requirements.txt postgres/requirements.in

python:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not there: Feira needs Python 3.11 or newer (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Feira needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1) (make PYTHON=...)" >&2; exit 1; }

# Docker with Compose v2, and Python with nothing installed, is all that these two need.
up: python ## Build and start everything in containers, print where it is (BUS=kafka: with Kafka, OBSERVE=1: with Prometheus and Grafana)
	@exec $(PYTHON) -m local.compose up $(if $(BUS),--bus=$(BUS)) $(if $(OBSERVE),--observe=$(OBSERVE))

down: python ## Remove the containers and networks; VOLUMES=1: the data too
	@exec $(PYTHON) -m local.compose down $(if $(call yes,VOLUMES),--volumes)

upgrade: python ## Replace what runs in containers by the version in this clone, while the shop is open
	@exec $(PYTHON) -m local.compose upgrade

backup: $(if $(filter compose,$(ON)),python,venv) ## Copy everything into backups/ while the shop is open (ON=compose: of `make up`)
	@exec $(if $(filter compose,$(ON)),$(PYTHON) -m local.compose,$(VENV)/python -m local) backup "$(or $(TO),backups)"

restore: $(if $(filter compose,$(ON)),python,venv) ## Put a backup back: FROM=backups/... (FORCE=1: over data that is there; ON=compose: of `make up`)
	@test -n "$(FROM)" || { echo "error: which backup? make restore FROM=backups/..." >&2; exit 1; }
	@exec $(if $(filter compose,$(ON)),$(PYTHON) -m local.compose,$(VENV)/python -m local) restore "$(FROM)" \
		$(if $(call yes,FORCE),--force) $(if $(call yes,CLOSED),--closed)

test-docker: dev-venv ## Build the containers and prove them: a purchase, scaling, hardening, a drill of every kind
	@docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || { echo "error: no Docker engine with Compose v2 answers; nothing of tests/docker was run: $$(ls tests/docker/test_*.py | xargs -n1 basename | xargs)" >&2; exit 1; }
	FEIRA_DOCKER=1 $(VENV)/python -m pytest -v --numprocesses 2 --dist loadscope --durations 15 --timeout 900 tests/docker
