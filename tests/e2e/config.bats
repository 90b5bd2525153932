#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The configuration: files, drop-ins, what is stronger than what, what is told of mistakes, and what is in force.

load common

# Makes $conf, with these lines.
config() {
        conf=$dir/bigfiled.conf
        printf '%s\n' "$@" >"$conf"
}

# Makes a drop-in $1, with the other arguments as lines.
drop_in() {
        local name=$1

        shift
        mkdir -p "$dir/bigfiled.conf.d"
        printf '%s\n' "$@" >"$dir/bigfiled.conf.d/$name"
}

check_config() {
        run --separate-stderr "$BIGFILED_PROGRAM" --check-config --config "$conf" "$@"
}

# wrong LINE... TEXT: a file with these lines is refused with that text, and nothing is printed.
wrong() {
        config "${@:1:$#-1}"
        check_config
        [ "$status" -eq 78 ]
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == "bigfiled: $conf:${*: -1}"* ]] || {
                printf 'expected: %s\nsaid:     %s\n' "$conf:${*: -1}" "$stderr"
                return 1
        }
}

# in_force KEY VALUE WHERE
in_force() {
        local pattern="^$1 = $2 +; $3\$" line

        # shellcheck disable=SC2154 # bats sets it
        for line in "${lines[@]}"; do
                if [[ $line =~ $pattern ]]; then
                        return 0
                fi
        done
        printf 'not in force: %s\n%s\n' "$pattern" "$output"
        return 1
}

@test "what is in force, and from where" {
        config '# a comment' '' 'pool = 8G' '  room-timeout=0.5 ; how long' 'uid-peers = none' 'log-level = warning'
        check_config --reclaim-batch 7
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        in_force pool 8G "$conf:3"
        in_force room-timeout 0.5 "$conf:4"
        in_force uid-peers none "$conf:5"
        in_force log-level warning "$conf:6"
        in_force reclaim-batch 7 'the command line'
        in_force socket-mode 0660 default
        in_force lend yes default
        says "; spill-size: half of what is free there at the start ; default"
}

@test "drop-ins: in order of their names, the last one wins, and the command line wins over all" {
        config 'pool = 1G' 'uid-peers = 1' 'uid-handles = 1'
        drop_in 20-b.conf 'pool = 3G'
        drop_in 10-a.conf 'pool = 2G' 'uid-peers = 2'
        drop_in 30-no.config 'pool = 4G'
        drop_in .hidden.conf 'pool = 5G'
        check_config
        in_force pool 3G "$dir/bigfiled.conf.d/20-b.conf:1"
        in_force uid-peers 2 "$dir/bigfiled.conf.d/10-a.conf:2"
        in_force uid-handles 1 "$conf:3"
        check_config --pool 6G
        in_force pool 6G 'the command line'
        in_force uid-peers 2 "$dir/bigfiled.conf.d/10-a.conf:2"
}

@test "what it prints is a configuration that says the same" {
        local before

        config 'pool = 12345678' 'spill-dir = none' 'spill-size = 3M' 'room-timeout = 1.25' 'uid-dirty = 2T' 'uid-mappings = 9' 'allow-nbd = nbd://a/ nbds://b/' 'nbd-timeout = 2.5' 'lend = no' 'socket-mode = 600' \
                'socket-group = 5' "socket = $dir/sock" 'log-level = debug'
        check_config
        [ "$status" -eq 0 ]
        before=$(sed 's/ *;.*//' <<<"$output")
        printf '%s\n' "$output" >"$dir/copy"
        conf=$dir/copy check_config
        [ "$status" -eq 0 ]
        [ "$(sed 's/ *;.*//' <<<"$output")" = "$before" ]
        [ "$(grep -c "$dir/copy:" <<<"$output")" -ge 13 ]
}

@test "each key of the configuration is an option, and the other way round" {
        local keys options

        config
        check_config
        keys=$(sed -E 's/^; //; s/[ :].*//' <<<"$output" | sort)
        options=$("$BIGFILED_PROGRAM" --help | sed -n '/^Options/,/^Other/s/^  --\([a-z-]*\) .*/\1/p' | sort)
        [ "$(wc -l <<<"$keys")" -ge 14 ]
        diff <(echo "$keys") <(echo "$options")
}

@test "mistakes: file, line, and what is allowed" {
        wrong '#' 'pool = 8Q' '2: pool: "8Q" is not a size of at least 64 pages'
        wrong 'pol = 8G' '1: unknown key "pol" (did you mean "pool"?)'
        wrong 'room_timeout = 8' '1: unknown key "room_timeout" (did you mean "room-timeout"?)'
        wrong 'frobnicate = 8' '1: unknown key "frobnicate" (there are: socket, socket-mode,'
        wrong '' '' 'pool' '3: this is no "key = value"'
        wrong '[pool]' '1: there are no sections'
        wrong 'pool =' '1: pool: "" is not a size'
        wrong '= 5' '1: '
        wrong 'lend = maybe' '1: lend: "maybe" is not yes or no'
        wrong 'private-fd = 3' '1: private-fd: this is for the command line alone'
        wrong 'config = none' '1: config: this is for the command line alone'
        wrong "spill-dir = /$(printf 'x%.0s' {1..300})" '1: the line is too long'
        wrong 'pool = 1G' "# $(printf 'x%.0s' {1..300})" '2: the line is too long'
}

@test "all mistakes of all files are told, in one go" {
        config 'pol = 8G' 'pool = 8G' 'lend = 5'
        drop_in a.conf 'log-level = loud'
        check_config
        [ "$status" -eq 78 ]
        [ "${#stderr_lines[@]}" -eq 3 ]
        [[ $stderr == *"$conf:1: "*"$conf:3: "*"$dir/bigfiled.conf.d/a.conf:1: "* ]]
}

