#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The user of a disk decides about the disk: `prepare` takes no disk away from
# another domain, and `release` removes the disks of its own domain only.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
other=$(image other)
link=/dev/ublk-qcow2
share='<shareable/>'

case_of "a leftover of an earlier life is used again"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
accepted web1 prepare
called "add web.qcow2 --name web;recover -- web"
records 1.web
accepted web1 release
served ""

case_of "a leftover whose processes are dead is recovered"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
kill_process 0 supervisor
accepted web1 prepare
called "add web.qcow2 --name web;recover -- web"
accepted web1 release
served ""

case_of "a leftover that cannot be recovered"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
printf 'web\nstorage is on fire' >"$FAKE/recover.fails"
refused 'disk vda, /dev/ublk-qcow2/web of [^:]*/web.qcow2: storage is on fire' \
	web1 prepare
records 1.web

case_of "a leftover of another image is replaced"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
one web1 "$UUID1" $link/web "$other"
accepted web1 prepare
called "add web.qcow2 --name web;del -- web;add other.qcow2 --name web"
records 1.web
[[ $(field_of 0 image) == "$other" ]] || wrong "the old image is served"

case_of "a leftover that was writable is replaced"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
one web1 "$UUID1" $link/web "$web" "readonly='yes'"
accepted web1 prepare
called "add web.qcow2 --name web;del -- web;add web.qcow2 --name web --read-only"

case_of "a leftover in use is not replaced"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
one web1 "$UUID1" $link/web "$other"
echo 1000 >"$FAKE/del.busy"
UBLK_QCOW2_PATIENCE=3000 refused \
	'disk vda, .*/other.qcow2: in use by process 77 .udevd.' web1 prepare

case_of "the record of the disk cannot be read for a while"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
mv "$UBLK_QCOW2_RUN/0.disk" "$FAKE/record"
echo damaged >"$UBLK_QCOW2_RUN/0.disk"
refused 'cannot read the record of the disk' web1 release
records 1.web
mv "$FAKE/record" "$UBLK_QCOW2_RUN/0.disk"
accepted web1 release
records ""
served ""

case_of "the device is named in two ways"
by_hand "$web" web
one web1 "$UUID1" /dev/ublkb0 "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
refused 'in use by domain web1' web2 prepare
accepted web2 release
accepted web1 release
accepted web2 prepare
refused 'in use by domain web2' web1 prepare
accepted web2 release
served web

case_of "added by hand from another image"
by_hand "$other" web
one web1 "$UUID1" $link/web "$web"
refused 'disk vda, /dev/ublk-qcow2/web of .*/web.qcow2: is served from another image, .*/other.qcow2' \
	web1 prepare
accepted web1 release
served web

case_of "added by hand under another name"
by_hand "$web" somewhere
one web1 "$UUID1" $link/web "$web"
refused 'already as /dev/ublkb0, /dev/ublk-qcow2/somewhere' web1 prepare
ln -sf "$web" "$WORK/images/alias.qcow2"
one web1 "$UUID1" $link/web "$WORK/images/alias.qcow2"
refused 'already as /dev/ublkb0, /dev/ublk-qcow2/somewhere' web1 prepare
served somewhere

case_of "added by hand as another device"
by_hand "$web" web
one web1 "$UUID1" $link/web "$web" "id='4'"
refused 'is served as another device, /dev/ublkb0' web1 prepare

case_of "added by hand, and a hard link of the image is wanted"
ln -f "$web" "$WORK/images/hard.qcow2"
by_hand "$web" web
one web1 "$UUID1" $link/web "$WORK/images/hard.qcow2"
accepted web1 prepare

case_of "added by hand read-only"
by_hand "$web" web --read-only
one web1 "$UUID1" $link/web "$web"
refused "is served read-only, but its entry says readonly='no'" web1 prepare
one web1 "$UUID1" $link/web "$web" "readonly='yes'"
accepted web1 prepare

case_of "added by hand for writing"
by_hand "$web" web
one web1 "$UUID1" $link/web "$web" "readonly='yes'"
refused "is served for writing, but its entry says readonly='yes'" web1 prepare

case_of "added by hand, its server dead"
by_hand "$web" web
kill_process 0 server
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
called "recover -- web"
accepted web1 release
served web

case_of "the image is in use elsewhere"
printf 'web\nin use by another process (QEMU)' >"$FAKE/add.fails"
one web1 "$UUID1" $link/web "$web"
refused 'web1: disk vda, /dev/ublk-qcow2/web of [^:]*/web.qcow2: in use by another process' \
	web1 prepare
accepted web1 release
records ""

case_of "shared by two"
one web1 "$UUID1" $link/web "$web" "" "$share"
one web2 "$UUID2" $link/web "$web" "" "$share"
accepted web1 prepare
accepted web2 prepare
called "add web.qcow2 --name web;recover -- web"
records "1.web 2.web"
accepted web1 release
served web
records 2.web
accepted web1 prepare
accepted web2 release
served web
accepted web1 release
served ""
records ""

case_of "shared by one of two"
one web1 "$UUID1" $link/web "$web" "" "$share"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
refused 'in use by domain web1' web2 prepare
accepted web2 release
served web
accepted web1 release
accepted web2 prepare
refused 'in use by domain web2' web1 prepare
accepted web1 release
served web

