#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# deb.sh FOLDER
#
# Builds FOLDER/rcron_VERSION_all.deb, rcron-agent_… and rcron-metrics_… with dpkg-deb. rcron holds what packaging/install.py needs,
# below /usr/share/rcron, and its maintainer scripts (packaging/debian) run that: a package whose own files were the programs would
# have jobs fail while dpkg replaces them. Whoever builds them from the same commit gets the same bytes.
set -euo pipefail
umask 022

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' rcron/__init__.py)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
maintainer=$(sed '/^#/d' packaging/maintainer)
work=$(mktemp -d --tmpdir rcron-deb.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Copies files that git knows, below their own paths. copy TO PATTERN...
copy() {
    local to=$1 file
    shift
    while IFS= read -r -d '' file; do
        install -D --mode 644 "$file" "$to/$file"
    done < <(git ls-files -z -- "$@")
}

# Prints a unit out of a role's template: without comments, and with the paths that packages have.
unit() {
    sed -e '/^{#/d; /^#/d; /__feeder_agent_mark/d' -e 's|{{ __feeder_agent_program }}|/usr/bin/rcron-agent|' \
        -e 's|{{ __rcron_metrics_program }}|/usr/bin/rcronctl|; s|{{ __rcron_metrics_conf }}|/etc/rcron/rcron.conf|' \
        -e 's|{{ __rcron_metrics_places . first }}|/var/lib/prometheus/node-exporter|; s|{{ rcron_metrics_interval }}|15|' \
        "roles/$1.j2"
}

rcron() {
    local share=$tree/usr/share/rcron
    copy "$share" packaging/install.py 'rcron/*.py' 'man/*.[58]' 'plugins/module_utils/*.py' roles/_feeder/templates/rcron-agent.service.j2
    echo "This copy of install.py is a package's: its maintainer scripts run it." >"$share/packaging/packaged"
    copy "$doc" README.md 'docs/*.md' docs/examples docs/images 'roles/*/README.md'
    mkdir "$doc/examples"
    printf 'cluster_name = billing\ndefault_state = passive\nstate_max_age = 10\n' >"$doc/examples/rcron.conf"
}

rcron-agent() {
    mkdir -p "$tree/etc/rcron/agent.d" "$tree/usr/lib/systemd/system"
    unit _feeder/templates/rcron-agent.service >"$tree/usr/lib/systemd/system/rcron-agent.service"
}

rcron-metrics() {
    mkdir -p "$tree/var/lib/prometheus/node-exporter" "$tree/usr/lib/systemd/system" "$doc/examples"
    local name
    for name in rcron-metrics.service rcron-metrics.timer; do
        unit "rcron_metrics/templates/$name" >"$tree/usr/lib/systemd/system/$name"
    done
    cp monitoring/* "$doc/examples"
}

# What Debian's policy wants in each package.
documents() {
    mkdir -p "$doc"
    {
        printf '%s\n' 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/' 'Upstream-Name: rcron' \
            'Source: https://github.com/rcron/rcron' '' 'Files: *' 'Copyright: 2026 The rcron maintainers' 'License: MIT'
        sed '1,/^Copyright/d; /./,$!d' LICENSE | sed 's/^$/./; s/^/ /'
    } >"$doc/copyright"
    gzip --no-name -9 >"$doc/changelog.gz" <<EOF
rcron ($version) unstable; urgency=medium

  * CHANGELOG.md, in the sources, says what is new in this version.

 -- $maintainer  $(LC_ALL=C date --utc -R --date="@$SOURCE_DATE_EPOCH")
EOF
}

for package in rcron rcron-agent rcron-metrics; do
    tree=$work/$package doc=$work/$package/usr/share/doc/$package
    documents
    "$package"
    # As many KiB as policy counts, whatever the file system of this machine.
    size=$(find "$tree" -printf '%y %s\n' | awk '{ sum += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print sum }')
    sums=$(cd "$tree" && find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum)
    mkdir "$tree/DEBIAN"
    echo "$sums" >"$tree/DEBIAN/md5sums"
    for file in packaging/debian/preinst packaging/debian/"$package"/*; do
        case $file in
        */control | */triggers)
            sed "/^#/d; s/@VERSION@/$version/; s/@SIZE@/$size/; s/@MAINTAINER@/$maintainer/" "$file" >"$tree/DEBIAN/${file##*/}"
            ;;
        *) install --mode 755 "$file" "$tree/DEBIAN" ;;
        esac
    done
    find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    # Debian 11's dpkg does not know zstd. One thread: more of them would cut the data elsewhere.
    dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$tree" "$folder/${package}_${version}_all.deb" >/dev/null
done
