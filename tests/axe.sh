#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# axe.sh FILE
#
# Writes axe-core, which finds what keeps people with disabilities from using a page, to FILE: one script out of npm's package.
# Nothing of it is run before its hash is what it was when this was written.
set -euo pipefail

version=4.14.1
sha512=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5 # npm's dist.integrity
file=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent "axe-core@$version" >/dev/null)
package=$folder/axe-core-$version.tgz
if [[ $(sha512sum "$package" | cut -d' ' -f1) != "$sha512" ]]; then
    echo "axe.sh: axe-core $version does not have the hash that it had: do not use it" >&2
    exit 1
fi
tar -xzOf "$package" package/axe.min.js >"$folder/axe.js"
mkdir -p "$(dirname "$file")"
mv "$folder/axe.js" "$file"
