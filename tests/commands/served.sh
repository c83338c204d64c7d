#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `info` and `check` take a disk in place of its image, and say which disk
# serves an image.  `check` refuses such an image at once.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"
export UBLK_QCOW2_RUN=$WORK/run
mkdir run

fail()
{
	echo "FAILED: $*"
	exit 1
}

for tool in jq qemu-img; do
	command -v "$tool" >/dev/null || fail "$tool is missing"
done

# record ID NAME IMAGE [READ-ONLY]
record()
{
	printf '%s\n' "id $1" "state live" "name $2" "image $3" \
		"image_device $(stat -c %d "$3")" "image_inode $(stat -c %i "$3")" \
		"read_only ${4:-0}" \
		"boot $(</proc/sys/kernel/random/boot_id)" >"run/$1.disk"
}

# refused WORD...: within moments.
refused()
{
	local status=0

	timeout 10 "$PROGRAM" check "$@" >out 2>err || status=$?
	[[ $status == 1 && ! -s out && $(wc -l <err) == 1 ]] ||
		fail "check $*: $status, $(cat out err)"
	grep -q ": is served as /dev/ublkb6001, the disk web;" err ||
		fail "check $*: $(cat err)"
}

qemu-img create -q -f qcow2 web.qcow2 64M
qemu-img create -q -f qcow2 other.qcow2 32M
qemu-img create -q -f qcow2 other 16M
ln web.qcow2 linked
record 6001 web "$WORK/web.qcow2"
record 6002 other "$WORK/other.qcow2" 1

# A disk means its image, unless a file has the name.
for word in web 6001 /dev/ublkb6001 /dev/ublk-qcow2/web web.qcow2 linked \
	./web.qcow2; do
	"$PROGRAM" info --json "$word" | jq -e '.size == 67108864 and
		.device == "/dev/ublkb6001" and .name == "web"' >/dev/null ||
		fail "info $word"
	refused "$word"
	refused -r all "$word"
done
"$PROGRAM" info web | grep -qx 'in use: as /dev/ublkb6001, the disk web' ||
	fail "$("$PROGRAM" info web)"
"$PROGRAM" info --json other | jq -e '.size == 16777216 and
	.device == null and .name == null' >/dev/null || fail "no file first"
"$PROGRAM" info --json /dev/ublk-qcow2/other |
	jq -e '.size == 33554432 and .name == "other"' >/dev/null ||
	fail "no disk in /dev"

# Two readers do no harm; a repair is not one.
"$PROGRAM" check 6002 >/dev/null || fail "check of a disk that is read only"
! "$PROGRAM" check -r leaks 6002 2>/dev/null || fail "repairs a served image"

# As without any disk.
rm run/*.disk
"$PROGRAM" check -r all web.qcow2 >/dev/null || fail "check"
status=0
"$PROGRAM" info web >out 2>err || status=$?
[[ $status == 1 && $(<err) == "ublk-qcow2: web: No such file or directory" ]] ||
	fail "info web: $status, $(cat err)"
