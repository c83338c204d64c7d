#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# libvirt waits without a limit for the hook, and for any process that has the
# hook's stdout or stderr open.  So neither may last, whatever hangs.  Two hooks
# at once do not get into each other's way.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
data=$(image data)
link=/dev/ublk-qcow2
one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"

# A program that would hang does so for 100 seconds.
quick()
{
	((ELAPSED < 60)) || wrong "took $ELAPSED s"
}

case_of "add leaves a daemon with its stdout and stderr"
touch "$FAKE/add.forgets"
accepted web1 prepare
quick
served web

case_of "add takes for ever"
echo 100 >"$FAKE/add.sleeps"
UBLK_QCOW2_PATIENCE=3000 refused \
	"web1: disk vda, .*: 'ublk-qcow2 add' was not done after 3 seconds and was killed" \
	web1 prepare
quick
called "add web.qcow2 --name web;del -- web"
served ""
records ""
ends "$(cat "$FAKE/asleep")" || wrong "the killed process lives on"

case_of "add becomes usable in the last moment"
# The disk is there, but the command does not end.
cat >"$WORK/slow" <<-'END'
	#!/bin/bash
	"$FAST" "$@"
	[[ $1 != add ]] || exec sleep 100
END
chmod +x "$WORK/slow"
export FAST=$UBLK_QCOW2
UBLK_QCOW2=$WORK/slow UBLK_QCOW2_PATIENCE=5000 refused \
	"'ublk-qcow2 add' was not done" web1 prepare
served ""

case_of "del takes for ever"
accepted web1 prepare
echo 100 >"$FAKE/del.sleeps"
UBLK_QCOW2_PATIENCE=500 refused "'ublk-qcow2 del' was not done" web1 release
quick
records 1.web

case_of "recover takes for ever"
rm "$FAKE/del.sleeps" 2>/dev/null || true
accepted web1 prepare
kill_process 0 server
echo 100 >"$FAKE/recover.sleeps"
UBLK_QCOW2_PATIENCE=500 refused "'ublk-qcow2 recover' was not done" web1 started
quick
UBLK_QCOW2_PATIENCE=3000 accepted web1 release
quick
served ""

case_of "another hook has the disk for ever"
echo 100 >"$FAKE/add.sleeps"
UBLK_QCOW2_PATIENCE=60000 "$HOOK" web1 prepare begin - <"$WORK/web1.xml" &
holder=$!
until [[ -s $FAKE/asleep ]]; do sleep 0.05; done
UBLK_QCOW2_PATIENCE=3000 refused "another domain's hook is working on it" \
	web2 prepare
quick
# It waits only if it has something to release.
printf 'nonce 1\nowned 1\n' >"$DOMAINS/$UUID2.web"
UBLK_QCOW2_PATIENCE=500 refused 'another hook is working on it' web2 release
quick
kill -9 "$holder"
wait "$holder" 2>/dev/null || true
accepted web2 release

case_of "libvirt writes the XML slowly, or not at all"
mkfifo "$WORK/fifo"
sleep 100 >"$WORK/fifo" &
writer=$!
XML=$WORK/fifo UBLK_QCOW2_PATIENCE=500 refused 'cannot read its XML: .*timed out' \
	web1 prepare
quick
kill "$writer"
{ head -c 100 "$WORK/web1.xml"; sleep 1; tail -c +101 "$WORK/web1.xml"; } \
	>"$WORK/fifo" &
XML=$WORK/fifo accepted web1 prepare

case_of "its output is not read"
domain web1 "$UUID1" "" "$(disk vda $link/web)" >"$WORK/web1.xml"
("$HOOK" web1 prepare begin - <"$WORK/web1.xml" 2>&1 ||
	echo $? >"$WORK/status") | true
[[ $(cat "$WORK/status") == 1 ]] || wrong "status $(cat "$WORK/status")"
status=0
"$HOOK" web1 prepare begin - <"$WORK/web1.xml" 2>&- >&- || status=$?
[[ $status == 1 ]] || wrong "status $status without stderr"
"$HOOK" web1 reconnect begin - <&- 2>&- >&- || wrong "status $? without anything"
one web1 "$UUID1" $link/web "$web"
"$HOOK" web1 prepare begin - <"$WORK/web1.xml" 2>&- >&- ||
	wrong "status $? without stderr"
