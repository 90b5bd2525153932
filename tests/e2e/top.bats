#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# bfctl top in a terminal, as text: what tmux shows after each key and each change of the window.

load common

teardown() {
        in_tmux kill-server 2>/dev/null || true
        load common
        teardown
}

in_tmux() {
        TMUX_TMPDIR=$dir tmux -f /dev/null -L "${server:-one}" "$@" 3>&-
}

# A window of that size, in which these words are run by a shell.
setup_window() {
        local columns=$1 rows=$2

        shift 2
        command -v tmux >/dev/null || skip "tmux is not installed"
        in_tmux new-session -d -x "$columns" -y "$rows" "env LC_ALL=C.UTF-8 sh -c '$*; echo ended \$?; exec cat'"
}

# What is in the window, of which lines that match are kept.
screen() {
        in_tmux capture-pane -p | grep -E "${1:-}"
}

shows() {
        screen "$1" >/dev/null
}

soon_shows() {
        soon shows "$1" || {
                in_tmux capture-pane -p
                return 1
        }
}

# A client with that file, who has touched so many pages of it, and waits.
setup_client() {
        local file=$1 size=$2 pages=$3 touches=() i

        truncate -s "$size" "$file"
        for ((i = 0; i < pages; i++)); do
                touches+=("write $((i * 4096)) 1")
        done
        rm -f "$dir/go"
        mkfifo "$dir/go"
        : >"$dir/said"
        "$BFSAY_PROGRAM" "unix:$socket" "open $file rw" "advise 2" "mmap 0 1048576 rw" "${touches[@]}" "say ready" "wait" >"$dir/said" <"$dir/go" 3>&- &
        pids+=($!)
        exec {go}>"$dir/go"
        soon grep -q ready "$dir/said"
}

# Clients that come and go, and touch pages all the time.
setup_load() {
        truncate -s 64M "$dir/load"
        while "$BFSAY_PROGRAM" "unix:$socket" "open $dir/load rw" "advise 2" "mmap 0 67108864 rw" "read 0" "read 409600" "write 819200 1" "writeout 3" >/dev/null; do
                :
        done 3>&- &
        pids+=($!)
}

# The rows of the table, from the first below the titles.
files_in_order() {
        screen "/(large|small)\$" | sed 's|.*/||' | tr '\n' ' '
}

is_in_order() {
        [ "$(files_in_order)" = "$1" ]
}

fits() {
        local columns=$1 rows=$2

        in_tmux capture-pane -p >"$dir/screen"
        [ "$(wc -l <"$dir/screen")" -le "$rows" ]
        ! grep -qE "^.{$((columns + 1)),}" "$dir/screen"
}

