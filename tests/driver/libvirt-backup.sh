#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A disk of a running domain is copied, and an overlay merged, while the guest
# goes on.  The metadata name the image that the next start has to serve.  A
# start that would serve an image which is out of date is refused.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"

root=$(image web.qcow2 64M)
guest "$root"
start_libvirt
define web "$root"
start web
progress web
DEV=$(disk_device "$root")

# names IMAGE: the metadata of the domain that runs and of its definition do.
names()
{
	local flag

	for flag in '' --inactive; do
		# shellcheck disable=SC2086  # no word, or one
		virsh dumpxml web $flag | grep -q "file=['\"]$1['\"]" ||
			fail "the metadata do not name $1 $flag"
	done
}

note "refusals"
refused 'the domain web names its image' "$UBLK_QCOW2" backup "$DEV" \
	"$WORK/mine.qcow2"
refused 'no bandwidth' "$UBLK_QCOW2" libvirt backup web vda "$WORK/no.qcow2" \
	--bandwidth 12x
refused 'File exists' "$UBLK_QCOW2" libvirt backup web vda "$root"
refused 'does not freeze' "$UBLK_QCOW2" libvirt backup web vda \
	"$WORK/no.qcow2" --quiesce
names "$root"
[[ $(listed image) == "$root" ]] || fail "list: $(listed image)"

note "a copy"
"$UBLK_QCOW2" libvirt backup web vda "$WORK/copy.qcow2" || fail backup
domain_is web running
[[ $(listed image) == "$root" ]] || fail "list: $(listed image)"
[[ ! -e $root.during-backup ]] || fail "the overlay is left"
names "$root"
qemu-img check -q "$WORK/copy.qcow2" || fail "the copy is damaged"
progress web

note "killed, and begun again"
"$UBLK_QCOW2" libvirt backup web vda "$WORK/again.qcow2" --bandwidth 64K \
	>"$WORK/backup.out" 2>&1 &
command=$!
listed_becomes image "$root.during-backup" 60
names "$root.during-backup"
# shellcheck disable=SC2046  # several
kill_off "$command" $(pgrep -P "$command")
wait "$command" || true
progress web
kill_and_recover
"$UBLK_QCOW2" libvirt backup web vda "$WORK/again.qcow2" || fail "again"
[[ $(listed image) == "$root" ]] || fail "list: $(listed image)"
names "$root"
qemu-img check -q "$WORK/again.qcow2" || fail "the copy is damaged"
progress web

note "an overlay is merged"
"$UBLK_QCOW2" libvirt snapshot web --suffix one || fail snapshot
names "$WORK/web.one.qcow2"
progress web
"$UBLK_QCOW2" libvirt commit web vda || fail commit
[[ $(listed image) == "$root" ]] || fail "list: $(listed image)"
names "$root"
progress web

note "and two of them, in one go"
"$UBLK_QCOW2" libvirt snapshot web --suffix three || fail snapshot
progress web
"$UBLK_QCOW2" libvirt snapshot web --suffix four || fail snapshot
names "$WORK/web.three.four.qcow2"
progress web
"$UBLK_QCOW2" libvirt commit web vda --to "$root" || fail "commit --to"
[[ $(listed image) == "$root" ]] || fail "list: $(listed image)"
names "$root"
progress web

note "merged, and the domain is not told"
"$UBLK_QCOW2" libvirt snapshot web --suffix two || fail snapshot
progress web
"$UBLK_QCOW2" commit "$DEV" --domain-told || fail commit
names "$WORK/web.two.qcow2"
shut_down web
nothing_left
! virsh start web 2>"$WORK/err" || fail "it starts with an image out of date"
grep -q "was merged into $root" "$WORK/err" ||
	fail "it says $(cat "$WORK/err")"

check_guest web "$root"
nothing_left
for file in web copy again; do
	check_image "$WORK/$file.qcow2"
done
end_libvirt
