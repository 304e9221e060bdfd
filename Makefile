# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# Everything that one does with a checkout. `make help` lists it. Python packages go into .venv. `make test` and what starts
# containers install missing Debian packages with apt, as root; the other targets need neither, and say what they skip.
# All of it can be interrupted and run again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BUILD := .build
COLLECTION := $(BUILD)/ansible_collections/rcron/cluster
# Named after the pinned versions: another list makes another stamp, so the packages are installed again.
INSTALLED := $(VENV)/installed-$(shell sha256sum requirements-dev.lock | cut -c1-12)

export PYTHON
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL := C.UTF-8
export ANSIBLE_HOME := $(CURDIR)/$(BUILD)/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/$(BUILD)
# How the inventories in molecule/ reach their nodes.
export ANSIBLE_CONNECTION_PLUGINS := $(CURDIR)/molecule/shared/connection
export MOLECULE_GLOB := molecule/*/molecule.yml

# What a cluster of containers needs of this machine, and what some tests need besides: WHAT:PACKAGE (system_packages.sh).
FOR_CONTAINERS := podman:podman runc:runc nft:nftables iptables:iptables mmdebstrap:mmdebstrap \
    /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring /usr/lib*/podman/netavark:netavark \
    ssh:openssh-client
FOR_TESTS := python=ensurepip:python3-venv shellcheck:shellcheck chronic:moreutils perl:perl groff:groff-base promtool:prometheus \
    lintian:lintian rpmbuild:rpm rpmlint:rpmlint chromium:chromium npm:npm

# Real engines with their client libraries, for Debian's own Python.
POSTGRESQL := /usr/lib/postgresql/*/bin
FOR_RACES := etcd:etcd-server redis-server:redis-server redis-cli:redis-tools $(POSTGRESQL)/pg_basebackup:postgresql \
    python=psycopg2:python3-psycopg2 python=redis:python3-redis

# The longest first, so that the last two end at about the same time.
LONGEST := default suites lifecycle ucarp lease pacemaker
FOUND := $(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml))
SCENARIOS := $(LONGEST) $(filter-out $(LONGEST),$(FOUND))
SHELL_SCRIPTS = .ci/run .ci/release packaging/debian/preinst $(wildcard packaging/debian/*/p*) molecule/shared/files/record molecule/shared/files/list-files $(shell git ls-files '*.sh')

.PHONY: help
help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

.PHONY: test
test: all-packages $(INSTALLED) $(COLLECTION) ## All checks, more than an hour on two cores; the last line is their sum
	@RCRON_REQUIRE_ALL=1 tests/all.sh $(SCENARIOS)

.PHONY: test-long
test-long: all-packages $(INSTALLED) $(COLLECTION) ## What does not fit into `make test`, hours (PARTS="soak claims lease fuzz load faults alerts lifecycle pythons user"); writes tests/long/*.txt
	@tests/long.sh $(PARTS)

.PHONY: lint
lint: $(INSTALLED) $(COLLECTION) ## Formatting, types, style, licences, changelog, documentation, Galaxy's importer
	@echo "lint: formatting, types and style of all sources"
	@failed=0; \
	tests/check.sh ruff-check ruff check . || failed=1; \
	tests/check.sh ruff-format ruff format --check . || failed=1; \
	tests/check.sh mypy mypy || failed=1; \
	tests/check.sh yamllint yamllint --strict . || failed=1; \
	tests/check.sh ansible-lint ansible-lint --offline || failed=1; \
	if command -v shellcheck >/dev/null; then tests/check.sh shellcheck shellcheck $(SHELL_SCRIPTS) || failed=1; \
	else echo "skipped shellcheck: it is not installed (Debian's package shellcheck)"; fi; \
	tests/check.sh licences reuse lint-file --lines $$(git ls-files) || failed=1; \
	tests/check.sh changelog antsibull-changelog lint || failed=1; \
	tests/check.sh collection-build tests/published.sh build || failed=1; \
	for check in docs-lint docs importer; do tests/check.sh $$check tests/published.sh $$check || failed=1; done; \
	exit $$failed

