#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# newest.sh unit|sanity
#
# Runs the unit tests of the collection's plugins, or ansible-test sanity, with the newest ansible-core (its version stands in
# requirements-newest.txt, and what it needs in requirements-newest.lock) on Python 3.13 or 3.14, if this machine has one; otherwise says so in one line. The
# environment for it is made in .build.
set -euo pipefail
cd "$(dirname "$0")/.."

python=
for candidate in "$HOME"/.pyenv/versions/3.1[34].*/bin/python3 /usr/bin/python3.1[34] /usr/local/bin/python3.1[34]; do
    # Not a pyenv shim, which answers for whatever Python is chosen.
    if "$candidate" -ISc 'import sys, venv; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    echo "skipped: the newest ansible-core needs Python 3.13 or newer, and this machine has none"
    exit 0
fi

environment=.build/newest-$(sha256sum requirements-newest.lock | cut -c1-12)
if [[ ! -x $environment/bin/pytest ]]; then
    rm -rf .build/newest-*
    "$python" -m venv "$environment"
    tests/install.sh "$environment" requirements-newest.lock
fi

case ${1:-} in
unit)
    mkdir -p .build/results
    # The prefixing law's hundreds of commands know nothing of Ansible, and ran before. Of the feeder roles' common part, one
    # test that goes through all of it when it is connected and one when it is removed: each play takes seconds. Of the
    # attacks of a host, not those that only show what a check of ours keeps out (is_protected: False), nor the longest waits.
    hostile=tests/unit/test_hostile_host.py
    PATH=$PWD/$environment/bin:$PATH "$environment/bin/python" -m pytest -q -p no:cacheprovider \
        --junit-xml=.build/results/unit-newest.xml --ignore=tests/unit/plugins/module_utils/test_crontab_law.py \
        --deselect "$hostile::test_a_key_would_be_lines_of_every_hosts_file_without_its_grammar" \
        --deselect "$hostile::test_a_key_that_goes_to_all_hosts_is_one_key" \
        -k "not (test_hostile_host and False)" \
        --deselect "$hostile::test_a_host_that_never_ends_a_change_holds_no_run_up" \
        tests/unit/plugins tests/unit/roles/test_rcron_*.py tests/unit/test_collection.py "$hostile" \
        tests/unit/roles/test_feeder.py::test_a_role_by_itself_checks_first_and_then_writes_the_drop_in_and_its_hook \
        tests/unit/roles/test_feeder.py::test_a_removal_takes_files_and_folders_away
    ;;
# Its pylint is the floor's but for the version, which changes what is thought of style and nothing that a user meets, and takes
# half of the time.
sanity) SANITY_ENVIRONMENT=$PWD/$environment tests/sanity.sh --skip-test pylint ;;
*)
    sed -n '5,9s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
