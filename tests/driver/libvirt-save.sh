#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# Managed save ends the disk; the start after it brings both back as they
# were.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
define web "$image"
start web
virsh managedsave web || fail "managedsave"
domain_becomes web "shut off"
nothing_left
check_guest web "$image"
told=$(position web)
start web
[[ $(position web) -gt $told ]] || fail "the guest began again"
[[ $(grep -c 'at first' "$WORK/web.serial") == 1 ]] || fail "it was booted"
kill_and_recover "$(disk_device "$image")"
progress web
shut_down web
nothing_left
check_guest web "$image"
end_libvirt
