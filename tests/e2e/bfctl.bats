#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bfctl: what it shows, to people and to programs; what it does; how it fails.

load common

# A daemon with this pool, and a client who does this with his mapping of 1 MiB, and then holds what he has.
setup_with_client_of() {
        local pool=$1

        shift
        start_daemon --pool "$pool" --spill-dir "${SPILL_DIR:-$dir}" --socket-mode "${SOCKET_MODE:-600}"
        truncate -s 1M "$dir/file"
        mkfifo "$dir/go"
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "advise 2" "mmap 0 1048576 rw" "$@" "say ready" "wait" >"$dir/said" <"$dir/go" 3>&- &
        pids+=($!)
        exec {go}>"$dir/go"
        soon grep -q ready "$dir/said"
}

# He has three pages: two loaded and one dirty.
setup_with_client() {
        setup_with_client_of 1M "read 0" "read 4096" "write 8192 5"
}

# What `run` got is one document, and valid by its schema.
valid() {
        local document=$dir/document

        printf '%s\n' "$output" >"$document"
        run jq -rn --slurpfile schema "$SOURCE_ROOT/tests/e2e/$1.schema.json" --slurpfile document "$document" -f "$SOURCE_ROOT/tests/e2e/schema.jq"
        if [ "$status" -ne 0 ] || [ -n "$output" ]; then
                printf '%s\n' "$output"
                return 1
        fi
        [ "$(jq -s length "$document")" -eq 1 ]
}

# A field of the last valid document.
field() {
        jq -r ".$1" "$dir/document"
}

# bfctl has asked, and waits so many seconds before it asks again.
is_asked_by() {
        [ "$("$BFCTL_PROGRAM" --json peers | jq '.peers | length')" -eq "$1" ]
}

bad() {
        run --separate-stderr "$BFCTL_PROGRAM" "$@"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [[ $stderr == bfctl:\ * ]]
        [[ $stderr == *--help* ]]
        output=$stderr
}

@test "status, for people" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" status
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        says "bigfiled at $socket: healthy"
        says "12.0 KiB of 1.0 MiB in use"
        says "1.2 %"
        says "4.0 KiB"
        [[ ${lines[3]} =~ ^peers\ +2 ]]
        [[ ${lines[4]} =~ ^handles\ +1,\ with\ 1\ mapping ]]
        [[ ${lines[5]} =~ ^faults\ +3,\ half\ of\ them\ answered\ within\ [0-9.]+\ [num]?s,\ 99\ of\ 100\ within ]]
        [[ ${lines[6]} =~ ^running\ +for\ [0-9]+\ s,\ with\ [0-9]+\ threads ]]
        [ "${#lines[@]}" -eq 7 ]
}

@test "stats, for people: each number exact, sizes also in words" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" stats
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [[ $output =~ pool_bytes\ +1048576\ +1.0\ MiB ]]
        [[ $output =~ resident_bytes\ +12288\ +12.0\ KiB ]]
        [[ $output =~ dirty_bytes\ +4096\ +4.0\ KiB ]]
        [[ $output =~ loads\ +3\ +[0-9.]+/s ]]
        [[ $output =~ spilled_bytes\ +0\ +0\ B ]]
        [ "${#lines[@]}" -eq 24 ] # 20 numbers, and what took how long
        [[ ${lines[20]} =~ ^latency\ +count\ +mean\ +p50\ +p90\ +p99\ +p99.9\ +max$ ]]
        [[ ${lines[21]} =~ ^fault\ +3\ +[0-9.]+\ [num]?s\  ]]
        [[ ${lines[22]} =~ ^load\ +3\  ]]
        [[ ${lines[23]} =~ ^store\ +0\ +0\ ns\  ]]
}

