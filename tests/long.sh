#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# long.sh
#
# Runs, one after the other, what does not fit into `make test`: the soak for SOAK seconds (1000), fuzzing for FUZZ seconds a
# subject (300), and the load (half an hour). Their output is shown, and kept in .build/long; tests/long.txt gets the result of
# each and the machine that it was reached on, and is committed as the last result. Exits with 1 if one of them failed.
set -uo pipefail

cd "$(dirname "$0")/.." || exit
soak=${SOAK:-1000} fuzz=${FUZZ:-300}
result=tests/long.txt
mkdir -p .build/long
failed=0

run() {
    local name=$1 outcome=passed start=$SECONDS
    shift
    printf '\n%s: %s\n' "$name" "$*"
    "$@" 2>&1 </dev/null | tee ".build/long/$name" || outcome=failed
    [[ $outcome == passed ]] || failed=1
    printf '\n%s  %s (%s s): %s\n\n' "$outcome" "$name" "$((SECONDS - start))" "$*" >>"$draft"
    tail -n 60 ".build/long/$name" | sed 's/^/    /; s/ *$//' >>"$draft"
}

draft=$(mktemp .build/long/result-XXXXXX)
trap 'rm -f "$draft"' EXIT
printf 'make test-long, %s, commit %s, %s cores\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$(nproc)" >"$draft"
run soak make soak SECONDS="$soak" SEED="${SEED:-13}"
run fuzz make fuzz SECONDS="$fuzz"
run load make load
chmod 644 "$draft"
mv "$draft" "$result"
exit "$failed"