served web

case_of "no child is left"
accepted web1 prepare
touch "$FAKE/add.forgets"
"$HOOK" web1 release end - <"$WORK/web1.xml" &
hook=$!
wait "$hook"
[[ -z $(pgrep -P $$ -x ublk-qcow2-hook || true) ]] || wrong "a hook is left"

case_of "the hook is killed while add works"
echo 100 >"$FAKE/add.sleeps"
"$HOOK" web1 prepare begin - <"$WORK/web1.xml" &
hook=$!
until [[ -s $FAKE/asleep ]]; do sleep 0.05; done
read -r add < <(ps -o ppid= -p "$(cat "$FAKE/asleep")")
kill -9 "$hook"
wait "$hook" 2>/dev/null || true
ends "$add" || wrong "add lives on"

# The hook is killed when the disk is there and its record is not.
cat >"$WORK/murderer" <<-'END'
	#!/bin/bash
	"$FAST" "$@"
	[[ $1 != add ]] || kill -9 "$PPID"
END
chmod +x "$WORK/murderer"

# killed DOMAIN: the hook is, in `prepare`.
killed()
{
	case_of "$1: the hook is killed after add"
	UBLK_QCOW2=$WORK/murderer call "$1" prepare
	[[ $STATUS == 137 ]] || wrong "status $STATUS"
	served web
}

one web1 "$UUID1" $link/web "$web"
one web2 "$UUID2" $link/web "$web"

killed web1
accepted web1 release
served ""
records ""
accepted web1 release

# libvirtd has died, too.
killed web1
accepted web1 prepare
records 1.web
called "add web.qcow2 --name web;recover -- web"
accepted web1 release
served ""
records ""

killed web1
accepted web2 prepare
records 2.web
called "add web.qcow2 --name web;del -- web;add web.qcow2 --name web"
accepted web1 release
served web
accepted web2 release
served ""
records ""

killed web1
accepted web1 reconnect
records 1.web
refused 'in use by domain web1' web2 prepare
accepted web1 release
served ""

case_of "the disk is there, its record cannot be written, nor can it go"
cat >"$WORK/saboteur" <<-'END'
	#!/bin/bash
	[[ $1 == add ]] || exec "$FAST" "$@"
	"$FAST" "$@"
	mkdir "$SABOTAGE"
END
chmod +x "$WORK/saboteur"
echo 1000 >"$FAKE/del.busy"
SABOTAGE=$DOMAINS/.$UUID1.web UBLK_QCOW2=$WORK/saboteur \
	UBLK_QCOW2_PATIENCE=3000 refused 'cannot write its record' web1 prepare
served web
rm "$FAKE/del.busy"
rmdir "$DOMAINS/.$UUID1.web"
accepted web1 release
served ""
records ""

case_of "an older record is there again if add fails"
accepted web1 prepare
mv "$UBLK_QCOW2_RUN/0.disk" "$FAKE/record"
echo damaged >"$UBLK_QCOW2_RUN/0.disk"
printf 'web\nis taken' >"$FAKE/add.fails"
refused ': is taken$' web1 prepare
mv "$FAKE/record" "$UBLK_QCOW2_RUN/0.disk"
accepted web1 release
served ""
records ""

# --- an odd caller ----------------------------------------------------------

case_of "the caller ignores the ends of its children, and blocks signals"
one web1 "$UUID1" $link/web "$web"
cat >"$WORK/deaf" <<-'END'
	#!/bin/bash
	exec env --ignore-signal=CHLD --block-signal=CHLD,TERM "$REAL" "$@"
END
chmod +x "$WORK/deaf"
REAL=$HOOK HOOK=$WORK/deaf accepted web1 prepare
served web
REAL=$HOOK HOOK=$WORK/deaf accepted web1 release
served ""

