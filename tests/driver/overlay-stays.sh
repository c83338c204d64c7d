#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# A command removes an overlay that nobody needs.  Its name may stand for another
# overlay since the command looked: then the file stays.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"

image=$(image disk.qcow2 128M)
overlay=$WORK/overlay.qcow2
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
DEV=$(UBLK_QCOW2_FAULT=slow-close "$UBLK_QCOW2_FAULTY" add "$image" \
	--name disk) || fail add
ADDED+=("$DEV")
"$LOAD" --depth 8 --size 8M --ops 500 --ledger "$WORK/ledger" "$DEV" ||
	fail load

note "the supervisor begins to serve it for a command before"
! UBLK_QCOW2_FAULT=die-asked "$UBLK_QCOW2_FAULTY" snapshot "$DEV" \
	"$overlay" >"$WORK/out" 2>&1 || fail "nobody dies"
printf 'image = /elsewhere.qcow2\n' >"$UBLK_QCOW2_DISKS/disk.conf"
UBLK_QCOW2_FAULT=late-discard refused '/elsewhere.qcow2' \
	"$UBLK_QCOW2_FAULTY" snapshot "$DEV" "$overlay"
[[ $(listed image) == "$overlay" ]] || fail "served from $(listed image)"
[[ -e $overlay ]] || fail "the overlay is removed, and the disk needs it"
kill_and_recover
"$LOAD" --depth 8 --size 8M --ops 500 --offset 16M --ledger "$WORK/more" \
	"$DEV" || fail load
rm "$UBLK_QCOW2_DISKS/disk.conf"
"$UBLK_QCOW2" commit "$DEV" || fail commit
rm "$overlay"

note "another backup makes one of the same name"
UBLK_QCOW2_FAULT=late-removal "$UBLK_QCOW2_FAULTY" backup "$DEV" \
	"$WORK/one.qcow2" >"$WORK/one" 2>&1 &
one=$!
listed_becomes image "$image.during-backup" 30
listed_becomes image "$image" 30
wait_live
sleep 0.5
is_alive "$one" || fail "it does not rest: $(cat "$WORK/one")"
"$UBLK_QCOW2" backup "$DEV" "$WORK/two.qcow2" --bandwidth 1M \
	>"$WORK/two" 2>&1 &
two=$!
listed_becomes image "$image.during-backup" 30
wait "$one" || fail "the first backup: $(cat "$WORK/one")"
[[ $(listed image) == "$image.during-backup" ]] || fail "it is too late"
[[ -e $image.during-backup ]] || fail "the overlay of another is removed"
kill_and_recover
wait "$two" || fail "the second backup: $(cat "$WORK/two")"
[[ $(listed image) == "$image" && ! -e $image.during-backup ]] ||
	fail "left: $(listed image)"

note "another backup to the same file, before the copy begins"
UBLK_QCOW2_FAULT=late-copy "$UBLK_QCOW2_FAULTY" backup "$DEV" \
	"$WORK/four.qcow2" >"$WORK/four" 2>&1 &
four=$!
listed_becomes image "$image.during-backup" 30
wait_live
refused 'another backup is making it' "$UBLK_QCOW2" backup "$DEV" \
	"$WORK/four.qcow2"
wait "$four" || fail "the first of two: $(cat "$WORK/four")"
[[ $(listed image) == "$image" ]] || fail "left: $(listed image)"

note "the disk gets another overlay during the copy"
"$UBLK_QCOW2" backup "$DEV" "$WORK/three.qcow2" --bandwidth 1M \
	>"$WORK/three" 2>&1 &
three=$!
listed_becomes image "$image.during-backup" 30
wait_live
"$UBLK_QCOW2" snapshot "$DEV" "$overlay" || fail snapshot
! wait "$three" || fail "it says that all is as before: $(cat "$WORK/three")"
grep -q "stays above $image.during-backup" "$WORK/three" ||
	fail "it says $(cat "$WORK/three")"
[[ -e $image.during-backup ]] || fail "an image below is removed"
"$UBLK_QCOW2" commit "$DEV" --to "$image" || fail "commit --to"
rm "$overlay" "$image.during-backup"

for file in one two three four; do
	check_with_qemu "$WORK/$file.qcow2" "$WORK/ledger"
done
del
check_image "$image"
check_with_qemu "$image" "$WORK/ledger"
check_with_qemu "$image" "$WORK/more"
[[ -z $(traces) ]] || fail "left: $(traces)"
