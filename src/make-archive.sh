#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes a static library in which only the public names can be linked against: one object of all, whose other names are local.
# Usage: make-archive.sh COMPILER ARCHIVE-OF-ALL-OBJECTS OUTPUT
set -eu

object=$3.o
trap 'rm -f "$object"' EXIT
"$1" -r -nostdlib -o "$object" -Wl,--whole-archive "$2" -Wl,--no-whole-archive
objcopy --wildcard --keep-global-symbol='bf_*' "$object"
rm -f "$3"
ar rcs "$3" "$object"