@test "status and stats as JSON" {
        setup_with_client
        for words in "--json status" "status --json"; do # on either side
                run --separate-stderr "$BFCTL_PROGRAM" $words
                [ "$status" -eq 0 ]
                [ -z "$stderr" ]
                valid status
                [ "$(field socket)" = "$socket" ]
                [ "$(field status)" = healthy ]
                [ "$(field peers)" = 2 ]
        done
        run --separate-stderr "$BFCTL_PROGRAM" --json stats
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        valid stats
        [ "$(field pool_bytes)" = 1048576 ]
        [ "$(field resident_bytes)" = 12288 ]
        [ "$(field dirty_bytes)" = 4096 ]
        [ "$(field filehs)" = 1 ]
        [ "$(field mappings)" = 1 ]
        [ "$(field faults)" = 3 ]
        [ "$(field loads)" = 3 ]
        [ "$(field stores)" = 0 ]
        [ "$(field evictions)" = 0 ]
        [ "$(field latencies.fault.count)" = 3 ]
        [ "$(field latencies.load.count)" = 3 ]
        [ "$(field latencies.store.count)" = 0 ]
        [ "$(field latencies.fault.p50_nsec)" -gt 0 ]
        [ "$(field latencies.fault.max_nsec)" -ge "$(field latencies.fault.p50_nsec)" ]
        [ "$(field 'per_second.faults > 0')" = true ]
}

@test "stats over a time counts what happens in it" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" --json stats 0.01
        [ "$status" -eq 0 ]
        valid stats
        [ "$(field faults)" = 0 ]
        [ "$(field resident_bytes)" = 12288 ]
        [ "$(field latencies.fault.count)" = 0 ]
        [ "$(field 'seconds >= 0.01')" = true ]
        "$BFCTL_PROGRAM" --json stats 3 >"$dir/stats" &
        pids+=($!)
        soon is_asked_by 3
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "advise 2" "mmap 0 1048576 rw" "read 0" "write 4096 1" "writeout 3" 3>&-
        wait "${pids[-1]}"
        run cat "$dir/stats"
        valid stats
        [ "$(field faults)" = 2 ]
        [ "$(field latencies.store.count)" = 1 ]
        for seconds in 0 x 4000 ''; do
                run --separate-stderr "$BFCTL_PROGRAM" stats "$seconds"
                [ "$status" -eq 2 ]
                [[ $stderr == "bfctl: \"$seconds\" is no number of seconds"* ]]
        done
}

@test "stats over a time in which another daemon comes counts what that one did" {
        setup_with_client
        "$BFCTL_PROGRAM" --json stats 3 >"$dir/stats" 3>&- &
        pids+=($!)
        soon is_asked_by 3
        kill -KILL "${pids[1]}" # nobody has faults afterwards
        end_daemon KILL
        start_daemon --pool 1M --spill-dir none
        wait "${pids[2]}"
        run cat "$dir/stats"
        valid stats # nothing is below 0
        [ "$(field faults)" = 0 ]
        [ "$(field latencies.fault.count)" = 0 ]
        [ "$(field 'seconds == .uptime_seconds')" = true ]
}

@test "stats over a time in which the daemon ends, or is stopped: exit status 3" {
        start_daemon
        "$BFCTL_PROGRAM" stats 3 2>"$dir/complaint" 3>&- & # which waits for as long as it does of itself
        pids+=($!)
        BIGFILED_RECONNECT_TIMEOUT=0.1 "$BFCTL_PROGRAM" stats 3 2>"$dir/complaint2" 3>&- &
        pids+=($!)
        soon is_asked_by 3
        end_daemon KILL
        for i in 1 2; do
                status=0
                wait "${pids[i]}" || status=$?
                [ "$status" -eq 3 ]
        done
        [ "$(cat "$dir/complaint")" = "bfctl: bigfiled at $socket is gone, and no other has come" ]
        diff "$dir/complaint" "$dir/complaint2"
        start_daemon
        "$BFCTL_PROGRAM" stats 2 2>"$dir/complaint" 3>&- &
        pids+=($!)
        soon is_asked_by 2
        kill -STOP "$daemon"
        status=0
        wait "${pids[4]}" || status=$?
        kill -CONT "$daemon"
        [ "$status" -eq 3 ]
        grep -q 'has not answered for 10 seconds' "$dir/complaint"
}

