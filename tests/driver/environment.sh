#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# One line names the thing that the host lacks: the driver, io_uring, or the
# right to use them.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)
chmod 755 "$WORK" "$SCRATCH"
chmod 666 "$image"

refused 'root|permission|CAP_SYS_ADMIN|permitted' setpriv --reuid=65534 \
	--regid=65534 --clear-groups "$UBLK_QCOW2" add "$image"
[[ -z $(traces) ]] || fail "left behind: $(traces)"

sysctl -q kernel.io_uring_disabled=2
cleanup "sysctl -q kernel.io_uring_disabled=0"
refused 'io_uring' "$UBLK_QCOW2" add "$image"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
sysctl -q kernel.io_uring_disabled=0

# The next server says so, too.
add "$image"
sysctl -q kernel.io_uring_disabled=2
kill -9 "$(listed server_pid)"
end=$((SECONDS + 30))
until "$UBLK_QCOW2" list "$DEV" | grep 'io_uring is disabled'; do
	((SECONDS <= end)) || fail "list: $("$UBLK_QCOW2" list "$DEV")"
	sleep 0.1
done
sysctl -q kernel.io_uring_disabled=0
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
del

# Hidden from modprobe, too: the server might load it by itself.
modprobe -r ublk_drv
cleanup "umount /lib/modules/$(uname -r) 2>/dev/null; modprobe ublk_drv"
mkdir "$WORK/empty"
mount --bind "$WORK/empty" "/lib/modules/$(uname -r)"
refused 'ublk_drv|driver' "$UBLK_QCOW2" add "$image"
[[ -z $(traces) ]] || fail "left behind: $(traces)"
umount "/lib/modules/$(uname -r)"
modprobe ublk_drv

add "$image"
del
