#!/usr/bin/env bash
# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# rpm.sh FOLDER
#
# Builds FOLDER/rcron-VERSION-1.noarch.rpm, rcron-agent-… and rcron-metrics-… with rpmbuild, out of the files and the maintainer scripts
# of the Debian packages (deb.sh). Whoever builds them from the same commit with the same rpmbuild gets the same bytes.
set -euo pipefail
umask 022

mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' rcron/__init__.py)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C
work=$(mktemp -d --tmpdir rcron-rpm.XXXXXX)
trap 'rm -rf "$work"' EXIT

packaging/deb.sh "$work/debs"
mkdir "$work/trees"
for package in rcron rcron-agent rcron-metrics; do
    dpkg-deb --raw-extract "$work/debs/${package}_${version}_all.deb" "$work/$package"
    mkdir -p "$work/scripts"
    mv "$work/$package/DEBIAN" "$work/scripts/$package"
    rm "$work/$package/usr/share/doc/$package/"{changelog.gz,copyright}
    install -D --mode 644 LICENSE "$work/$package/usr/share/licenses/$package/LICENSE"
    cp -a "$work/$package/." "$work/trees"
done
# The interpreter is rpm's business, and systemctl does what Debian's wrapper of it does.
sed -i '/^#!/d; s/deb-systemd-invoke/systemctl/' "$work"/scripts/*/p*
find "$work/trees" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

rpmbuild -bb --quiet --define "_topdir $work/build" --define "upstream $version" --define "trees $work/trees" \
    --define "scripts $work/scripts" --define "maintainer $(sed '/^#/d' packaging/maintainer)" --define "today $(date --utc --date="@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
    --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
    --define "_binary_payload w9.gzdio" --define "debug_package %{nil}" --define "__os_install_post %{nil}" \
    packaging/rpm/rcron.spec
mv "$work"/build/RPMS/noarch/*.rpm "$folder"
