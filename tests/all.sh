#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# all.sh SCENARIO...
#
# Runs all checks and ends with one line that sums them up. The cluster scenarios, which wait for cron most of their time,
# run one after the other beside the other checks; what they say is shown after those.
set -euo pipefail

cd "$(dirname "$0")/.."
results=.build/results
output=.build/cluster.output
rm -rf "$results"
mkdir -p "$results"

set -m # the background job gets a process group, so that all of it can be ended
make cluster >"$output" 2>&1 &
cluster=$!
set +m
end_cluster() {
    kill -TERM -- "-$cluster" 2>/dev/null || true
}
trap 'end_cluster; exit 130' INT TERM

echo "Running the cluster scenarios ($*) beside the checks that follow"
for check in lint unit sanity; do
    echo
    make "$check" || true
done

echo
echo "Waiting for the cluster scenarios; .build/cluster-*.log grows meanwhile"
wait "$cluster" || true
cat "$output"

echo
python tests/summary.py ruff-check ruff-format mypy yamllint ansible-lint shellcheck unit sanity "${@/#/cluster-}"
