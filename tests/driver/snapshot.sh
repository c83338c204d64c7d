#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# `snapshot`: a disk in use gets an overlay.  The image below stays as it was at
# that moment, for any program to read.  No acknowledged write is lost,
# whichever process is killed meanwhile.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 96M)
add "$image" --name disk
start_load --depth 8
sleep 0.5

note "refusals"
refused 'File exists' "$UBLK_QCOW2" snapshot "$DEV" "$image"
refused 'No such file' "$UBLK_QCOW2" snapshot "$DEV" "$WORK/none/a.qcow2"
mkdir "$WORK/elsewhere"
refused 'would be refused' "$UBLK_QCOW2" snapshot "$DEV" \
	"$WORK/elsewhere/a.qcow2"
[[ ! -e $WORK/elsewhere/a.qcow2 ]] || fail "it was made all the same"

flushes()
{
	"$UBLK_QCOW2" stat --json "$DEV" | jq '.[0].io.flush.count'
}

note "in use"
flushed=$(flushes)
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/one.qcow2" || fail snapshot
[[ $(listed image) == "$WORK/one.qcow2" ]] || fail "list: $(listed image)"
[[ $(listed state) == live && $(listed recoveries) == 0 ]] ||
	fail "$(listed state), $(listed recoveries) recoveries"
# Its users do not wait for that: the load does not flush by itself.
(($(flushes) > flushed)) || fail "it was not flushed before"
sum=$(sha256sum <"$image")
qemu-img info "$image" >/dev/null || fail "QEMU cannot read the image below"
check_image "$image"
! qemu-io -c 'write 0 64k' "$image" >/dev/null 2>&1 ||
	fail "another program may write to the image below"
storm 2
"$UBLK_QCOW2" recover "$DEV" || fail recover

note "the image below is a backup"
main=$DEV
add --read-only --name below "$image"
qemu-img compare -q -f qcow2 -F raw "$image" "$DEV" ||
	fail "it is served differently"
del
DEV=$main

note "supervisor and server die"
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail recover
[[ $(listed image) == "$WORK/one.qcow2" ]] || fail "list: $(listed image)"

note "killed meanwhile"
for round in 1 2 3 4 5 6; do
	change_and_kill "$round" "$UBLK_QCOW2" snapshot "$DEV" \
		"$WORK/round$round.qcow2"
done
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/last.qcow2" || fail "snapshot at last"
sleep 0.5
stop_load
[[ $(sha256sum <"$image") == "$sum" ]] || fail "the image below has changed"
del
for file in "$WORK"/*.qcow2; do
	check_image "$file"
done

note "legacy images: refused before anything is made"
printf 'secret' >"$WORK/key"
chmod 600 "$WORK/key"
qemu-img create -q -f qcow "$WORK/old.qcow" 16M
qemu-img create -q -f qcow --object "secret,id=key,file=$WORK/key" \
	-o encrypt.format=aes,encrypt.key-secret=key "$WORK/aes.qcow" 16M
qemu-img create -q -u -f qcow2 -F qcow -b "$WORK/aes.qcow" "$WORK/aes.qcow2" 16M
mkdir "$WORK/new"
before=$(stat -c '%y %z' "$WORK/new")

# untouched PATTERN ADD-ARGUMENT...
untouched()
{
	add "${@:2}"
	refused "$1" "$UBLK_QCOW2" snapshot "$DEV" "$WORK/new/overlay.qcow2"
	[[ $(stat -c '%y %z' "$WORK/new") == "$before" ]] ||
		fail "something was made"
	del
}

untouched 'read-only, as every disk of a legacy image' \
	--read-only "$WORK/old.qcow"
untouched 'read-only, as every disk of a legacy image' \
	--read-only --key-file "$WORK/key" "$WORK/aes.qcow"
untouched 'is encrypted with AES' --key-file "$WORK/key" "$WORK/aes.qcow2"

note "a configured disk"
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
printf '%s\n' '# mine' "image=$WORK/last.qcow2" 'depth = 32' \
	>"$UBLK_QCOW2_DISKS/conf.conf"
cp "$UBLK_QCOW2_DISKS/conf.conf" "$UBLK_QCOW2_DISKS/other.conf"
add --name conf "$WORK/last.qcow2"
refused 'other.conf names its image, too' \
	"$UBLK_QCOW2" snapshot "$DEV" "$WORK/conf.qcow2"
rm "$UBLK_QCOW2_DISKS/other.conf"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/conf.qcow2" || fail snapshot
diff - "$UBLK_QCOW2_DISKS/conf.conf" <<-END || fail "its file is another"
# mine
image = $WORK/conf.qcow2
depth = 32
END
del
check_image "$WORK/conf.qcow2"
