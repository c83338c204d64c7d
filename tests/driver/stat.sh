#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# `stat` counts the requests of a disk, through the death of its server and of
# its supervisor, and lists the pauses.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# figure FILTER: of the disk.
figure()
{
	"$UBLK_QCOW2" stat --json "$DEV" | jq ".[0]$1"
}

write_some()
{
	dd if=/dev/urandom of="$DEV" bs=4k count=64 oflag=direct status=none
}

add "$(image one.qcow2 64M)"
[[ $(figure .stalls) == "[]" ]] || fail "a stall before any"
write_some
sync -d "$DEV"
[[ $(figure .io.write.count) == 64 ]] || fail "not 64 writes"
[[ $(figure .io.write.bytes) == 262144 ]] || fail "bytes"
[[ $(figure .io.flush.count) -ge 1 ]] || fail "no flush"
[[ $(figure .io.write.p50_ns) -gt 0 ]] || fail "no latency"
[[ $(figure .in_flight) == 0 ]] || fail "in flight"
[[ $(figure .server_memory) -gt 0 ]] || fail "no memory"

kill_and_recover "$DEV"
write_some
[[ $(figure .io.write.count) == 128 ]] || fail "lost with the server"
[[ $(figure '.stalls | length') == 1 ]] || fail "not one stall"
figure '.stalls[0]' | jq -e '.ms >= 0 and (.cause | test("signal 9"))' ||
	fail "the stall"

kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover "$DEV"
wait_live
write_some
[[ $(figure .io.write.count) == 192 ]] || fail "lost with the supervisor"
[[ $(figure '.stalls | length') == 2 ]] || fail "not two stalls"

"$UBLK_QCOW2" stat --openmetrics --output "$WORK/prom"
grep -q '^ublk_qcow2_requests_total{.*kind="write"} 192$' "$WORK/prom" ||
	fail "metrics"
setpriv --reuid 65534 --regid 65534 --clear-groups "$UBLK_QCOW2" stat |
	grep write || fail "stat needs root"
id=$(listed id)
del
[[ ! -e /run/ublk-qcow2/$id.stats ]] || fail "the file stays"
