#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# The server of a domain's disk is killed again and again while the guest
# writes.  The guest notices nothing, and all its writes are there.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M -o cluster_size=4k)
guest "$image"
start_libvirt
define web "$image"
start web

# As its users have it: not root, and with a /dev of its own.
[[ $(stat -c %u "/proc/$(qemu_of web)") != 0 ]] || fail "QEMU is root"
[[ $(readlink "/proc/$(qemu_of web)/ns/mnt") != \
	$(readlink /proc/self/ns/mnt) ]] || fail "QEMU has the host's /dev"

storm 10 "$(disk_device "$image")"
progress web
domain_is web running
shut_down web
nothing_left
check_guest web "$image"
end_libvirt
