#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# long.sh [PART...]
#
# Runs, one after the other, what does not fit into `make test`; without an argument all parts:
#   soak      three nodes under faults for SOAK seconds (1000)
#   claims    the same with each run claimed in an etcd on the nodes
#   lease     a lease that changes hands FAILOVERS times (500), under faults, with claimed jobs
#   fuzz      hostile input for FUZZ seconds a subject (300)
#   load      500 entries due in one minute, half an hour
#   faults    all faults of each feeder, TRIES times each (3), with all else that their scenarios try
#   alerts    those that take minutes to fire and to be resolved, with a real Prometheus
#   lifecycle hosts, jobs and feeders that come and go through a whole year, over real ssh
#   pythons   the wrapper's unit tests with every Python that is here
#   user      the commands of README.md, docs/ledger.md and docs/install.md, as a new user runs them
# Their output is shown, and kept in .build/long. tests/long/PART.txt gets each part's result with the date, the commit and the
# number of cores, and is committed as the last result of that part. Exits with 1 if one of them failed, with 64 for a part that
# there is not.
set -uo pipefail

cd "$(dirname "$0")/.." || exit
mkdir -p .build/long tests/long
failed=0

run() {
    local name=$1 outcome=passed start=$SECONDS draft
    shift
    draft=$(mktemp ".build/long/$name-XXXXXX") || exit
    printf '\n%s: %s\n' "$name" "$*"
    "$@" 2>&1 </dev/null | tee ".build/long/$name" || outcome=failed
    [[ $outcome == passed ]] || failed=1
    {
        printf '%s  %s\n' "$outcome" "$*"
        printf '%s, %s s, commit %s, %s cores\n\n' "$(date -u +%F)" "$((SECONDS - start))" "$(git rev-parse --short HEAD)" "$(nproc)"
        tail -n 60 ".build/long/$name" | sed 's/ *$//'
    } >"$draft"
    chmod 644 "$draft"
    mv "$draft" "tests/long/$name.txt"
}

parts=("$@")
[[ $# -gt 0 ]] || parts=(soak claims lease fuzz load faults alerts lifecycle pythons user)
for part in "${parts[@]}"; do
    [[ $part =~ ^(soak|claims|lease|fuzz|load|faults|alerts|lifecycle|pythons|user)$ ]] || {
        echo "long.sh: unknown part \"$part\"; the parts are soak, claims, lease, fuzz, load, faults, alerts, lifecycle, pythons and user" >&2
        exit 64
    }
done
for part in "${parts[@]}"; do
    case $part in
    soak) run soak make soak SECONDS="${SOAK:-1000}" SEED="${SEED:-13}" ;;
    claims) run claims make soak SECONDS="${SOAK:-1000}" SEED="${SEED:-14}" CLAIMS=yes ;;
    lease) run lease env RCRON_LEASE_TTL=5 python3 tests/engines/lease_soak.py "${FAILOVERS:-500}" "${SEED:-1}" ;;
    fuzz) run fuzz make fuzz SECONDS="${FUZZ:-300}" ;;
    load) run load make load ;;
    faults) run faults env RCRON_TRIES="${TRIES:-3}" make cluster SCENARIOS="keepalived pacemaker patroni heartbeat ucarp lease" ;;
    alerts) run alerts make alerts ;;
    lifecycle) run lifecycle env RCRON_TRIES=2 make cluster SCENARIOS=lifecycle ;;
    pythons) run pythons make pythons ;;
    user) run user python tests/new_user.py ;;
    esac
done
exit "$failed"
