#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# system_packages.sh WHAT:PACKAGE...
#
# Installs with apt each Debian package whose WHAT is missing on this machine, and says first which, and what for. Does nothing
# if nothing is missing. WHAT is a command, a file (it begins with /, and may hold *), or a Python module (python=NAME, which
# $PYTHON looks for).
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # root's commands are not in everybody's PATH
python=${PYTHON:-python3}

have() {
    case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    python=*) "$python" -c "import ${1#python=}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=() packages=()
for need in "$@"; do
    if ! have "${need%:*}"; then
        missing+=("${need%:*}")
        packages+=("${need##*:}")
    fi
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. This machine has no apt-get: install what Debian calls ${packages[*]}, then try again." >&2
    exit 1
fi
if [[ $(id -u) != 0 ]]; then
    echo "Missing: ${missing[*]}. Not root: run 'apt-get install ${packages[*]}' as root, then try again." >&2
    exit 1
fi

echo "apt-get will install Debian's packages ${packages[*]}, and what they depend on, because this machine lacks ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get -q update && apt-get -qy install --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install ${packages[*]}; the end of its output is above." >&2
    exit 1
fi

for need in "$@"; do
    if ! have "${need%:*}"; then
        echo "Missing: ${need%:*}, although Debian's package ${need##*:} is installed." >&2
        exit 1
    fi
done