case_of "an empty environment"
accepted web1 prepare
env -i UBLK_QCOW2="$UBLK_QCOW2" UBLK_QCOW2_RUN="$UBLK_QCOW2_RUN" \
	UBLK_QCOW2_SYSTEMD="$WORK/none" FAKE="$FAKE" \
	"$HOOK" web1 release end - <"$WORK/web1.xml" || wrong "status $?"
served ""

# nowhere OPERATION: there is no /dev/null, and stdin is closed, or not.
cat >"$WORK/nowhere" <<-'END'
	#!/bin/bash
	mount -t tmpfs tmpfs /dev && exec "$REAL" "$@"
END
chmod +x "$WORK/nowhere"
nowhere()
{
	STATUS=0
	if [[ $1 == closed ]]; then
		unshare -rm "$WORK/nowhere" web1 "$2" begin - 2>"$WORK/err" \
			<&- || STATUS=$?
	else
		unshare -rm "$WORK/nowhere" web1 "$2" begin - 2>"$WORK/err" \
			<"$WORK/web1.xml" || STATUS=$?
	fi
}

export REAL=$HOOK
if unshare -rm mount -t tmpfs tmpfs /dev 2>/dev/null; then
	case_of "there is no /dev/null"
	accepted web1 prepare
	kill_process 0 server
	nowhere closed reconnect
	[[ $STATUS == 0 ]] || wrong "it would end a guest: status $STATUS"
	says 'cannot open /dev/null: No such file'
	nowhere closed started
	[[ $STATUS == 1 ]] || wrong "status $STATUS"
	says 'cannot open /dev/null: No such file'
	nowhere open reconnect
	[[ $STATUS == 0 ]] || wrong "it would end a guest: status $STATUS"
	says 'looking after its disks failed: No such file'
	nowhere open stopped
	[[ $STATUS == 0 && ! -s $WORK/err ]] || wrong "status $STATUS"
fi

# --- at once ----------------------------------------------------------------

for round in 1 2 3 4 5; do
	case_of "two domains want one disk, round $round"
	echo 0.05 >"$FAKE/add.sleeps"
	for name in web1 web2; do
		(
			status=0
			"$HOOK" $name prepare begin - <"$WORK/$name.xml" \
				2>"$WORK/$name.err" || status=$?
			echo $status >"$WORK/$name.status"
		) &
	done
	wait
	both=$(cat "$WORK/web1.status" "$WORK/web2.status" | sort | paste -sd ' ')
	[[ $both == "0 1" ]] || wrong "statuses $both"
	[[ $(grep -c add "$FAKE/calls") == 1 ]] || wrong "not one add"
	winner=1
	[[ $(cat "$WORK/web1.status") == 0 ]] || winner=2
	records "$winner.web"
	grep -q "in use by domain web$winner" "$WORK/web$((3 - winner)).err" ||
		wrong "the loser says $(cat "$WORK/web$((3 - winner)).err")"
	accepted web$((3 - winner)) release
	served web
	accepted web$winner release
	served ""
done

case_of "one disk that takes long does not keep other domains waiting"
one web2 "$UUID2" $link/data "$data"
cat >"$WORK/slow" <<-'END'
	#!/bin/bash
	[[ $* != *web.qcow2* ]] || exec sleep 100
	exec "$FAST" "$@"
END
UBLK_QCOW2=$WORK/slow UBLK_QCOW2_PATIENCE=60000 "$HOOK" web1 prepare begin - \
	<"$WORK/web1.xml" 2>/dev/null &
slow=$!
accepted web2 prepare
quick
kill -0 "$slow" || wrong "the slow one is done"
kill -9 "$slow"
wait "$slow" 2>/dev/null || true

case_of "many at once"
for i in 1 2 3 4 5 6 7 8; do
	one "web$i" "${UUID1%1}$i" "$link/web$i" "$(image "web$i")"
	"$HOOK" "web$i" prepare begin - <"$WORK/web$i.xml" 2>>"$WORK/err" &
done
wait
served "web1 web2 web3 web4 web5 web6 web7 web8"
for i in 1 2 3 4 5 6 7 8; do
	"$HOOK" "web$i" release end - <"$WORK/web$i.xml" 2>>"$WORK/err" &
done
wait
served ""
records ""

done_testing
