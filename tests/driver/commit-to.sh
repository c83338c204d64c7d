#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 420
#
# `commit --to`: the overlay of a disk in use and some of the images below are
# merged in one go into one further below, which then has all of the disk; the
# images below that stay as they are.  No acknowledged write is lost,
# whichever process is killed meanwhile.  A merged image is refused from then on.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"

# The disk has the chain base - one - two - three, and is under load.
load=(--depth 8 --size 8M --mix '60,20,10,10' --discard-align 64K
	--ledger "$WORK/ledger")
base=$WORK/base.qcow2

layer()
{
	echo "$WORK/$1.qcow2"
}

grow_chain()
{
	local name

	for name in one two three; do
		"$UBLK_QCOW2" snapshot "$DEV" "$(layer "$name")" ||
			fail "snapshot $name"
		sleep 0.3
	done
}

# The images above are of no use any more, and say so.
nothing_above()
{
	local file

	[[ $(listed image) == "$1" ]] || fail "list: $(listed image)"
	for file in "${@:2}"; do
		refused "was merged into $1" "$UBLK_QCOW2" add "$file"
		qemu-img check -q -U "$file" || fail "$file is damaged"
	done
	rm "${@:2}"
}

image base.qcow2 128M >/dev/null
add "$base" --name disk
start_load "${load[@]}"
grow_chain
sum=$(sha256sum <"$base")

note "refusals"
refused 'No such file' "$UBLK_QCOW2" commit "$DEV" --to "$WORK/none"
touch "$WORK/other"
refused 'is no image below its own' \
	"$UBLK_QCOW2" commit "$DEV" --to "$WORK/other"
refused 'is no image below its own' \
	"$UBLK_QCOW2" commit "$DEV" --to "$(layer three)"
main=$DEV
add --read-only --name below "$(layer one)"
refused 'that another disk serves' "$UBLK_QCOW2" commit "$main" --to "$base"
del
DEV=$main
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
printf 'image = %s\n' "$(layer two)" >"$UBLK_QCOW2_DISKS/other.conf"
refused "other.conf names $(layer two), too" \
	"$UBLK_QCOW2" commit "$DEV" --to "$base"
rm "$UBLK_QCOW2_DISKS/other.conf"
[[ $(listed image) == "$(layer three)" ]] || fail "list: $(listed image)"

note "over one image"
"$UBLK_QCOW2" commit "$DEV" --to "$(layer one)" >"$WORK/out" || fail commit
cat "$WORK/out"
grep -q "served from $(layer one) now.*the images between" "$WORK/out" ||
	fail "it says something else"
nothing_above "$(layer one)" "$(layer two)" "$(layer three)"
[[ $(sha256sum <"$base") == "$sum" ]] || fail "the base has changed"

note "to the next one, by its name"
"$UBLK_QCOW2" commit "$DEV" --to "$base" || fail commit
nothing_above "$base" "$(layer one)"

note "killed meanwhile"
for round in 1 2 3 4; do
	[[ $(listed image) != "$base" ]] || grow_chain
	change_and_kill "$round" "$UBLK_QCOW2" commit "$DEV" --to "$base"
	sleep "0.$((RANDOM % 10))"
	kill_server 2>/dev/null || true
	wait_live
	"$UBLK_QCOW2" commit "$DEV" --to "$base" ||
		[[ $(listed image) == "$base" ]] || fail "commit, round $round"
	nothing_above "$base" "$(layer one)" "$(layer two)" "$(layer three)"
done

note "another image is asked for while it merges"
grow_chain
dd if=/dev/urandom of="$DEV" bs=1M seek=64 count=40 oflag=direct status=none
"$UBLK_QCOW2" commit "$DEV" --to "$(layer one)" --bandwidth 4M \
	>"$WORK/out" 2>&1 &
command=$!
until "$UBLK_QCOW2" list --json "$DEV" | grep -q '"merging": {'; do
	kill -0 "$command" || fail "commit: $(cat "$WORK/out")"
	sleep 0.1
done
wait_live
refused 'into another image' "$UBLK_QCOW2" commit "$DEV" --to "$base"
"$UBLK_QCOW2" commit "$DEV" --cancel || fail cancel
! wait "$command" || fail "the command does not notice"
[[ $(listed image) == "$(layer three)" ]] || fail "list: $(listed image)"
"$UBLK_QCOW2" commit "$DEV" --to "$base" || fail commit
nothing_above "$base" "$(layer one)" "$(layer two)" "$(layer three)"

note "the supervisor dies when all is merged"
stop_load
del
check_with_qemu "$base" "$WORK/ledger"
real=$UBLK_QCOW2
UBLK_QCOW2=$UBLK_QCOW2_FAULTY
for fault in die-merged die-configured die-moved die-marked; do
	printf 'image = %s\n' "$base" >"$UBLK_QCOW2_DISKS/disk.conf"
	UBLK_QCOW2_FAULT=$fault add --name disk "$base"
	start_load "${load[@]}"
	grow_chain
	! "$UBLK_QCOW2" commit "$DEV" --to "$base" >"$WORK/out" 2>&1 ||
		fail "nobody has died"
	"$UBLK_QCOW2" recover "$DEV" || fail recover
	listed_becomes image "$base" 60
	wait_live
	grep -q "= $base" "$UBLK_QCOW2_DISKS/disk.conf" ||
		fail "its file is another"
	nothing_above "$base" "$(layer one)" "$(layer two)" "$(layer three)"
	stop_load
	del
done
UBLK_QCOW2=$real
check_image "$base"
[[ -z $(traces) ]] || fail "left: $(traces)"
check_with_qemu "$base" "$WORK/ledger"
