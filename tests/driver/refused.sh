#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 480
#
# An image that cannot be served right is refused: status 1, one line that says
# why and names the image, and nothing left behind.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

# refuses NAME PATTERN [ADD-OPTION]...: of the image of that name in $WORK.
refuses()
{
	local name=$1 pattern=$2 before
	shift 2

	before=$(sha256sum <"$WORK/$name")
	refused "$pattern" "$UBLK_QCOW2" add "$WORK/$name" "$@"
	grep -qF "$name" "$WORK/err" || fail "does not name $name"
	[[ -z $(traces) ]] || fail "left behind: $(traces)"
	[[ $(sha256sum <"$WORK/$name") == "$before" ]] || fail "changed $name"
}

# An image of 64 MiB with one byte range of its header overwritten.
broken()
{
	local name=$1 offset=$2 bytes=$3

	cp "$WORK/good.qcow2" "$WORK/$name"
	poke "$WORK/$name" "$offset" "$bytes"
}

[[ -z $(traces) ]] || fail "not clean: $(traces)"
image good.qcow2 64M >/dev/null
qemu-io -c 'write -P 1 0 1M' "$WORK/good.qcow2" >/dev/null
l1=$(od -An -tx1 -j40 -N8 "$WORK/good.qcow2" | tr -d ' \n')

# Not an image.
head -c 1M /dev/urandom >"$WORK/noise"
refuses noise 'not a qcow2'
: >"$WORK/empty"
refuses empty 'qcow2|empty|short'
head -c 60 "$WORK/good.qcow2" >"$WORK/cut-header"
refuses cut-header 'header|short|truncated|end'
head -c 100000 "$WORK/good.qcow2" >"$WORK/cut"
refuses cut 'beyond|outside|end|truncated'
refused 'no such|not exist' "$UBLK_QCOW2" add "$WORK/nowhere"
refused 'directory|regular|neither a file' "$UBLK_QCOW2" add "$WORK"

# Fields out of range.
broken version 4 00000009;		refuses version 'version'
broken cluster-small 20 00000005;	refuses cluster-small 'cluster'
broken cluster-large 20 00000020;	refuses cluster-large 'cluster'
broken size 24 7fffffffffffffff;	refuses size 'size|L1'
broken l1-small 36 00000000;		refuses l1-small 'L1'
broken l1-large 36 7fffffff;		refuses l1-large 'L1'
broken refcount-clusters 56 7fffffff;	refuses refcount-clusters 'refcount'
broken refcount-order 96 00000007;	refuses refcount-order 'refcount'
broken header-length 100 00000010;	refuses header-length 'header'

# Tables that cannot be at the offsets in the header.
broken l1-outside 40 0000007fffff0000;	refuses l1-outside 'L1'
broken l1-unaligned 40 0000000000030200; refuses l1-unaligned 'L1'
broken l1-header 40 0000000000000000;	refuses l1-header 'L1'
broken rt-outside 48 0000007fffff0000;	refuses rt-outside 'refcount'
broken rt-over-l1 48 "$l1";		refuses rt-over-l1 'refcount|overlap'

# States and features.
broken corrupt 72 0000000000000002;	refuses corrupt 'corrupt'
broken data-file 72 0000000000000004;	refuses data-file 'data file'
broken unknown 72 4000000000000000;	refuses unknown '62|unknown'
broken named 72 2000000000000000
# The first entry of the feature name table: incompatible, bit 61, its name.
poke "$WORK/named" 120 "003d$(printf frobnication | od -An -tx1 |
	tr -d ' \n')00"
refuses named 'frobnication'

# On a busy machine QEMU may find no measure for its key.
for _ in {1..9}; do
	! qemu-img create -q -f qcow2 --object secret,id=s,data=x -o \
		encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 \
		"$WORK/luks.qcow2" 64M || break
	sleep 0.2
done
refuses luks.qcow2 'encrypt|LUKS'

# The file under an image: its place, its format, and an end to the chain.
mkdir "$WORK/elsewhere"
cp "$WORK/good.qcow2" "$WORK/elsewhere/base.qcow2"
image outside.qcow2 64M -b "$WORK/elsewhere/../elsewhere/base.qcow2" \
	-F qcow2 >/dev/null
mkdir "$WORK/own"
mv "$WORK/outside.qcow2" "$WORK/own/outside.qcow2"
refuses own/outside.qcow2 'outside the image.s directory'
image protocol.qcow2 64M -b 'nbd:localhost:1' -F raw -u >/dev/null
refuses protocol.qcow2 'protocol'
mkdir "$WORK/linked"
image below.qcow2 64M >/dev/null
image above.qcow2 64M -b below.qcow2 -F qcow2 >/dev/null
ln -s ../above.qcow2 "$WORK/linked/above.qcow2"
cp "$WORK/good.qcow2" "$WORK/linked/below.qcow2"
refuses linked/above.qcow2 'below.qcow2 is one file .* and another'
image json.qcow2 64M -b 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}' -F raw -u >/dev/null
refuses json.qcow2 'protocol'
image gone.qcow2 64M -b "$WORK/nothing.qcow2" -F qcow2 -u >/dev/null
refuses gone.qcow2 'No such file'
image loop.qcow2 64M >/dev/null
qemu-img rebase -u -F qcow2 -b "$WORK/loop.qcow2" "$WORK/loop.qcow2"
refuses loop.qcow2 'loop|comes twice|in use'
image vmdk.qcow2 64M -b "$WORK/good.qcow2" -F vmdk -u >/dev/null
refuses vmdk.qcow2 'format'

# A range of numbers.
bad_option()
{
	local status=0

	"$UBLK_QCOW2" add "$WORK/good.qcow2" "$@" >"$WORK/out" \
		2>"$WORK/err" || status=$?
	note "add $*: $status: $(head -n 1 "$WORK/err")"
	[[ $status == [12] && -s $WORK/err ]] || fail "status $status"
	[[ -z $(traces) ]] || fail "left behind: $(traces)"
}

bad_option -d 0
bad_option -d 99999
bad_option -d x
bad_option -q 0
bad_option -q 9999
