#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bfctl trace: what it tells, of what, and that nobody waits for one who does not read it.

load common

# Begins to trace with these words, into $dir/trace; $tracer is its pid.
begin_trace() {
        : >"$dir/tracing"
        "$BFCTL_PROGRAM" trace "$@" >"$dir/trace" 2>"$dir/tracing" 3>&- &
        tracer=$!
        pids+=("$tracer")
        soon grep -q 'tracing bigfiled at' "$dir/tracing"
}

# Ends it, and sets $status.
end_trace() {
        kill -"${1:-INT}" "$tracer"
        status=0
        wait "$tracer" || status=$?
}

# A client who reads a page, writes another one, and stores it. He stays until let_go, as who is gone has no name any more.
touch_pages() {
        truncate -s 1M "$1"
        rm -f "$dir/go"
        mkfifo "$dir/go"
        : >"$dir/said"
        "$BFSAY_PROGRAM" "unix:$socket" "open $1 rw" "advise 2" "mmap 0 1048576 rw" "read 0" "write 8192 1" "writeout 3" "say ready" "wait" >"$dir/said" <"$dir/go" 3>&- &
        client=$!
        pids+=("$client")
        exec {go}>"$dir/go"
        soon grep -q ready "$dir/said"
}

let_go() {
        exec {go}>&-
        wait "$client" || true
}

has_lines() {
        [ "$(grep -c "$1" "$dir/trace")" -ge "$2" ]
}

# Every line is a document that is valid by its schema.
valid_lines() {
        [ "$(wc -l <"$dir/trace")" -ge 1 ]
        run jq -rn --slurpfile schema "$SOURCE_ROOT/tests/e2e/trace.schema.json" --slurpfile document "$dir/trace" -f "$SOURCE_ROOT/tests/e2e/schema.jq"
        [ "$status" -eq 0 ]
        [ -z "$output" ]
}

@test "trace tells of faults and states, in words" {
        start_daemon --pool 1M --spill-dir none
        begin_trace
        touch_pages "$dir/file"
        soon has_lines 'storing -> unsynced' 1
        let_go
        soon has_lines 'unsynced -> empty' 1
        end_trace
        [ "$status" -eq 0 ]
        grep -qE "^[0-9:]{8}\.[0-9]{6} state $dir/file at 0: empty -> (loaded|loading)\$" "$dir/trace"
        grep -qE "^[0-9:]{8}\.[0-9]{6} state $dir/file at 8192: empty -> (dirty|loading)\$" "$dir/trace"
        grep -qE " state $dir/file at 8192: dirty -> storing\$" "$dir/trace"
        grep -qE " fault $dir/file at 0: read by pid $client \(bfsay\), answered in [0-9.]+ [num]?s, now loaded\$" "$dir/trace"
        grep -qE " fault $dir/file at 8192: write by pid $client \(bfsay\), answered in [0-9.]+ [num]?s, now dirty\$" "$dir/trace"
}

@test "trace for programs, and the faults are those that were counted" {
        start_daemon --pool 1M --spill-dir none
        begin_trace --json
        touch_pages "$dir/file"
        soon has_lines '"after":"unsynced"' 1
        let_go
        soon has_lines '"after":"empty"' 2
        end_trace
        valid_lines
        [ "$(jq -s '[.[] | select(.kind == "fault")] | length' "$dir/trace")" -eq "$("$BFCTL_PROGRAM" --json stats | jq .faults)" ]
        [ "$(jq -r 'select(.kind == "fault") | .path, .offset, .write, .after' "$dir/trace" | tr '\n' ' ')" = "$dir/file 0 false loaded $dir/file 8192 true dirty " ]
        [ "$(jq -s 'map(.time_nsec) | . == sort' "$dir/trace")" = true ]
        ! jq -e 'select(.kind == "lost")' "$dir/trace"
}

