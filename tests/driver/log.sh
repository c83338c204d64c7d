#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# Each event of a disk is one line in the journal, found by its fields.  A
# journal that hangs holds up no recovery, and a file has the lines meanwhile.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

JOURNALD=/lib/systemd/systemd-journald
QUEUE=/proc/sys/net/unix/max_dgram_qlen
LOG=/run/ublk-qcow2.log
[[ ! -e /run/systemd/journal/socket ]] ||
	fail "this test stops the journal, and here is the machine's own"

# Of a short queue, which is soon full.
start_journal()
{
	local end=$((SECONDS + 60)) length

	length=$(<"$QUEUE")
	echo 5 >"$QUEUE"
	cleanup "rm -rf /run/systemd/journal /run/log/journal"
	cleanup "rmdir /run/systemd /run/log 2>/dev/null"
	mkdir -p /run/systemd/journal /run/log/journal
	"$JOURNALD" 2>"$WORK/journald" &
	JOURNAL=$!
	cleanup "kill -CONT $JOURNAL; kill $JOURNAL"
	until [[ -S /run/systemd/journal/socket ]]; do
		((SECONDS <= end)) || fail "no journal: $(<"$WORK/journald")"
		sleep 0.1
	done
	echo "$length" >"$QUEUE"
}

# How many lines there are with these fields.
lines()
{
	journalctl -q --no-pager -o cat -t ublk-qcow2 "$@" | wc -l
}

# become_lines NUMBER FIELD...: the journal writes when it likes.
become_lines()
{
	local number=$1 end=$((SECONDS + 60))
	shift

	until [[ $(lines "$@") == "$number" ]]; do
		((SECONDS <= end)) ||
			fail "$*: $(lines "$@") lines and not $number"
		sleep 0.3
	done
}

start_journal
image=$(image web.qcow2 64M)
add "$image"
kill_and_recover
become_lines 1 DISK=web EVENT=live
become_lines 1 DISK=web EVENT=crashed
become_lines 1 "DISK=$DEV" EVENT=recovered
become_lines 1 "IMAGE=$image" MESSAGE_ID=70838cd4943f441ca8a1b65ee8ebe282
journalctl -q --no-pager EVENT=crashed -o verbose | tee "$WORK/verbose"
grep -q 'PRIORITY=4' "$WORK/verbose" || fail "a crash is no warning"
! grep -sF "($image)" "$LOG" || fail "a line is in the file, too"

note "a journal that hangs"
kill -STOP "$JOURNAL"
printf 'x\n%.0s' {1..100} >"$WORK/text"
timeout 3 logger -u /run/systemd/journal/socket -f "$WORK/text" || true
for _ in 1 2 3; do
	kill_and_recover
done
[[ $(grep -F "($image)" "$LOG" | grep -c "takes over") == 3 ]] ||
	fail "the file has: $(<"$LOG")"

note "and goes on"
kill -CONT "$JOURNAL"
supervisor=$(listed supervisor_pid)
kill_off "$supervisor"
"$UBLK_QCOW2" recover "$DEV"
become_lines 1 DISK=web EVENT=adopted
del
become_lines 1 DISK=web EVENT=removed
