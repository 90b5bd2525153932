#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks that every test that SECURITY.md names, as "program: test, test", is there.
# Usage: check-claims.sh [TREE]
set -euo pipefail

tree=$(realpath "${1:-$(dirname "$0")/..}")
n_faults=0
n_claims=0

# The file of a program of tests, if there is one.
find_program() {
        compgen -G "$tree/tests/*/test_$1.c" | head -1
}

check_claim() {
        local program=${1%%: *} names=${1#*: } file name

        file=$(find_program "$program") || return 0
        for name in ${names//,/ }; do
                [ "$name" = all ] && continue
                n_claims=$((n_claims + 1))
                grep -q "^static void test_$name(void" "$file" && continue
                printf '%s: there is no test %s in %s\n' "$2" "$name" "${file#"$tree"/}" >&2
                n_faults=$((n_faults + 1))
        done
}

check_document() {
        local claim

        while IFS= read -r claim; do
                check_claim "$claim" "$1"
        done < <(grep -oE '\b[a-z_]+: [a-z0-9_]+(, [a-z0-9_]+)*' "$tree/$1")
}

check_document SECURITY.md
printf 'claims: %u tests named, %u missing\n' "$n_claims" "$n_faults"
[ "$n_faults" -eq 0 ] && [ "$n_claims" -gt 0 ]
