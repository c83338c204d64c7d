#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A QEMU whose threads wait for a disk without server and supervisor cannot
# even be killed.  After `recover` QEMU ends, and nothing is left of the disk.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

image=$(image web.qcow2 64M)
guest "$image"
start_libvirt
domain_xml web "$image" | sed "s/io='io_uring'/io='threads'/" >"$WORK/web.xml"
virsh define "$WORK/web.xml" || fail "cannot define web"
start web
# shellcheck disable=SC2034  # lib.sh uses it
DEV=$(disk_device "$image")
qemu=$(qemu_of web)
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
# One that waits for nothing could be killed.
until grep -qs ') D ' /proc/"$qemu"/task/*/stat; do sleep 0.1; done
sleep 1
kill -9 "$qemu"
sleep 2
kill -0 "$qemu" || fail "QEMU was not stuck"
domain_is web running
"$UBLK_QCOW2" recover --all || fail "recover"
domain_becomes web "shut off"
note "QEMU has ended"
nothing_left
check_guest web "$image"
end_libvirt
