#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where systemd manages the host, units serve the disks, not children of the
# hook: those would belong to libvirtd.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

mkdir "$WORK/bin" "$WORK/manager" "$WORK/etc"
ln -s "$TESTS/hook/fake-systemctl" "$WORK/bin/systemctl"
ln -s "$TESTS/hook/fake-systemctl" "$WORK/bin/systemd-run"
export UBLK_QCOW2_BIN=$WORK/bin UBLK_QCOW2_SYSTEMD=$WORK/manager
export UBLK_QCOW2_DISKS=$WORK/etc UBLK_QCOW2_RUN_DISKS=$UBLK_QCOW2_RUN/disks.d
CONF=$UBLK_QCOW2_RUN_DISKS

web=$(image web)
data=$(image data)
link=/dev/ublk-qcow2
unit=ublk-qcow2@web.service

# The calls of systemctl and systemd-run so far are these.
managed()
{
	local calls

	calls=$(sed "s:$FAST:PROGRAM:; s:^fake-systemctl:systemctl:" \
		"$FAKE/units" 2>/dev/null |
		paste -sd ';') || true
	[[ $calls == "$1" ]] || wrong "units: '$calls' and not '$1'"
}
FAST=$UBLK_QCOW2

configured()
{
	local names

	names=$(find "$CONF" -mindepth 1 -printf '%f\n' 2>/dev/null |
		sort | paste -sd ' ') || true
	[[ $names == "$1" ]] || wrong "disks.d has '$names' and not '$1'"
}

case_of "a disk's life"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
managed "systemctl start $unit"
configured web.conf
called "add web.qcow2 --name web"
records 1.web
[[ $(stat -c %a "$CONF/web.conf") == 600 ]] || wrong "mode of the file"
accepted web1 started
accepted web1 release
managed "systemctl start $unit;systemctl stop $unit"
called "add web.qcow2 --name web;del -- web"
configured ""
records ""

case_of "all that an entry says"
one web1 "$UUID1" $link/web "$web" "id='3' queues='2' depth='64'
	readonly='yes' cache='writeback' keyfile='/etc/key'
	datafile='/srv/data' references='no' confined='yes' soundkernel='yes' watchdog='9'
	iops='500' bandwidth='1048577' cachesize='8M' workers='5'"
accepted web1 prepare
sed "s:$WORK/images/::" "$CONF/web.conf" >"$WORK/conf"
cat >"$WORK/expected" <<-END
	# ublk-qcow2-hook: gone when the disk is.
	image = web.qcow2
	id = 3
	queues = 2
	depth = 64
	read-only = yes
	cache = writeback
	key-file = /etc/key
	data-file = /srv/data
	no-references = yes
	confined = yes
	sound-kernel = yes
	watchdog = 9
	iops = 500
	bandwidth = 1048577
	cache-size = 8M
	workers = 5
END
cmp "$WORK/conf" "$WORK/expected" || wrong "the file is wrong"

case_of "a device"
one web1 "$UUID1" /dev/ublkb7 "$web"
accepted web1 prepare
managed "systemctl start ublk-qcow2@ublkb7.service"
accepted web1 release
configured ""

case_of "a unit that fails"
one web1 "$UUID1" $link/web "$web"
printf 'web\nis corrupt' >"$FAKE/add.fails"
refused 'disk vda, /dev/ublk-qcow2/web of [^:]*/web.qcow2: is corrupt$' \
	web1 prepare
managed "systemctl start $unit;systemctl show --property=StatusText --value $unit;systemctl show --property=ExecMainStatus --value $unit;systemctl stop $unit;systemctl reset-failed $unit"
configured ""
records ""

case_of "a unit that fails after it has a device"
one web1 "$UUID1" $link/web "$web"
printf 'web\nx' >"$FAKE/add.fails"
echo "cannot make the link" >"$FAKE/unit.status"
refused 'disk vda, /dev/ublk-qcow2/web of [^:]*/web.qcow2: cannot make the link$' \
	web1 prepare

