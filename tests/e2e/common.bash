# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the tests of command lines share. Each test has a directory of its own, $dir, with the socket of its daemons, and every daemon it started is
# killed at the end, whatever became of the test.
# Descriptor 3 belongs to bats: whoever goes on in the background must not hold it.

bats_require_minimum_version 1.5.0

setup() {
        [ -w /dev/userfaultfd ] || skip "this user may not have a userfaultfd"
        dir=$(mktemp -d /tmp/bf-e2e-XXXXXX)
        chmod 755 "$dir"
        socket=$dir/socket
        pids=()
        export BIGFILED_SOCKET=$socket
}

teardown() {
        local pid

        for pid in "${pids[@]}"; do
                { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null || true # bash would tell of its death
        done
        rm -rf "$dir"
}

# Starts a daemon on $socket with these options, and waits until it serves. $daemon is its pid, $dir/log what it says.
# AS="$nobody": as nobody. AT=SOCKET: there instead of at $socket. CONFIG=FILE: with that configuration; else with none.
start_daemon() {
        local fifo=$dir/ready

        rm -f "$fifo"
        mkfifo "$fifo"
        ${AS:-} "$BIGFILED_PROGRAM" --config "${CONFIG:-none}" --socket "${AT:-$socket}" --ready-fd 3 "$@" 2>>"$dir/log" 3>"$fifo" &
        daemon=$!
        pids+=("$daemon")
        if ! read -r -t 30 _ <"$fifo"; then
                cat "$dir/log"
                return 1
        fi
}

# Ends it by a signal, and sets $status to its exit status.
# shellcheck disable=SC2034 # the tests use it
end_daemon() {
        kill -"${1:-TERM}" "$daemon"
        status=0
        wait "$daemon" 2>/dev/null || status=$?
}

# In front of a command: as a user without any rights.
# shellcheck disable=SC2034 # the tests use it
nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --'

# Tests with several users.
need_root() {
        [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
}

# The output of `run` has this in it, as it stands here.
says() {
        # shellcheck disable=SC2154 # bats sets it
        if [[ $output != *"$1"* ]]; then
                printf 'expected: %s\nsaid:     %s\n' "$1" "$output"
                return 1
        fi
}

# It is so soon, or at least within 30 seconds.
soon() {
        local i

        for ((i = 0; i < 3000; i++)); do
                if "$@"; then
                        return 0
                fi
                sleep 0.01
        done
        return 1
}
