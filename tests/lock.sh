#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# lock.sh (make lock)
#
# Writes for each list of pinned versions, X.txt, the file X.lock: all packages that these need, of any Python that may run
# them, with the hashes of all their files. Installations read the .lock files (tests/install.sh). What ansible-test installs
# for itself is pinned inside ansible-core: its lists come from there.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# OLDEST-PYTHON SOURCE LOCK
lock() {
    {
        printf '# Copyright (c) 2026 The rcron maintainers\n# SPDX-License-Identifier: MIT\n#\n'
        # shellcheck disable=SC2016 # a word, not a command
        printf '# Written by `make lock`, out of %s.\n' "${4:-$2}"
        # Only the versions that are locked already where they still fit, and no word about where the files come from.
        if [[ -e $3 ]]; then cp "$3" "$work/lock"; else rm -f "$work/lock"; fi
        uv pip compile --quiet --no-config --universal --python-version "$1" --generate-hashes --no-header --no-annotate \
            --no-emit-index-url --no-emit-find-links --output-file "$work/lock" "$2" >/dev/null
        cat "$work/lock"
    } >"$work/new"
    cp "$work/new" "$3"
    echo "lock: $3, $(grep -c == "$3") packages"
}

lock 3.11 requirements-dev.txt requirements-dev.lock
lock 3.13 requirements-newest.txt requirements-newest.lock
lock 3.9 tests/unit/rcron/requirements.txt tests/unit/rcron/requirements.lock
for list in requirements-dev.txt requirements-newest.txt; do
    version=$(sed -n 's/^ansible-core==\([0-9.]*\).*/\1/p' "$list")
    core=$work/core-$version
    .venv/bin/pip -qq --disable-pip-version-check install --no-deps --target "$core" --ignore-requires-python \
        --only-binary :all: --require-hashes -r <(awk '/^ansible-core==/ { found = 1 } found { print; if (!/\\$/) exit }' "${list%.txt}.lock")
    {
        cat "$core"/ansible_test/_data/requirements/sanity.*.txt
        sed -n "s/^ *pip='\([0-9.]*\)',/pip==\1/p" "$core/ansible_test/_internal/python_requirements.py"
    } | grep -v '^#' | sort -u >"$work/sanity.txt"
    lock 3.11 "$work/sanity.txt" "tests/sanity/requirements-${version%.*}.lock" "ansible-core $version"
done
