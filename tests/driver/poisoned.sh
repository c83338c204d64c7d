#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 300
#
# A request that kills every server that begins it fails, once three have died
# of it; all others succeed, and the disk lives on.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

POISON=1000		# sector of a write
OTHER=2000		# of another one
DISCARD=3072		# of a long discard, which a worker does

: "${UBLK_QCOW2_FAULTY:?}"
hear_hooks

# write_at SECTOR: 4 KiB.
write_at()
{
	dd if=/dev/urandom of="$DEV" bs=4k count=1 seek=$(($1 * 512)) \
		oflag=direct,seek_bytes conv=notrunc status=none
}

poisoned()
{
	[[ $("$UBLK_QCOW2" stat --json "$DEV" | jq '.[0].poisoned') == "$1" ]] ||
		fail "stat does not tell of $1: $("$UBLK_QCOW2" stat "$DEV")"
}

# fails COMMAND...: with an I/O error, and in time.
fails()
{
	local pid end=$((SECONDS + 60)) error=$WORK/error.$BASHPID

	"$@" 2>"$error" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		((SECONDS <= end)) || fail "waits and waits: $*"
		sleep 0.1
	done
	! wait "$pid" || fail "succeeds: $*"
	grep -q "Input/output error" "$error" || fail "$(cat "$error")"
}

# died N IMAGE: so many servers, live or not yet, of a fault.
died()
{
	local deaths

	wait_live
	deaths=$(log_lines -cE "$2.* was killed by signal (6|11) ") || true
	[[ $deaths == "$1" ]] || fail "$deaths servers died, and not $1"
}

UBLK_QCOW2=$UBLK_QCOW2_FAULTY
export UBLK_QCOW2_FAULT=dies-of-$POISON,dies-of-$OTHER,dies-of-$DISCARD
add "$(image disk.qcow2 256M)"

note "a write, beside others"
start_load --depth 8 --offset 16M
fails write_at "$POISON"
died 3 disk
heard "^poisoned $DEV .*write of 8 sectors at sector $POISON,"
log_lines "three servers in a row died of a write of 8 sectors at sector $POISON" ||
	fail "the log does not tell"
poisoned 1

note "two at a time"
fails write_at "$POISON" &
one=$!
fails write_at "$OTHER"
wait "$one" || fail "the one does not fail so"
died 9 disk
poisoned 3

note "kills between its deaths"
fails write_at "$POISON" &
one=$!
for _ in {1..3}; do
	kill -9 "$(listed server_pid)" 2>/dev/null || true
	sleep 0.2
done
wait "$one" || fail "it does not fail so"
wait_live
poisoned 4
stop_load
del
check_image "$WORK/disk.qcow2"

note "two, and no server says that it serves before it dies of the second"
: >"$WORK/events"
UBLK_QCOW2_FAULT+=,late-live
add "$(image late.qcow2 256M)"
fails write_at "$POISON" &
one=$!
fails write_at "$OTHER"
wait "$one" || fail "the one does not fail so"
wait_live
poisoned 2
heard "^poisoned $DEV .*write of 8 sectors at sector $POISON,"
heard "^poisoned $DEV .*write of 8 sectors at sector $OTHER,"
del
UBLK_QCOW2_FAULT=${UBLK_QCOW2_FAULT%,late-live}

note "a discard, of a worker"
add "$(image discard.qcow2 256M)"
start_load --depth 8 --offset 16M
fails blkdiscard -o $((DISCARD * 512)) -l 8M "$DEV"
died 3 discard
heard "^poisoned $DEV .*discard of 16384 sectors at sector $DISCARD,"
stop_load

note "its neighbours"
for ((at = POISON - 8; at <= POISON + 8; at += 16)); do
	write_at "$at" || fail "a write at sector $at fails"
done
died 3 discard
poisoned 1
del
check_image "$WORK/discard.qcow2"
