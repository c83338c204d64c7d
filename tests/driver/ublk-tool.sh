#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# A disk that `ublk add -t qcow2` of ublksrv has added is a disk like any other.
# The disk survives its processes, `ublk recover` brings it back, and `ublk del`
# closes the image in good order.  The disk keeps nothing of `ublk` open.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

PLUGIN=$(cd "$(dirname "$0")/../../plugin" && pwd -P)
mkdir "$WORK/sbin"
sed -e "s,@sbindir@,$WORK/sbin," -e "s,/run/ublksrvd,$WORK/ublksrvd," \
	"$PLUGIN/ublksrv/ublk.qcow2.in" >"$WORK/sbin/ublk.qcow2"
chmod +x "$WORK/sbin/ublk.qcow2"
ln -s "$UBLK_QCOW2" "$WORK/sbin/ublk-qcow2"

# ublk WORD...: calls the program of a type as that tool does, with its streams
# closed and a pipe for the device's number, in $ANSWER.  It reads until no
# process has the pipe any more.
ublk()
{
	ANSWER=$({
		exec 9>&1
		"$WORK/sbin/ublk.qcow2" "$@" --eventfd 9 <&- >&- 2>&- || true
	} | timeout 60 od -An -tu8 | tr -d ' ')
}

image=$(image web.qcow2 64M)
ublk add -t qcow2 -f "$image" --name tool -d 64 -r 1
[[ $ANSWER -gt 0 && $ANSWER -lt 1000000 ]] || fail "ublk is told $ANSWER"
id=$((ANSWER - 1))
DEV=/dev/ublkb$id
ADDED+=("$DEV")
[[ $(listed name) == tool && $(listed depth) == 64 ]] || fail "other options"

start_load --depth 8
kill_and_recover
kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
ublk recover -n "$id"
[[ $ANSWER == $((id + 1)) ]] || fail "ublk is told $ANSWER"
wait_live
stop_load

ublk add -t qcow2 -f "$image"
[[ $ANSWER == 18446744073709551614 ]] ||
	fail "ublk is told $ANSWER of a served image"

# The tool stops and deletes a device itself.
"$PROGRAMS/driver/delete-device" "$id"
end=$((SECONDS + 60))
until [[ -z $(traces) ]]; do
	((SECONDS <= end)) || fail "left behind: $(traces)"
	sleep 0.2
done
check_image "$image"
