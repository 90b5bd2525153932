#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Checks that every test that PROMISES.md names in its second column is there: in the build, and, behind a colon, in its program.
# What a build has only with an option (inject) is looked for in the tree.
# Usage: check-promises.sh TREE BUILD
set -euo pipefail

tree=$(realpath "$1")
build=$(realpath "$2")
tests=$(meson introspect --tests "$build" | jq -r '.[].name')
n_named=0
n_missing=0

missing() {
        printf 'PROMISES.md: there is no test %s\n' "$1" >&2
        n_missing=$((n_missing + 1))
}

has_program() {
        grep -qx "$1" <<<"$tests" || [ -e "$tree/tests/e2e/test_$1.c" ]
}

# "program" or "program: test, test"
check_named() {
        local program=${1%%:*} names=${1#*:} name file

        n_named=$((n_named + 1))
        has_program "$program" || missing "$program"
        [ "$names" != "$1" ] || return 0
        file=$(compgen -G "$tree/tests/*/test_$program.c" | head -1)
        for name in ${names//,/ }; do
                n_named=$((n_named + 1))
                grep -q "^static void test_$name(void" "${file:-/dev/null}" || missing "$program: $name"
        done
}

# A path or a command is no name of a test.
while IFS= read -r named; do
        case $named in
        */* | *=*) ;;
        *) check_named "$named" ;;
        esac
done < <(grep '^| ' "$tree/tests/PROMISES.md" | tail -n +2 | cut -d'|' -f3 | grep -o '`[^`]*`' | tr -d '`')
printf 'promises: %u tests named, %u missing\n' "$n_named" "$n_missing"
[ "$n_missing" -eq 0 ] && [ "$n_named" -gt 40 ]
