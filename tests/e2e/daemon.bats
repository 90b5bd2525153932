#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon's command line: options, start, end, and what it says when it cannot start.

load common

bad() {
        run "$BIGFILED_PROGRAM" --config none --socket "$socket" "$@"
        [ "$status" -eq 64 ]
        [ ! -e "$socket" ]
}

# The program cannot start: this exit status, and no trace of it.
cannot() {
        local expected=$1

        shift
        run "$@"
        [ "$status" -eq "$expected" ] || {
                printf 'status %s: %s\n' "$status" "$output"
                return 1
        }
}

@test "--version" {
        run --separate-stderr "$BIGFILED_PROGRAM" --version
        [ "$status" -eq 0 ]
        [[ $output =~ ^bigfiled\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
        [ -z "$stderr" ]
}

@test "--help names every option, on a line of its own" {
        local option

        run --separate-stderr "$BIGFILED_PROGRAM" --help
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [ "${#lines[@]}" -le 40 ]
        for option in --socket --pool --spill-dir --spill-size --room-timeout --reclaim-batch --socket-mode --socket-group --no-lend --lend --served-group --ready-fd --private-fd --log-level \
                --uid-peers --uid-handles --uid-mappings --uid-dirty --allow-nbd --nbd-timeout \
                --config --check-config '-q, --quiet' '-v, --verbose' --version '-h, --help'; do
                says $'\n'"  $option "
        done
}

@test "unknown options and arguments" {
        bad --frobnicate
        says "--frobnicate"
        says "--help"
        bad --pool
        says "--pool"
        bad extra
        says '"extra"'
        says "--help"
}

@test "values that make no sense: named, with what is allowed" {
        local value

        for value in 0 1 262143 255K x -1 64MB 1.5G 99999999999T ''; do
                bad --pool "$value"
                says "--pool: \"$value\" is not a size of at least 64 pages"
        done
        bad --spill-dir ''
        says "--spill-dir: \"\" is not the path of a folder, or none"
        for value in x -1 64MB ''; do
                bad --spill-size "$value"
                says "--spill-size: \"$value\" is not a size"
        done
        for value in x -1 1s ''; do
                bad --room-timeout "$value"
                says "--room-timeout: \"$value\" is not seconds"
        done
        for value in 0 65537 x -1 ''; do
                bad --reclaim-batch "$value"
                says "--reclaim-batch: \"$value\" is not a number of pages from 1 to 65536"
        done
        for value in 8 1000 rw -1 ''; do
                bad --socket-mode "$value"
                says "--socket-mode: \"$value\" is not octal permissions"
        done
        for value in nosuchgroup -1 ''; do
                bad --socket-group "$value"
                says "--socket-group: \"$value\" is not the name or number of a group"
        done
        for value in 999 x -1 ''; do
                bad --ready-fd "$value"
                says "--ready-fd: \"$value\" is not the number of an open descriptor"
                bad --private-fd "$value"
                says "--private-fd: \"$value\" is not the number of an open descriptor"
        done
        bad --log-level loud
        says '--log-level: "loud" is not error, warning, info or debug'
}

@test "the smallest pool is 64 pages of 4096 bytes" {
        start_daemon --pool 262144
        end_daemon
        start_daemon --pool 256K
        end_daemon
        bad --pool 262143
}

@test "SIGTERM and SIGINT end it with 0, and nothing is left" {
        local signal

        for signal in TERM INT; do
                start_daemon
                [ -S "$socket" ]
                end_daemon "$signal"
                [ "$status" -eq 0 ]
                [ ! -e "$socket" ]
                rm "$dir/ready" "$dir/log"
                [ -z "$(ls -A "$dir")" ]
        done
}

@test "another one can start at once where one ended" {
        local i

        for ((i = 0; i < 5; i++)); do
                start_daemon
                end_daemon
                [ "$status" -eq 0 ]
        done
}

@test "a socket that a killed daemon left is taken over" {
        start_daemon
        end_daemon KILL
        [ "$status" -eq 137 ]
        [ -S "$socket" ]
        start_daemon
        end_daemon
        [ "$status" -eq 0 ]
        [ ! -e "$socket" ]
}

@test "SIGHUP does no harm" {
        start_daemon
        kill -HUP "$daemon" "$daemon"
        "$BFCTL_PROGRAM" status
        kill -HUP "$daemon"
        "$BFCTL_PROGRAM" status
        end_daemon
        [ "$status" -eq 0 ]
}

@test "a path that is served already" {
        start_daemon
        cannot 71 "$BIGFILED_PROGRAM" --config none --socket "$socket"
        says "cannot listen at $socket: it is served already"
        says "--socket"
        "$BFCTL_PROGRAM" status
        end_daemon
        [ "$status" -eq 0 ]
}

@test "of many that start at one moment, one serves" {
        local i n=0 started=()

        start_daemon # leaves a socket behind, so that all find one that is abandoned
        end_daemon KILL
        for ((i = 0; i < 8; i++)); do
                "$BIGFILED_PROGRAM" --config none --socket "$socket" 2>"$dir/log$i" 3>&- &
                started+=($!)
                pids+=($!)
        done
        soon "$BFCTL_PROGRAM" status >/dev/null 2>&1
        for ((i = 0; i < 8; i++)); do
                soon grep -q 'serving\|served already' "$dir/log$i"
                if grep -q 'serving,' "$dir/log$i"; then
                        n=$((n + 1))
                        daemon=${started[i]}
                fi
        done
        [ "$n" -eq 1 ]
        "$BFCTL_PROGRAM" status
        end_daemon
        [ "$status" -eq 0 ]
}

@test "a file that is no socket is left alone" {
        echo precious >"$socket"
        cannot 71 "$BIGFILED_PROGRAM" --config none --socket "$socket"
        says "cannot listen at $socket"
        [ "$(cat "$socket")" = precious ]
}

@test "a folder that is not there, or not writable" {
        need_root
        cannot 71 "$BIGFILED_PROGRAM" --config none --socket "$dir/no/socket"
        says "cannot listen at $dir/no/socket: No such file or directory"
        cannot 71 $nobody "$BIGFILED_PROGRAM" --config none --socket "$dir/socket"
        says "cannot listen at $dir/socket: Permission denied"
}

@test "a folder to spill changes to that lets no file be made: said at the start" {
        start_daemon --spill-dir /proc
        grep -q 'cannot make a file in /proc to spill changes to: ' "$dir/log"
}

@test "a path too long for a socket" {
        local long

        long=$dir/$(printf 'x%.0s' {1..100})
        cannot 71 "$BIGFILED_PROGRAM" --config none --socket "$long"
        says "the path is longer than a socket's may be"
        [ -z "$(ls -A "$dir")" ]
}

@test "--socket-mode and --socket-group" {
        need_root
        start_daemon
        [ "$(stat -c %a "$socket")" = 660 ]
        end_daemon
        start_daemon --socket-mode 0600 --socket-group 65534
        [ "$(stat -c '%a %g' "$socket")" = "600 65534" ]
        end_daemon
        start_daemon --socket-mode 666 --socket-group nogroup
        [ "$(stat -c '%a %G' "$socket")" = "666 nogroup" ]
        end_daemon
}

@test "a group it may not give the socket to: said, and no socket left" {
        need_root
        chmod 777 "$dir"
        cannot 71 $nobody "$BIGFILED_PROGRAM" --config none --socket "$socket" --socket-group 0
        says "cannot give $socket to group 0: Operation not permitted"
        [ -z "$(ls -A "$dir")" ]
}

@test "a kernel that is too old: what it lacks, and which Linux has it" {
        export BIGFILED_TEST_UFFD_FEATURES=0x1fff # what Linux 6.1 has

        cannot 69 "$BIGFILED_PROGRAM" --config none --socket "$socket"
        says "lacks POISON (Linux 6.6)"
        says "bigfiled needs Linux 6.6 or newer"
        [ ! -e "$socket" ]
        export BIGFILED_TEST_UFFD_FEATURES=0
        cannot 69 "$BIGFILED_PROGRAM" --config none --socket "$socket"
        for feature in MISSING_SHMEM MISSING_HUGETLBFS PAGEFAULT_FLAG_WP MINOR_HUGETLBFS MINOR_SHMEM WP_HUGETLBFS_SHMEM POISON; do
                says "$feature (Linux "
        done
}

@test "it runs without privileges, and says what that means" {
        need_root
        chmod 777 "$dir"
        AS=$nobody start_daemon
        run cat "$dir/log"
        says "cannot open /dev/userfaultfd to lend it: Permission denied"
        says "vm.unprivileged_userfaultfd"
        end_daemon
        [ "$status" -eq 0 ]
}

@test "what it says: one line on stderr each, as loud as asked" {
        start_daemon --log-level debug
        "$BFCTL_PROGRAM" status
        end_daemon
        run cat "$dir/log"
        says "serving"
        says "client 1"
        run grep -v '^bigfiled: ' "$dir/log"
        [ "$status" -eq 1 ]
        rm "$dir/log"
        start_daemon --log-level error
        "$BFCTL_PROGRAM" status
        end_daemon
        [ ! -s "$dir/log" ]
}

@test "it ends in good order with clients connected, and they learn of it" {
        start_daemon
        truncate -s 1M "$dir/file"
        BIGFILED_RECONNECT_TIMEOUT=0.1 "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "mmap 0 1048576 rw" "write 0" "say ready" "wait" \
                "writeout" >"$dir/said" 2>&1 3>&- <"$dir/ready" &
        pids+=($!)
        exec {input}>"$dir/ready"
        soon grep -q ready "$dir/said"
        end_daemon
        [ "$status" -eq 0 ]
        echo >&"$input"
        exec {input}>&-
        soon grep -q ENOTCONN "$dir/said"
}
