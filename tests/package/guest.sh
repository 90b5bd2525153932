#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Inside a Debian that has booted: installs the packages, and tries what whoever runs a host does with them, while programs use big files.
# Usage: guest.sh FOLDER, with the packages in FOLDER/now and FOLDER/next, and the program client. Each verdict is a line; the last one counts them.
set -u

folder=$1
passed=0
failed=0
data=/home/alice/data
socket=/run/bigfiled/bigfiled.sock
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin

# verdict TEXT COMMAND...: it succeeds.
verdict() {
        local text=$1

        shift
        if "$@" >/tmp/verdict 2>&1; then
                passed=$((passed + 1))
                echo "ok      $text"
        else
                failed=$((failed + 1))
                echo "FAILED  $text"
                sed 's/^/        | /' /tmp/verdict
                journalctl -u 'bigfiled*' -n 8 --no-pager -o cat | sed 's/^/        : /'
        fi
}

fails() {
        ! "$@"
}

# soon COMMAND...: it succeeds within 30 seconds.
soon() {
        local i

        for ((i = 0; i < 300; i++)); do
                if "$@" >/dev/null 2>&1; then
                        return 0
                fi
                sleep 0.1
        done
        "$@"
}

as() {
        runuser -u "$1" -- "${@:2}"
}

is() {
        [ "$1" = "$2" ] || {
                echo "\"$1\" is not \"$2\""
                return 1
        }
}

state() {
        systemctl is-active "$1" || true
}

property() {
        systemctl show -P "$2" "$1"
}

# --- a program that uses big files ---------------------------------------------------------------------------------------------------------------

start_client() {
        as alice "$folder/client" "$data" >/tmp/client.log 2>&1 &
        client=$!
}

progress() {
        cat "$data.progress" 2>/dev/null || echo 0
}

goes_on() {
        local before=${1:-$(progress)} i

        for ((i = 0; i < 300; i++)); do
                kill -0 "$client" || {
                        cat /tmp/client.log
                        return 1
                }
                [ "$((10#$(progress)))" -le "$((10#$before + 300))" ] || return 0
                sleep 0.1
        done
        echo "no progress: $before, $(progress)"
        return 1
}

end_client() {
        pkill -TERM -u alice -x client
        wait "$client"
        grep -q 'every number is right' /tmp/client.log || {
                cat /tmp/client.log
                return 1
        }
}

# --- what is tried ---------------------------------------------------------------------------------------------------------------------------------

