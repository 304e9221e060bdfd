#!/bin/sh
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
# A stand-in for crontab(1): the options and files. What differs between implementations is in implementation.sh.
# shellcheck disable=SC2154 # the tests make implementation.sh, which sets what is not set here
here=$(dirname "$0")
# shellcheck disable=SC1091
. "$here/implementation.sh"
echo "$LC_ALL $*" >> "$here/calls"
user=$(id -un)
[ $# -gt 0 ] || { echo bare > "$here/disaster"; exit 0; }
while [ $# -gt 0 ]; do
    case $1 in
    -u) user=$2; shift ;;
    -l) what=list ;;
    "$dry_run") what=check ;;
    -n) echo "$2" > "$here/disaster"; exit 0 ;;
    -) [ "$what" ] || what=replace ;;
    *) usage ;;
    esac
    shift
done
if [ -e "$here/denied" ]; then echo "The user $user cannot use this program (crontab)" >&2; exit 1; fi
new=$(mktemp "$here/new.XXXXXX")
trap 'rm -f "$new"' EXIT
case $what in
list) [ -e "$here/spool/$user" ] || absent; list "$here/spool/$user" ;;
check) read_it > "$new"; verify "$new"; echo 'The syntax was successfully checked.' ;;
replace) cat > "$new"; verify "$new"; install_it "$new" "$here/spool.new"; mv "$here/spool.new" "$here/spool/$user" ;;
esac
