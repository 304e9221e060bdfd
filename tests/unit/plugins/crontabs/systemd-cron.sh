# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # crontab.sh sets and uses these variables
# As Debian 12's systemd-cron 1.15.19 was seen to behave: a Python program, which reads and writes text.
usage() {
    cat <<'END'
usage: crontab [-h] [-u USER] [-l | -r | -e | -s] [-i] [file]

maintain crontab files for individual users
END
    exit 0
}
verify() { if grep -qE '^6[0-9]' "$1"; then echo 'garbled time' >&2; exit 1; fi; }
# Universal newlines.
as_text() { sed 's/\r$//' "$1" | tr '\r' '\n'; }
list() { as_text "$1"; }
install_it() { as_text "$1" > "$2"; }
absent() { echo "no crontab for $user" >&2; exit 1; }
read_it() { cat; }
dry_run=--none
