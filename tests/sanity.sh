#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# Runs `ansible-test sanity`, all of its tests that do not need a container or a service on the internet, on a copy of
# the checkout: what git tracks and what it would, as it stands now. ansible-test wants a folder called
# ansible_collections/rcron/cluster, and does not follow the link that is good enough for Ansible itself.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
# The folder that has ansible-test: .venv, or the environment of tests/newest.sh.
environment=${SANITY_ENVIRONMENT:-$checkout/.venv}
work=$checkout/.build/sanity-${environment##*/}
collection=$work/ansible_collections/rcron/cluster

rm -rf "$work/ansible_collections"
mkdir -p "$collection" "$work/bin" "$work/home/.ansible/test/cache"
cd "$checkout"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [[ -e $file || -L $file ]]; then printf '%s\0' "$file"; fi
done | tar --create --null --files-from=- | tar --extract --directory="$collection"

# ansible-test takes the first pythonX.Y in PATH for its virtual environments. That may be a pyenv shim, which is not
# an interpreter: put the real one of .venv first.
read -r version interpreter < <("$environment/bin/python" -c \
    'import os, sys; print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable))')
ln -sfn "$interpreter" "$work/bin/python$version"
export PATH=$work/bin:$PATH

# ansible-test seeds these environments with a pip from its own server, unless get-pip is in its cache already. What is
# put there seeds them with the pip that comes with Python. All that is installed then comes from a folder, into which
# nothing is put whose hash is not in the list. ansible-test hands neither the environment nor the home's configuration
# on, so this is written into the home that it is given: one of its own, which leaves the person's cache as it is.
core=$("$environment/bin/python" -c 'from ansible.release import __version__; print(".".join(__version__.split(".")[:2]))')
lock=tests/sanity/requirements-$core.lock
files=$checkout/.build/sanity-files-$version-$(sha256sum "$lock" | cut -c1-12)
if [[ ! -d $files ]]; then
    draft=$(mktemp -d "$checkout/.build/sanity-XXXXXX")
    "$environment/bin/pip" -qq --disable-pip-version-check download --no-deps --only-binary :all: --require-hashes -d "$draft" -r "$lock"
    mv -T "$draft" "$files"
fi
mkdir -p "$work/home/.config/pip"
printf '[global]\nno-index = true\nfind-links = %s\n' "$files" >"$work/home/.config/pip/pip.conf"
export HOME=$work/home
pip_version=$("$environment/bin/python" -c 'from ansible_test._internal.python_requirements import get_venv_packages as p
import types; print(p(types.SimpleNamespace(version="'"$version"'"))["pip"])')
cp tests/get_pip.py "$HOME/.ansible/test/cache/get_pip_${pip_version//./_}.py"

# ansible-test asks git which files there are; the checkout's git ignores all of .build.
cd "$collection"
git init --quiet
git add --all
log=$work/log
if ! "$environment/bin/ansible-test" sanity --local --python "$version" --color no "$@" >"$log" 2>&1; then
    sed -n '/^ERROR/p; /^FATAL/,$p' "$log"
    echo "All of ansible-test's output: $log"
    exit 1
fi
