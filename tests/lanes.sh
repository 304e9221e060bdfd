#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# lanes.sh [--beside COMMAND] COMMAND...
#
# Runs commands, two at a time, each begun as soon as one before it has ended: a cluster scenario waits for cron and for
# daemons half of its time. More at a time, and these waits run into the scenarios' own limits. Commands that begin with
# "nice " never wait, and yield to the others: they run one after the other beside the two. A command is one argument,
# its words separated by blanks. Says when each begins and ends, and at last shows what they printed, in the order of the
# arguments. Exits with 1 if one of them failed. The command after --beside starts at once, and until it has ended there is
# one lane fewer: one that a busy machine disturbs less than the scenarios, but not one that takes no more than its share.
set -euo pipefail

beside=
if [[ ${1:-} == --beside ]]; then
    beside=$2
    shift
fi
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

# Which lane a command belongs in: beside, nice or others.
lane_of() {
    if [[ $1 == "$beside" ]]; then
        lane=beside
    elif [[ $1 == "nice "* ]]; then
        lane="nice"
    else
        lane=others
    fi
}

# Begins what its lane has room for.
begin_some() {
    local -A running=([beside]=0 [nice]=0 [others]=0)
    local lane room command later=()
    for command in "${names[@]}"; do
        lane_of "$command"
        running[$lane]=$((running[$lane] + 1))
    done
    for command in "${waiting[@]}"; do
        lane_of "$command"
        room=1
        [[ $lane != others ]] || room=$((2 - running[beside]))
        if [[ ${running[$lane]} -lt $room ]]; then
            begin "$command"
            running[$lane]=$((running[$lane] + 1))
        else
            later+=("$command")
        fi
    done
    waiting=("${later[@]}")
}

waiting=("$@")
begin_some
while [[ ${#names[@]} -gt 0 ]]; do
    end_one
    begin_some
done

for command; do
    echo
    cat ".build/lanes/${command//[ \/]/-}"
done
exit "$failed"
