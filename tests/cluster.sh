#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# cluster.sh SCENARIO
#
# Runs `molecule test` for one scenario, keeps its output in .build/cluster-SCENARIO.log, and notes for tests/summary.py
# whether all steps passed. If one failed, prints the end of the log. A step that molecule skips, because there is no
# default playbook for its kind, counts as a failure.
#
# A scenario that fails is run once more, and the output says so: these are real daemons with timeouts of their own, on
# machines of any speed and load. The log of the first try is kept in .build/cluster-SCENARIO.first.log.
set -euo pipefail

scenario=$1
cd "$(dirname "$0")/.."
mkdir -p .build
log=.build/cluster-$scenario.log
rm -f "${log%.log}.first.log"

export NO_COLOR=1 ANSIBLE_NOCOLOR=1 # the log is for reading

try() {
    rm -f .build/results/cluster-"$scenario"*
    # shellcheck disable=SC2016 # the variables are those of the inner shell
    tests/check.sh "cluster-$scenario" bash -c \
        'if ! molecule test --scenario-name "$1" >"$2" 2>&1 </dev/null; then tail -n 120 "$2"; exit 1; fi
         ! grep "Executed: Missing playbook" "$2"' - "$scenario" "$log"
}

status=0
if ! try; then
    cp "$log" "${log%.log}.first.log"
    echo "again   cluster-$scenario, which failed; its output is above"
    try || status=$?
fi
# What the tests measured (tests/cluster/measurement.py), and how many tests there were.
sed -nE 's/^ *"[.F]*(measured: (.*)|([0-9]+ (passed|failed).* in .*))",?$/        \2\3/p' "$log"
exit "$status"