install_packages() {
        apt-get install -y --no-install-recommends "$folder"/now/*.deb || dpkg -i "$folder"/now/*.deb
}

maps_as_alice() {
        printf '%4096s' '' >/home/alice/small
        chown alice: /home/alice/small
        start_client
        soon test -s "$data.progress"
        goes_on 0
}

says_how_it_is() {
        property bigfiled.service StatusText | grep '^Serving 1 client: [1-9.]* .iB of 8.0 MiB in use'
}

refused_in_words() {
        local output

        output=$(as bob bfctl status 2>&1) && return 1
        echo "$output"
        [[ $output == *"cannot connect to $socket: Permission denied"*"group"* ]]
}

reload_takes() {
        local before

        before=$(property bigfiled.service MainPID)
        printf '# by a tool\npool = %s\n' "$1" >/etc/bigfile/bigfiled.conf.d/50-test.conf
        systemctl reload bigfiled || return
        soon pool_is "$2" && is "$(property bigfiled.service MainPID)" "$before"
}

pool_is() {
        bfctl --json status | grep -q "\"pool_bytes\": *$1,"
}

reload_refuses() {
        printf 'pool = lots\n' >/etc/bigfile/bigfiled.conf.d/50-test.conf
        fails systemctl reload bigfiled && pool_is 33554432 && is "$(state bigfiled.service)" active &&
                journalctl -u bigfiled --no-pager -o cat | grep '50-test.conf:1: pool: "lots" is not a size'
}

restarts() {
        local i

        for ((i = 0; i < 20; i++)); do
                systemctl restart bigfiled && goes_on || return
        done
}

plain_start() {
        systemctl stop bigfiled.socket bigfiled.service && systemctl start bigfiled.service && is "$(state bigfiled.socket)" active && goes_on
}

stop_both() {
        systemctl stop bigfiled.socket bigfiled.service
        is "$(state bigfiled.service)" inactive && [ ! -e "$socket" ]
}

waits() {
        local before

        sleep 1
        before=$(progress)
        sleep 1
        is "$(progress)" "$before" && kill -0 "$client"
}

start_socket() {
        systemctl start bigfiled.socket && goes_on
}

watchdog_restarts() {
        local pid n

        mkdir -p /run/systemd/system/bigfiled.service.d
        printf '[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n' >/run/systemd/system/bigfiled.service.d/test.conf
        systemctl daemon-reload && systemctl restart bigfiled && goes_on || return
        pid=$(property bigfiled.service MainPID)
        n=$(property bigfiled.service NRestarts)
        sleep 5 # longer than the watchdog's time: it is heard
        is "$(property bigfiled.service MainPID)" "$pid" || return
        kill -STOP "$pid"
        soon restarted "$n" && goes_on && journalctl -u bigfiled --no-pager -o cat | grep -i 'watchdog timeout'
        n=$?
        rm -r /run/systemd/system/bigfiled.service.d
        systemctl daemon-reload
        return $n
}

restarted() {
        [ "$(property bigfiled.service NRestarts)" -gt "$1" ] && [ "$(state bigfiled.service)" = active ]
}

killed() {
        local n

        n=$(property bigfiled.service NRestarts)
        systemctl kill -s KILL --kill-who=main bigfiled && soon restarted "$n" && goes_on
}

journal_has_fields() {
        printf 'uid-peers = 1\n' >/etc/bigfile/bigfiled.conf.d/50-test.conf
        systemctl reload bigfiled
        soon second_is_refused && journalctl -u bigfiled --no-pager -o cat BIGFILED_PEER_UID="$(id -u alice)" | grep 'gets no more'
}

second_is_refused() {
        as alice bfctl status 2>&1 | grep 'uid-peers'
}

# --- servers of network block devices, which are allowed and reached -----------------------------------------------------------------------------

start_nbd() {
        grep -q localhost /etc/hosts 2>/dev/null || echo '127.0.0.1 localhost' >>/etc/hosts
        systemd-run --quiet --unit nbd-tcp nbdkit --foreground --ipaddr 127.0.0.1 --port 10809 memory 1M &&
                systemd-run --quiet --unit nbd-unix -p RuntimeDirectory=nbd -p User=bigfile nbdkit --foreground --unix /run/nbd/one memory 1M && soon test -S /run/nbd/one
}

allow_nbd() {
        printf 'allow-nbd = nbd://localhost/ nbd+unix:///?socket=/run/nbd/\n' >/etc/bigfile/bigfiled.conf.d/60-nbd.conf
        systemctl reload bigfiled
}

uses_nbd() {
        as alice "$folder/client" --once "$1"
}

refuses_nbd() {
        local output

        output=$(uses_nbd "$1") && return 1
        echo "$output"
        [[ $output == *"$2"* ]]
}

# As bigfiled.conf(5) says.
let_have_network() {
        mkdir -p /etc/systemd/system/bigfiled.service.d
        printf '%s\n' '[Service]' PrivateNetwork=no 'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6' IPAddressDeny=any IPAddressAllow=localhost \
                >/etc/systemd/system/bigfiled.service.d/network.conf
        systemctl daemon-reload && systemctl restart bigfiled
}

end_nbd() {
        rm -r /etc/systemd/system/bigfiled.service.d /etc/bigfile/bigfiled.conf.d/60-nbd.conf
        systemctl daemon-reload && systemctl restart bigfiled && systemctl stop nbd-tcp nbd-unix
}

upgrade() {
        local before

        before=$(property bigfiled.service MainPID)
        invocation=$(property bigfiled.socket InvocationID)
        printf 'pool = 32M\n' >/etc/bigfile/bigfiled.conf.d/50-test.conf
        dpkg -i "$folder"/next/*.deb && fails is "$(property bigfiled.service MainPID)" "$before" && is "$(state bigfiled.service)" active && pool_is 33554432 && goes_on
}

remove() {
        dpkg -r libbfclient-dev libbfclient0 bigfiled && is "$(state bigfiled.service)" inactive && is "$(state bigfiled.socket)" inactive && [ ! -e "$socket" ] &&
                [ -e /etc/bigfile/bigfiled.conf ]
}

purge() {
        rm /etc/bigfile/bigfiled.conf.d/50-test.conf
        dpkg -P bigfiled libbfclient0 libbfclient-dev && [ -z "$(find / -xdev -path "$folder" -prune -o -name '*bigfile*' -print -o -name '*bfc[lt]*' -print | grep -v '^/proc\|^/sys\|^/var/lib/systemd/coredump\|/journal/' | tee /dev/stderr)" ]
}

# --------------------------------------------------------------------------------------------------------------------------------------------------

useradd -m alice
useradd -m bob
mknod /dev/userfaultfd c 10 "$(cat "$folder/minor")" 2>/dev/null
mknod /dev/fuse c 10 229 2>/dev/null

# What an operator looks at: all of it as root, his own as a user of the group.
shows_what_happens() {
        bfctl files | grep -q "$data" && bfctl --json peers | grep -q '"command": "client"' && as alice bfctl files | grep -q "$data" &&
                bfctl metrics | grep -q '^bigfiled_fault_seconds_count [1-9]' && fails as alice bfctl trace 1 && bfctl trace 0.1 &&
                bfctl config | grep -q 'pool .*/etc/bigfile/'
}

