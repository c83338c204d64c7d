#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A second disk is plugged into a running domain, loses its server, and is
# unplugged.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
data=$(image data.qcow2 64M)
start_libvirt
define web "$image"
start web
add "$data"			# libvirt runs no hook for a disk that is plugged
disk_xml "$(disk_device "$data")" vdb >"$WORK/data.xml"
virsh attach-device web "$WORK/data.xml" || fail "attach-device"
progress web 1
storm 2 "$(disk_device "$data")"
progress web 1
progress web 0
virsh detach-device web "$WORK/data.xml" || fail "detach-device"
unplugged web 1
del_unplugged "$DEV"
progress web 0
shut_down web
nothing_left
check_guest web "$image"
check_guest web "$data" 1
end_libvirt
