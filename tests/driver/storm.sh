#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 600
#
# A storm: many disks, each with a load, lose all their servers at one moment,
# then all servers and supervisors at one moment.  Each disk comes back, and each
# load finds all that was acknowledged to it.  The test tells how long that
# takes, and how much memory a disk takes that nobody uses.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

DISKS=$((64 * ${TEST_EFFORT:-1}))
MEMORY=$((8 << 10))	# KiB, of a disk's two processes

# A machine that has disks of its own keeps them.
[[ -z $("$UBLK_QCOW2" list) ]] || { echo "this machine has disks"; exit 77; }

# pids KEY: of all disks, without those that are dead already
pids()
{
	"$UBLK_QCOW2" list --json | jq ".[].$1 // empty"
}

# KiB, each page shared out among its users
memory()
{
	(pids server_pid; pids supervisor_pid) |
		sed 's#.*#/proc/&/smaps_rollup#' |
		xargs sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' |
		awk '{ sum += $1 } END { print sum }'
}

# all_live RECOVERIES: so many disks are live after so many deaths of each.
all_live()
{
	local filter end=$((SECONDS + 180)) live

	filter="[.[] | select(.state == \"live\" and .recoveries >= $1)]"
	until live=$("$UBLK_QCOW2" list --json | jq "$filter | length") &&
		[[ $live == "$DISKS" ]]; do
		((SECONDS <= end)) ||
			fail "$live of $DISKS: $("$UBLK_QCOW2" list)"
		sleep 1	# a look takes the processor from them
	done
}

# A disk's load: its unflushed writes go on for as long as the storm does.
start_loads()
{
	local i

	for ((i = 0; i < DISKS; i++)); do
		"$LOAD" --verify --touched-only --tell --depth 2 --rate 2 \
			--size 8M --seed "$i" --mix 60,20,10,10 \
			--discard-align 64K "${ADDED[i]}" \
			>"$WORK/load.out.$i" 2>"$WORK/load.err.$i" &
		LOADS+=($!)
		cleanup "kill -9 $! 2>/dev/null"
	done
}

# Until a load is at work, a kill of its server proves nothing.
wait_for_loads()
{
	local i end=$((SECONDS + 120))

	for ((i = 0; i < DISKS; i++)); do
		until [[ -s $WORK/load.out.$i ]]; do
			((SECONDS <= end)) || fail "load $i does not begin:" \
				"$(cat "$WORK/load.err.$i")"
			sleep 0.05
		done
	done
}

stop_loads()
{
	local i status

	kill "${LOADS[@]}" || fail "a load has ended"
	for ((i = 0; i < DISKS; i++)); do
		status=0
		wait "${LOADS[i]}" || status=$?
		[[ $status == 0 ]] || fail "load of disk $i:" \
			"status $status, $(cat "$WORK/load.err.$i")"
	done
}

# total KEY: of all loads
total()
{
	sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" "$WORK"/load.out.* |
		awk '{ sum += $1 } END { print sum + 0 }'
}

since()
{
	echo "$(((${EPOCHREALTIME/./} - $1) / 1000)) ms"
}

LOADS=()
for ((i = 0; i < DISKS; i++)); do
	add "$(image "disk$i.qcow2" 64M)"
done
used=$(($(memory) / DISKS))
note "$DISKS disks, $used KiB each"
((used <= MEMORY)) || fail "a disk takes $used KiB"

start_loads
wait_for_loads
note "$DISKS loads"
mapfile -t victims < <(pids server_pid)
[[ ${#victims[@]} == "$DISKS" ]] || fail "${#victims[@]} servers"
start=${EPOCHREALTIME/./}
kill -9 "${victims[@]}"
all_live 1
note "all servers killed: all disks live after $(since "$start")"

# A supervisor that dies last may have started another server.
mapfile -t victims < <(pids supervisor_pid; pids server_pid)
[[ ${#victims[@]} == $((2 * DISKS)) ]] || fail "${#victims[@]} processes"
start=${EPOCHREALTIME/./}
kill -9 "${victims[@]}"
"$UBLK_QCOW2" recover --all || fail "recover --all"
all_live 2
note "all processes killed: all disks live after $(since "$start")"

sleep 2
stop_loads
note "$(total writes) writes acknowledged," \
	"$(total checked) blocks verified"
[[ $(total wrong) == 0 && $(total checked) -gt $DISKS ]] ||
	fail "$(total wrong) blocks are wrong"
"$UBLK_QCOW2" del "${ADDED[@]}" || fail "del"
for ((i = 0; i < DISKS; i++)); do
	check_image "$WORK/disk$i.qcow2"
done
