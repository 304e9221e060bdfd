#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# cluster.sh SCENARIO
#
# Runs `molecule test` for one scenario, keeps what it says in .build/cluster-SCENARIO.log, and notes whether all of its
# steps went well for tests/summary.py. Where they did not, shows the end of the log.
set -euo pipefail

scenario=$1
cd "$(dirname "$0")/.."
mkdir -p .build
log=.build/cluster-$scenario.log
rm -f .build/results/cluster-"$scenario"*

run() {
    # Molecule's own report has one line for each step of the scenario.
    if molecule test --scenario-name "$scenario" >"$log" 2>&1 </dev/null; then
        return 0
    fi
    tail -n 120 "$log"
    return 1
}
export -f run
export scenario log

status=0
tests/check.sh "cluster-$scenario" bash -c run || status=$?
# What the tests measured, and how many there were.
grep -hE '^ *"?(machine|keepalived) [a-z]+: |[0-9]+ (passed|failed).* in ' "$log" | sed 's/^ *"//; s/",\{0,1\}$//; s/^/        /' || true
exit "$status"
