#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a program is told when something cannot be done: the errno, and in words what was tried, on what, what went wrong, and what to do.

load common

setup_with_file() {
        start_daemon --socket-mode 666 "$@"
        file=$dir/file
        truncate -s 40960 "$file"
        chmod 644 "$file"
}

# refuses ERRNO COMMAND...: the last command (or connecting) fails so; its words are the last line.
refuses() {
        local errno=$1 last=${!#}

        shift
        run ${AS:-} "$BFSAY_PROGRAM" "${ADDRESS-unix:$socket}" "$@"
        [ "$status" -eq 1 ] || {
                printf 'status %s: %s\n' "$status" "$output"
                return 1
        }
        [[ ${lines[-1]} =~ ^(connect|${last%% *}):\ $errno:\ .+ ]] || {
                printf 'not %s: %s\n' "$errno" "$output"
                return 1
        }
}

@test "no daemon: where, and how to have one" {
        refuses ENOENT
        says "cannot connect to $socket: No such file or directory"
        says "start bigfiled"
        says '"spawn:"'
}

@test "a daemon that was killed" {
        start_daemon
        end_daemon KILL
        refuses ECONNREFUSED
        says "cannot connect to $socket: Connection refused"
        says "start bigfiled"
}

@test "no permission on the socket: which group helps" {
        need_root
        start_daemon --socket-mode 600
        AS=$nobody refuses EACCES
        says "cannot connect to $socket: Permission denied"
        says "add the user to the socket's group"
}

@test "addresses that are none" {
        ADDRESS=foo: refuses EINVAL
        says '"foo:"'
        ADDRESS=/path refuses EINVAL
        says '"/path"'
        ADDRESS=unix: refuses EINVAL
        says "empty"
        ADDRESS=unix:/$(printf 'x%.0s' {1..120}) refuses ENAMETOOLONG
        ADDRESS=spawn:colour=blue refuses EINVAL
        says "colour=blue"
        says "pool=SIZE"
        ADDRESS=spawn:pool=big refuses EINVAL
        says '"big"'
        ADDRESS=spawn:pool=100K refuses EINVAL
        says "at least 64 pages"
        ADDRESS=spawn:room-timeout=soon refuses EINVAL
        says '"soon"'
}

@test "no program to start a private daemon with" {
        ADDRESS=spawn:daemon=$dir/nothing refuses ENOENT
        says "$dir/nothing: No such file or directory"
        says '$BIGFILED_PROGRAM'
        touch "$dir/nothing"
        ADDRESS=spawn:daemon=$dir/nothing refuses EACCES
        BIGFILED_PROGRAM=$dir/none ADDRESS=spawn: refuses ENOENT
        says "$dir/none"
}

@test "a private daemon on a kernel that is too old" {
        export BIGFILED_TEST_UFFD_FEATURES=0x1fff # what Linux 6.1 has

        ADDRESS=spawn: refuses ENOSYS
        says "lacks POISON (Linux 6.6)" # by the daemon, on standard error
        says "needs Linux 6.6 or newer"
}

@test "no userfaultfd: neither lent nor allowed" {
        need_root
        [ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 0 ] || skip "vm.unprivileged_userfaultfd is 1 here"
        setup_with_file --no-lend
        AS=$nobody refuses EPERM
        says "cannot create a userfaultfd: Operation not permitted"
        says "/dev/userfaultfd"
        says "--no-lend"
        end_daemon
        setup_with_file # the same user, lent one
        AS=$nobody run $nobody "$BFSAY_PROGRAM" "unix:$socket" "open $file ro" "mmap 0 4096 r" "read 0"
        [ "$output" = 0 ]
}

@test "files that cannot be opened" {
        need_root
        setup_with_file
        chmod 600 "$file"
        AS=$nobody refuses EACCES "open $file ro"
        says "cannot open $file: Permission denied"
        chmod 644 "$file"
        AS=$nobody refuses EACCES "open $file rw"
        refuses ENOENT "open $dir/none rw"
        says "cannot open $dir/none: No such file or directory"
}

@test "what is no file" {
        setup_with_file
        refuses EISDIR "open $dir ro"
        says "cannot open $dir: it is a directory"
        says "regular files and block devices"
        refuses EISDIR "open $dir rw"
        mkfifo "$dir/pipe"
        refuses ENODEV "open $dir/pipe rw"
        says "it is a pipe"
        timeout 10 "$BFSAY_PROGRAM" "unix:$socket" "open $dir/pipe ro" || [ $? -eq 1 ] # does not wait for a writer
        refuses ENODEV "open /dev/null rw"
        says "character device"
        refuses ENODEV "open $socket rw"
        says "socket"
        refuses EISDIR "open_fd $dir ro"
        refuses ENODEV "open_fd /dev/null rw"
}

@test "ways to open that do not work" {
        setup_with_file
        refuses EINVAL "open $file wo"
        says "O_RDONLY or O_RDWR"
        refuses EINVAL "open $file append"
        refuses EBADF "open_fd $file wo"
        says "not open for reading"
        refuses EINVAL "open_fd $file append"
        says "O_APPEND"
        refuses EBADF "open_fd $dir/none rw"
        refuses EINVAL "open $file rw block=5000"
        says "5000"
        refuses EINVAL "open $file rw block=2048"
        refuses EINVAL "open $file rw block=4194304"
        says "from 4096 to 2097152"
}

@test "huge pages that the host has not" {
        [ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" = 0 ] || skip "this host has huge pages in reserve"
        setup_with_file
        refuses ENOMEM "open $file rw huge"
        says "vm.nr_hugepages"
}

@test "mappings that do not fit" {
        setup_with_file
        refuses EINVAL "open $file rw" "mmap 100 4096 r"
        says "cannot map $file: offset 100 is off a block boundary"
        says "4096"
        refuses EINVAL "open $file rw block=65536" "mmap 4096 4096 r"
        says "65536"
        refuses EINVAL "open $file rw" "mmap 0 0 r"
        says "length is 0"
        refuses ENXIO "open $file rw" "mmap 0 99999 r"
        says "beyond the end of the file (40960 bytes)"
        refuses ENXIO "open $file rw" "mmap 40960 4096 r"
        refuses ENXIO "open $file rw" "mmap 0 18446744073709551615 r"
        refuses EINVAL "open $file rw" "mmap 0 4096 r" "munmap 4096"
        says "no mapping begins there"
}

@test "writing to what was opened read-only" {
        setup_with_file
        refuses EACCES "open $file ro" "mmap 0 4096 rw"
        says "cannot map $file for writing: it was opened read-only"
        says "O_RDWR"
        refuses EBADF "open $file ro" "writeout"
        says "read-only"
        refuses EBADF "open $file ro" "resize 100000"
        says "read-only"
        ASAN_OPTIONS=handle_segv=0 run "$BFSAY_PROGRAM" "unix:$socket" "open $file ro" "mmap 0 4096 r" "write 0 1"
        [ "$status" -eq 139 ] # SIGSEGV
        "$BFSAY_PROGRAM" "unix:$socket" "open $file ro" "mmap 0 4096 r" "read 0"
}

@test "flags, advice and sizes that make no sense" {
        setup_with_file
        refuses EINVAL "open $file rw" "writeout 0"
        says "BF_WRITEOUT_STORE"
        refuses EINVAL "open $file rw" "writeout 4"
        refuses EINVAL "open $file rw" "writeout 6" # SYNC without STORE
        refuses EINVAL "open $file rw" "writeout 9"
        says "0x8"
        refuses EINVAL "open $file rw" "advise 9"
        says "9"
        refuses EINVAL "open $file rw" "resize 10"
        says "it has 40960"
        refuses ENXIO "open $file rw" "load 0 50000"
        refuses ENXIO "open $file rw" "state 50000"
        says "beyond the end of the file (40960 bytes)"
        refuses EINVAL "open_ops"
        says "without a function that loads"
        refuses ENOENT "open ops:nothing rw"
        says "no process whose files you may open"
}

@test "closing what is mapped" {
        setup_with_file
        refuses EBUSY "open $file rw" "mmap 0 4096 r" "close"
        says "cannot close $file"
        says "bf_munmap()"
}

@test "reclaiming is for root and the daemon's own user" {
        need_root
        setup_with_file
        AS=$nobody refuses EPERM "reclaim 0"
        says "only root"
}

@test "everything after the daemon has gone" {
        setup_with_file
        mkfifo "$dir/go"
        for last in "open $file rw" "mmap 0 4096 r" "writeout" "discard" "invalidate 0 4096" "load 0 4096" "resize 100000" "reclaim 0"; do
                rm -f "$dir/said"
                BIGFILED_RECONNECT_TIMEOUT=0.1 "$BFSAY_PROGRAM" "unix:$socket" "open $file rw" "mmap 0 4096 r" "say ready" "wait" \
                        "$last" >"$dir/said" 2>&1 <"$dir/go" 3>&- &
                client=$!
                pids+=("$client")
                exec {go}>"$dir/go"
                soon grep -q ready "$dir/said"
                end_daemon KILL
                exec {go}>&-
                wait "$client" || [ $? -eq 1 ]
                grep -q "^${last%% *}: ENOTCONN: .*$socket" "$dir/said" || {
                        cat "$dir/said"
                        return 1
                }
                start_daemon
        done
}
