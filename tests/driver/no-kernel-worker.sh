#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# Where processes are short the kernel cannot start a worker for the server's
# ring, and cancels the calls that the worker would have done.  The disk's user
# waits, and sees no error.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

image=$(image disk.qcow2 64M)
qemu-io -f qcow2 -c "write -q 0 64k" "$image"
add "$image"
server=$(listed server_pid)

note "a flush, with nothing before it that has got a worker"
prlimit --pid "$server" --nproc=0:1000
dd if=/dev/urandom of="$DEV" bs=4k count=1 oflag=direct \
	conv=notrunc,fdatasync status=none &
writer=$!
sleep 2
kill -0 "$writer" 2>/dev/null || fail "no flush waits: nothing is proven"
prlimit --pid "$server" --nproc=1000:1000
wait "$writer" || fail "the user sees an error of a flush"
del

note "writes"
add "$image"
server=$(listed server_pid)
prlimit --pid "$server" --nproc=0:1000
dd if=/dev/urandom of="$DEV" bs=64k count=64 oflag=direct status=none &
writer=$!
sleep 2
# Other file systems than ours may need no worker.
kill -0 "$writer" 2>/dev/null || [[ -z ${IN_VM:-} ]] ||
	fail "no write waits: nothing is proven"
prlimit --pid "$server" --nproc=1000:1000
wait "$writer" || fail "the user sees an error"
dd if="$DEV" of=/dev/null bs=64k count=64 iflag=direct status=none ||
	fail "read"
[[ $(listed recoveries) == 0 ]] || fail "the server has died"
del
check_image "$image"
