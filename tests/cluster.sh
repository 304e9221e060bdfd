#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# cluster.sh SCENARIO
#
# Runs `molecule test` for one scenario, keeps what it says in .build/cluster-SCENARIO.log, and notes whether all of its
# steps went well for tests/summary.py. Where they did not, shows the end of the log. A step that molecule passes over, since
# molecule.yml names no default playbook for its kind, is a failure.
#
# A scenario that fails is run once more, and that is said: these are real daemons with time-outs of their own, on whatever
# machine and under whatever load. What the first try said stays in .build/cluster-SCENARIO.first.log.
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
    echo "again   cluster-$scenario, which failed as told above"
    try || status=$?
fi
# What the tests measured, and how many there were.
grep -hE '^ *"([.F]*(machine|network|heartbeat|keepalived|pacemaker|patroni) [a-z]+: |[.F]*ucarp [^:]+: |[0-9]+ (passed|failed).* in )' "$log" | sed 's/^ *"[.F]*//; s/",\{0,1\}$//; s/^/        /' || true
exit "$status"
