#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# install.sh ENVIRONMENT LOCK
#
# Installs what a .lock file lists (lock.sh) into a virtual environment. A file whose hash is not in that list is refused,
# wherever it comes from.
set -euo pipefail

environment=$1 lock=$2
install() {
    "$environment/bin/pip" -qq --disable-pip-version-check install --require-hashes --only-binary :all: "$@"
}

# No wheels of reuse are published. What builds one comes from the same list, and not, unchecked, from wherever pip finds it.
builder=$(awk '/^poetry-core==/ { found = 1 } found { print; if (!/\\$/) exit }' "$lock")
if [[ -n $builder ]]; then
    install --no-deps -r <(printf '%s\n' "$builder")
fi
install --no-build-isolation --no-binary reuse -r "$lock"