@test "trace of a file, of a kind, of a process, for a time" {
        start_daemon --pool 1M --spill-dir none
        truncate -s 1M "$dir/file"
        begin_trace --json --file "$dir/file" --kind fault # it is not open yet
        touch_pages "$dir/other"
        touch_pages "$dir/file"
        soon has_lines '"write":true' 1
        end_trace TERM
        [ "$status" -eq 0 ]
        valid_lines
        [ "$(jq -r '.kind + " " + .path' "$dir/trace" | sort -u)" = "fault $dir/file" ]
        [ "$(wc -l <"$dir/trace")" -eq 2 ]

        begin_trace --kind state
        touch_pages "$dir/file"
        soon has_lines 'storing -> unsynced' 1
        end_trace
        ! grep -q ' fault ' "$dir/trace"

        let_go
        mkfifo "$dir/hold"
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "advise 2" "mmap 0 1048576 rw" "say ready" "wait" "read 4096" "say done" "wait" >"$dir/said2" <"$dir/hold" 3>&- &
        waiting=$!
        pids+=("$waiting")
        exec {hold}>"$dir/hold"
        soon grep -q ready "$dir/said2"
        begin_trace --json --peer "$waiting"
        touch_pages "$dir/other"
        echo >&"$hold"
        soon has_lines '"offset":4096' 1
        end_trace
        [ "$(jq -r '.kind, .pid' "$dir/trace" | tr '\n' ' ')" = "fault $waiting " ]

        begin_trace 0.2
        wait "$tracer"
}

@test "nobody waits for a trace that is not read, and what it misses is told" {
        start_daemon --pool 1M --spill-dir none
        begin_trace --json
        kill -STOP "$tracer"
        truncate -s 64M "$dir/file"
        timeout 60 "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "load 0 67108864" 3>&- # 16384 pages, each of which comes and goes
        timeout 10 "$BFCTL_PROGRAM" status
        kill -CONT "$tracer"
        is_all_told() {
                [ "$(jq -s 'map(if .kind == "lost" then .events else 1 end) | add' "$dir/trace" 2>/dev/null || echo 0)" -ge 32768 ]
        }
        soon is_all_told
        end_trace
        valid_lines
        lost=$(jq -s '[.[] | select(.kind == "lost") | .events] | add' "$dir/trace")
        told=$(jq -s '[.[] | select(.kind != "lost")] | length' "$dir/trace")
        [ "$lost" -gt 1000 ]
        [ "$told" -gt 1000 ]
}

@test "trace is for root and the daemon's own user" {
        need_root
        start_daemon --socket-mode 666
        run --separate-stderr $nobody "$BFCTL_PROGRAM" trace 1
        [ "$status" -eq 1 ]
        [[ $stderr == *"cannot trace bigfiled at $socket: "*"only root and the user that bigfiled runs as may"* ]]
}

@test "there are not ever more traces, and those that end are no more" {
        local i descriptors

        start_daemon
        "$BFCTL_PROGRAM" status
        for ((i = 0; i < 8; i++)); do
                begin_trace
        done
        run --separate-stderr "$BFCTL_PROGRAM" trace 1
        [ "$status" -eq 1 ]
        [[ $stderr == *"too many others do"* ]]
        end_trace KILL
        may_trace() {
                "$BFCTL_PROGRAM" trace 0.01
        }
        soon may_trace
}

@test "a daemon that ends: trace says so" {
        start_daemon
        begin_trace
        end_daemon KILL
        status=0
        wait "$tracer" || status=$?
        [ "$status" -eq 1 ]
        grep -q "bfctl: bigfiled at $socket tells no more: it has ended" "$dir/tracing"
}

@test "a command line of trace that is wrong" {
        for words in 'trace 0' 'trace x' 'trace --kind falt' 'status --kind fault' 'trace --sort pid'; do
                # shellcheck disable=SC2086 # words
                run --separate-stderr "$BFCTL_PROGRAM" $words
                [ "$status" -eq 2 ]
                [[ $stderr == bfctl:*--help* ]]
        done
        run "$BFCTL_PROGRAM" trace --kind falt
        says 'unknown kind "falt" (did you mean "fault"? there are fault and state; '
        run "$BFCTL_PROGRAM" trace --peer 1 --kind state
        [ "$status" -eq 2 ]
        says 'of one process (--peer) only faults can be told, not --kind state'
        start_daemon
        run "$BFCTL_PROGRAM" trace --file "$dir/nosuch" 1
        [ "$status" -eq 1 ]
        says "no file \"$dir/nosuch\" is open or to be found"
        run "$BFCTL_PROGRAM" trace --peer 1 1
        [ "$status" -eq 1 ]
        says 'no client has the pid 1 (see bfctl peers)'
}
