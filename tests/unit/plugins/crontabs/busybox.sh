# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # crontab.sh sets and uses these variables
# As busybox 1.36's source has it: no check of any kind, and its own words for a crontab that is not there.
usage() {
    cat >&2 <<'END'
crontab: invalid option -- 'h'
BusyBox v1.36.1 () multi-call binary.

Usage: crontab [-c DIR] [-u USER] [-ler]|[FILE]

	-c	Crontab directory
	-u	User
	-l	List crontab
END
    exit 1
}
verify() { :; }
list() { cat "$1"; }
install_it() { cat "$1" > "$2"; }
absent() { echo "crontab: can't open '$user': No such file or directory" >&2; exit 1; }
read_it() { cat; }
dry_run=none
