#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A domain that comes live from another host must not get an image that the
# other host still has open.  libvirt lets the XML pass as it is.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
link=/dev/ublk-qcow2
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"

# The image is in use: the exit status of `add` says so, and a text.
put_in_use()
{
	printf 'web\nin use by another process (QEMU)' >"$FAKE/add.fails"
	echo 3 >"$FAKE/add.status"
}

case_of "the image is here alone"
accepted web1 migrate
records "incoming.$UUID1"
accepted web1 prepare
called "add web.qcow2 --name web"
records 1.web
accepted web1 started
accepted web1 release
served ""
records ""

case_of "the image is in use"
put_in_use
accepted web1 migrate
refused 'web1: disk vda, /dev/ublk-qcow2/web of [^:]*: the image is in use, maybe by the host that the domain comes from: live migration to a host that shares the image is not possible yet: use --copy-storage-all, or shut the domain down$' \
	web1 prepare
accepted web1 release
records ""

case_of "in use, but not because of a migration"
put_in_use
refused 'web.qcow2: in use by another process' web1 prepare

case_of "something else is wrong with the image"
printf 'web\nis corrupt' >"$FAKE/add.fails"
accepted web1 migrate
refused 'web.qcow2: is corrupt$' web1 prepare

case_of "a message decides nothing"
printf 'web\nin use by another process' >"$FAKE/add.fails"
accepted web1 migrate
refused 'web.qcow2: in use by another process$' web1 prepare

case_of "the note is good for one start"
put_in_use
accepted web1 migrate
call web1 prepare
accepted web1 release
refused 'web.qcow2: in use by another process' web1 prepare

case_of "release takes the note away"
put_in_use
accepted web1 migrate
accepted web1 release
records ""
refused 'web.qcow2: in use by another process' web1 prepare

case_of "an old note means nothing"
put_in_use
accepted web1 migrate
touch -d '-1 hour' "$DOMAINS/incoming.$UUID1"
refused 'web.qcow2: in use by another process' web1 prepare
records ""

case_of "a domain that came shut off, and is started later"
put_in_use
accepted web1 migrate
touch -d '-2 minutes' "$DOMAINS/incoming.$UUID1"
refused 'web.qcow2: in use by another process' web1 prepare

case_of "old notes are swept by the next one"
accepted web1 migrate
touch -d '-1 hour' "$DOMAINS/incoming.$UUID1"
accepted web2 migrate
records "incoming.$UUID2"

case_of "no note is made for a domain without our disks"
domain web3 "$UUID1" "" "$(disk vda /dev/sda)" >"$WORK/web3.xml"
accepted web3 migrate
records ""

case_of "a note counts for its domain only"
put_in_use
accepted web1 migrate
refused 'web.qcow2: in use by another process' web2 prepare
records "incoming.$UUID1"

case_of "announced twice"
accepted web1 migrate
accepted web1 migrate
accepted web1 prepare

case_of "served here by hand already"
by_hand "$web" web
accepted web1 migrate
accepted web1 prepare
called "recover -- web"

case_of "a block device, of which no lock tells"
device=$(find /dev -type b -print -quit)
one web3 "$UUID1" $link/web "$device"
accepted web3 migrate
refused 'disk vda, /dev/ublk-qcow2/web of .*: the image is on a block device, and the host that the domain comes from may have it open, too; live migration to a host that shares the image is not possible yet: shut the domain down and start it here; if it came shut off, start it again$' \
	web3 prepare
called ""
accepted web3 prepare
accepted web3 release

case_of "wrong entries are for prepare to tell"
one web1 "$UUID1" $link/web "$web" "colour='green'"
accepted web1 migrate
refused "no attribute 'colour'" web1 prepare

case_of "no uuid"
echo '<domain><name>web1</name></domain>' >"$WORK/web1.xml"
refused 'no name or no uuid' web1 migrate

done_testing
