#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# `backup` copies a disk in use as the disk was at one moment.  Afterwards the
# disk is served from its image again.  Any process may be killed meanwhile: the
# disk is served, and a second `backup`, or `commit`, ends the first one.  A
# backup that dies at any of its steps leaves no work to the admin.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

backup()
{
	"$UBLK_QCOW2" backup "$DEV" "$@"
}

# image_becomes FILE
image_becomes()
{
	listed_becomes image "$1" 60
}

# In the background; the program itself is $command, not a shell around it.
start_backup()
{
	"$UBLK_QCOW2" backup "$DEV" "$@" >"$WORK/backup.out" 2>&1 &
	command=$!
}

# Begins a backup of six seconds at least, and keeps its moment.
begin_backup()
{
	start_backup "$1" --bandwidth 1M
	image_becomes "$image.during-backup"
	wait_live
	cp "$image" "$WORK/moment"
}

# end_backup FILE: and all is as it should be.
end_backup()
{
	wait "$command" || fail "backup: $(cat "$WORK/backup.out")"
	copied "$1"
}

copied()
{
	[[ $(listed image) == "$image" ]] || fail "list: $(listed image)"
	[[ ! -e $image.during-backup ]] || fail "the overlay is left"
	[[ ! -e $1.part ]] || fail "$1.part is left"
	[[ $(stat -c %a "$1") == 600 ]] || fail "everybody may read $1"
	qemu-img check -q "$1" || fail "$1 is damaged"
	qemu-img compare -q -f qcow2 -F qcow2 "$WORK/moment" "$1" ||
		fail "$1 is of another moment"
	check_with_qemu "$1" "$WORK/known"
}

load=(--depth 8 --size 8M --mix '60,20,10,10' --discard-align 64K)
image=$(image disk.qcow2 128M)
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
printf 'image = %s\n' "$image" >"$UBLK_QCOW2_DISKS/disk.conf"
add "$image" --name disk
"$LOAD" "${load[@]}" --ops 500 --ledger "$WORK/known" "$DEV" || fail load
dd if=/dev/urandom of="$DEV" bs=1M seek=64 count=6 oflag=direct status=none
start_load "${load[@]}" --offset 32M --ledger "$WORK/ledger"

note "refusals"
refused 'File exists' "$UBLK_QCOW2" backup "$DEV" "$image"
refused 'No such file' "$UBLK_QCOW2" backup "$DEV" "$WORK/none/a.qcow2"
ln -s nowhere "$WORK/link.qcow2"
refused 'File exists' "$UBLK_QCOW2" backup "$DEV" "$WORK/link.qcow2"
[[ $(listed image) == "$image" && -L $WORK/link.qcow2 ]] ||
	fail "it is refused in the end, if at all"
rm "$WORK/link.qcow2"
touch "$image.during-backup"
refused 'is in the way' "$UBLK_QCOW2" backup "$DEV" "$WORK/no.qcow2"
rm "$image.during-backup"
qemu-img create -q -f qcow2 -u -F qcow2 -b "${image##*/}" \
	"$image.during-backup" 128M
refused 'is in the way' "$UBLK_QCOW2" backup "$DEV" "$WORK/no.qcow2"
rm "$image.during-backup"
touch "$WORK/no.qcow2.part"
chmod 644 "$WORK/no.qcow2.part"
refused 'is in the way' "$UBLK_QCOW2" backup "$DEV" "$WORK/no.qcow2"
rm "$WORK/no.qcow2.part"
[[ $(listed image) == "$image" && ! -e $WORK/no.qcow2.part ]] ||
	fail "something was made"

main=$DEV
qemu-img create -q -f qcow2 -o "data_file=$WORK/data" "$WORK/split.qcow2" 16M
add --data-file "$WORK/data" "$WORK/split.qcow2"
refused 'has a data file' "$UBLK_QCOW2" backup "$DEV" "$WORK/no.qcow2"
del
rm "$WORK/split.qcow2"
DEV=$main

note "a copy that fails is given up"
mkdir "$WORK/small"
mount -t tmpfs -o size=1M none "$WORK/small"
cleanup "umount $WORK/small"
refused_with_output()
{
	! backup "$WORK/small/a.qcow2" >"$WORK/out" 2>&1 || fail "there was room"
	grep -q "$1" "$WORK/out" || fail "it says $(cat "$WORK/out")"
}
refused_with_output 'No space left'
[[ $(listed image) == "$image" && ! -e $image.during-backup ]] ||
	fail "it is not given up"
[[ -z $(ls "$WORK/small") ]] || fail "left: $(ls "$WORK/small")"

note "the servers are killed"
begin_backup "$WORK/one.qcow2"
# The end is a change of the disk, and its deaths do not count.
for _ in 1 2 3; do
	kill_server 2>/dev/null || true
	wait_live
	sleep "0.$((RANDOM % 10))"
done
end_backup "$WORK/one.qcow2"
diff - "$UBLK_QCOW2_DISKS/disk.conf" <<<"image = $image" ||
	fail "its file is another"

note "and the supervisor"
begin_backup "$WORK/two.qcow2"
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail recover
end_backup "$WORK/two.qcow2"

note "the command is killed while it copies, and begun again"
begin_backup "$WORK/three.qcow2"
mv "$WORK/moment" "$WORK/first"
kill_off "$command"
wait "$command" || true
[[ $(listed image) == "$image.during-backup" ]] || fail "list: $(listed image)"
kill_and_recover
begin_backup "$WORK/three.qcow2"
grep -q 'a backup goes on, of an earlier moment' "$WORK/backup.out" ||
	fail "it says $(cat "$WORK/backup.out")"
mv "$WORK/first" "$WORK/moment"
end_backup "$WORK/three.qcow2"

note "killed, and given up"
begin_backup "$WORK/four.qcow2"
kill_off "$command"
wait "$command" || true
"$UBLK_QCOW2" commit "$DEV" || fail commit
[[ $(listed image) == "$image" && ! -e $WORK/four.qcow2 ]] ||
	fail "it is not given up"

note "killed while it merges"
start_backup "$WORK/five.qcow2"
until [[ -e $WORK/five.qcow2 ]]; do
	kill -0 "$command" 2>/dev/null || [[ -e $WORK/five.qcow2 ]] ||
		fail "backup: $(cat "$WORK/backup.out")"
	sleep 0.02
done
kill_off "$command"
wait "$command" || true
"$UBLK_QCOW2" commit "$DEV" || [[ $(listed image) == "$image" ]] ||
	fail "commit"
image_becomes "$image"
begin_backup "$WORK/six.qcow2"
end_backup "$WORK/six.qcow2"

note "killed whenever"
for round in 1 2 3 4; do
	change_and_kill "$round" backup "$WORK/round$round.qcow2"
	[[ $(listed image) == "$image" ]] ||
		"$UBLK_QCOW2" commit "$DEV" || fail "commit, round $round"
	image_becomes "$image"
	rm -f "$image.during-backup" "$WORK/round$round.qcow2.part"
	[[ ! -e $WORK/round$round.qcow2 ]] ||
		check_image "$WORK/round$round.qcow2"
done

stop_load
del
check_image "$image"
[[ -z $(traces) ]] || fail "left: $(traces)"
check_with_qemu "$image" "$WORK/ledger"
check_with_qemu "$image" "$WORK/known"
