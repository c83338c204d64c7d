#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# A domain is destroyed when its disk has no server, and then when it has no
# supervisor either.
# shellcheck source=../lib-libvirt.sh
. "$(dirname "$0")/../lib-libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
define web "$image"
start web
DEV=$(disk_device "$image")

kill_server
virsh destroy web || fail "destroy without a server"
domain_becomes web "shut off"
note "destroyed without a server"
nothing_left
check_guest web "$image"

start web
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
virsh destroy web || note "destroy waits for the disk"
"$UBLK_QCOW2" recover --all
virsh destroy web 2>/dev/null || true
domain_becomes web "shut off"
note "destroyed without a supervisor"
nothing_left
check_guest web "$image"
end_libvirt