@test "top in 80 columns: figures, titles, lines, and the keys there are" {
        start_daemon --pool 1M --spill-dir none
        setup_client "$dir/large" 1G 3
        setup_window 80 24 "$BFCTL_PROGRAM" top
        soon_shows '^files by resident   q quit  tab clients  < > other column$'
        fits 80 24
        in_tmux capture-pane -p >"$dir/screen"
        [[ $(sed -n 1p "$dir/screen") =~ ^bigfiled\ up\ [0-9]+\ s:\ healthy$ ]]
        [[ $(sed -n 2p "$dir/screen") =~ ^pool\ \[[#.]{40}\]\ 1\.2\ %$ ]]
        [[ $(sed -n 3p "$dir/screen") == 'in use 12.0 KiB of 1.0 MiB  dirty 12.0 KiB  spilled 0 B  clients 2  files 1' ]]
        [[ $(sed -n 4p "$dir/screen") =~ ^faults\ .*/s\ \ loads\ .*/s\ \ stores\ 0/s\ \ evictions\ 0/s\ \ spills\ 0/s$ ]]
        [[ $(sed -n 5p "$dir/screen") =~ ^fault\ .*load\ .*store\ -$ ]]
        [ "$(sed -n 6p "$dir/screen")" = '      SIZE    RESIDENT       DIRTY  FAULTS/s  USERS  HOW    FILE' ]
        [[ $(sed -n 7p "$dir/screen") =~ ^\ \ \ 1\.0\ GiB\ \ \ \ 12\.0\ KiB\ \ \ \ 12\.0\ KiB\ .*w----\ \ \.\.\..*/large$ ]]
        [ "$(sed -n 24p "$dir/screen")" = 'files by resident   q quit  tab clients  < > other column' ]
}

@test "top under load: rates and latencies of just now" {
        start_daemon --pool 1M --spill-dir none
        setup_load
        setup_window 80 24 "$BFCTL_PROGRAM" top 0.2
        soon_shows '^faults [1-9][0-9.k]*/s  loads [1-9][0-9.k]*/s  stores [1-9][0-9.k]*/s '
        soon_shows '^fault [0-9.]+ [num]?s, p99 [0-9.]+ [num]?s   load [0-9.]+ [num]?s, p99 [0-9.]+ [num]?s   store [0-9.]+ [num]?s, p99 '
        end_load=${pids[1]}
        kill -KILL "$end_load"
        soon_shows '^faults 0/s  loads 0/s  stores 0/s '
        soon_shows '^fault -   load -   store -$'
}

@test "top sorts by the column that is chosen, and shows clients" {
        start_daemon --pool 1M --spill-dir none
        setup_client "$dir/large" 1G 2
        setup_client "$dir/small" 1M 5
        setup_window 80 24 "$BFCTL_PROGRAM" top --sort resident
        soon_shows '^files by resident '
        is_in_order 'small large '
        in_tmux send-keys '<'
        soon_shows '^files by size '
        is_in_order 'large small '
        in_tmux send-keys '<'
        soon_shows '^files by file '
        is_in_order 'large small '
        in_tmux send-keys Right Right Right
        soon_shows '^files by dirty '
        is_in_order 'small large '
        in_tmux send-keys Tab
        soon_shows '^clients by faults   q quit  tab files  < > other column$'
        soon_shows '^ +PID +UID +FILES +MAPPED +FAULTS/s +WAITING +AGE +COMMAND$'
        soon_shows "^ +${pids[1]} +$(id -u) +1 +1.0 MiB .* bfsay\$"
        shows ' bfctl$'
        in_tmux send-keys '<' '<' '<' '<' '<' '<'
        soon_shows '^clients by command '
        [ "$(screen ' (bfsay|bfctl)$' | sed 's/.* //' | tr '\n' ' ')" = 'bfctl bfsay bfsay ' ]
        in_tmux send-keys Tab
        soon_shows '^files by dirty '
}

@test "top follows the size of the window" {
        start_daemon --pool 1M --spill-dir none
        setup_client "$dir/large" 1G 2
        setup_client "$dir/small" 1M 5
        setup_window 80 24 "$BFCTL_PROGRAM" top 600
        soon_shows '^files by resident '
        in_tmux resize-window -x 150 -y 30
        soon_shows '^ +SIZE +RESIDENT +DIRTY +SPILLED +FAULTS/s +LOADS/s +STORES/s +USERS +UID +HOW +FILE$'
        soon_shows "$dir/large\$"
        in_tmux resize-window -x 50 -y 9
        soon eval '[ "$(in_tmux capture-pane -p | sed -n 9p)" = "files by resident   q quit  tab clients  < > other" ]'
        soon_shows '^      SIZE    RESIDENT       DIRTY  FAULTS/s  USER$' # the last line may be what was left of the one before
        fits 50 9
        in_tmux resize-window -x 12 -y 3 # too small for anything, and no reason to fall over
        soon fits 12 3
        in_tmux resize-window -x 80 -y 24
        soon_shows '^files by resident   q quit  tab clients  < > other column$'
        soon_shows '[.][.][.].*/small$'
}

@test "q ends top, and the terminal is as it was" {
        start_daemon --pool 1M --spill-dir none
        setup_window 80 24 echo before\; "$BFCTL_PROGRAM" top 600
        soon_shows '^files by resident '
        ! shows '^before$'
        in_tmux send-keys q
        soon_shows '^ended 0$'
        shows '^before$'
        ! shows 'files by resident'
        in_tmux send-keys -l typed
        soon_shows '^typed' # it is echoed
}

@test "a signal ends top like q" {
        start_daemon --pool 1M --spill-dir none
        setup_window 80 24 echo before\; "$BFCTL_PROGRAM" top 600
        soon_shows '^files by resident '
        kill -TERM "$("$BFCTL_PROGRAM" --json peers | jq '[.peers[] | select(.command == "bfctl") | .pid] | min')"
        soon_shows '^ended 0$'
        shows '^before$'
        in_tmux send-keys -l typed
        soon_shows '^typed'
}

@test "top has colours, unless they are not wanted" {
        start_daemon --pool 1M --spill-dir none
        setup_window 80 24 "$BFCTL_PROGRAM" top
        soon_shows '^files by resident '
        in_tmux capture-pane -pe | grep -q $'\033\\[32mhealthy'
        in_tmux send-keys q
        soon_shows '^ended 0$'
        in_tmux kill-server
        server=other # the first takes its time to end
        setup_window 80 24 NO_COLOR=1 "$BFCTL_PROGRAM" top
        soon_shows '^files by resident '
        ! in_tmux capture-pane -pe | grep -q $'\033'
}

@test "a daemon that is killed or stopped: top waits, then says so" {
        start_daemon --pool 1M --spill-dir none
        setup_window 80 24 "$BFCTL_PROGRAM" --socket "$socket" top 0.1
        soon_shows '^files by resident '
        kill -STOP "$daemon"
        soon_shows '^ended 3$'
        soon_shows 'has not answered for 10 seconds'
        kill -CONT "$daemon"
}

@test "top says that there is no answer, and goes on when there is one" {
        start_daemon --pool 1M --spill-dir none
        setup_window 80 24 "$BFCTL_PROGRAM" --socket "$socket" top 0.1
        soon_shows '^bigfiled up [0-9]+ s: healthy$'
        kill -STOP "$daemon"
        soon_shows '^bigfiled up [0-9]+ s: no answer for [1-9] s$'
        kill -CONT "$daemon"
        soon_shows '^bigfiled up [0-9]+ s: healthy$'
        end_daemon KILL
        soon_shows '^bigfiled up [0-9]+ s: no answer for [1-9] s: it is gone; waiting for another$'
        start_daemon --pool 2M --spill-dir none
        soon_shows '^bigfiled up [0-9]+ s: healthy$'
        soon_shows ' of 2.0 MiB '
        end_daemon KILL
        soon_shows '^ended 3$'
        soon_shows 'is gone, and no other has come'
}

@test "q ends top while there is no answer" {
        for signal in STOP KILL; do
                server=$signal
                start_daemon
                setup_window 80 24 "$BFCTL_PROGRAM" --socket "$socket" top 0.1
                soon_shows 'healthy$'
                kill -"$signal" "$daemon"
                soon_shows 'no answer for '
                in_tmux send-keys q
                soon_shows '^ended 0$'
                in_tmux kill-server
                [ "$signal" = KILL ] || end_daemon KILL
        done
}

@test "top for programs: a line for each second without an answer" {
        start_daemon --pool 1M --spill-dir none
        "$BFCTL_PROGRAM" --json top 0.1 >"$dir/top" 2>"$dir/complaint" 3>&- &
        pids+=($!)
        soon grep -q bfctl.top/1 "$dir/top"
        kill -STOP "$daemon"
        soon grep -q '"error":"no-answer"' "$dir/top"
        kill -CONT "$daemon"
        has_answer() {
                tail -n 1 "$dir/top" | grep -q bfctl.top/1
        }
        soon has_answer
        end_daemon KILL
        soon grep -q '"error":"gone"' "$dir/top"
        status=0
        wait "${pids[1]}" || status=$?
        [ "$status" -eq 3 ]
        grep -q 'is gone, and no other has come' "$dir/complaint"
        grep bfctl.silence "$dir/top" >"$dir/silence"
        run jq -rn --slurpfile schema "$SOURCE_ROOT/tests/e2e/silence.schema.json" --slurpfile document "$dir/silence" -f "$SOURCE_ROOT/tests/e2e/schema.jq"
        [ "$status" -eq 0 ]
        [ -z "$output" ]
}

@test "top for programs: a line for each look" {
        start_daemon --pool 1M --spill-dir none
        setup_client "$dir/large" 1G 3
        setup_load
        "$BFCTL_PROGRAM" --json top 0.2 >"$dir/top" 3>&- &
        pids+=($!)
        has_looked() {
                [ "$(jq -s 'length' "$dir/top" 2>/dev/null || echo 0)" -ge 3 ]
        }
        soon has_looked
        kill "${pids[-1]}"
        sed -i '/"schema":"bfctl.silence\/1"/d' "$dir/top" # the host may be slow
        run jq -rn --slurpfile schema "$SOURCE_ROOT/tests/e2e/top.schema.json" --slurpfile document "$dir/top" -f "$SOURCE_ROOT/tests/e2e/schema.jq"
        [ "$status" -eq 0 ]
        [ -z "$output" ]
        # up to how the numbers are rounded, to three digits
        [ "$(jq -s '.[0].files[] | select(.size > 1000000000) | (.faults_per_second * .age_seconds - .faults | fabs) < 0.0006 * (.faults_per_second + .age_seconds)' "$dir/top")" = true ]
        [ "$(jq -s '.[1].per_second.faults > 0' "$dir/top")" = true ]
        [ "$(jq -s '.[1].seconds < 30' "$dir/top")" = true ]
        [ "$(jq -r '.files[] | select(.size > 1000000000) | .resident_bytes' "$dir/top" | sort -u)" = 12288 ]
        [ "$(jq -s '.[1].peers | length >= 2' "$dir/top")" = true ]
}

@test "top without a terminal, and a command line that is wrong" {
        start_daemon
        run --separate-stderr "$BFCTL_PROGRAM" top
        [ "$status" -eq 1 ]
        [[ $stderr == "bfctl: top needs a terminal"*"--json"* ]]
        run "$BFCTL_PROGRAM" top 0
        [ "$status" -eq 2 ]
        run "$BFCTL_PROGRAM" --sort nosuch top
        [ "$status" -eq 2 ]
}