# The service may make the socket where its manual page says that it can.
serves_metrics() {
        echo 'http-address = unix:/run/bigfiled/metrics.sock' >/etc/bigfile/bigfiled.conf.d/metrics.conf
        systemctl restart bigfiled.service
        soon bfctl status >/dev/null && is "$(stat -c '%U %a %F' /run/bigfiled/metrics.sock)" 'bigfile 660 socket' && goes_on && rm /etc/bigfile/bigfiled.conf.d/metrics.conf
}


verdict 'the packages can be installed' install_packages
usermod -aG bigfile alice
chgrp bigfile /dev/userfaultfd # there is no udev in here
chmod 0660 /dev/userfaultfd
verdict 'there is a user and a group for it' id bigfile
verdict 'the socket is enabled' is "$(systemctl is-enabled bigfiled.socket)" enabled
verdict 'and listens' is "$(state bigfiled.socket)" active
verdict 'the service is not started by the installation' is "$(state bigfiled.service)" inactive
printf 'pool = 8M\n' >/etc/bigfile/bigfiled.conf.d/50-test.conf
verdict 'a user in the group maps a file, which starts the service' maps_as_alice
verdict 'the service is ready' is "$(state bigfiled.service)" active
verdict 'and says how it is' soon says_how_it_is
verdict 'it does not run as root' is "$(stat -c %U "/proc/$(property bigfiled.service MainPID)")" bigfile
verdict 'a user who is not in the group is refused in words' refused_in_words
verdict 'systemctl reload: a larger pool, the same process' reload_takes 32M 33554432
verdict 'systemctl reload: a wrong configuration makes it fail, and is not taken' reload_refuses
verdict 'systemctl reload: a smaller pool' reload_takes 2M 2097152
verdict 'the program went on over that' goes_on
verdict 'bfctl shows what happens' shows_what_happens
verdict 'metrics are served at a socket' serves_metrics
verdict 'systemctl restart, 20 times: the program goes on each time' restarts
verdict 'kill -9: another one is started, the program goes on' killed
verdict 'systemctl stop of socket and service' stop_both
verdict 'the program waits meanwhile' waits
verdict 'systemctl start of the socket: the program goes on' start_socket
verdict 'systemctl start of the service alone: the socket comes with it' plain_start
verdict 'a daemon that hangs is killed by the watchdog, the program goes on' watchdog_restarts
verdict 'servers of network block devices run' start_nbd
verdict 'none of them is allowed' refuses_nbd 'nbd+unix:///?socket=/run/nbd/one' allow-nbd
verdict 'systemctl reload: some are' allow_nbd
verdict 'one at a Unix socket is used' uses_nbd 'nbd+unix:///?socket=/run/nbd/one'
verdict 'one at a TCP port is not reached' refuses_nbd nbd://localhost/ 'could not connect'
verdict 'with the drop-in that the manual has for it' let_have_network
verdict 'it is' uses_nbd nbd://localhost/
verdict 'the program went on over that' goes_on
verdict 'all of it is taken back' end_nbd
verdict 'the journal has fields' journal_has_fields
verdict 'an upgrade restarts the daemon, the program goes on' upgrade
verdict 'the socket stayed all the while' is "$(property bigfiled.socket InvocationID)" "$invocation"
verdict 'every number of the program is right' end_client
verdict 'the packages can be removed: nothing runs any more, the configuration stays' remove
verdict 'and purged: nothing is left but the user and the group' purge
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
