#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# An older driver goes on to work when it has told that a device can be
# recovered, and would take back what the next server fetches.  So each recovery
# waits for the work of all processors, between START_USER_RECOVERY and the
# first FETCH; and on a newer driver none does.  The kernel counts such waits.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

TRACING=/sys/kernel/tracing

[[ -e $TRACING/kprobe_events ]] || mount -t tracefs tracefs "$TRACING" ||
	fail "no tracefs"
echo 'p:aftermath/refresh vmstat_refresh' >>"$TRACING/kprobe_events" ||
	fail "no kprobe"
cleanup "echo '-:aftermath/refresh' >>$TRACING/kprobe_events"
cleanup "echo 0 >$TRACING/events/aftermath/refresh/enable"
echo 1 >"$TRACING/events/aftermath/refresh/enable"

waits()
{
	grep -c 'refresh: ' "$TRACING/trace"
}

image=$(image disk.qcow2 256M)
add "$image"
[[ $(waits) == 0 ]] || fail "a new disk waits"
start_load --depth 4
for _ in 1 2 3; do
	kill_and_recover
done
stop_load
expected=3
read -r major minor _ < <(uname -r | tr .- '  ')
((major * 100 + minor < 616)) || expected=0
note "$(waits) waits in $(listed recoveries) recoveries"
[[ $(waits) == "$expected" ]] || fail "and not $expected"
del
check_image "$image"