.PHONY: docs
docs: $(INSTALLED) ## docs/, the manual pages and the reference of modules, filters and roles as HTML in .build/docs
	@tests/published.sh build >/dev/null
	@tests/published.sh docs
	@echo "docs: $(BUILD)/docs/index.html"

.PHONY: unit
unit: $(INSTALLED) $(COLLECTION) ## pytest of the wrapper and the collection's Python
	@echo "unit: pytest of the wrapper and of the collection's Python"
	@mkdir -p $(BUILD)/results
	@failed=0; \
	pytest -q --junit-xml=$(BUILD)/results/unit.xml tests/unit || failed=1; \
	tests/pythons.sh || failed=1; \
	exit $$failed

.PHONY: pythons
pythons: $(INSTALLED) $(COLLECTION) ## The wrapper's unit tests with every Python from 3.9 to 3.14 that is here
	@mkdir -p $(BUILD)/results
	@tests/pythons.sh all

.PHONY: sanity
sanity: $(INSTALLED) ## ansible-test sanity
	@echo "sanity: ansible-test sanity of the collection"
	@tests/check.sh sanity tests/sanity.sh

# The law's hundreds of commands (test_crontab_law) are left out: what they add is proof, not coverage.
.PHONY: coverage
coverage: $(INSTALLED) $(COLLECTION) ## Branch coverage of rcron/ and plugins/ by the unit tests; at least 95 %
	@mkdir -p $(BUILD)/coverage && rm -f $(BUILD)/coverage/*
	@RCRON_COVERAGE=$(CURDIR)/pyproject.toml coverage run -m pytest -q -m "not unmeasured" \
	    --ignore=tests/unit/plugins/module_utils/test_crontab_law.py tests/unit
	@coverage combine --quiet && coverage report

.PHONY: newest
newest: $(INSTALLED) $(COLLECTION) ## The plugins' unit tests and ansible-test sanity on the newest ansible-core, if a Python 3.13 is here
	@failed=0; \
	tests/newest.sh unit || failed=1; \
	tests/check.sh sanity-newest tests/newest.sh sanity || failed=1; \
	exit $$failed

.PHONY: cluster
cluster: $(INSTALLED) $(COLLECTION) containers ## Clusters of containers that boot, run cron and fail over (Molecule)
	@echo "cluster: Molecule scenarios $(SCENARIOS)"
	@tests/lanes.sh $(foreach scenario,$(SCENARIOS),"tests/cluster.sh $(scenario)")

# A finding is printed with the command that repeats it. Inputs that reached new code are kept in .build/fuzz, and the
# next run begins with them.
fuzz: SECONDS ?= 300
.PHONY: fuzz
fuzz: $(INSTALLED) ## SECONDS=300: hostile input for all that reads any, SECONDS for each of SUBJECTS, from SEED on
	@nice python -m tests.fuzz long --seconds $(SECONDS) --seed $(or $(SEED),$(shell date +%s)) $(SUBJECTS)

.PHONY: fuzz-short
fuzz-short: $(INSTALLED) ## The same for a fixed number of inputs, the same ones each time
	@echo "fuzz: hostile input for all that reads any"
	@tests/check.sh fuzz python -m tests.fuzz short

.PHONY: man
man: $(INSTALLED) ## The man pages, man/*.8 and man/*.5, from their sources beside them
	@$(VENV)/bin/python -m man.build

# After a change of a version in requirements-*.txt or tests/unit/rcron/requirements.txt.
.PHONY: lock
lock: $(INSTALLED) ## The .lock files: all packages that the pinned ones need, with hashes
	@tests/lock.sh

.PHONY: bench
bench: $(INSTALLED) $(COLLECTION) ## Time and size of rcron beside a bare Python, of the agent, of claims, of prefixing, of a deployment, and of a page
	@failed=0; for report in wrapper agent claims crontab deployment page; do python tests/bench/$$report.py || failed=1; done; exit $$failed

# One fault every few seconds; SECONDS= of them, and SEED= says which. CLAIMS=yes has each run claimed in an etcd on the nodes. Results of long runs: tests/soak/README.md
soak: SECONDS ?= 600
.PHONY: soak
soak: $(INSTALLED) $(COLLECTION) containers ## SECONDS=600 SEED=… CLAIMS=yes: three nodes in faults: no run lost or doubled without a known cause
	@python tests/soak/soak.py --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(CLAIMS),--claims)

.PHONY: races
races: ## Real etcd, PostgreSQL and Redis (ENGINES="etcd redis"): claimers race while servers fail, ten minutes
	@PYTHON=/usr/bin/python3 tests/system_packages.sh $(FOR_RACES)
	@PATH="$$(printf '%s\n' $(POSTGRESQL) | tail -n 1):$$PATH" /usr/bin/python3 tests/engines/races.py $(ENGINES)

.PHONY: load
load: $(INSTALLED) $(COLLECTION) containers ## 500 entries due in one minute on three nodes, 2,000 waiting jobs: half an hour
	@$(VENV)/bin/python tests/bench/load.py

.PHONY: alerts
alerts: $(INSTALLED) $(COLLECTION) containers ## The alerts that take minutes to fire and to be resolved, with a real Prometheus
	@trap 'molecule destroy -s default >/dev/null 2>&1' EXIT; molecule converge -s default && \
	ansible-playbook --inventory molecule/default/inventory molecule/default/metrics.yml molecule/default/verify_slow_alerts.yml

.PHONY: demo
demo: $(INSTALLED) $(COLLECTION) containers ## FEEDER=keepalived|lease: three nodes, a deployment, a failover; leaves the cluster up
	@$(VENV)/bin/python molecule/demo/demo.py $(FEEDER)

.PHONY: demo-stop
demo-stop: ## Remove what `make demo` left up
	@molecule/demo/stop.sh

.PHONY: tarball
tarball: ## rcron-VERSION.tar.gz in .build: rcron for hosts without Ansible, with packaging/install.py
	@packaging/tarball.sh $(BUILD)
	@echo "tarball: $(BUILD)/rcron-$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' rcron/__init__.py).tar.gz"

# The .rpm's are made of the .deb's.
.PHONY: packages
packages: ## Packages in .build: rcron, rcron-agent and rcron-metrics, as .deb and, if rpmbuild is here, as .rpm
	@packaging/deb.sh $(BUILD)
	@echo "packages: $$(cd $(BUILD) && ls rcron*_$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' $(CURDIR)/rcron/__init__.py)_all.deb | paste -sd' ') in $(BUILD)"
	@if command -v rpmbuild >/dev/null; then packaging/rpm.sh $(BUILD); \
	else echo "skipped the .rpm: rpmbuild is not installed (Debian's package rpm)"; fi

# Checks everything that a release must be before it makes it; the tag is pushed by hand.
.PHONY: release
release: $(INSTALLED) $(COLLECTION) ## VERSION=1.2.3: set the version, write the changelog, check all, build, commit, tag
	@.ci/release "$(VERSION)"

.PHONY: clean
clean: demo-stop ## Remove .venv, caches and build output
	rm -rf $(VENV) $(BUILD) .ansible .hypothesis .*_cache *.egg-info rcron-cluster-*.tar.gz rcron-[0-9]*.tar.gz rcron*.deb rcron*.rpm rcron-*.sha256 rcron-*.cdx.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: containers
containers:
	@tests/system_packages.sh $(FOR_CONTAINERS)

# In one list, which is printed before the first of them is installed.
.PHONY: all-packages
all-packages:
	@tests/system_packages.sh $(FOR_CONTAINERS) $(FOR_TESTS)

# The checkout under its collection's name, as Ansible looks for it.
$(COLLECTION):
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR) $@

# Without prerequisites: what counts is the list's content, which the stamp's name holds, not the age of a checkout's file.
$(INSTALLED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1 || true); Python 3.11 or newer is needed (make PYTHON=… names another)" >&2; exit 1; }
	@[[ -x $(VENV)/bin/pip ]] || $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	    { echo "$(PYTHON) cannot make a virtual environment: its module ensurepip is missing (Debian's package python3-venv)" >&2; exit 1; }
	@[[ -x $(VENV)/bin/pip ]] || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV)"
	@tests/install.sh $(VENV) requirements-dev.lock
	@rm -f $(VENV)/installed-*
	@touch $@
