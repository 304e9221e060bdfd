#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# tarball.sh FOLDER
#
# Builds the collection as it is released and installs it as users do, into FOLDER/installed, which is emptied first. The tarball
# stays in FOLDER.
set -euo pipefail

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
rm -rf "$folder/installed" "$folder"/*.tar.gz
ansible-galaxy collection build --output-path "$folder" .
ansible-galaxy collection install --offline --no-deps --collections-path "$folder/installed" "$folder"/*.tar.gz
