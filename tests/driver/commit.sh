#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# `commit` merges the overlay of a disk in use into the image below, which then
# has all of the disk by itself.  No acknowledged write is lost, whichever
# process is killed meanwhile.  An overlay that cannot be merged is refused.  A
# merged overlay is refused from then on.  hooks.d hears of a merge.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"
REAL=$UBLK_QCOW2

commit()
{
	"$UBLK_QCOW2" commit "$DEV"
}

snapshot()
{
	"$UBLK_QCOW2" snapshot "$DEV" "$WORK/$1.qcow2" || fail "snapshot $1"
}

is_merging()
{
	[[ $("$UBLK_QCOW2" list --json "$DEV") != *'"merging": null'* ]]
}

# merging_becomes true|false
merging_becomes()
{
	local end=$((SECONDS + 60)) now

	for (( ; ; )); do
		now=true
		is_merging || now=false
		[[ $now != "$1" ]] || return 0
		((SECONDS <= end)) || fail "is it merging? $now"
		sleep 0.1
	done
}

# The images below are as good as before, and nothing but the images is left.
check_all()
{
	local file

	for file in "$WORK"/*.qcow2; do
		check_image "$file"
	done
	[[ -z $(traces) ]] || fail "left: $(traces)"
}

hook=/etc/ublk-qcow2/hooks.d/test-$$
mkdir -p "${hook%/*}"
cleanup "rm -f $hook"
cat >"$hook" <<-END
	#!/bin/sh
	[ "\$1" != merged ] ||
		echo "\$UBLK_QCOW2_OVERLAY \$UBLK_QCOW2_IMAGE" >>$WORK/merged
END
chmod 755 "$hook"

# over OVERLAY IMAGE - it was merged, and everybody knows
over()
{
	local end=$((SECONDS + 60))

	until grep -qx "$1 $2" "$WORK/merged" &&
		! grep -q '^merged_from .' "/run/ublk-qcow2/${DEV#/dev/ublkb}.disk"; do
		((SECONDS <= end)) || fail "hooks.d does not hear of $1"
		sleep 0.1
	done
	refused "was merged into $2" "$UBLK_QCOW2" add "$1"
	"$UBLK_QCOW2" info "$1" | grep "was merged into $2" ||
		fail "info does not say that it was merged"
	qemu-img check -q -U "$1" || fail "$1 is damaged"
	rm "$1"
}

load=(--depth 8 --size 8M --mix '60,20,10,10' --discard-align 64K
	--ledger "$WORK/ledger")
image=$(image disk.qcow2 128M)
add "$image" --name disk

note "refusals"
refused 'no image below' "$UBLK_QCOW2" commit "$DEV"
refused 'not being merged' "$UBLK_QCOW2" commit --cancel "$DEV"

note "in use"
start_load "${load[@]}"
snapshot one
sleep 0.3
commit >"$WORK/out" || fail commit
cat "$WORK/out"
grep -q "is served from $image now; $WORK/one.qcow2 is no longer needed" \
	"$WORK/out" || fail "it says something else"
[[ $(listed image) == "$image" ]] || fail "list: $(listed image)"
[[ $(listed state) == live && $(listed recoveries) == 0 ]] ||
	fail "$(listed state), $(listed recoveries) recoveries"
over "$WORK/one.qcow2" "$image"

note "killed meanwhile"
for round in 1 2 3 4 5 6; do
	[[ $(listed image) != "$image" ]] || snapshot "round$round"
	change_and_kill "$round" commit
	if is_merging; then
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		kill_server 2>/dev/null || true
		merging_becomes false
		wait_live
	fi
done
[[ $(listed image) == "$image" ]] || commit || fail "commit at last"
[[ $(listed image) == "$image" ]] || fail "list: $(listed image)"
rm -f "$WORK"/round*
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover "$DEV" || fail recover
stop_load
del
check_all
check_with_qemu "$image" "$WORK/ledger"

note "a configured disk, a chain of three, and a smaller image below"
export UBLK_QCOW2_DISKS=$WORK/disks.d
mkdir "$UBLK_QCOW2_DISKS"
qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$WORK/two.qcow2" 100M
qemu-img create -q -f qcow2 -F qcow2 -b "$WORK/two.qcow2" "$WORK/three.qcow2" \
	128M
sum=$(sha256sum <"$image")
printf '%s\n' '# mine' "image=$WORK/three.qcow2" 'depth = 32' \
	>"$UBLK_QCOW2_DISKS/conf.conf"
add --name conf "$WORK/three.qcow2"
"$LOAD" "${load[@]}" --ops 300 "$DEV" || fail load
commit || fail commit
diff - "$UBLK_QCOW2_DISKS/conf.conf" <<-END || fail "its file is another"
# mine
image = $WORK/two.qcow2
depth = 32
END
"$LOAD" "${load[@]}" --ops 100 "$DEV" || fail load
del
[[ $(sha256sum <"$image") == "$sum" ]] || fail "the third one has changed"
refused "was merged into $WORK/two.qcow2" "$UBLK_QCOW2" add "$WORK/three.qcow2"
rm "$WORK/three.qcow2"
check_all
[[ $(qemu-img info --output=json "$WORK/two.qcow2" | jq '."virtual-size"') \
	== $((128 << 20)) ]] || fail "the image below is smaller"
check_with_qemu "$WORK/two.qcow2" "$WORK/ledger"

note "the file below is no image that can be served"
printf '%0.sx' {1..65536} >"$WORK/raw"
qemu-img create -q -f qcow2 -F raw -b "$WORK/raw" "$WORK/onraw.qcow2"
add "$WORK/onraw.qcow2"
refused 'no qcow2 image' "$UBLK_QCOW2" commit "$DEV"
del

note "a limit"
qemu-img create -q -f qcow2 -F qcow2 -b "$WORK/two.qcow2" "$WORK/slow.qcow2"
qemu-io -c 'write -q -P 5 16M 40M' "$WORK/slow.qcow2"
add --name limited "$WORK/slow.qcow2"
for rate in -1 0 1K 12x 2T ''; do
	! "$UBLK_QCOW2" commit "$DEV" --bandwidth "$rate" 2>"$WORK/err" ||
		fail "$rate is a bandwidth"
	grep -q 'no value for --bandwidth' "$WORK/err" ||
		fail "it says $(cat "$WORK/err")"
done
"$UBLK_QCOW2" commit "$DEV" --bandwidth 128K >"$WORK/commit.out" 2>&1 &
command=$!
merging_becomes true
wait_live
refused 'with another bandwidth' "$UBLK_QCOW2" commit "$DEV" --bandwidth 1G
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
! wait "$command" || fail "the command does not notice"
"$UBLK_QCOW2" recover "$DEV" || fail recover
sleep 3				# without the limit it would be over
is_merging || fail "the limit is not kept"
"$UBLK_QCOW2" commit --cancel "$DEV" || fail cancel
"$UBLK_QCOW2" commit "$DEV" --bandwidth 1G || fail "commit with a limit"
[[ $(listed image) == "$WORK/two.qcow2" ]] || fail "list: $(listed image)"
del
rm "$WORK/slow.qcow2"

note "while it merges"
UBLK_QCOW2=$UBLK_QCOW2_FAULTY
export UBLK_QCOW2_FAULT=slow-merge
qemu-img create -q -f qcow2 -F qcow2 -b "$WORK/two.qcow2" "$WORK/top.qcow2"
qemu-io -c 'write -q -P 5 16M 40M' "$WORK/top.qcow2"
add --name slow "$WORK/top.qcow2"
commit >"$WORK/commit.out" 2>&1 &
command=$!
merging_becomes true
# A file that names another image at the end of the merge would end it for naught.
printf 'image=%s\n' "$WORK/top.qcow2" >"$UBLK_QCOW2_DISKS/slow.conf"
file=$(stat -c '%i %y' "$UBLK_QCOW2_DISKS/slow.conf")
refused 'just being merged' "$UBLK_QCOW2" snapshot "$DEV" "$WORK/no.qcow2"
[[ $(stat -c '%i %y' "$UBLK_QCOW2_DISKS/slow.conf") == "$file" ]] ||
	fail "a snapshot that is refused has changed the file"
rm "$UBLK_QCOW2_DISKS/slow.conf"
refused 'just being merged' "$UBLK_QCOW2" upgrade "$DEV"
"$UBLK_QCOW2" list "$DEV" | grep 'is merged into the one below: .*%' ||
	fail "list does not tell"
"$UBLK_QCOW2" stat "$DEV" | grep 'merged to .*%' || fail "stat does not tell"
kill_off "$(listed supervisor_pid)"
! wait "$command" || fail "the command does not notice"
"$UBLK_QCOW2" recover "$DEV" || fail recover
commit >"$WORK/commit.out" 2>&1 &
command=$!
wait_live
is_merging || fail "another supervisor has forgotten it"
"$UBLK_QCOW2" commit --cancel "$DEV" || fail cancel
! is_merging || fail "it is not cancelled"
! wait "$command" || fail "the other command does not notice"
grep -q 'was not merged: it was cancelled' "$WORK/commit.out" ||
	fail "it says $(cat "$WORK/commit.out")"
[[ $(listed image) == "$WORK/top.qcow2" ]] || fail "list: $(listed image)"

note "removed while it merges"
commit >"$WORK/commit.out" 2>&1 &
command=$!
merging_becomes true
wait_live
kill_server
wait_live
del
! wait "$command" || fail "the command does not notice"
grep -q 'was removed before' "$WORK/commit.out" ||
	fail "it says $(cat "$WORK/commit.out")"
check_all

note "the supervisor dies when all is merged"
rm "$WORK/top.qcow2"
export UBLK_QCOW2_FAULT=
printf 'image=%s\n' "$WORK/two.qcow2" >"$UBLK_QCOW2_DISKS/conf.conf"
for fault in die-merged die-configured die-moved die-marked; do
	UBLK_QCOW2_FAULT=$fault add --name conf "$WORK/two.qcow2"
	start_load "${load[@]}"
	snapshot "$fault"
	! commit >"$WORK/out" 2>&1 || fail "nobody has died"
	grep -q 'is not merged yet\|is merged, but nobody serves' "$WORK/out" ||
		fail "it says $(cat "$WORK/out")"
	if [[ $fault == die-m[oa]* ]]; then
		now=two
	else
		now=$fault
	fi
	[[ $(listed image) == "$WORK/$now.qcow2" ]] ||
		fail "list: $(listed image)"
	"$UBLK_QCOW2" recover "$DEV" || fail recover
	[[ $(listed image) == "$WORK/two.qcow2" ]] ||
		fail "list: $(listed image)"
	grep -q "= $WORK/two.qcow2" "$UBLK_QCOW2_DISKS/conf.conf" ||
		fail "its file is another"
	over "$WORK/$fault.qcow2" "$WORK/two.qcow2"
	kill_and_recover
	stop_load
	del
done

note "the disk is removed between its file and its record"
UBLK_QCOW2_FAULT=die-configured add --name conf "$WORK/two.qcow2"
snapshot removed
! commit >"$WORK/out" 2>&1 || fail "nobody has died"
grep -q "= $WORK/two.qcow2" "$UBLK_QCOW2_DISKS/conf.conf" ||
	fail "it has died too early"
[[ $(listed image) == "$WORK/removed.qcow2" ]] || fail "it has died too late"
del
grep -q "= $WORK/removed.qcow2" "$UBLK_QCOW2_DISKS/conf.conf" ||
	fail "its file names an image that will be outdated"
printf 'image=%s\n' "$WORK/two.qcow2" >"$UBLK_QCOW2_DISKS/conf.conf"

note "the supervisor dies when hooks.d has heard of it"
UBLK_QCOW2_FAULT=die-told add --name conf "$WORK/two.qcow2"
snapshot told
commit || fail commit
supervisor=$(listed supervisor_pid)
end=$((SECONDS + 60))
while is_alive "$supervisor"; do
	((SECONDS <= end)) || fail "nobody has died"
	sleep 0.1
done
"$UBLK_QCOW2" recover "$DEV" || fail recover
over "$WORK/told.qcow2" "$WORK/two.qcow2"
del

UBLK_QCOW2=$REAL
check_all
check_with_qemu "$WORK/two.qcow2" "$WORK/ledger"