case_of "added by hand and shared by two"
by_hand "$web" web
one web1 "$UUID1" $link/web "$web" "" "$share"
one web2 "$UUID2" $link/web "$web" "" "$share"
accepted web1 prepare
accepted web2 prepare
accepted web1 release
accepted web2 release
served web

case_of "somebody has the disk open for a moment"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
echo 2 >"$FAKE/del.busy"
accepted web1 release
called "add web.qcow2 --name web;del -- web;del -- web;del -- web"
served ""
records ""

case_of "somebody has the disk open for long"
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
echo 1000 >"$FAKE/del.busy"
UBLK_QCOW2_PATIENCE=3000 refused \
	'web1: disk web of .*/web.qcow2: cannot be removed: in use by process 77' \
	web1 release
served web
records 1.web
UBLK_QCOW2_PATIENCE=3000 refused 'web2: .*: in use by process 77' web2 prepare
rm "$FAKE/del.busy"
: >"$FAKE/calls"
accepted web2 prepare
called "del -- web;add web.qcow2 --name web"
records 2.web
accepted web1 release
served web
accepted web2 release
served ""
records ""

case_of "released again when nobody has it open any more"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
echo 1000 >"$FAKE/del.busy"
UBLK_QCOW2_PATIENCE=3000 call web1 release
rm "$FAKE/del.busy"
accepted web1 release
served ""
records ""

case_of "another disk has the name by now"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
"$UBLK_QCOW2" del web </dev/null
by_hand "$web" web
one web2 "$UUID2" $link/web "$web"
accepted web2 prepare
called "recover -- web"
accepted web1 release
served web
accepted web2 release
served web
records ""

case_of "another disk has the id by now"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
echo 1000 >"$FAKE/del.busy"
call web1 release &
hook=$!
await_call "del .*"
replace_by "$other" other
rm "$FAKE/del.busy"
wait "$hook" || true
served other
records ""

case_of "another disk gets the id during a recovery"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
echo 2 >"$FAKE/recover.sleeps"
call web1 prepare &
hook=$!
await_call "recover .*"
replace_by "$other" other
wait "$hook" || true
rm "$FAKE/recover.sleeps"
served "other web"
records 1.web
[[ $(field_of 1 name) == web ]] || wrong "web is not served anew"

case_of "the disk is gone at the end"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
"$UBLK_QCOW2" del web </dev/null
accepted web1 release
records ""

case_of "the server is dead at the end"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
accepted web1 release
called "add web.qcow2 --name web;recover -- web;del -- web"
served ""

case_of "the server is dead at the end, for good"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
kill_process 0 supervisor
printf '*\nno' >"$FAKE/recover.fails"
accepted web1 release
served ""
records ""

case_of "the entry is gone or wrong at the end"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
one web1 "$UUID1" $link/web "$web" "colour='green'"
accepted web1 release
served ""

case_of "no entry and not served"
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
refused 'web1: disk vda names /dev/ublk-qcow2/web, but <metadata> has no entry that says which image that is' \
	web1 prepare
domain web1 "$UUID1" "" "$(disk vda /dev/ublkb77777)" >"$WORK/web1.xml"
refused 'disk vda names /dev/ublkb77777, but <metadata> has no entry' \
	web1 prepare
accepted web1 release
called ""

case_of "no entry but served"
by_hand "$web" web
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
domain web2 "$UUID2" "" "$(disk vda /dev/ublkb0)" >"$WORK/web2.xml"
kill_process 0 server
accepted web1 prepare
called "recover -- web"
records 1.web
refused 'web2: disk vda, /dev/ublkb0 of .*/web.qcow2: is in use by domain web1' \
	web2 prepare
accepted web2 release
accepted web1 release
served web

case_of "three disks, the last fails, one was there before"
by_hand "$other" other
a=$(image a)
b=$(image b)
domain web1 "$UUID1" \
	"$(entry $link/a "$a")$(entry $link/other "$other")$(entry $link/b "$b")" \
	"$(disk vda $link/a)$(disk vdb $link/other)$(disk vdc $link/b)" \
	>"$WORK/web1.xml"
printf 'b\nno' >"$FAKE/add.fails"
refused 'disk vdc, .*/b of [^:]*/b.qcow2: no$' web1 prepare
served other
records ""

case_of "a disk that was there before stays when another disk fails"
one web1 "$UUID1" $link/a "$a"
accepted web1 prepare
domain web1 "$UUID1" "$(entry $link/a "$a")$(entry $link/b "$b")" \
	"$(disk vda $link/a)$(disk vdb $link/b)" >"$WORK/web1.xml"
printf 'b\nno' >"$FAKE/add.fails"
refused ': no$' web1 prepare
served a
records 1.a
accepted web1 release
served ""

case_of "the disk taken first is another's by the time it is undone"
one web2 "$UUID2" $link/a "$a" "" "$share"
domain web1 "$UUID1" "$(entry $link/a "$a")$(entry $link/b "$b")" \
	"$(disk vda $link/a "$share")$(disk vdb $link/b)" >"$WORK/web1.xml"
printf 'b\nno' >"$FAKE/add.fails"
accepted web2 prepare
refused ': no$' web1 prepare
served a
records 2.a

done_testing
