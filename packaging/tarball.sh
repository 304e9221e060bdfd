#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# tarball.sh FOLDER
#
# Builds FOLDER/rcron-VERSION.tar.gz: rcron for a host without Ansible, which packaging/install.py installs out of it. Whoever builds
# it from the same commit gets the same bytes: names are sorted, and all files have the commit's time, or SOURCE_DATE_EPOCH.
set -euo pipefail

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' rcron/__init__.py)
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
git ls-files -z -- packaging/install.py 'rcron/*.py' 'man/*.[58]' 'plugins/module_utils/*.py' \
    roles/_feeder/templates/rcron-agent.service.j2 LICENSE CHANGELOG.md README.md 'docs/*.md' docs/examples docs/images monitoring 'roles/*/README.md' |
    tar --create --null --files-from=- --sort=name --format=ustar --mtime="@$time" --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX --transform="s,^,rcron-$version/," |
    gzip --no-name -9 >"$folder/rcron-$version.tar.gz"
