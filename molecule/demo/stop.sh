#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# Removes the containers and the network of `make demo`; no error if there are none.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
command -v podman >/dev/null || exit 0
here=$(realpath "$(dirname "$0")")
# The same name as in inventory/hosts.yml.
"$here/../shared/nodes.sh" down "$(printf %s "$here/inventory" | sha1sum | cut -c1-6)"
echo "The demo's nodes and their network are gone."
