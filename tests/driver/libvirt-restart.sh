#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# Server, supervisor and libvirtd die at the same time.  When libvirtd is
# back, it makes the hook see to the disk, and the guest goes on.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
define web "$image"
start web
# shellcheck disable=SC2034  # lib.sh uses it
DEV=$(disk_device "$image")
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
end_libvirtd -9
note "all are dead"
run_libvirtd
note "libvirtd is back"
progress web
domain_is web running
kill_and_recover
progress web
shut_down web
nothing_left
check_guest web "$image"
end_libvirt