@test "files that cannot be read" {
        conf=$dir/nothing
        check_config
        [ "$status" -eq 78 ]
        [ "$stderr" = "bigfiled: cannot read $conf: No such file or directory" ]
        conf=$dir
        check_config
        [ "$status" -eq 78 ]
        [ "$stderr" = "bigfiled: cannot read $conf: Is a directory" ]
        config
        mkdir -p "$conf.d/a.conf"
        check_config
        [ "$status" -eq 78 ]
        [ "$stderr" = "bigfiled: cannot read $conf.d/a.conf: Is a directory" ]
}

@test "--quiet: only what is wrong" {
        config 'pool = 1G'
        check_config -q
        [ "$status" -eq 0 ]
        [ -z "$output$stderr" ]
        config 'pool = 1'
        check_config --quiet
        [ "$status" -eq 78 ]
        [ -n "$stderr" ]
}

@test "a daemon does as it says, and one with a wrong one does not start" {
        config 'pool = 2M' "socket-mode = 0600"
        CONFIG=$conf start_daemon
        [ "$("$BFCTL_PROGRAM" --json status | jq .pool_bytes)" = 2097152 ]
        [ "$(stat -c %a "$socket")" = 600 ]
        end_daemon
        config 'pool = 2'
        run "$BIGFILED_PROGRAM" --config "$conf" --socket "$socket"
        [ "$status" -eq 78 ]
        [ ! -e "$socket" ]
}

@test "a pool larger than the RAM is no error, but is told" {
        config 'pool = 900T'
        check_config
        [ "$status" -eq 0 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == *'pool may take 900.0 TiB, but there are '*' of RAM'* ]]
        config 'pool = 2M'
        check_config
        [ -z "$stderr" ]
        start_daemon --pool 900T
        grep -q 'pool may take 900.0 TiB' "$dir/log"
        truncate -s 8192 "$dir/file"
        run --separate-stderr "$BFSAY_PROGRAM" "spawn:pool=900T" "open $dir/file rw"
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
}

@test "--config none reads none; a private daemon reads none and wants none" {
        run "$BIGFILED_PROGRAM" --check-config --config none
        [ "$status" -eq 0 ]
        [[ $output != *.conf* ]]
        config 'pool = 2'
        run "$BIGFILED_PROGRAM" --config "$conf" --private-fd 0
        [ "$status" -eq 64 ]
        says "with --private-fd no configuration is read"
        truncate -s 8192 "$dir/file"
        run "$BFSAY_PROGRAM" "spawn:" "open $dir/file rw" "mmap 0 4096 rw" "write 0"
        [ "$status" -eq 0 ]
}

# --- SIGHUP --------------------------------------------------------------------------------------------------------------------------------------

logged() {
        [ "$(grep -c -- "$1" "$dir/log")" -eq "${2:-1}" ]
}

pool_bytes() {
        "$BFCTL_PROGRAM" --json status | jq .pool_bytes
}

@test "SIGHUP: what can change does, and it is told what has" {
        config 'pool = 2M'
        CONFIG=$conf start_daemon --room-timeout 3
        config 'pool = 4M' 'log-level = debug' 'reclaim-batch = 5' 'spill-size = 1G' 'uid-peers = 50' 'uid-dirty = 64M' 'room-timeout = 7'
        kill -HUP "$daemon"
        soon logged 'uid-dirty: 64M, it was none'
        logged 'pool: 4M, it was 2M'
        logged 'log-level: debug, it was info'
        logged 'reclaim-batch: 5, it was 64'
        logged 'spill-size: 1G, it was half of what is free there at the start'
        logged 'uid-peers: 50, it was [0-9]*'
        logged 'room-timeout:' 0 # the command line is stronger
        [ "$(pool_bytes)" = 4194304 ]
        [ "$("$BFCTL_PROGRAM" --json stats | jq .spill_limit_bytes)" = 1073741824 ]
        soon grep -q 'client 1' "$dir/log" # as debug says
        rm "$conf"
        config
        kill -HUP "$daemon"
        soon logged 'uid-dirty: none, it was 64M'
        logged 'pool: [0-9]*K, it was 4M'
        end_daemon
        [ "$status" -eq 0 ]
}

@test "SIGHUP: what needs a restart is told, and stays" {
        config
        CONFIG=$conf start_daemon
        config 'spill-dir = /tmp' 'lend = no' 'pool = 3M'
        kill -HUP "$daemon"
        soon logged 'lend: no instead of yes when bigfiled is restarted'
        logged 'spill-dir: /tmp instead of /var/tmp when bigfiled is restarted'
        [ "$(pool_bytes)" = 3145728 ]
        kill -HUP "$daemon"
        soon logged 'lend: no instead of yes when bigfiled is restarted' 2
        logged 'the configuration was read again: nothing of what is in force has changed'
}

@test "SIGHUP: a wrong configuration leaves all as it is, and that is told" {
        config 'pool = 2M'
        CONFIG=$conf start_daemon
        config 'log-level = debug' 'pool = 1'
        kill -HUP "$daemon"
        soon logged 'the configuration is not taken: all stays as it was'
        logged "$conf:2: pool: \"1\" is not"
        [ "$(pool_bytes)" = 2097152 ]
        logged 'client 1' 0
        rm "$conf"
        kill -HUP "$daemon"
        soon logged 'the configuration is not taken: all stays as it was' 2
        logged "cannot read $conf: No such file or directory"
        [ "$(pool_bytes)" = 2097152 ]
}
