#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# All disks of a running domain get overlays at one moment, and its metadata
# name them.  A disk grows, and QEMU knows.  The guest goes on meanwhile, and
# finds all its writes, also at its next start.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

root=$(image web.qcow2 64M)
data=$(image data.qcow2 64M)
guest "$root"
start_libvirt
define web "$root" "$data"
start web
progress web 1
DEV=$(disk_device "$root")

# names IMAGE FLAG...: the metadata name it.
names()
{
	virsh dumpxml web "${@:2}" | grep -q "file=['\"]$1['\"]" ||
		fail "the metadata do not name $1: $(virsh dumpxml web \
			"${@:2}" | grep -A4 '<metadata')"
}

note "overlays"
refused 'the domain web names its image' "$UBLK_QCOW2" snapshot "$DEV" \
	"$WORK/mine.qcow2"
refused 'the domain web names its image' "$UBLK_QCOW2" commit "$DEV"
"$UBLK_QCOW2" libvirt snapshot web --suffix one || fail snapshot
domain_is web running
for name in web data; do
	[[ $(listed image "/dev/ublk-qcow2/$name") == "$WORK/$name.one.qcow2" ]] ||
		fail "$name is $(listed image "/dev/ublk-qcow2/$name")"
	names "$WORK/$name.one.qcow2"
	names "$WORK/$name.one.qcow2" --inactive
	check_image "$WORK/$name.qcow2"
done
sum=$(sha256sum <"$root")
progress web
progress web 1
kill_and_recover
progress web
"$UBLK_QCOW2" libvirt snapshot web --suffix two || fail "another snapshot"
progress web

note "a file is there already: noticed before the guest stands still"
touch "$WORK/data.one.two.three.qcow2"
refused 'data.one.two.three.qcow2: is there already' \
	"$UBLK_QCOW2" libvirt snapshot web --suffix three --quiesce
[[ ! -e $WORK/web.one.two.three.qcow2 ]] || fail "the other one was made"
rm "$WORK/data.one.two.three.qcow2"
progress web

note "a guest without an agent"
refused 'does not freeze' "$UBLK_QCOW2" libvirt snapshot web --quiesce
domain_is web running
progress web

if [[ ! $(uname -r) =~ ^6\.([0-9]|1[0-5])\. ]]; then
	note "more room"
	"$UBLK_QCOW2" libvirt resize web vdb +64M || fail resize
	virsh domblkinfo web vdb | grep -Eq 'Capacity: *134217728' ||
		fail "QEMU does not know: $(virsh domblkinfo web vdb)"
	progress web 1
else
	refused '6.16 and later' "$UBLK_QCOW2" libvirt resize web vdb +64M
fi

note "the next start"
shut_down web
nothing_left
[[ $(sha256sum <"$root") == "$sum" ]] || fail "the image below has changed"
check_guest web "$WORK/web.one.two.qcow2"
start web
[[ $(listed image) == "$WORK/web.one.two.qcow2" ]] ||
	fail "it starts with $(listed image)"
virsh destroy web || fail destroy
nothing_left
for name in web data web.one data.one web.one.two data.one.two; do
	check_image "$WORK/$name.qcow2"
done
end_libvirt
