#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A big file on Ceph: an RBD image of a one-node Ceph, which qemu-nbd exports. It is read, changed and committed, also while qemu-nbd is killed again and again,
# and what "rbd export" says of it then must be what was committed.
#
# Usage: test-ceph.sh PROGRAM (rewrite.c), with BIGFILED_PROGRAM in the environment. Needs root, and packages that it names when they are missing.
set -euo pipefail

program=$1
here=$(cd "$(dirname "$0")" && pwd)
. "$here/one-node.sh"
ceph_check

megabytes=64
kills=20
dir=$(mktemp -d /tmp/bfceph.XXXXXX)
nbd=

step() {
        printf '== %s\n' "$*"
}

nbd_start() {
        rm -f "$dir/nbd.pid" "$dir/nbd.socket"
        qemu-nbd --persistent --shared 8 --format raw --socket "$dir/nbd.socket" --pid-file "$dir/nbd.pid" "rbd:rbd/image:conf=$CEPH_CONF" >>"$dir/log" 2>&1 &
        nbd=$!
        until [ -s "$dir/nbd.pid" ]; do
                kill -0 "$nbd"
                sleep 0.05
        done
}

nbd_kill() {
        [ -z "$nbd" ] || kill -9 "$nbd" 2>/dev/null || true
        [ -z "$nbd" ] || wait "$nbd" 2>/dev/null || true
        nbd=
}

end() {
        local status=$?

        nbd_kill
        ceph_stop "$dir"
        if [ $status -ne 0 ]; then
                tail -n 20 "$dir/log" >&2 || true
                echo "FAILED: see above, and $dir" >&2
        else
                rm -rf "$dir"
        fi
}
trap end EXIT

# rewrite WORDS...: what the file is to have by now is in $dir/image.
rewrite() {
        timeout 300 "$program" "nbd+unix:///?socket=$dir/nbd.socket" "$dir/image" "$@"
}

compare() {
        rm -f "$dir/export"
        timeout 120 rbd export --no-progress rbd/image "$dir/export"
        cmp "$dir/image" "$dir/export"
        echo "equal: $(stat -c %s "$dir/export") bytes"
}

step "Ceph starts"
ceph_start "$dir"
head -c "${megabytes}M" /dev/urandom >"$dir/image"
# Without the lock that one who died has for another half a minute: here one dies again and again.
timeout 120 rbd import --no-progress --image-feature layering "$dir/image" rbd/image
nbd_start

step "read all, change a part, commit it with SYNC, change and discard another"
rewrite 1
compare

# Each time after some rounds, whose number is what it has printed, and a moment more: it may read then, write, or wait for a flush.
step "the same while qemu-nbd is killed $kills times"
rewrite $((kills * 10)) >"$dir/rounds" &
writer=$!
for ((i = 0; i < kills; i++)); do
        until [ "$(wc -l <"$dir/rounds")" -ge $(((i + 1) * 9)) ]; do
                kill -0 "$writer"
                sleep 0.02
        done
        sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
        nbd_kill
        nbd_start
done
wait "$writer"
tail -n 1 "$dir/rounds"
compare
step "OK"
