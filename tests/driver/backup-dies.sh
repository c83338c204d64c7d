#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# A `backup` that dies at any of its steps leaves nothing that an admin must
# remove: the next one goes on, or cleans up, and its copy is complete.  The same
# is true of `snapshot`.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"
load=(--depth 8 --size 8M --mix '60,20,10,10' --discard-align 64K)
image=$(image disk.qcow2 128M)
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
printf 'image = %s\n' "$image" >"$UBLK_QCOW2_DISKS/disk.conf"
add "$image" --name disk
"$LOAD" "${load[@]}" --ops 500 --ledger "$WORK/known" "$DEV" || fail load
start_load "${load[@]}" --offset 32M --ledger "$WORK/ledger"

note "the command is killed at each step"
# dies_at STEP: in the backup of $WORK/STEP.qcow2
dies_at()
{
	! UBLK_QCOW2_FAULT=die-$1 "$UBLK_QCOW2_FAULTY" backup "$DEV" \
		"$WORK/$1.qcow2" >"$WORK/out" 2>&1 || fail "nobody dies at $1"
}

for step in parted made conf asked copied named committing committed; do
	dies_at "$step"
	if [[ $step == conf ]]; then
		grep -q "$image.during-backup" "$UBLK_QCOW2_DISKS/disk.conf" ||
			fail "its file is not changed yet"
	fi
	# The copy is complete, or is not there.
	if [[ -e $WORK/$step.qcow2 ]]; then
		check_with_qemu "$WORK/$step.qcow2" "$WORK/known"
		mv "$WORK/$step.qcow2" "$WORK/old.qcow2"
	fi
	"$UBLK_QCOW2" backup "$DEV" "$WORK/$step.qcow2" ||
		fail "the backup after one that died at '$step'"
	[[ $(listed image) == "$image" && ! -e $image.during-backup ]] ||
		fail "left of $step: $(listed image)"
	[[ -z $(compgen -G "$WORK/*.part") ]] || fail "a part is left of $step"
	diff - "$UBLK_QCOW2_DISKS/disk.conf" <<<"image = $image" ||
		fail "its file is another after $step"
	check_with_qemu "$WORK/$step.qcow2" "$WORK/known"
	rm "$WORK/$step.qcow2"
done

note "a snapshot likewise"
! UBLK_QCOW2_FAULT=die-made "$UBLK_QCOW2_FAULTY" snapshot "$DEV" \
	"$WORK/kept.qcow2" >"$WORK/out" 2>&1 || fail "nobody dies"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/kept.qcow2" || fail "a snapshot once more"
refused 'File exists' "$UBLK_QCOW2" snapshot "$DEV" "$WORK/kept.qcow2"
"$UBLK_QCOW2" commit "$DEV" || fail commit
rm "$WORK/kept.qcow2"

stop_load
note "the disk grows between the two"
dies_at conf
refused "$image.during-backup, and the disk is served with" \
	"$UBLK_QCOW2" resize "$DEV" 160M
printf 'image = %s\n' "$image" >"$UBLK_QCOW2_DISKS/disk.conf"
if "$UBLK_QCOW2" resize "$DEV" 160M; then
	[[ -e $image.during-backup ]] || fail "the overlay is not left"
fi
"$UBLK_QCOW2" backup "$DEV" "$WORK/conf.qcow2" || fail "backup of a grown disk"
[[ $(listed image) == "$image" && ! -e $image.during-backup ]] ||
	fail "left: $(listed image)"
del
check_image "$image"
[[ -z $(traces) ]] || fail "left: $(traces)"
check_with_qemu "$image" "$WORK/ledger"
check_with_qemu "$image" "$WORK/known"
