#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The manual: that its pages are sound, name every option, key and function and no others, and that the examples of pages and guides work.

load common

setup_file() {
        root=$(mktemp -d /tmp/bf-manual-XXXXXX)
        export root
        meson install -C "$BUILD_ROOT" --no-rebuild --quiet --destdir "$root"
        man=$(dirname "$(dirname "$(find "$root" -name bigfiled.8)")")
        pc=$(find "$root" -name libbfclient.pc)
        prefix=$(sed -n 's/^prefix=//p' "$pc")
        libdir=$(dirname "$(dirname "$pc")")
        export man pc prefix libdir
        export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=${pc%/*}
}

teardown_file() {
        rm -rf "$root"
}

need_pages() {
        command -v mandoc >/dev/null || skip "mandoc is not installed"
        [ -d "$man/man8" ] || skip "built without scdoc"
}

# A page as a person reads it, without overstriking and line breaks that matter to nobody.
page() {
        mandoc -T ascii -O width=300 "$man/man${1##*.}/$1" | sed 's/.\x08//g'
}

# Items of a page that stand in front of their explanation, one a line: in section $2 of page $1, up to section $3.
items() {
        page "$1" | sed -n "/^$2\$/,/^$3\$/p" | sed -n 's/^     *\(-.*\|[a-z][a-z-]* = .*\)$/\1/p'
}

@test "mandoc has nothing to say about the pages" {
        need_pages
        run find "$man" -name '*.[1-8]'
        [ "${#lines[@]}" -ge 20 ]
        for file in "${lines[@]}"; do
                (cd "$man" && mandoc -T lint "$file") || {
                        echo "$file"
                        return 1
                }
                (cd "$man" && mandoc -T ascii "$file" >/dev/null)
        done
}

@test "bigfiled(8) has the options of --help, and no others" {
        need_pages
        "$BIGFILED_PROGRAM" --help | grep -o '^  \(-., \)\?--[a-z-]*' | sed 's/^ *//' | sort >"$dir/help"
        items bigfiled.8 OPTIONS SIGNALS | sed -n 's/^\(\(-., \)\?--[a-z-]*\).*/\1/p' | sort >"$dir/page"
        [ "$(wc -l <"$dir/help")" -ge 20 ]
        diff "$dir/help" "$dir/page"
}

@test "bigfiled.conf(5) and the installed file have the keys of the configuration, and no others" {
        local conf

        need_pages
        "$BIGFILED_PROGRAM" --check-config --config none | sed -E 's/^; //; s/[ :].*//' | sort >"$dir/keys"
        [ "$(wc -l <"$dir/keys")" -ge 14 ]
        items bigfiled.conf.5 KEYS EXAMPLES | sed -n 's/^\([a-z-]*\) = .*/\1/p' | sort >"$dir/page"
        diff "$dir/keys" "$dir/page"
        conf=$(find "$root" -name bigfiled.conf -path '*/bigfile/*')
        sed -n 's/^#\([a-z-]*\) = .*/\1/p' "$conf" | sort >"$dir/installed"
        diff "$dir/keys" "$dir/installed"
        "$BIGFILED_PROGRAM" --check-config --quiet --config "$conf"
        sed 's/^#\([a-z-]* = \)/\1/; s/^\(socket-group\) = .*/\1 = 0/' "$conf" >"$dir/all.conf"
        "$BIGFILED_PROGRAM" --check-config --quiet --config "$dir/all.conf"
}

@test "the keys that bigfiled.conf(5) marks are those that a reload takes" {
        need_pages
        page bigfiled.conf.5 | sed -n 's/^ *\([a-z-]*\) = .*(reload)$/\1/p' | sort >"$dir/page"
        "$BIGFILED_PROGRAM" --check-config --config none | sed -E 's/^; //; s/[ :].*//' | sort >"$dir/keys"
        : >"$dir/conf"
        CONFIG=$dir/conf start_daemon
        printf '%s\n' 'socket = /x' 'socket-mode = 0666' 'socket-group = 0' 'spill-dir = none' 'lend = no' 'served-group = yes' 'pool = 77M' 'pagers = 7' 'spill-size = 77M' 'room-timeout = 7' \
                'reclaim-batch = 7' 'replacement = lru' 'uid-peers = 7' 'uid-handles = 7' 'uid-mappings = 7' 'uid-dirty = 77M' 'direct-io = yes' 'allow-nbd = nbd://localhost/' 'nbd-timeout = 7' 'http-address = 127.0.0.1:9' 'log-level = warning' >"$dir/conf"
        [ "$(wc -l <"$dir/conf")" -eq "$(wc -l <"$dir/keys")" ] # a new key belongs in here
        start_length=$(wc -l <"$dir/log")
        kill -HUP "$daemon"
        soon grep -q '^bigfiled: log-level: ' "$dir/log"
        sed -n 's/^bigfiled: \([a-z-]*\): .*, it was .*/\1/p' "$dir/log" | sort >"$dir/taken"
        diff "$dir/page" "$dir/taken"
}

@test "bfctl(1) has the options and commands of --help, and no others" {
        need_pages
        "$BFCTL_PROGRAM" --help | grep -o '^  \(-., \)\?--[a-z-]*' | sed 's/^ *//' | sort >"$dir/help"
        items bfctl.1 OPTIONS 'EXIT STATUS' | sed -n 's/^\(\(-., \)\?--[a-z-]*\).*/\1/p' | sort >"$dir/page"
        diff "$dir/help" "$dir/page"
        "$BFCTL_PROGRAM" --help | sed -n '/^Commands/,/^Options/s/^  \([a-z][a-z]*\) .*/\1/p' | sort >"$dir/help"
        page bfctl.1 | sed -n '/^COMMANDS/,/^OPTIONS/s/^ \{5,8\}\([a-z][a-z]*\)\( \[.*\)\?$/\1/p' | sort >"$dir/page"
        [ "$(wc -l <"$dir/help")" -ge 3 ]
        diff "$dir/help" "$dir/page"
}

@test "each function has a page that shows it, and is in the overview" {
        local name target

        need_pages
        nm -D --defined-only "$libdir/libbfclient.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$dir/functions"
        [ "$(wc -l <"$dir/functions")" -ge 20 ]
        diff "$dir/functions" <(cd "$man/man3" && printf '%s\n' bf_*.3 | sed 's/\.3$//' | sort)
        page libbfclient.3 >"$dir/overview"
        while read -r name; do
                target=$(basename "$(realpath "$man/man3/$name.3")")
                [ -e "$dir/$target" ] || page "$target" >"$dir/$target"
                grep -q "[ *]$name(.*[,;]\$" "$dir/$target"
                grep -qE "^ .*\b$name\b.* - " "$dir/$target"
                grep -q "$name(3)" "$dir/overview"
        done <"$dir/functions"
}

@test "what the pages show of the header is in the header" {
        local file

        need_pages
        tr -s ' \n' ' ' <"$root$prefix/include/bfclient.h" >"$dir/header"
        for file in "$man"/man3/bf_*.3; do
                page "${file##*/}" | sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | tr '\n' ' ' | tr -s ' ' | grep -o '[a-z][a-z_ *]*\*\?bf_[a-z_]*([^)]*);' >"$dir/shown" || continue
                while read -r line; do
                        grep -qF -- "$line" "$dir/header" || {
                                echo "${file##*/}: $line"
                                return 1
                        }
                done <"$dir/shown"
        done
}

# compile SOURCE: as the manual says.
compile() {
        # shellcheck disable=SC2046 # they are words
        gcc -std=gnu11 -Wall -Wextra -Werror -o "${1%.c}" "$1" $(pkg-config --cflags --libs libbfclient)
}

# Writes the examples of all pages to $dir/NAME.c.
extract_examples() {
        local file

        for file in "$man"/man3/*.3; do
                page "${file##*/}" | awk -v dir="$dir" '
                        /\/\* example: .*\.c \*\// { match($0, /[^ ]/); indent = RSTART; out = dir "/" $3 }
                        /^[A-Z]/ { out = "" }
                        out { print substr($0, indent) > out }'
        done
}

