#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes a manual page of its source. Usage: make-page.sh SCDOC TIDY SOURCE PAGE VERSION CONFIG SYSCONFDIR
set -eu

sed "s|@VERSION@|$5|g; s|@CONFIG@|$6|g; s|@SYSCONFDIR@|$7|g" "$3" | "$1" >"$4.raw"
awk -f "$2" "$4.raw" >"$4"
rm "$4.raw"