@test "files: what each is and what of it is in RAM" {
        setup_with_client
        truncate -s 3M "$dir/other"
        mkfifo "$dir/hold"
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/other ro" "advise 2" "mmap 0 1048576 r" "read 0" "say ready" "wait" >"$dir/said2" <"$dir/hold" 3>&- &
        pids+=($!)
        exec {hold}>"$dir/hold"
        soon grep -q ready "$dir/said2"
        run --separate-stderr "$BFCTL_PROGRAM" --json files
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        valid files
        [ "$(field 'files | length')" = 2 ]
        [ "$(field 'files[0].path')" = "$dir/file" ]
        [ "$(field 'files[0] | .resident_bytes, .dirty_bytes, .faults, .loads, .handles, .size' | tr '\n' ' ')" = '12288 4096 3 3 1 1048576 ' ]
        [ "$(field 'files[0] | .writable, .shared, .store')" = $'true\nfalse\nfile' ]
        [ "$(field 'files[0].age_seconds > .files[1].age_seconds')" = true ]
        [ "$(field 'files[0].inode')" = "$(stat -c %i "$dir/file")" ]
        [ "$(field 'files[1] | .path, .writable, .resident_bytes')" = "$dir/other"$'\nfalse\n4096' ]
        run --separate-stderr "$BFCTL_PROGRAM" files
        [ "$status" -eq 0 ]
        [ "${#lines[@]}" -eq 3 ]
        [[ ${lines[0]} =~ SIZE\ +RESIDENT\ +DIRTY\ +SPILLED\ +FAULTS/s\ .*FILE$ ]]
        [[ ${lines[1]} =~ ^\ *1.0\ MiB\ +12.0\ KiB\ +4.0\ KiB\ +0\ B\ .*\ w----\ +"$dir/file"$ ]]
        [[ ${lines[2]} =~ \ r----\ +"$dir/other"$ ]]
        run "$BFCTL_PROGRAM" files --sort size
        [[ ${lines[1]} == *"$dir/other" ]]
        bad files --sort siez
        says 'unknown column "siez" (did you mean "size"?'
        bad peers --sort nosuch
        says 'unknown column "nosuch" (there are pid, uid, files, mappings, mapped, faults, waiting, age and command; see bfctl --help)'
        bad status --sort size
        says '--sort is not for "status"'
}

@test "peers: pid, uid and command of each client" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" --json peers
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        valid peers
        [ "$(field 'peers | length')" = 2 ]
        [ "$(field 'peers[0] | .pid, .uid, .command, .handles, .mappings, .mapped_bytes, .faults' | tr '\n' ' ')" = "${pids[1]} $(id -u) bfsay 1 1 1048576 3 " ]
        [ "$(field 'peers[1] | .command, .handles')" = $'bfctl\n0' ]
        run --separate-stderr "$BFCTL_PROGRAM" peers --sort files
        [ "$status" -eq 0 ]
        [ "${#lines[@]}" -eq 3 ]
        [[ ${lines[0]} =~ ^\ *PID\ +UID\ +FILES\ .*COMMAND$ ]]
        [[ ${lines[1]} =~ ^\ *${pids[1]}\ .*\ 1.0\ MiB\ .*\ bfsay$ ]]
}

@test "who waits in a page fault is seen, and for what" {
        local writes=() page

        start_daemon --pool 256K --spill-dir none --room-timeout 100
        truncate -s 1M "$dir/file"
        for page in {0..80}; do
                writes+=("write $((page * 4096)) 1")
        done
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file" "mmap 0 1048576 rw" "${writes[@]}" >"$dir/said" 3>&- &
        pids+=($!)
        soon waits_for_room
        soon says_who_waits
        kill -9 "${pids[-1]}"
}

waits_for_room() {
        "$BFCTL_PROGRAM" --json files | jq -e '.files[0] | .waiting_faults == 1 and .longest_wait_seconds > 0' >/dev/null
}

says_who_waits() {
        "$BFCTL_PROGRAM" status | grep -q "^waiting   1 page faults, for up to .*, for $dir/file\$"
}

