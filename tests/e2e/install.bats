#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What is installed, as those see it who write programs against it: files, header, symbols, pkg-config, and the examples of the documentation.

load common

setup_file() {
        root=$(mktemp -d /tmp/bf-install-XXXXXX)
        export root
        meson install -C "$BUILD_ROOT" --no-rebuild --quiet --destdir "$root"
        pc=$(find "$root" -name libbfclient.pc)
        prefix=$(sed -n 's/^prefix=//p' "$pc")
        libdir=$(dirname "$(dirname "$pc")")
        export pc prefix libdir
        export PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=${pc%/*}
}

teardown_file() {
        rm -rf "$root"
}

# The functions that the header declares, one a line.
declared() {
        gcc -E -P "$root$prefix/include/bfclient.h" | tr '\n' ' ' | tr ';' '\n' |
                sed -nE 's/.*[ *](bf_[a-z_]+) ?\([^*].*/\1/p' | grep -v '^bf_file_ops$' | sort -u
}

exported() {
        nm -D --defined-only "$libdir/libbfclient.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

# As its own comment says.
compile() {
        # shellcheck disable=SC2046 # they are words
        gcc -std=gnu11 -Wall -Wextra -Werror -o "$dir/program" "$1" $(pkg-config --cflags --libs libbfclient)
}

@test "what is installed" {
        [ -x "$root$prefix/sbin/bigfiled" ]
        [ -x "$root$prefix/bin/bfctl" ]
        [ -f "$root$prefix/include/bfclient.h" ]
        [ -L "$libdir/libbfclient.so" ]
        [ -e "$libdir/libbfclient.so.0" ]
        [ "$(pkg-config --modversion libbfclient)" = "$("$root$prefix/bin/bfctl" --version | sed 's/bfctl //')" ]
        "$root$prefix/sbin/bigfiled" --version
}

@test "the library exports the functions of the header, and nothing else" {
        [ "$(declared | wc -l)" -ge 20 ]
        diff <(declared) <(exported)
        readelf -d "$libdir/libbfclient.so" | grep -q 'SONAME.*\[libbfclient.so.0\]'
        [ -z "$(readelf -d "$libdir/libbfclient.so" | grep NEEDED | grep -v 'libc\.so\|ld-linux')" ] # it needs nothing else to be installed
}

@test "the list of symbols of the Debian package is that of the library" {
        diff <(exported) <(sed -n 's/^ \(bf_[a-z_]*\)@.*/\1/p' "$SOURCE_ROOT/debian/libbfclient0.symbols")
}

@test "the header is C99, C11 and C++, by itself" {
        local standard

        echo '#include <bfclient.h>' >"$dir/header.c"
        cp "$dir/header.c" "$dir/header.cc"
        for standard in c99 c11 gnu11; do
                gcc -std=$standard -Wall -Wextra -pedantic-errors -Werror -I"$root$prefix/include" -c -o "$dir/header.o" "$dir/header.c"
        done
        for standard in c++11 c++17 c++20; do
                g++ -std=$standard -Wall -Wextra -pedantic-errors -Werror -I"$root$prefix/include" -c -o "$dir/header.o" "$dir/header.cc"
        done
}

@test "a C++ program links" {
        cat >"$dir/program.cc" <<-END
                #include <bfclient.h>
                int main() { bf_client *client; return bf_connect(&client, "nothing:") < 0 ? 0 : 1; }
	END
        g++ -o "$dir/program" "$dir/program.cc" -I"$root$prefix/include" -L"$libdir" -lbfclient
        LD_LIBRARY_PATH=$libdir "$dir/program"
}

@test "the README's first program, on 2 Mi numbers, which do not fit into the pool" {
        local times

        sed -n '/^```c$/,/^```$/p' "$SOURCE_ROOT/README.md" | sed '1d;$d' >"$dir/first.c"
        compile "$dir/first.c"
        truncate -s 16M "$dir/numbers"
        start_daemon --pool 12M
        for times in 1 2; do
                LD_LIBRARY_PATH=$libdir "$dir/program" "$dir/numbers"
                [ "$(od -An -v -t u8 -w8 "$dir/numbers" | tr -d ' ' | uniq)" = "$times" ]
        done
        LD_LIBRARY_PATH=$libdir run "$dir/program" "$dir/nothing"
        [ "$status" -eq 1 ]
        says "cannot open $dir/nothing: No such file or directory"
}

@test "the dialogue at the head of the header" {
        {
                printf '#include <bfclient.h>\n#include <fcntl.h>\n#include <sys/mman.h>\nint main(void) { size_t length = 8192;\n'
                sed -n '/^ \*      struct bf_client \*client;/,/^ \*      bf_disconnect(client);/s/^ \*//p' "$root$prefix/include/bfclient.h" |
                        sed "s|/data/array|$dir/array|; s|\.\.\. read and write memory \.\.\.|((uint64_t *) memory)[512] += 5;|" |
                        sed 's|\(r = .*\);|\1; if (r < 0) return 1;|'
                printf 'return 0; }\n'
        } >"$dir/dialogue.c"
        compile "$dir/dialogue.c"
        start_daemon
        truncate -s 8192 "$dir/array"
        LD_LIBRARY_PATH=$libdir "$dir/program"
        [ "$(od -An -t u8 -j 4096 -N 8 "$dir/array" | tr -d ' ')" = 5 ]
}
