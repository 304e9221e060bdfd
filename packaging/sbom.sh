#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# sbom.sh FOLDER
#
# Writes FOLDER/rcron-VERSION.cdx.json, the bill of materials of a release, for CycloneDX: rcron with its licence, and what it depends on
# (nothing, as pyproject.toml says). Whoever writes it from the same commit gets the same bytes: it has the commit's time, or
# SOURCE_DATE_EPOCH, and no random number.
set -euo pipefail

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' rcron/__init__.py)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d --tmpdir rcron-sbom.XXXXXX)
trap 'rm -rf "$work"' EXIT

# The tool takes the version from nowhere else.
sed "s/^dynamic = \[\"version\"\]/version = \"$version\"/" pyproject.toml >"$work/pyproject.toml"
cp README.md "$work"
python3 -c 'import sys, tomllib; print(*tomllib.load(sys.stdin.buffer)["project"]["dependencies"], sep="\n")' \
    <pyproject.toml >"$work/requirements.txt"
cyclonedx-py requirements --output-reproducible --pyproject "$work/pyproject.toml" \
    --output-file "$folder/rcron-$version.cdx.json" "$work/requirements.txt"