@test "files: which of them pass the page cache by" {
        start_daemon
        mkfifo "$dir/hold"
        truncate -s 1M "$dir/file" /dev/shm/bfctl-$$
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file direct" "say ready" "wait" >"$dir/said" <"$dir/hold" 3>&- &
        pids+=($!)
        "$BFSAY_PROGRAM" "unix:$socket" "open /dev/shm/bfctl-$$ direct" "say ready" "wait" >"$dir/said2" <"$dir/hold" 3>&- &
        pids+=($!)
        exec {hold}>"$dir/hold"
        soon grep -q ready "$dir/said"
        soon grep -q ready "$dir/said2"
        rm /dev/shm/bfctl-$$
        run --separate-stderr "$BFCTL_PROGRAM" --json files
        valid files
        [ "$(field '. | [.files[] | select(.path | startswith("/dev/shm/"))][0] | .direct, .direct_refused' | tr '\n' ' ')" = 'false true ' ]
        [ "$(field '. | [.files[] | select(.path | startswith("/dev/shm/") | not)][0] | .direct != .direct_refused')" = true ] # as the folder of the tests has it
        run "$BFCTL_PROGRAM" files
        [[ $output =~ \ w---c\ +/dev/shm/ ]]
}

@test "files and peers of others are for root and the daemon's own user" {
        need_root
        SOCKET_MODE=666 setup_with_client
        run $nobody "$BFCTL_PROGRAM" --json files
        valid files
        [ "$(field 'files | length')" = 0 ]
        run $nobody "$BFCTL_PROGRAM" --json peers
        valid peers
        [ "$(field 'peers | length')" = 1 ]
        [ "$(field 'peers[0].uid')" = 65534 ]
}

@test "reports go with who asked for them" {
        start_daemon
        for ((i = 0; i < 5; i++)); do
                "$BFCTL_PROGRAM" --json files >/dev/null
        done
        has_no_reports() {
                ! ls -l /proc/"$daemon"/fd | grep -q 'bigfiled report'
        }
        soon has_no_reports
}

@test "the schemas refuse what is wrong" {
        start_daemon
        run "$BFCTL_PROGRAM" --json stats
        good=$output
        for change in 'del(.loads)' 'del(.latencies.load.count)' '.per_second.loads = -1' '.latencies.more = 1' '.loads = -1' '.loads = "1"' '.loads = 1.5' '.more = 1' '.schema = "bfctl.stats/2"' '[.]'; do
                output=$(jq "$change" <<<"$good")
                run valid stats
                [ "$status" -ne 0 ]
        done
        output=$good
        valid stats
}

@test "numbers beyond 32 bits are exact" {
        start_daemon --pool 9007199254740993
        run "$BFCTL_PROGRAM" --json stats
        says '"pool_bytes": 9007199254740993'
        run "$BFCTL_PROGRAM" stats
        says ' 9007199254740993 '
}

@test "status says when hardly anything but changes is in the pool" {
        local i writes=()

        for ((i = 0; i < 63; i++)); do
                writes+=("write $((i * 4096)) 1")
        done
        SPILL_DIR=none setup_with_client_of 256K "${writes[@]}"
        run "$BFCTL_PROGRAM" status
        [ "$status" -eq 0 ]
        says "bigfiled at $socket: the pool is nearly full of changes"
        run "$BFCTL_PROGRAM" --json status
        valid status
        [ "$(field status)" = nearly-all-dirty ]
}

@test "status and stats tell what is spilled" {
        local i writes=()

        for ((i = 0; i < 100; i++)); do
                writes+=("write $((i * 4096)) 1")
        done
        setup_with_client_of 256K "${writes[@]}"
        run "$BFCTL_PROGRAM" status
        says "bigfiled at $socket: healthy"
        says " spilled (of at most "
        run "$BFCTL_PROGRAM" --json status
        valid status
        [ "$(field status)" = healthy ]
        run "$BFCTL_PROGRAM" --json stats
        valid stats
        [ "$(field dirty_bytes)" = 409600 ]
        [ "$(field spilled_bytes)" -ge 147456 ]
        [ "$(field spill_file_bytes)" -ge "$(field spilled_bytes)" ]
        [ "$(field spill_limit_bytes)" -ge "$(field spill_file_bytes)" ]
        [ "$(field spills)" -ge 36 ]
        [ "$(field unspills)" = 0 ]
}

