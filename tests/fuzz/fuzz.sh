#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs the fuzzers built in BUILD, side by side, each for so many seconds, from the kept corpus on. What they find is left in BUILD/findings, with what
# makes it happen again. Prints the executions of each; the exit status is 0 if none found anything.
#
# Usage: fuzz.sh BUILD SECONDS [TARGET...]     (targets: wire dialogue)
set -euo pipefail
build=$(realpath "$1")
seconds=$2
shift 2
[ $# -gt 0 ] || set -- wire dialogue
here=$(dirname "$(realpath "$0")")
findings=$build/findings

# What is printed about functions would start a program, and so leave descriptors open.
fuzz() {
        local target=$1 max_len=2000

        [ "$target" = wire ] && max_len=520
        mkdir -p "$findings/$target-corpus"
        timeout --kill-after=10 $((seconds + 120)) "$build/tests/fuzz/fuzz_${target}_fuzzer" -print_funcs=0 -print_final_stats=1 -timeout=60 \
                -max_len=$max_len -max_total_time="$seconds" -artifact_prefix="$findings/$target-" "$findings/$target-corpus" "$here/corpus/$target" \
                >"$findings/$target.log" 2>&1
}

report() {
        local log=$findings/$1.log n

        n=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        if [ "$2" -eq 0 ]; then
                echo "$1: ${n:-0} executions in $seconds seconds, nothing found"
        else
                echo "$1: found something after ${n:-unknown many} executions: see $log"
                grep -E 'ERROR|SUMMARY|does not hold|left in the core|Assertion|runtime error|Test unit written' "$log" || tail -20 "$log"
        fi
}

mkdir -p "$findings"
declare -A pids
for target in "$@"; do
        fuzz "$target" &
        pids[$target]=$!
done
failed=0
for target in "$@"; do
        status=0
        wait "${pids[$target]}" || status=$?
        report "$target" "$status"
        [ "$status" -eq 0 ] || failed=$((failed + 1))
done
exit "$failed"
