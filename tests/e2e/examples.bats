#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The programs in examples/ do what they say.

load common

need() {
        example=$EXAMPLES/$1
        [ -x "$example" ] || skip "$1 was not built: its library is not installed"
        start_daemon --pool 16M
}

@test "computed: elements of an array that nobody has stored" {
        need computed
        run --separate-stderr "$example" 0 1 27 97 27 8589934591
        [ "$status" -eq 0 ]
        [ "${lines[*]}" = '0 0 111 118 111 '"${lines[5]}" ]
        [ "${lines[5]}" -gt 100 ]
        [ "$stderr" = '2 blocks were computed' ]
        run -1 "$example" 8589934592
}

# Lines of text, of which every one is another.
make_text() {
        seq -f 'line %.0f of a text that is long enough to be cut in frames' 1 40000 >"$dir/text"
        size=$(stat -c %s "$dir/text")
}

@test "zstd_seekable: any bytes of a compressed file, without reading the rest" {
        need zstd_seekable
        make_text
        "$example" pack "$dir/text" "$dir/packed"
        [ "$(stat -c %s "$dir/packed")" -lt $((size / 3)) ]
        for offset in 0 65530 131072 1000001 $((size - 1000)); do
                "$example" cat "$dir/packed" "$offset" 1000 >"$dir/part" 2>"$dir/said"
                cmp "$dir/part" <(tail -c +$((offset + 1)) "$dir/text" | head -c 1000)
                grep -Eq '^[12] of [0-9]+ frames were decompressed$' "$dir/said"
        done
        "$example" cat "$dir/packed" 0 "$size" | cmp - "$dir/text"
        run -1 "$example" cat "$dir/text" 0 10
        ! command -v zstd >/dev/null || zstd -dc "$dir/packed" | cmp - "$dir/text"
}

@test "zstd_seekable: a damaged frame is SIGBUS where it is touched, and nowhere else" {
        need zstd_seekable
        make_text
        "$example" pack "$dir/text" "$dir/packed"
        printf 'damaged' | dd of="$dir/packed" bs=1 seek=20 conv=notrunc status=none
        "$example" cat "$dir/packed" 200000 1000 | cmp - <(tail -c +200001 "$dir/text" | head -c 1000)
        run "$example" cat "$dir/packed" 100 1000
        [ "$status" -ne 0 ] || [ "${#output}" -lt 1000 ]
}

@test "sqlite_blobs: what is written in memory is in the table when it is committed" {
        need sqlite_blobs
        "$example" write "$dir/db" 8190 'over two rows'
        [ "$("$example" read "$dir/db" 8190 13)" = 'over two rows' ]
        [ "$("$example" read "$dir/db" 8195 3)" = two ]
        [ "$("$example" read "$dir/db" 1000000 10 | tr -d '\0' | wc -c)" -eq 0 ]
        "$example" write "$dir/db" 8195 TWO
        [ "$("$example" read "$dir/db" 8190 13)" = 'over TWO rows' ]
}

@test "sqlite_blobs: a transaction that fails half way leaves the table as it was, and the pages dirty" {
        need sqlite_blobs
        "$example" write "$dir/db" 8190 'before it'
        SQLITE_BLOBS_LIMIT=2 run "$example" write "$dir/db" 8190 'what will not come into it'
        [ "$status" -eq 1 ]
        [[ $output == *'nothing was committed: No space left on device'* ]]
        [[ $output == *'8192 bytes are dirty'* ]]
        [ "$("$example" read "$dir/db" 8190 9)" = 'before it' ]
}
