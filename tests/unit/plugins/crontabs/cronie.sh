# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034,SC2154 # crontab.sh sets and uses these variables
# As Debian 13's cronie 1.7.2 was seen to behave. Its -n sets the cluster host.
usage() {
    cat >&2 <<'END'
crontab: invalid option -- 'h'
crontab: usage error: unrecognized option
Usage:
 crontab [options] file
 crontab [options]
 crontab -n [hostname]

Options:
 -u <user>  define user
 -l         list user's crontab
 -n <host>  set host in cluster to run users' crontabs
 -c         get host in cluster to run users' crontabs
 -T <file>  test a crontab file syntax
 -V         print version and exit

Default operation is replace, per 1003.2
END
    exit 1
}
verify() { if grep -qE '^6[0-9]' "$1"; then echo '"-":1: bad minute' >&2; exit 1; fi; }
list() { cat "$1"; }
install_it() { cat "$1" > "$2"; }
absent() { echo "no crontab for $user" >&2; exit 1; }
# Its -T goes back in what it reads, which it cannot in a pipe.
read_it() { [ -f /dev/stdin ] || { echo '"-":4: premature EOF' >&2; exit 1; }; cat; }
dry_run=-T
