#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# must-fail.sh PROGRAM PATTERN...: runs a test that has a fault to find. Succeeds if it fails, and of each (extended) regular expression prints a line.
program=$(realpath "$1")
shift
said=$(BF_HANG=4 BF_RESTARTS=200 BF_TEST_TIMEOUT=20 "$program" 2>&1)
status=$?
printf '%s\n' "$said"
if [ $status -eq 0 ]; then
        echo "must-fail.sh: the test has not found the fault" >&2
        exit 1
fi
for pattern; do
        if ! printf '%s\n' "$said" | grep -Eq "$pattern"; then
                echo "must-fail.sh: the test failed (status $status), but does not say: $pattern" >&2
                exit 1
        fi
done
