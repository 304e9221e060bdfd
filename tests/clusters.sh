#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# clusters.sh SCENARIO...
#
# Runs Molecule scenarios at the same time, because each waits for cron most of its time, and shows what each has to say
# when it is through. Exits with 0 where all went well.
set -euo pipefail

cd "$(dirname "$0")/.."
mkdir -p .build

jobs=()
trap 'for job in "${jobs[@]}"; do kill -TERM -- "-$job" 2>/dev/null || true; done; exit 130' INT TERM

set -m # each gets a process group, so that all of it can be ended
for scenario in "$@"; do
    tests/cluster.sh "$scenario" >".build/cluster-$scenario.output" 2>&1 </dev/null &
    jobs+=($!)
done
set +m

status=0
for number in "${!jobs[@]}"; do
    wait "${jobs[number]}" || status=1
    scenario=$((number + 1))
    cat ".build/cluster-${!scenario}.output"
done
exit "$status"
