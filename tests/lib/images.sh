# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Images for the tests of the driver, and programs of QEMU that look at them;
# sourced by driver.sh.

image()
{
	local path=$WORK/$1 size=$2
	shift 2

	qemu-img create -q -f qcow2 "$@" "$path" "$size"
	echo "$path"
}

# The image is flawless: nothing corrupt and nothing leaked.
check_image()
{
	local output

	output=$(qemu-img check "$1" 2>&1) || true
	grep -q '^No errors were found' <<<"$output" ||
		fail "qemu-img check $1: $output"
}

# QEMU, too, must find in the image all writes that the load program's ledger
# has as acknowledged.
check_with_qemu()
{
	local image=$1 ledger=$2

	qemu-img convert -O raw "$image" "$WORK/converted"
	"$LOAD" --verify-only --ledger "$ledger" "$WORK/converted" ||
		fail "QEMU reads something else from $image"
	rm "$WORK/converted"
}

# poke FILE OFFSET HEX: overwrites bytes.
poke()
{
	local i bytes=

	for ((i = 0; i < ${#3}; i += 2)); do
		bytes+="\\x${3:i:2}"
	done
	printf '%b' "$bytes" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# open_in_qemu [OPTION...] IMAGE: until close_in_qemu.
open_in_qemu()
{
	local end=$((SECONDS + 60))

	rm -f "$WORK/nbd"
	qemu-nbd -t -k "$WORK/nbd" "$@" &
	QEMU=$!
	cleanup "kill $QEMU 2>/dev/null"
	# It listens before it opens the image, and answers after.
	until timeout 10 qemu-img info "nbd+unix:///?socket=$WORK/nbd" \
		>/dev/null 2>&1; do
		kill -0 "$QEMU" 2>/dev/null || fail "qemu-nbd ended: $*"
		((SECONDS <= end)) || fail "qemu-nbd does not come up: $*"
		sleep 0.1
	done
}

close_in_qemu()
{
	kill "$QEMU"
	wait "$QEMU" || true
}
