#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Metrics: that they are OpenMetrics text, what they say, how they are served, and that the dashboard asks for those there are.

load common

# A client who has loaded two pages and stored one.
setup_with_client() {
        start_daemon --pool 1M --spill-dir none "$@"
        truncate -s 1M "$dir/file"
        "$BFSAY_PROGRAM" "unix:$socket" "open $dir/file rw" "advise 2" "mmap 0 1048576 rw" "read 0" "write 4096 5" "writeout 3" 3>&-
}

# The value of a sample on standard input.
sample() {
        awk -v name="$1" '$1 == name { print $2 }'
}

# Is it OpenMetrics text? Each family is told of once, before its samples, which are those that its type has; buckets do not decrease, and end with the count.
is_open_metrics() {
        awk '
                function bad(why) { printf "line %d: %s: %s\n", NR, why, $0; failed = 1 }
                ended { bad("after the end") }
                $1 == "#" && $2 == "EOF" { ended = 1; next }
                $1 == "#" && $2 == "TYPE" { if ($3 in types) bad("again"); types[$3] = $4; family = $3; last = -1; next }
                $1 == "#" { if ($3 != family) bad("of another family"); if ($2 == "UNIT" && family !~ "_" $4 "$") bad("the name lacks the unit"); next }
                {
                        if ($0 !~ /^[a-z_]+(\{le="([0-9.]+|\+Inf)"\})? [0-9.]+$/) bad("no sample")
                        name = $1; sub(/\{.*/, "", name)
                        if (types[family] == "counter" ? name != family "_total" : types[family] == "histogram" ? name !~ "^" family "_(bucket|sum|count)$" : name != family) bad("of another family")
                        if (name ~ /_bucket$/) { if ($2 < last) bad("fewer than before"); last = $2 }
                        if (name == family "_count" && $2 != last) bad("not as in the last bucket")
                }
                END { if (!ended) { print "no end"; failed = 1 } exit failed }'
}

@test "metrics are OpenMetrics text, and the same as stats" {
        setup_with_client
        run --separate-stderr "$BFCTL_PROGRAM" metrics
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        is_open_metrics <<<"$output"
        [ "$(sample bigfiled_pool_bytes <<<"$output")" = 1048576 ]
        [ "$(sample bigfiled_faults_total <<<"$output")" = 2 ]
        [ "$(sample bigfiled_stores_total <<<"$output")" = 1 ]
        [ "$(sample bigfiled_fault_seconds_count <<<"$output")" = 2 ]
        [ "$(sample bigfiled_store_seconds_count <<<"$output")" = 1 ]
        [ "$(sample 'bigfiled_fault_seconds_bucket{le="+Inf"}' <<<"$output")" = 2 ]
        "$BFCTL_PROGRAM" --json stats | jq -r 'to_entries[] | select(.value | type == "number") | .key' | grep -v seconds | sort >"$dir/stats"
        grep -v '^#\|seconds' <<<"$output" | sed 's/^bigfiled_//; s/_total / /; s/ .*//' | sort >"$dir/metrics"
        diff "$dir/stats" "$dir/metrics"
        [ "$("$BFCTL_PROGRAM" --json metrics | jq -r .openmetrics | sample bigfiled_faults_total)" = 2 ]
}

@test "what is no OpenMetrics text is found" {
        start_daemon
        "$BFCTL_PROGRAM" metrics >"$dir/metrics"
        for change in '$d' 's/^bigfiled_faults_total/bigfiled_faults/' '0,/TYPE/s/gauge/counter/' 's/Inf"} 0/Inf"} 1/' '1i bigfiled_more 1'; do
                ! sed "$change" "$dir/metrics" | is_open_metrics || return 1
        done
}

@test "the dashboard asks for metrics that there are, and for all of them" {
        start_daemon
        "$BFCTL_PROGRAM" metrics | grep -v '^#' | sed 's/[ {].*//' | sort -u >"$dir/metrics"
        jq -r '[.panels[].targets[].expr, .templating.list[].query] | .[]' "$SOURCE_ROOT/docs/grafana.json" | grep -o 'bigfiled_[a-z_]*' | sort -u >"$dir/asked"
        [ "$(wc -l <"$dir/asked")" -ge 20 ]
        comm -13 "$dir/metrics" "$dir/asked" >"$dir/unknown"
        [ ! -s "$dir/unknown" ] || {
                cat "$dir/unknown"
                return 1
        }
        comm -23 "$dir/metrics" "$dir/asked" | grep -v '_seconds_\(sum\|count\)$' >"$dir/forgotten" || true
        [ "$(cat "$dir/forgotten")" = bigfiled_pagers ]
}

@test "by HTTP at a Unix socket" {
        setup_with_client --http-address "unix:$dir/metrics"
        [ "$(stat -c %a "$dir/metrics")" = 660 ]
        run curl -sS -i --max-time 10 --unix-socket "$dir/metrics" http://localhost/metrics
        [ "$status" -eq 0 ]
        says 'HTTP/1.1 200'
        says 'Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8'
        curl -sS --max-time 10 --unix-socket "$dir/metrics" http://localhost/metrics >"$dir/text"
        is_open_metrics <"$dir/text"
        [ "$(sample bigfiled_faults_total <"$dir/text")" = 2 ]
        [ "$(curl -sS -o /dev/null -w '%{http_code}' --max-time 10 --unix-socket "$dir/metrics" http://localhost/)" = 404 ]
        [ "$(curl -sS -o /dev/null -w '%{http_code}' --max-time 10 --unix-socket "$dir/metrics" -d x http://localhost/metrics)" != 200 ]
        end_daemon
        [ ! -e "$dir/metrics" ]
}

@test "by HTTP at a Unix socket that a killed daemon left" {
        start_daemon --http-address "unix:$dir/metrics"
        end_daemon KILL
        [ -S "$dir/metrics" ]
        start_daemon --http-address "unix:$dir/metrics"
        curl -sS --max-time 10 --unix-socket "$dir/metrics" http://localhost/metrics | is_open_metrics
        run "$BIGFILED_PROGRAM" --config none --socket "$dir/other" --http-address "unix:$dir/metrics"
        [ "$status" -ne 0 ]
        says "cannot serve metrics at unix:$dir/metrics: Address already in use"
        curl -sS --max-time 10 --unix-socket "$dir/metrics" http://localhost/metrics | is_open_metrics
}

@test "by HTTP at a port of this host" {
        local port

        for ((port = 20000 + RANDOM % 10000; ; port++)); do
                if start_daemon --http-address "127.0.0.1:$port"; then
                        break
                fi
        done
        curl -sS --max-time 10 "http://127.0.0.1:$port/metrics" | is_open_metrics
        exec {line}<>"/dev/tcp/127.0.0.1/$port"
        printf 'GET /metrics HTTP/1.1\r\n' >&"$line" # and no more: nobody else waits for him
        curl -sS --max-time 10 "http://127.0.0.1:$port/metrics" | is_open_metrics
        timeout 10 "$BFCTL_PROGRAM" status
}

@test "other addresses are refused" {
        for address in 0.0.0.0:80 localhost:80 127.0.0.1 127.0.0.1:0 127.0.0.1:65536 127.0.0.1:80x '[::]:80' unix:metrics unix: 80; do
                run "$BIGFILED_PROGRAM" --config none --socket "$socket" --http-address "$address"
                [ "$status" -eq 64 ]
                says "option --http-address: \"$address\" is not unix:PATH, 127.0.0.1:PORT or [::1]:PORT, or none"
        done
}