case_of "a unit that fails and does not say why"
one web1 "$UUID1" $link/web "$web"
printf 'web\nx' >"$FAKE/add.fails"
: >"$FAKE/unit.status"
refused "$unit does not start: .* see 'systemctl status $unit'\$" web1 prepare

case_of "the image comes from another host"
one web1 "$UUID1" $link/web "$web"
printf 'web\nin use by another process' >"$FAKE/add.fails"
echo 3 >"$FAKE/add.status"
accepted web1 migrate
refused 'use --copy-storage-all' web1 prepare

case_of "a unit that takes for ever"
one web1 "$UUID1" $link/web "$web"
echo 100 >"$FAKE/unit.sleeps"
UBLK_QCOW2_PATIENCE=3000 refused \
	"$unit is not up after 3 seconds: look at the image's storage, and at 'systemctl status $unit'" \
	web1 prepare
managed "systemctl start $unit;systemctl stop $unit;systemctl reset-failed $unit"
configured ""
((ELAPSED < 60)) || wrong "took $ELAPSED s"

# While systemctl waits, systemd goes on without it.
cat >"$WORK/murderer" <<-'END'
	#!/bin/bash
	"$FAKE_SYSTEMCTL" "$@"
	[[ $1 != "$DEADLY" ]] || kill -9 "$PPID"
END
chmod +x "$WORK/murderer"
export FAKE_SYSTEMCTL=$TESTS/hook/fake-systemctl

# killed VERB OPERATION: the hook is, when systemctl has done that.
killed()
{
	ln -sf "$WORK/murderer" "$WORK/bin/systemctl"
	DEADLY=$1 call web1 "$2"
	[[ $STATUS == 137 ]] || wrong "$2: status $STATUS"
	ln -sf "$FAKE_SYSTEMCTL" "$WORK/bin/systemctl"
}

case_of "the hook is killed while the unit starts"
one web1 "$UUID1" $link/web "$web"
killed start prepare
served web
accepted web1 release
managed "systemctl start $unit;systemctl stop $unit"
served ""
configured ""
records ""

case_of "the hook is killed before the unit has the disk"
printf 'web\nis slow' >"$FAKE/add.fails"
killed start prepare
served ""
accepted web1 release
managed "systemctl start $unit;systemctl stop $unit;systemctl reset-failed $unit"
configured ""
records ""

case_of "the hook is killed when the unit has stopped"
accepted web1 prepare
killed stop release
served ""
accepted web1 release
configured ""
records ""

case_of "the hook is killed, and an admin's file is left alone"
echo "image = $web" >"$WORK/etc/web.conf"
accepted web1 prepare
"$UBLK_QCOW2" del 0 </dev/null
: >"$FAKE/units"
accepted web1 release
managed ""
records ""
rm "$WORK/etc/web.conf"

case_of "one of two disks fails"
domain web1 "$UUID1" "$(entry $link/web "$web")$(entry $link/data "$data")" \
	"$(disk vda $link/web)$(disk vdb $link/data)" >"$WORK/web1.xml"
printf 'data\nno' >"$FAKE/add.fails"
refused 'disk vdb, .*: no$' web1 prepare
served ""
configured ""
records ""

case_of "the server is dead"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
: >"$FAKE/units"
kill_process 0 server
accepted web1 reconnect
managed ""
called "add web.qcow2 --name web;recover -- web"

case_of "the supervisor is dead"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
: >"$FAKE/units"
kill_process 0 supervisor
accepted web1 reconnect
managed "systemctl start $unit"
called "add web.qcow2 --name web;recover 0;recover -- web"

case_of "the supervisor is dead, and systemd does not know yet"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 supervisor
touch "$FAKE/unit.late"
start=$SECONDS
(sleep 1; "$UBLK_QCOW2" recover 0 </dev/null >/dev/null) &
accepted web1 reconnect
((SECONDS > start)) || wrong "it did not wait"
wait
called "add web.qcow2 --name web;recover 0;recover -- web"

case_of "the supervisor is dead, and stays so"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 supervisor
touch "$FAKE/unit.late"
UBLK_QCOW2_PATIENCE=500 refused "$unit is not up after 1 seconds" web1 started

