#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# published.sh build          build the collection and install it as a user gets it, below .build/published
# published.sh docs           build docs/, the manual pages and the reference of what is installed there as HTML in .build/docs
# published.sh docs-lint      check the documentation of plugins and roles with antsibull-docs
# published.sh importer       what Galaxy does to a collection that is uploaded
#
# All but the first need what the first has made.
set -euo pipefail

cd "$(dirname "$0")/.."
published=$PWD/.build/published
export ANSIBLE_COLLECTIONS_PATH=$published/installed
collection=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/rcron/cluster

importer() {
    local work=$published/importer log
    rm -rf "$work"
    mkdir "$work"
    # flake8 is not this project's linter, and ansible-lint and ansible-test have checks of their own here.
    printf '%s\n' '[galaxy-importer]' 'run_flake8 = False' 'run_ansible_lint = False' 'run_ansible_doc = True' \
        'check_required_tags = True' 'require_v1_or_greater = False' >"$work/importer.cfg"
    log=$work/log
    cp "$published"/*.tar.gz "$work"
    if ! (cd "$work" && GALAXY_IMPORTER_CONFIG=$work/importer.cfg python -m galaxy_importer.main ./*.tar.gz) >"$log" 2>&1 ||
        grep -E '^(WARNING|ERROR|CRITICAL)' "$log"; then
        tail -n 20 "$log"
        return 1
    fi
}

case ${1:-} in
build) tests/tarball.sh "$published" ;;
docs) python -m docs.build ;;
docs-lint) antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs dependent --skip-rstcheck "$collection" ;;
importer) importer ;;
*)
    sed -n '5,8s/^# //p' "$0" >&2
    exit 64
    ;;
esac
