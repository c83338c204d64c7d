#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `add` tells of a kernel whose ublk driver has a known fatal defect, before
# `add` asks the driver for anything, and refuses such a kernel if the admin
# wants that.  A build for use asks the kernel, and not the environment.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
STATUS=0
qemu-img create -q -f qcow2 "$WORK/a.qcow2" 1M

complain()
{
	echo "FAILED: $*"
	STATUS=1
}

# says_of KERNEL [OPTION]...: all that `add` says there, and its status.  It
# never succeeds: there is no driver, or only root may ask for it.
says_of()
{
	local kernel=$1
	shift

	UBLK_QCOW2_KERNEL=$kernel timeout 60 "$PROGRAM" add "$WORK/a.qcow2" \
		"$@" 2>&1 || true
}

# bad TEXT KERNEL
bad()
{
	local says

	says=$(says_of "$2")
	[[ $says == *"this kernel is ${2%% *}, and its ublk driver $1"* ]] ||
		complain "$2: '$says'"
	says=$(says_of "$2" --sound-kernel)
	[[ $says == *"sound kernel"*"${2%% *}, and its ublk driver $1"* ]] ||
		complain "$2, refused: '$says'"
	[[ $(wc -l <<<"$says") == 1 ]] || complain "$2 goes on: '$says'"
}

# good KERNEL
good()
{
	local says

	says=$(says_of "$1" --sound-kernel)
	! grep -q 'this kernel\|sound' <<<"$says" || complain "$1: '$says'"
}

freed='uses memory after it was freed'
first='stops for good at the first device'
bad "$freed" '7.0.0-1-amd64 #1 SMP Debian 7.0.0-1'
bad "$freed" '7.0.14 #1 SMP'
bad "$freed" '7.0 #1 SMP'
bad "$first" '6.18.4+deb14-amd64 #1 SMP Debian 6.18.4-1'
bad "$first" '6.18.5 #1 SMP'
bad "$first" '6.17.0-35-generic #35-Ubuntu SMP'
bad "$first" '6.17.0-1017-azure #17-Ubuntu SMP'
good '6.12.111+deb12-amd64 #1 SMP Debian 6.12.111-1'
good '6.18.3 #1 SMP'
good '6.18.6 #1 SMP'
good '6.17.0-35-generic #1 SMP Debian'
good '6.17.0-41-generic #41-Ubuntu SMP'
good '7.1.0 #1 SMP'
good '7.3.4+deb14-amd64 #1 SMP Debian 7.3.4-1'
good '17.0.1 #1 SMP'
good 'strange'
exit $STATUS
