#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 400
#
# dm-flakey beneath the image.  The host's disk fails for one second in three:
# all of it, its writes, or its reads.  The client sees EIO at such times, also
# beside deaths of servers, and no acknowledged write is lost.  Then the disk
# forgets from one moment on all that it is given, as one does that loses its
# power: whatever the client had flushed by then is there.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"
# shellcheck source=../lib/host-disk.sh
. "$(dirname "$0")/../lib/host-disk.sh"

LOSSES=4

load_it()
{
	start_load --depth 8 --size 64M --mix 60,20,10,10 --discard-align 64K \
		--ledger "$WORK/ledger" "$@"
}

# fails_at_times FEATURE...: for one second in three
fails_at_times()
{
	note "fails at times: ${*:-all}"
	: >"$WORK/events"
	load_it --tolerate-errors --fsync-every 20
	host_disk_is flakey "$HOST_LOOP" 0 2 1 $# "$@"
	load_meets EIO
	heard "^io-error $DEV Input/output error$"
	storm 3
	mend_host_disk
	listed_becomes trouble null 60
	heard "^well-again $DEV $"
	stop_load
	[[ $(loaded error) == EIO ]] || fail "the client saw: $(loaded error)"
	# Nobody has forgotten that a write has failed.
	load_it --ops 200
	wait "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
	LOAD_PID=
}

forgets()
{
	host_disk_is flakey "$HOST_LOOP" 0 0 1000 1 drop_writes
}

# The writes of a load are flushed, those that follow are not: the disk forgets
# just after the flush, or while the next load is at work.
loses_power()
{
	local at_once=$(($1 % 2)) status=0

	# Tables are also written when nothing happens for a while.
	"$LOAD" --depth 8 --size 64M --mix 80,0,10,10 --discard-align 64K \
		--ledger "$WORK/ledger" --ops 300 "$DEV" >"$WORK/load.out" ||
		fail "load"
	sync "$DEV"
	[[ $at_once == 0 ]] || forgets
	cp "$WORK/ledger" "$WORK/flushed"
	"$LOAD" --depth 8 --size 64M --mix 80,0,10,10 --discard-align 64K \
		--ledger "$WORK/ledger" --fsync-every 10 --tell "$DEV" \
		>"$WORK/load.out" 2>"$WORK/load.err" &
	LOAD_PID=$!
	until [[ -s $WORK/load.out ]]; do
		is_alive "$LOAD_PID" || fail "load: $(cat "$WORK/load.err")"
		sleep 0.05
	done
	sleep "0.$((RANDOM % 10))"
	[[ $at_once != 0 ]] || forgets
	sleep 1
	kill_off "$(listed supervisor_pid)"
	kill_off "$(listed server_pid)"
	kill -9 "$LOAD_PID"	# it dies when its requests have an answer
	rm "/run/ublk-qcow2/$(dmsetup info -c --noheadings -o major,minor \
		--separator : "host-$$")-0.journal"
	mend_host_disk
	refused 'its journal .* is gone' "$UBLK_QCOW2" recover "$DEV"
	"$UBLK_QCOW2" recover --force "$DEV" || fail "recover --force"
	wait_live
	wait "$LOAD_PID" || true
	LOAD_PID=
	"$LOAD" --verify-only --touched-only --ledger "$WORK/flushed" \
		--later "$WORK/ledger" "$DEV" >"$WORK/verified" ||
		fail "not all that was flushed is there"
	note "$(cat "$WORK/verified")"
	del
	qemu-img check -q "$image" >"$WORK/out" 2>&1 || status=$?
	[[ $status == 0 || $status == 3 ]] ||
		fail "qemu-img check: $(cat "$WORK/out")"
}

modules dm-flakey
map_host_disk 1G
image=/dev/mapper/host-$$
qemu-img create -q -f qcow2 "$image" 512M

hear_hooks
add "$image"
fails_at_times
fails_at_times error_writes
fails_at_times error_reads
del
check_image "$image"
check_with_qemu "$image" "$WORK/ledger"

for ((n = 1; n <= LOSSES; n++)); do
	note "loses power, $n"
	rm -f "$WORK"/ledger
	qemu-img create -q -f qcow2 "$image" 512M
	add "$image"
	loses_power $n
done
