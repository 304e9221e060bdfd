#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# published.sh build          build the collection and install it as a user gets it, below .build/published
# published.sh docs FOLDER    write the reference pages of its modules, filters and roles into a folder
# published.sh docs-current   fail unless the pages in docs/ are those
# published.sh docs-lint      antsibull-docs' look at all documentation
# published.sh importer       what Galaxy does to a collection that is uploaded
#
# All but the first need what the first has made.
set -euo pipefail

cd "$(dirname "$0")/.."
published=$PWD/.build/published
export ANSIBLE_COLLECTIONS_PATH=$published/installed
collection=$ANSIBLE_COLLECTIONS_PATH/ansible_collections/rcron/cluster

docs() {
    mkdir -p "$1"
    antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --output-format simplified-rst \
        --cleanup similar-files --dest-dir "$1" rcron.cluster
    # What would differ with the environment that they are written in.
    find "$1" -name '*.rst' -exec sed -i 's/[ \t]*$//' {} +
}

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
docs) docs "$2" ;;
docs-current)
    new=$published/docs
    rm -rf "$new"
    docs "$new"
    diff --recursive --brief --exclude=README.md --exclude=images docs "$new" || {
        echo "docs/ is not what the plugins' and roles' documentation says now: make docs" >&2
        exit 1
    }
    ;;
docs-lint) antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs dependent --skip-rstcheck "$collection" ;;
importer) importer ;;
*)
    sed -n '5,9s/^# //p' "$0" >&2
    exit 64
    ;;
esac
