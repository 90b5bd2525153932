#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The demonstration ends with the right verdict on files of every kind of size.
# Usage: test_demo.sh BFDEMO
set -uo pipefail

demo=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n_failed=0

# expect STATUS BEGINNING-OF-THE-LAST-LINE ARGUMENT...
expect() {
        local status=$1 verdict=$2 output got

        shift 2
        output=$("$demo" "$@" 2>&1)
        got=$?
        if [ "$got" -ne "$status" ] || [[ $(tail -n 1 <<<"$output") != "$verdict"* ]]; then
                printf 'bfdemo %s: exit status %d\n%s\n' "$*" "$got" "$output"
                n_failed=$((n_failed + 1))
        fi
}

: >"$dir/empty"
expect 0 'OK: the file is empty' "$dir/empty"
for size in 1 8 4095 4096 4097 300001 3M; do
        expect 0 'OK: ' --make "$size" "$dir/made-$size"
        expect 0 'OK: ' "$dir/made-$size"
done
head -c 1000003 /dev/urandom >"$dir/random"
expect 0 'OK: ' --seed 1 "$dir/random"
expect 0 'OK: ' --pool 1M --make 16M "$dir/larger"
truncate -s 5M "$dir/sparse"
expect 0 'OK: ' "$dir/sparse"

expect 1 'FAILED: cannot open' "$dir/absent"
expect 1 'FAILED: ' "$dir"
expect 1 'FAILED: cannot make' --make 4K "$dir/empty"
expect 1 'FAILED: ' --pool 4K "$dir/random"
[ "$n_failed" -eq 0 ]
