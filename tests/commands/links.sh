#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `add` refuses a symbolic link to an image if another backing file lies beside
# the link.  `add` says so before it looks for the driver.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK"

[[ $EUID == 0 ]] || { echo "not root"; exit 77; }
[[ ! -e /dev/ublk-control ]] || { echo "there is a driver"; exit 77; }

# says PATTERN IMAGE
says()
{
	local said

	! said=$("$PROGRAM" add "$2" 2>&1) || { echo "added $2"; exit 1; }
	[[ $said =~ $1 ]] || { echo "$2: '$said' and not '$1'"; exit 1; }
}

mkdir real other
qemu-img create -q -f qcow2 real/base 1M
qemu-img create -q -f qcow2 -b base -F qcow2 real/image 1M
ln -s ../real/image other/link
says 'ublk driver' real/image
says 'ublk driver' other/link
cp real/base other/base
says 'base is one file beside the symbolic link other/link' other/link
says 'ublk driver' real/image
# A relative path, with the link as its last part.
cd other
says 'one file beside the symbolic link link and another' link
