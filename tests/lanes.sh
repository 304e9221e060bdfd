#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# lanes.sh COMMAND...
#
# Runs commands, two at a time, each begun as soon as one before it has ended: a cluster scenario waits for cron and for
# daemons half of its time. More at a time, and these waits run into the scenarios' own limits. Commands that begin with
# "nice " never wait, and yield to the others: they run one after the other beside the two. A command is one argument,
# its words separated by blanks. Says when each begins and ends, and at last shows what they printed, in the order of the
# arguments. Exits with 1 if one of them failed.
set -euo pipefail

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

# Which lane a command belongs in: nice or others.
lane_of() {
    lane=others
    [[ $1 != "nice "* ]] || lane="nice"
}

# Begins what its lane has room for.
begin_some() {
    local -A room=([nice]=1 [others]=2)
    local lane command later=()
    for command in "${names[@]}"; do
        lane_of "$command"
        room[$lane]=$((room[$lane] - 1))
    done
    for command in "${waiting[@]}"; do
        lane_of "$command"
        if [[ ${room[$lane]} -gt 0 ]]; then
            begin "$command"
            room[$lane]=$((room[$lane] - 1))
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
