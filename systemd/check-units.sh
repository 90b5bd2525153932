#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What systemd itself thinks of the units: nothing misspelt, and hardened well.
# Usage: check-units.sh SERVICE SOCKET DAEMON; the service is checked as if the daemon were installed already.
set -euo pipefail

exposure_max=10 # of 100; in tenths of what systemd-analyze prints

command -v systemd-analyze >/dev/null || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
daemon=$(realpath "$3")
sed -E "s,^(Exec(Start|Reload))=[^ ]*/bigfiled ,\1=$daemon ," "$1" >"$dir/bigfiled.service"
cp "$2" "$dir/bigfiled.socket"
systemd-analyze verify --man=no --recursive-errors=no "$dir/bigfiled.service" "$dir/bigfiled.socket"
systemd-analyze security --offline=true --no-pager --threshold="$exposure_max" "$dir/bigfiled.service"
