# Everything that is done with this checkout. `make help` lists the targets; each sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
export PYTHONPATH := operator:hack

# What a user may give: KEEP=1 leaves the demo running; QUICK=1 benchmarks little, FRESH=1 without what an interrupted
# run has left; KUBECONFIG_FILE=F tests on that cluster instead of a local one; SEED, MINUTES and REPORT of `make chaos`.
KEEP ?=
QUICK ?=
FRESH ?=
KUBECONFIG_FILE ?=
SEED ?= 0
MINUTES ?= 30
REPORT ?=
PYTEST_ARGS ?=

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: give another one, as in make setup PYTHON=python3.12")'
	@echo "Setting up $(VENV): about a minute, once"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What the scripts beside the checkout need that make the problems which all solvers are compared on.
PEERS := $(wildcard ../shared/peers/make_problem.py)
PEERS_VENV := .venv-peers
MOTO_VENV := .venv-moto
RESULTS := benchmarks/results$(if $(QUICK),/quick)

$(PEERS_VENV)/.ready: requirements/bench.txt
	@echo "Setting up $(PEERS_VENV): half a minute, once"
	@$(PYTHON) -m venv $(PEERS_VENV)
	@$(PEERS_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

$(MOTO_VENV)/.ready: requirements/moto.txt
	@echo "Setting up $(MOTO_VENV): half a minute, once"
	@$(PYTHON) -m venv $(MOTO_VENV)
	@$(MOTO_VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/moto.txt
	@touch $@

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.ready ## Make .venv with all that is needed

.PHONY: controlplane
controlplane: setup ## Build the local cluster's parts (once, about 15 minutes on 2 cores)
	@$(RUN) -m localcluster build
	@$(RUN) -m localcluster build helm schedulercheck

.PHONY: compiled
compiled: setup
	@echo "Compiling the planner: two minutes the first time, else a second"
	@$(RUN) -c "from spotkube.planner.warmup import warm_up; warm_up()"

.PHONY: demo
demo: setup ## See it work on a local cluster: buy nodes, survive a spot termination (KEEP=1 leaves it running)
	@$(RUN) -m demo $(if $(KEEP),--keep)

.PHONY: demo-trace
demo-trace: setup ## The same with the 1,088 CPU pods of a production trace (needs ../shared/data)
	@$(RUN) -m demo --trace openb $(if $(KEEP),--keep)

.PHONY: demo-kind
demo-kind: setup ## The same on a kind cluster, for those who have Docker and kind
	@$(RUN) -m demo --kind $(if $(KEEP),--keep)

.PHONY: cluster
cluster: setup ## Run an empty local cluster until Ctrl-C
	@$(RUN) -m localcluster up

.PHONY: test
test: setup ## Check and test everything (KUBECONFIG_FILE=F: on that cluster)
	@$(MAKE) --no-print-directory --jobs=2 compiled lint $(MOTO_VENV)/.ready
	@$(MAKE) --no-print-directory controlplane
	@hack/test-all $(RUN) $(if $(KUBECONFIG_FILE),--kubeconfig $(KUBECONFIG_FILE)) $(PYTEST_ARGS)

.PHONY: test-scale
test-scale: controlplane compiled ## Land 5,000 pods on a local cluster (some minutes; not part of make test)
	$(RUN) -m pytest -s -m slow tests/e2e $(PYTEST_ARGS)

.PHONY: chaos
chaos: controlplane compiled ## Kill, stop and disturb whole operators (SEED=0 MINUTES=30 REPORT=F: a JSON report)
	CHAOS_SEED=$(SEED) CHAOS_MINUTES=$(MINUTES) CHAOS_REPORT=$(REPORT) $(RUN) -m pytest -s tests/chaos $(PYTEST_ARGS)

.PHONY: test-unit
test-unit: compiled $(MOTO_VENV)/.ready ## Only what needs no cluster
	$(RUN) -m pytest tests/unit tests/property $(PYTEST_ARGS)

.PHONY: differential
differential: compiled ## Have kube-scheduler judge the plans of 1,000 drawn clusters (about 5 minutes)
	PYTHONPATH=$(PYTHONPATH):tests $(RUN) -m differential

.PHONY: bench
bench: compiled peers ## Measure cost, search, scale, decisions and moves beside peers, write docs/benchmarks.md (40 minutes on 2 quiet cores; QUICK=1: 4)
	@mkdir -p $(RESULTS)
	@if [ -e $(RESULTS)/.unfinished ] && [ -z "$(FRESH)" ]; then echo "Going on with the run that was interrupted (FRESH=1 begins anew)"; \
	else touch $(RESULTS)/.unfinished && rm -f $(RESULTS)/*.json; fi
	$(RUN) benchmarks/cost.py --resume $(if $(QUICK),--quick)
	$(RUN) benchmarks/search.py --resume $(if $(QUICK),--quick)
	$(RUN) benchmarks/scale.py --resume $(if $(QUICK),--quick)
	$(RUN) benchmarks/decision.py --resume $(if $(QUICK),--quick)
	$(RUN) benchmarks/moves.py --resume $(if $(QUICK),--quick)
	$(RUN) benchmarks/page.py $(if $(QUICK),--quick)
	@rm $(RESULTS)/.unfinished

.PHONY: bench-live
bench-live: compiled controlplane peers ## Measure whole operators on real control planes beside Karpenter (5 minutes; QUICK=1: 2)
	@mkdir -p $(RESULTS)
	$(RUN) benchmarks/end_to_end.py $(if $(QUICK),--quick)
	$(RUN) benchmarks/page.py $(if $(QUICK),--quick)

.PHONY: peers
peers: $(if $(PEERS),$(PEERS_VENV)/.ready)
	@$(if $(PEERS),:,echo "../shared/peers is not here: problems are drawn by ourselves and Karpenter is left out")

.PHONY: lint
lint: setup ## ruff, mypy, the layers, and whether generated files are up to date
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m spotkube.api.crds --check

.PHONY: format
format: setup ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: generate
generate: setup ## Write anew what is generated from code: CRDs and reference pages
	$(RUN) -m spotkube.api.crds --write crds
	$(RUN) -m spotkube.api.crds --write helm/spotkube/crds
	$(RUN) -m spotkube.api.reference --write docs/reference
	$(RUN) -m spotkube.metrics > docs/reference/metrics.md
	$(RUN) -m spotkube.settings > docs/reference/configuration.md

.PHONY: lock
lock: ## Compile the requirements files with hashes anew (needs uv)
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.txt
	uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt
	uv pip compile -q --group bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/bench.txt
	uv pip compile -q --group moto --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/moto.txt

.PHONY: clean
clean: ## Remove .venv and caches of this checkout
	rm -rf $(VENV) $(PEERS_VENV) $(MOTO_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
