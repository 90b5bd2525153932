# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A Ceph of one monitor and one OSD whose data is in RAM, on loopback, without authentication: enough for RBD, and for nothing else. Sourced.

# ceph_check: says what is missing, and how it is installed.
ceph_check() {
        local program missing=()

        for program in monmaptool ceph-mon ceph-osd ceph rbd qemu-nbd; do
                command -v "$program" >/dev/null || missing+=("$program")
        done
        [ ${#missing[@]} -eq 0 ] && return
        printf 'not installed: %s (Debian: apt-get install ceph-mon ceph-osd ceph-common qemu-utils qemu-block-extra)\n' "${missing[*]}" >&2
        return 1
}

# ceph_start FOLDER: which is new, and short, as sockets are in it. Then $CEPH_CONF says to all of Ceph's programs where it is.
ceph_start() {
        local dir=$1 port=${CEPH_PORT:-16789} fsid osd

        fsid=$(cat /proc/sys/kernel/random/uuid)
        osd=$(cat /proc/sys/kernel/random/uuid)
        mkdir -p "$dir/mon" "$dir/osd" "$dir/run"
        export CEPH_CONF=$dir/ceph.conf
        cat >"$CEPH_CONF" <<EOF
[global]
fsid = $fsid
mon_host = v1:127.0.0.1:$port
mon_initial_members = a
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
mon_data = $dir/mon
osd_data = $dir/osd
run_dir = $dir/run
log_file = $dir/\$name.log
admin_socket = $dir/run/\$name.\$pid.asok
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_class_load_list = *
osd_class_default_list = *
EOF
        monmaptool --create --addv a "[v1:127.0.0.1:$port]" --fsid "$fsid" "$dir/monmap" >"$dir/log"
        ceph-mon --id a --mkfs --monmap "$dir/monmap" >>"$dir/log" 2>&1
        ceph-mon --id a --pid-file "$dir/mon.pid" >>"$dir/log" 2>&1
        ceph_retry ceph osd new "$osd"
        ceph-osd --id 0 --osd-uuid "$osd" --mkfs >>"$dir/log" 2>&1
        ceph_retry ceph osd crush add osd.0 1.0 root=default
        ceph_retry ceph-osd --id 0 --pid-file "$dir/osd.pid"
        ceph_retry ceph osd pool create rbd 8 8
        ceph_retry ceph osd pool set rbd size 1 --yes-i-really-mean-it
        ceph_retry rados --pool rbd put ready /dev/null # waits until there is somebody to have it
}

# Who asks before he knows which cluster this is gets "wrong fsid" or EPERM. All that is asked here can be asked again.
ceph_retry() {
        local i

        for i in 1 2 3 4 5; do
                timeout 60 "$@" >>"${CEPH_CONF%/*}/log" 2>&1 && return
                sleep 0.5
        done
        return 1
}

# Both, with all that is under way. The OSD is not asked to: it would wait for the monitor to say that it may.
ceph_stop() {
        local name pid

        for name in osd mon; do
                [ -s "$1/$name.pid" ] || continue
                pid=$(cat "$1/$name.pid")
                kill -9 "$pid" 2>/dev/null || continue
                while kill -0 "$pid" 2>/dev/null; do
                        sleep 0.05
                done
        done
}
