#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# pythons.sh [all]
#
# Runs the wrapper's unit tests, the feeders' aside, with the oldest and the newest Python of this machine from 3.9 to 3.14
# that is not .venv's own, or with all of them: two at once, since those tests wait more than they work. They find pytest in
# a folder in .build. If the machine has no other Python, it says so in one line and succeeds.
set -uo pipefail

cd "$(dirname "$0")/.." || exit
own=$(.venv/bin/python -c 'import sys; print(sys.version_info[1])')
declare -A found
for python in "$HOME"/.pyenv/versions/*/bin/python3 /usr/bin/python3.[0-9]* /usr/local/bin/python3.[0-9]*; do
    minor=$("$python" -ISc 'import sys; print(sys.version_info[1])' 2>/dev/null) || continue
    [[ $minor -ge 9 && $minor -le 14 && $minor -ne $own ]] && found[$minor]=$python
done
if [[ ${#found[@]} -eq 0 ]]; then
    echo "skipped  the wrapper's tests with other Pythons than 3.$own: none from 3.9 to 3.14 is here"
    exit 0
fi
# shellcheck disable=SC2207 # numbers, one a line
minors=($(printf '%s\n' "${!found[@]}" | sort -n))
[[ ${1:-} == all || ${#minors[@]} -lt 2 ]] || minors=("${minors[0]}" "${minors[-1]}")

requirements=tests/unit/rcron/requirements.lock
packages=.build/pythons-$(sha256sum $requirements | cut -c1-12)
if [[ ! -d $packages ]]; then
    draft=$(mktemp -d .build/pythons-XXXXXX)
    .venv/bin/pip -qq --disable-pip-version-check install --target "$draft" --no-deps --python-version 3.9 \
        --only-binary :all: --require-hashes -r $requirements && mv -T "$draft" "$packages" || exit 1
fi

begin() {
    PYTHONPATH=$packages PYTHONDONTWRITEBYTECODE=1 "${found[$1]}" -m pytest -q -p no:cacheprovider \
        --junit-xml=".build/results/unit-python3.$1.xml" tests/unit/rcron/test_*.py >".build/results/unit-python3.$1.log" 2>&1 &
    runs[$1]=$!
}

end() {
    local log=.build/results/unit-python3.$1.log
    if wait "${runs[$1]}"; then
        echo "python3.$1: $(tail -n 1 "$log")"
    else
        failed=1
        cat "$log"
    fi
    rm "$log" # only results are counted there
}

declare -A runs
failed=0
for at in "${!minors[@]}"; do
    [[ $at -lt 2 ]] || end "${minors[at - 2]}"
    begin "${minors[at]}"
done
last=$((${#minors[@]} > 2 ? ${#minors[@]} - 2 : 0))
for minor in "${minors[@]:last}"; do
    end "$minor"
done
exit "$failed"