@test "reclaim drops clean pages, and only those" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" reclaim 1
        [ "$status" -eq 0 ]
        [ "$output" = "reclaimed 4.0 KiB (4096 bytes)" ]
        run --separate-stderr "$BFCTL_PROGRAM" --json reclaim
        [ "$status" -eq 0 ]
        valid reclaim
        [ "$(field reclaimed_bytes)" = 4096 ]
        run "$BFCTL_PROGRAM" --json reclaim 64K
        valid reclaim
        [ "$(field reclaimed_bytes)" = 0 ]
        run "$BFCTL_PROGRAM" --json stats
        valid stats
        [ "$(field resident_bytes)" = 4096 ]
        [ "$(field dirty_bytes)" = 4096 ]
        [ "$(field evictions)" = 2 ]
}

@test "reclaim of a file, and of what a process has open" {
        local other

        setup_with_client
        truncate -s 1M "$dir/other"
        mkfifo "$dir/hold"
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/other rw" "advise 2" "mmap 0 1048576 rw" "read 0" "read 4096" "read 8192" "say ready" "wait" >"$dir/said2" <"$dir/hold" 3>&- &
        other=$!
        pids+=("$other")
        exec {hold}>"$dir/hold"
        soon grep -q ready "$dir/said2"
        run "$BFCTL_PROGRAM" --json reclaim --file "$dir/file"
        valid reclaim
        [ "$(field reclaimed_bytes)" = 8192 ]
        run "$BFCTL_PROGRAM" reclaim --file other 1
        [ "$output" = "reclaimed 4.0 KiB (4096 bytes)" ]
        ln -s other "$dir/link"
        run "$BFCTL_PROGRAM" reclaim --file "$dir/link" --peer "${pids[1]}"
        [ "$output" = "reclaimed 0 B (0 bytes)" ] # he has another one
        run "$BFCTL_PROGRAM" --json reclaim --peer "$other"
        valid reclaim
        [ "$(field reclaimed_bytes)" = 8192 ]
        run "$BFCTL_PROGRAM" --json stats
        valid stats
        [ "$(field resident_bytes)" = 4096 ]
        [ "$(field dirty_bytes)" = 4096 ]
        [ "$(field evictions)" = 5 ]
        rm "$dir/other" "$dir/link"
        for name in other "$dir/other" "other (deleted)" "$dir/other (deleted)"; do
                run "$BFCTL_PROGRAM" reclaim --file "$name"
                [ "$output" = "reclaimed 0 B (0 bytes)" ]
        done
        run --separate-stderr "$BFCTL_PROGRAM" reclaim --file nosuch
        [ "$status" -eq 1 ]
        [[ $stderr == 'bfctl: no file "nosuch" is open'* ]]
        run --separate-stderr "$BFCTL_PROGRAM" reclaim --peer 1
        [ "$status" -eq 1 ]
        [[ $stderr == 'bfctl: no client has the pid 1'* ]]
        bad reclaim --peer x
        says '"x" is no pid'
        bad files --peer 1
        says '--peer is not for "files"'
}

@test "reclaim is for root and the daemon's own user" {
        need_root
        start_daemon --socket-mode 666
        run --separate-stderr $nobody "$BFCTL_PROGRAM" reclaim
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [[ $stderr == bfctl:\ *"only root"* ]]
        $nobody "$BFCTL_PROGRAM" status
        end_daemon
        chmod 777 "$dir"
        AS=$nobody start_daemon
        $nobody "$BFCTL_PROGRAM" reclaim
        "$BFCTL_PROGRAM" reclaim
}

