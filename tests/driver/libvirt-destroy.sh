#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A domain can be destroyed when its disk has no server, and when it has no
# supervisor either: the hook recovers the disk to close it in good order.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
define web "$image"
# shellcheck disable=SC2034  # lib.sh uses it
DEV=$(disk_device "$image")

start web
kill_server
virsh destroy web || fail "destroy without a server"
domain_is web "shut off"
note "destroyed without a server"
nothing_left
check_guest web "$image"

start web
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
virsh destroy web || fail "destroy without a supervisor"
domain_is web "shut off"
note "destroyed without a supervisor"
nothing_left
check_guest web "$image"
end_libvirt