# says_of PROGRAM EXPECTED ARG...: its whole output.
says_of() {
        run env LD_LIBRARY_PATH="$libdir" BIGFILED_SOCKET="$socket" BIGFILED_PROGRAM="$BIGFILED_PROGRAM" "$dir/$1" "${@:3}"
        [ "$status" -eq 0 ] && [ "$output" = "$2" ] || {
                printf '%s: status %s: %s\n' "$1" "$status" "$output"
                return 1
        }
}

@test "the examples of the pages work" {
        local source n=0

        need_pages
        extract_examples
        for source in "$dir"/*.c; do
                compile "$source"
                n=$((n + 1))
        done
        [ "$n" -ge 9 ]
        [ "$(grep -l '^# EXAMPLES' "$SOURCE_ROOT"/docs/man/*.3.scd.in | wc -l)" -eq "$n" ]
        start_daemon --pool 8M
        truncate -s 16M "$dir/numbers"
        says_of first '' "$dir/numbers"
        [ "$(od -An -v -t u8 -w8 "$dir/numbers" | tr -d ' ' | uniq)" = 1 ]
        says_of connect ''
        says_of create '' "$dir/new"
        [ "$(dd if="$dir/new" bs=1M skip=512 count=1 status=none | head -c 13)" = 'in the middle' ]
        printf '\005%4095s\007%8191s' '' '' >"$dir/file"
        says_of window '5 7' "$dir/file"
        says_of load '5' "$dir/file"
        says_of commit '' "$dir/file"
        [ "$(head -c 104 "$dir/file" | tail -c 4)" = kept ]
        [ "$(head -c 4 "$dir/file")" = $'\005   ' ]
        says_of state '1 page, 4096 bytes' "$dir/file"
        says_of pool '1 clients'
        says_of sigbus 'No such device or address' "$dir/file"
}

# The code blocks of a guide that begin with their name in a comment, to $dir/NAME.
extract_blocks() {
        awk -v dir="$dir" '
                /^```$/ { out = "" }
                out { print > out }
                /^```(c|python)$/ { getline; match($0, /[a-z]+\.(c|py)/); out = dir "/" substr($0, RSTART, RLENGTH); print > out }' "$1"
}

@test "from mmap to bigfile: in C" {
        extract_blocks "$SOURCE_ROOT/docs/from-mmap.md"
        gcc -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$dir/before" "$dir/before.c"
        compile "$dir/after.c"
        start_daemon --pool 1M
        truncate -s 4M "$dir/numbers"
        "$dir/before" "$dir/numbers"
        says_of after '' "$dir/numbers"
        [ "$(od -An -v -t u8 -w8 "$dir/numbers" | tr -d ' ' | uniq)" = 2 ]
        printf '\377\377\377\377\377\377\377\377' | dd of="$dir/numbers" bs=1 seek=3M conv=notrunc status=none
        cp "$dir/numbers" "$dir/copy"
        run env LD_LIBRARY_PATH="$libdir" "$dir/after" "$dir/numbers"
        [ "$status" -eq 2 ]
        cmp "$dir/numbers" "$dir/copy"
}

@test "from numpy.memmap to bigfile: in Python" {
        local python=${PYTHON:-/usr/bin/python3}

        [ -x "$python" ] || skip "no Python"
        [ ! -e "$BUILD_ROOT/meson-info/intro-buildoptions.json" ] || ! grep -q '"b_sanitize".*"value": "\(address\|thread\)' "$BUILD_ROOT/meson-info/intro-buildoptions.json" || skip "a library with a sanitizer is not for Python"
        extract_blocks "$SOURCE_ROOT/docs/from-mmap.md"
        start_daemon --pool 1M
        truncate -s 8000000 "$dir/array"
        sed 's/^                //' >"$dir/plain.py" <<'END'
                import sys
                from bigfile import BigFile
                f = BigFile(sys.argv[1])
                m = f.memory(4096, 8192)
                m[5] = 9
                f.commit()
                m[5] = 10
                f.abort()
                assert m[5] == 9 and m[6] == 0
                f.refresh()
                assert m[5] == 9
                r = BigFile(sys.argv[1], "r").memory(4096, 100)
                assert r[5] == 9 and r.readonly
                try:
                        BigFile("/nothing/there")
                        sys.exit("opened")
                except FileNotFoundError as e:
                        assert "cannot open /nothing/there" in str(e)
                del m
                f.close()
END
        run env -C "$dir" LD_LIBRARY_PATH="$libdir" BIGFILED_SOCKET="$socket" "$python" plain.py "$dir/array"
        [ "$status" -eq 0 ] || {
                echo "$output"
                return 1
        }
        [ "$(od -An -t u1 -j 4101 -N 1 "$dir/array" | tr -d ' ')" = 9 ]
        "$python" -c 'import numpy' 2>/dev/null || skip "numpy is not installed: the part without it passed"
        truncate -s 0 "$dir/array"
        truncate -s 8000000 "$dir/array"
        (cd "$dir" && "$python" before.py array)
        [ "$("$python" -c 'import numpy, sys; print(int(numpy.fromfile(sys.argv[1]).sum()))' "$dir/array")" = 10000 ]
        truncate -s 0 "$dir/array"
        truncate -s 8000000 "$dir/array"
        run env -C "$dir" LD_LIBRARY_PATH="$libdir" BIGFILED_SOCKET="$socket" "$python" after.py "$dir/array"
        [ "$status" -eq 0 ] || {
                echo "$output"
                return 1
        }
        [ "$("$python" -c 'import numpy, sys; print(int(numpy.fromfile(sys.argv[1]).sum()))' "$dir/array")" = 10000 ]
}
