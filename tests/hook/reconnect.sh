#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# At `started` and `reconnect` each disk of the domain gets a living server
# and supervisor; `reconnect` never fails, or libvirt would end the guest.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
data=$(image data)
link=/dev/ublk-qcow2

# tolerated PATTERN LINES DOMAIN: reconnect says that and succeeds.
tolerated()
{
	local pattern=$1 lines=$2
	shift 2

	call "$1" reconnect
	[[ $STATUS == 0 ]] || wrong "reconnect: status $STATUS"
	says "$pattern" "$lines"
}

for operation in started reconnect; do
	for dead in server supervisor both; do
		case_of "$operation: $dead dead"
		one web1 "$UUID1" $link/web "$web"
		accepted web1 prepare
		accepted web1 $operation
		called "add web.qcow2 --name web"
		[[ $dead == supervisor ]] || kill_process 0 server
		[[ $dead == server ]] || kill_process 0 supervisor
		accepted web1 $operation
		called "add web.qcow2 --name web;recover -- web"
		accepted web1 release
		served ""
	done

	case_of "$operation: a disk that is recovering, or failed"
	one web1 "$UUID1" $link/web "$web"
	accepted web1 prepare
	sed -i 's/^state .*/state recovering/' "$UBLK_QCOW2_RUN/0.disk"
	accepted web1 $operation
	called "add web.qcow2 --name web;recover -- web"
	sed -i 's/^state .*/state failed/' "$UBLK_QCOW2_RUN/0.disk"
	accepted web1 $operation
	called "add web.qcow2 --name web;recover -- web;recover -- web"

	case_of "$operation: a disk without an entry"
	by_hand "$web" web
	domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
	kill_process 0 server
	accepted web1 $operation
	called "recover -- web"

	case_of "$operation: two of three disks are dead"
	more=$(image more)
	domain web1 "$UUID1" \
		"$(entry $link/web "$web")$(entry $link/data "$data")$(
			entry $link/more "$more")" \
		"$(disk vda $link/web)$(disk vdb $link/data)$(
			disk vdc $link/more)" >"$WORK/web1.xml"
	accepted web1 prepare
	kill_process 0 server
	kill_process 2 supervisor
	: >"$FAKE/calls"
	accepted web1 $operation
	called "recover -- more;recover -- web"

	case_of "$operation: somebody else's device"
	domain web1 "$UUID1" "" "$(disk vda /dev/ublkb5)" >"$WORK/web1.xml"
	accepted web1 $operation
done

case_of "started: a disk that cannot be recovered"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
printf 'web\nno memory' >"$FAKE/recover.fails"
refused 'web1: disk web of .*/web.qcow2: cannot be recovered: no memory' \
	web1 started
accepted web1 release
served ""

case_of "started: a disk that is gone"
one web1 "$UUID1" $link/web "$web"
refused 'disk vda, /dev/ublk-qcow2/web: is not served any more' web1 started

case_of "reconnect: a disk that cannot be recovered, and one that can"
domain web1 "$UUID1" "$(entry $link/web "$web")$(entry $link/data "$data")" \
	"$(disk vda $link/web)$(disk vdb $link/data)" >"$WORK/web1.xml"
accepted web1 prepare
kill_process 0 server
kill_process 1 server
printf 'web\nno memory' >"$FAKE/recover.fails"
: >"$FAKE/calls"
tolerated 'cannot be recovered: no memory' 1 web1
grep -q "recover -- data" "$FAKE/calls" || wrong "the second was not recovered"

case_of "reconnect: a disk that is gone"
one web1 "$UUID1" $link/web "$web"
tolerated 'is not served any more' 1 web1

case_of "reconnect: a wrong entry does not keep the disks from it"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
one web1 "$UUID1" $link/web "$web" "colour='green'"
tolerated "there is no attribute 'colour'" 1 web1
grep -q "recover -- web" "$FAKE/calls" || wrong "it was not recovered"

case_of "reconnect: a record of a disk that the XML names no more"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
domain web1 "$UUID1" "" "" >"$WORK/web1.xml"
accepted web1 reconnect
grep -q "recover -- web" "$FAKE/calls" || wrong "it was not recovered"

case_of "reconnect: the records are lost"
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
rm -r "$DOMAINS"
accepted web1 reconnect
records 1.web
refused 'in use by domain web1' web2 prepare
accepted web2 release
served web
accepted web1 release
served ""

case_of "reconnect: a disk that an admin has configured, without a record"
mkdir "$WORK/etc"
echo "image = $web" >"$WORK/etc/web.conf"
export UBLK_QCOW2_DISKS=$WORK/etc
by_hand "$web" web
one web1 "$UUID1" $link/web "$web"
accepted web1 reconnect
records 1.web
accepted web1 release
served web
records ""
export UBLK_QCOW2_DISKS=$WORK/none

case_of "reconnect: no record is made of a disk that another domain uses"
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"
accepted web1 prepare
accepted web2 reconnect
records 1.web
accepted web2 release
served web

case_of "reconnect: no record is made of a disk without an entry"
by_hand "$web" web
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
accepted web1 reconnect
records ""

case_of "reconnect: without XML"
: >"$WORK/web1.xml"
tolerated 'web1: the XML cannot be parsed' 1 web1

case_of "reconnect: the program is missing"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
UBLK_QCOW2=/nowhere/ublk-qcow2 tolerated \
	'cannot be recovered: cannot run /nowhere/ublk-qcow2: No such file' 1 web1

case_of "reconnect: recovery takes for ever"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
echo 100 >"$FAKE/recover.sleeps"
UBLK_QCOW2_PATIENCE=500 tolerated \
	"cannot be recovered: 'ublk-qcow2 recover' was not done after 1 sec" \
	1 web1
((ELAPSED < 60)) || wrong "took $ELAPSED s"

case_of "reconnect: it crashes"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
echo 100 >"$FAKE/recover.sleeps"
"$HOOK" web1 reconnect begin - <"$WORK/web1.xml" 2>"$WORK/err" &
hook=$!
until [[ -s $FAKE/asleep ]]; do sleep 0.05; done
worker=$(pgrep -P "$hook" -x ublk-qcow2-hook) || wrong "no child does it"
kill -KILL "$worker"	# a sanitizer would catch SIGSEGV
wait "$hook" || wrong "status $?"
says 'looking after its disks failed: killed by a signal'

case_of "reconnect: no memory"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
kill_process 0 server
# Sanitizers want an address space of their own.
if ! grep -qa __asan_init "$HOOK"; then
	kill_process 0 supervisor
	said=0
	for ((memory = 10000; memory < 80000; memory += 2000)); do
		status=0
		(
			ulimit -v "$memory"
			exec "$HOOK" web1 reconnect begin - \
				<"$WORK/web1.xml" 2>"$WORK/err"
		) || status=$?
		# 127: not even its libraries could be loaded.
		[[ $status == 0 || $status == 127 ]] ||
			wrong "status $status with $memory KiB"
		! grep -q 'web1: out of memory' "$WORK/err" ||
			said=$((said + 1))
	done
	((said > 0)) || wrong "it never was out of memory"
fi

case_of "reconnect: the record cannot be read"
one web1 "$UUID1" $link/web "$web"
accepted web1 prepare
rm -r "$DOMAINS"
ln -s /nonexistent "$DOMAINS"
kill_process 0 server
call web1 reconnect
[[ $STATUS == 0 ]] || wrong "status $STATUS"
grep -q "recover -- web" "$FAKE/calls" || wrong "it was not recovered"

done_testing
