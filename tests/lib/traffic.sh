# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The load program on a disk, for the tests of the driver; sourced by driver.sh.

# Starts the load program on $DEV in the background, and returns when it is at
# work: a signal before that would end it, and a kill of the server prove
# nothing.
start_load()
{
	local end=$((SECONDS + 60))

	# The output of the last one must not be taken for this one's.
	rm -f "$WORK/load.out"
	"$LOAD" --verify --touched-only --tell "$@" "$DEV" \
		>"$WORK/load.out" 2>"$WORK/load.err" &
	LOAD_PID=$!
	until [[ -s $WORK/load.out ]]; do
		kill -0 "$LOAD_PID" 2>/dev/null || [[ -s $WORK/load.out ]] ||
			fail "the load ended: $(cat "$WORK/load.err")"
		((SECONDS <= end)) || fail "the load does not begin"
		sleep 0.05
	done
}

# Ends it; everything acknowledged must be there.
stop_load()
{
	local status=0

	kill -TERM "$LOAD_PID" || fail "the load ended before: $(cat \
		"$WORK/load.err")"
	wait "$LOAD_PID" || status=$?
	LOAD_PID=
	cat "$WORK/load.err"
	note "$(tail -n 1 "$WORK/load.out")"
	[[ $status == 0 ]] || fail "the load ended with status $status"
}

# One value of the load's report.
loaded()
{
	sed -n "s/.*\b$1=\([^ ]*\).*/\1/p" "$WORK/load.out" | tail -n 1
}

# load_meets ERROR: it must tolerate that.
load_meets()
{
	local end=$((SECONDS + 120))

	until [[ $(loaded error) == "$1" ]]; do
		((SECONDS <= end)) || fail "the client saw: $(loaded error)"
		sleep 0.05
	done
}

# Waits until a request is under way.
busy()
{
	local end=$((SECONDS + 60))

	until [[ $(under_way) -gt 0 ]]; do
		((SECONDS <= end)) || fail "nobody uses $DEV"
		sleep 0.05
	done
}
