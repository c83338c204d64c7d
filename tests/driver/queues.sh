#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 400
# processors: 2
#
# Each queue has an I/O thread where the driver withstands that, and all threads
# live and die together; a server that recovers has one.  Requests that wait for
# one of another queue, the figures of all, a kill, a merge, a thread that is
# stuck beside one that works.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

: "${UBLK_QCOW2_FAULTY:?}"
FIRST=1000		# server/owned.c: the sector of its first step
STUCK=18		# a step: the I/O thread waits for itself

# Drivers of 7.1 and later: see server/queues.c.
IFS=. read -r major minor _ < <(uname -r)
threads="queue "
((major < 7 || (major == 7 && minor < 1))) || threads="queue queue1 "

# on_processor N COMMAND...: its requests come by the queue with that number.
on_processor()
{
	taskset -c "$@"
}

write_on()
{
	on_processor "$1" dd if=/dev/urandom of="$DEV" bs=4k count=64 \
		seek=$((64 * $1)) oflag=direct conv=notrunc status=none ||
		fail "a write by queue $1"
}

# The I/O threads of the server, which have used the processor.
busy_threads()
{
	local stat fields

	for stat in /proc/"$(listed server_pid)"/task/*/stat; do
		[[ $(<"$stat") =~ \((queue[0-9]*)\)\ (.*) ]] || continue
		read -ra fields <<<"${BASH_REMATCH[2]}"
		((fields[11] + fields[12] == 0)) || echo "${BASH_REMATCH[1]}"
	done | sort | tr '\n' ' '
}

threads_become()
{
	for _ in {1..600}; do
		[[ $(busy_threads) != "$1" ]] || return 0
		sleep 0.1
	done
	fail "threads at work: $(busy_threads), and not $1"
}

# Each queue has a load of its own, which writes every second block of the same
# clusters, and finds all of its acknowledged writes in the end.
interleave()
{
	local queue

	LOADS=()
	for queue in 0 1; do
		rm -f "$WORK/load.$queue"
		taskset -c "$queue" "$LOAD" --verify --touched-only --tell \
			--depth 8 --stride 8K --offset "$((4 * queue))K" \
			--size 16M --unknown --seed "$((queue + 1))" \
			--dsync-every $((queue * 40)) "$DEV" \
			>"$WORK/load.$queue" 2>&1 &
		LOADS+=($!)
		cleanup "kill -9 $! 2>/dev/null"
	done
	for queue in 0 1; do
		until [[ -s $WORK/load.$queue ]]; do sleep 0.05; done
	done
}

interleaved()
{
	local queue

	kill -TERM "${LOADS[@]}"
	for queue in 0 1; do
		wait "${LOADS[queue]}" || fail "$(cat "$WORK/load.$queue")"
		note "queue $queue: $(tail -n 1 "$WORK/load.$queue")"
	done
}

figure()
{
	"$UBLK_QCOW2" stat --json "$DEV" | jq ".[0]$1"
}

add "$(image disk.qcow2 256M)" -q 2
write_on 0
write_on 1
[[ $(figure .io.write.count) == 128 ]] || fail "not all queues are counted"

note "interleaved writes"
interleave
threads_become "$threads"
interleaved

note "and kills"
interleave
storm 3
threads_become "queue "
interleaved
[[ $(figure .in_flight) == 0 ]] || fail "in flight"
[[ $(figure '.io.read.count > 0') == true ]] || fail "the figures are gone"

note "a merge"
"$UBLK_QCOW2" snapshot "$DEV" "$WORK/overlay.qcow2" || fail "snapshot"
interleave
"$UBLK_QCOW2" commit "$DEV" || fail "commit"
interleaved
del
check_image "$WORK/disk.qcow2"

note "a thread that is stuck"
UBLK_QCOW2=$UBLK_QCOW2_FAULTY
UBLK_QCOW2_FAULT=owned add "$(image stuck.qcow2 256M)" -q 2 --watchdog 3
start_load --depth 4 --offset 128M --size 64M
taskset -acp 0 "$LOAD_PID" >/dev/null
on_processor 1 dd if=/dev/zero of="$DEV" bs=512 count=1 \
	seek=$((FIRST + STUCK)) oflag=direct conv=notrunc status=none ||
	fail "an error"
[[ $(listed recoveries) == 1 ]] || fail "the stuck server was not replaced"
stop_load
del
check_image "$WORK/stuck.qcow2"