case_of "the supervisor of a disk added by hand is dead"
by_hand "$web" web
one web1 "$UUID1" $link/web "$web"
kill_process 0 supervisor
accepted web1 prepare
managed "systemd-run --scope --collect --quiet -- PROGRAM recover --brief -- web"
: >"$FAKE/units"
kill_process 0 server
accepted web1 started
managed ""
accepted web1 release
served web

case_of "the admin has configured it"
one web1 "$UUID1" $link/web "$web"
echo "image = $web" >"$WORK/etc/web.conf"
accepted web1 prepare
managed "systemctl start $unit"
configured ""
records 1.web
accepted web1 release
managed "systemctl start $unit;systemctl stop $unit"
served ""
[[ -e $WORK/etc/web.conf ]] || wrong "the admin's file is gone"

case_of "the admin has configured it, and there is no entry"
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
accepted web1 prepare
managed "systemctl start $unit"
accepted web1 release
served ""

case_of "the admin has configured another image"
one web1 "$UUID1" $link/web "$data"
refused 'disk vda, /dev/ublk-qcow2/web of .*/data.qcow2: is served from another image, .*/web.qcow2' \
	web1 prepare
served ""
records ""

case_of "the admin's disk is there already"
one web1 "$UUID1" $link/web "$web"
by_hand "$web" web
accepted web1 prepare
accepted web1 release
served web
managed ""

case_of "the admin has configured it, and there is no systemd"
UBLK_QCOW2_SYSTEMD=$WORK/none accepted web1 prepare
managed ""
called "add web.qcow2 --name web"
UBLK_QCOW2_SYSTEMD=$WORK/none accepted web1 release
served ""
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
UBLK_QCOW2_SYSTEMD=$WORK/none accepted web1 prepare
served web
UBLK_QCOW2_SYSTEMD=$WORK/none accepted web1 release
served ""
echo "image = $web
colour = green" >"$WORK/etc/web.conf"
UBLK_QCOW2_SYSTEMD=$WORK/none refused "'colour' is no key" web1 prepare
rm "$WORK/etc/web.conf"

case_of "a file of another program's"
one web1 "$UUID1" $link/web "$web"
mkdir "$CONF"
echo "image = $web" >"$CONF/web.conf"
accepted web1 prepare
accepted web1 release
configured web.conf
[[ $(cat "$CONF/web.conf") == "image = $web" ]] || wrong "it was changed"

case_of "a file of ours that was left over"
mkdir "$CONF"
echo "# ublk-qcow2-hook: x
image = /elsewhere" >"$CONF/web.conf"
domain web2 "$UUID2" "" "$(disk vda $link/web)" >"$WORK/web2.xml"
refused 'has no entry that says which' web2 prepare
accepted web1 prepare
grep -qx "image = $web" "$CONF/web.conf" || wrong "it is the old one"
accepted web1 release
configured ""

case_of "paths that a file cannot tell"
odd="$WORK/images/odd "
cp "$web" "$odd"
one web1 "$UUID1" $link/web "$odd"
refused 'a path with a line break, or with a blank at its end' web1 prepare
odd="$WORK/images/o
dd"
cp "$web" "$odd"
one web1 "$UUID1" $link/web "${odd/$'\n'/\&#10;}"
refused 'a path with a line break, or with a blank at its end' web1 prepare
managed ""

case_of "a link in place of the file"
echo precious >"$WORK/precious"
mkdir "$CONF"
ln -s "$WORK/precious" "$CONF/.web"
one web1 "$UUID1" $link/web "$web"
refused 'cannot write .*/web.conf' web1 prepare
[[ $(cat "$WORK/precious") == precious ]] || wrong "it wrote through a link"

case_of "systemctl is not there"
one web1 "$UUID1" $link/web "$web"
export REAL=$HOOK
cat >"$WORK/hook" <<-'END'
	#!/bin/bash
	UBLK_QCOW2_BIN=/nowhere exec "$REAL" "$@"
END
chmod +x "$WORK/hook"
HOOK=$WORK/hook refused "$unit does not start: cannot run systemctl: No such" \
	web1 prepare
configured ""

done_testing
