#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# lanes.sh COMMAND...
#
# Runs commands, two at a time, each begun as soon as one before it has ended: a cluster scenario waits for cron and for
# daemons half of its time. More at a time, and these waits run into the scenarios' own limits. A command is one argument,
# its words separated by blanks. Says when each begins and ends, and at last shows what they printed, in the order of the
# arguments. Exits with 1 if one of them failed.
set -euo pipefail

lanes=2
cd "$(dirname "$0")/.."
mkdir -p .build/lanes

declare -A names=() # by the pid of those that run, which is their process group too
failed=0

# Each runs in a process group of its own, so that all that it has started can be ended with it.
set -m
trap 'for pid in "${!names[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done; exit 130' INT TERM

begin() {
    local words
    read -ra words <<<"$1"
    "${words[@]}" >".build/lanes/${1//[ \/]/-}" 2>&1 </dev/null &
    names[$!]=$1
    printf '%4d s  %s begins\n' "$SECONDS" "$1"
}

end_one() {
    local pid outcome=passed
    wait -n -p pid "${!names[@]}" || outcome=failed
    [[ $outcome == passed ]] || failed=1
    printf '%4d s  %s %s\n' "$SECONDS" "${names[$pid]}" "$outcome"
    unset "names[$pid]"
}

for command; do
    [[ ${#names[@]} -lt $lanes ]] || end_one
    begin "$command"
done
while [[ ${#names[@]} -gt 0 ]]; do
    end_one
done

for command; do
    echo
    cat ".build/lanes/${command//[ \/]/-}"
done
exit "$failed"