@test "config: what is in force, and from where" {
        printf 'reclaim-batch = 7\n\npool = 3M\n' >"$dir/conf"
        CONFIG=$dir/conf start_daemon --pool 2M
        run --separate-stderr "$BFCTL_PROGRAM" --json config
        [ "$status" -eq 0 ]
        valid config
        setting() {
                field "settings[] | select(.key == \"$1\") | .value, .where, .reload, .in_words" | tr '\n' ' '
        }
        [ "$(setting pool)" = '2M the command line true false ' ]
        [ "$(setting reclaim-batch)" = "7 $dir/conf:1 true false " ]
        [ "$(setting spill-dir)" = '/var/tmp default false false ' ]
        [[ $(setting uid-peers) =~ ^[0-9]+\ default\ true\ false\ $ ]]
        [ "$(setting socket-group)" = "the daemon's own default false true " ]
        diff <(field 'settings[].key' | sort) <("$BIGFILED_PROGRAM" --check-config --config none | sed -E 's/^; //; s/[ :].*//' | sort)
        printf 'reclaim-batch = 9\n' >"$dir/conf"
        kill -HUP "$daemon"
        soon grep -q 'reclaim-batch: 9' "$dir/log"
        run "$BFCTL_PROGRAM" config
        [[ $output =~ reclaim-batch\ +9\ +"$dir/conf:1" ]]
        [[ $output =~ pool\ +2M\ +the\ command\ line ]]
}

@test "which daemon: --socket before \$BIGFILED_SOCKET" {
        start_daemon --pool 1M
        AT=$dir/other start_daemon --pool 2M
        run "$BFCTL_PROGRAM" --json stats
        valid stats
        [ "$(field pool_bytes)" = 1048576 ]
        run "$BFCTL_PROGRAM" --json --socket "$dir/other" stats
        valid stats
        [ "$(field pool_bytes)" = 2097152 ]
        run "$BFCTL_PROGRAM" --socket="$dir/other" --json stats
        valid stats
        [ "$(field pool_bytes)" = 2097152 ]
}

@test "nobody there: exit status 3, and it starts none" {
        need_root
        for option in "" --json; do
                run --separate-stderr "$BFCTL_PROGRAM" $option status
                [ "$status" -eq 3 ]
                [ -z "$output" ]
                [[ $stderr == "bfctl: cannot connect to $socket: No such file or directory"* ]]
        done
        [ -z "$(ls -A "$dir")" ]
        start_daemon --socket-mode 600
        run --separate-stderr $nobody "$BFCTL_PROGRAM" status
        [ "$status" -eq 3 ]
        [[ $stderr == *"Permission denied"*group* ]]
        end_daemon KILL
        run --separate-stderr "$BFCTL_PROGRAM" status
        [ "$status" -eq 3 ]
        [[ $stderr == *"Connection refused"* ]]
}

@test "a command line that is wrong: exit status 2" {
        bad
        says "what is to be done?"
        bad stat
        says '"stat" (did you mean "stats"?'
        bad statsu
        says 'did you mean "sta'
        bad relcaim
        says 'did you mean "reclaim"?'
        bad frobnicate
        [[ $output != *"did you mean"* ]]
        bad status extra
        says '"extra"'
        bad --socket
        says "--socket"
        bad reclaim -1
        says '"-1"'
        bad --frobnicate status
        says '"--frobnicate"'
        for size in x 0 1.5K 99999999999T ''; do
                run --separate-stderr "$BFCTL_PROGRAM" reclaim "$size"
                [ "$status" -eq 2 ]
                [[ $stderr == "bfctl: \"$size\" is no size"* ]]
        done
}

@test "--help fits a screen, --version" {
        run --separate-stderr "$BFCTL_PROGRAM" --help
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [ "$(wc -l <<<"$output")" -le 24 ]
        ! grep -q "^.\{81\}" <<<"$output"
        for word in status stats files peers top trace reclaim config metrics --file --peer --kind --sort --socket --json --version --help; do
                [[ $output =~ \ $word\  ]]
        done
        run --separate-stderr "$BFCTL_PROGRAM" --version
        [ "$status" -eq 0 ]
        [[ $output =~ ^bfctl\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}
