#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# check.sh NAME COMMAND [ARG...]
#
# Runs one check that is not a pytest run, shows its output only if it fails, and notes its outcome in
# .build/results/NAME.result for tests/summary.py. Exits with the command's status.
set -uo pipefail

name=$1
shift
results=$(cd "$(dirname "$0")/.." && pwd)/.build/results
mkdir -p "$results"

start=$SECONDS
output=$("$@" 2>&1)
status=$?
if [[ $status -eq 0 ]]; then
    outcome=passed
else
    outcome=failed
    printf '%s\n' "$output"
fi
printf '%-6s  %s (%s s)\n' "$outcome" "$name" "$((SECONDS - start))"
echo "$outcome" >"$results/$name.result"
exit "$status"
