#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A domain with two disks.  Its guest ends by itself, and is started again.
# When the guest starts, it reads its disks from end to end.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
data=$(image data.qcow2 64M)
start_libvirt
define web "$image" "$data"
for _ in 1 2; do
	start web
	progress web 1
	kill_and_recover "$(disk_device "$data")"
	progress web 1
	shut_down web
	nothing_left
	check_guest web "$image"
	check_guest web "$data" 1
done
end_libvirt
