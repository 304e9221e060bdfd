#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# all.sh SCENARIO...
#
# Runs all checks, as many at a time as lanes.sh allows, and ends with one line that sums them up. The
# scenarios are begun in the order given; lint, sanity and the fuzz, which never wait, run at a lower priority.
set -euo pipefail

cd "$(dirname "$0")/.."
rm -rf .build/results

clusters=("${@/#/tests/cluster.sh }")
tests/lanes.sh "nice make lint" "${clusters[@]:0:1}" "make unit" "nice make sanity" "nice make newest" "nice make fuzz-short" \
    "${clusters[@]:1}" ||
    [[ $? -eq 1 ]] # what has failed stands in the results; an interruption ends this too

echo
python tests/summary.py ruff-check ruff-format mypy yamllint ansible-lint shellcheck licences changelog collection-build \
    docs-lint docs importer unit sanity sanity-newest fuzz "${@/#/cluster-}"
