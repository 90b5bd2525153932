#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the Debian packages from a clean clone, boots a Debian 12 of its own in a container, and tries the packages there (guest.sh): socket activation, reload, restarts and an upgrade under
# a program that uses big files, the watchdog, removal. Needs root, debootstrap, systemd-container, debhelper and lintian, and a mirror of Debian; takes some three minutes, the first time four.
# The last line is "N passed, N failed".
#
# Usage: test-package.sh [FOLDER]    FOLDER (default: build/package) keeps the bare Debian for the next time
set -euo pipefail
here=$(realpath "$(dirname "$0")")
source=$(realpath "$here/../..")
folder=$(realpath -m "${1:-$source/build/package}")
work=''
machine=''

clean_up() {
        if [ -n "$machine" ] && kill -0 "$machine" 2>/dev/null; then
                kill "$machine" || true
                wait "$machine" || true
        fi
        [ -z "$work" ] || rm -rf --one-file-system "$work"
}

need() {
        command -v "$1" >/dev/null || {
                echo "$1 is not installed: apt-get install $2" >&2
                exit 77
        }
}

# Of what matters only if it fails.
quietly() {
        "$@" >"$work/output" 2>&1 || {
                cat "$work/output" >&2
                echo "FAILED  $*"
                exit 1
        }
}

build_packages() {
        quietly git clone --quiet "$source" "$work/bigfile"
        (cd "$work/bigfile" && quietly dpkg-buildpackage -us -uc)
        echo "ok      dpkg-buildpackage, from a clean clone"
        lintian --no-cfg --fail-on error "$work"/*.changes >"$work/lintian" 2>&1 || {
                cat "$work/lintian"
                echo "FAILED  lintian"
                exit 1
        }
        echo "ok      lintian: no errors, $(grep -c '^W:' "$work/lintian" || true) warnings"
        grep '^W:' "$work/lintian" || true
}

# The same packages as another version.
make_next() {
        local deb dir=$work/next-tree

        mkdir "$work/root/bigfile/next"
        for deb in "$work"/root/bigfile/now/*.deb; do
                rm -rf "$dir"
                quietly dpkg-deb -R "$deb" "$dir"
                sed -i 's/^Version: .*/&+next/; s/(= \([0-9.]*\))/(= \1+next)/' "$dir/DEBIAN/control"
                quietly dpkg-deb -b "$dir" "$work/root/bigfile/next/"
        done
}

# What the packages depend on, but for each other, with commas between: the container reaches no mirror.
dependencies() {
        find "$work" -maxdepth 1 -name '*.deb' -exec dpkg-deb -f {} Depends \; | tr ',' '\n' | sed 's/^ *//; s/[ (|:].*//' | grep -vE '^(bigfiled|libbfclient0)?$' | sort -u | paste -sd,
}

make_root() {
        local include

        include=systemd,systemd-sysv,dbus,procps,nbdkit,$(dependencies)
        if [ "$(cat "$folder/root.include" 2>/dev/null)" != "$include" ]; then
                rm -f "$folder/root.tar"
        fi
        if [ ! -e "$folder/root.tar" ]; then
                quietly debootstrap --variant=minbase --include="$include" bookworm "$work/root"
                mkdir -p "$folder"
                echo "$include" >"$folder/root.include"
                tar -C "$work/root" -cf "$folder/root.tar.new" .
                mv "$folder/root.tar.new" "$folder/root.tar"
        else
                mkdir "$work/root"
                tar -C "$work/root" -xf "$folder/root.tar"
        fi
        mkdir -p "$work/root/bigfile/now"
        find "$work" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' -exec cp -t "$work/root/bigfile/now" {} +
        make_next
        cp "$here/guest.sh" "$work/root/bigfile/"
        awk '$2 == "userfaultfd" { print $1 }' /proc/misc >"$work/root/bigfile/minor"
        quietly dpkg-deb -x "$(echo "$work"/libbfclient-dev_*.deb)" "$work/dev"
        quietly gcc -std=gnu11 -O2 -static -I"$work/dev/usr/include" -o "$work/root/bigfile/client" "$here/client.c" \
                "$(find "$work/dev" -name libbfclient.a)" -pthread
        echo "ok      a program is linked with what libbfclient-dev has"
}

# The first process of the container.
leader() {
        pgrep -P "$machine" -x systemd || pgrep -P "$machine" -x init
}

in_guest() {
        nsenter -t "$(leader)" -a -- "$@"
}

boot() {
        local i

        systemd-nspawn --quiet --boot --register=no --keep-unit --private-network -D "$work/root" >"$work/console" 2>&1 </dev/null &
        machine=$!
        for ((i = 0; i < 300; i++)); do
                if [ -n "$(leader)" ] && in_guest systemctl is-active multi-user.target >/dev/null 2>&1; then
                        echo "ok      Debian $(cat "$work/root/etc/debian_version") has booted"
                        return
                fi
                sleep 0.1
        done
        cat "$work/console"
        echo "FAILED  it does not boot"
        exit 1
}

if [ "$(id -u)" -ne 0 ]; then
        echo "only root can boot a container" >&2
        exit 77
fi
need debootstrap debootstrap
need systemd-nspawn systemd-container
need dpkg-buildpackage dpkg-dev
need dh debhelper
need lintian lintian
work=$(mktemp -d /var/tmp/bigfile-package.XXXXXX)
trap clean_up EXIT
build_packages
make_root
boot
status=0
in_guest /bigfile/guest.sh /bigfile >"$work/verdicts" || status=$?
cat "$work/verdicts"
exit "$status"
