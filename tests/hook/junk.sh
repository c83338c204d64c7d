#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Junk in place of a domain's XML: the hook ends in a bounded time, is not
# killed by the junk, serves nothing, and at `reconnect` succeeds.
# shellcheck source=../lib/hook.sh
. "$(dirname "$0")/../lib/hook.sh"

web=$(image web)
link=/dev/ublk-qcow2
one good "$UUID1" $link/web "$web"
good=$(cat "$WORK/good.xml")
RANDOM=${SEED:-7}
limit=120

# survives: the hook has ended in one of the ways that are allowed for any XML,
# however broken; without a valid domain nothing is served.
survives()
{
	local operation

	for operation in prepare started release reconnect migrate; do
		call web1 $operation
		case $operation:$STATUS in
		*:0 | prepare:1 | started:1 | release:1 | migrate:1) ;;
		*) wrong "$operation: status $STATUS" ;;
		esac
		((ELAPSED < limit)) || wrong "$operation took $ELAPSED s"
		[[ $(wc -c <"$WORK/err") -lt 8000 ]] || wrong "says too much"
	done
}

case_of "random bytes"
for size in 0 1 100 5000 100000; do
	head -c "$size" /dev/urandom >"$WORK/web1.xml"
	survives
done
head -c 5000 /dev/zero >"$WORK/web1.xml"
survives
called ""

case_of "too much"
{ echo "<domain>"; head -c 17000000 /dev/zero | tr '\0' ' '; echo "</domain>"; } \
	>"$WORK/web1.xml"
refused 'its XML has more than 16 MiB' web1 prepare
call web1 reconnect
[[ $STATUS == 0 ]] || wrong "reconnect: status $STATUS"
says 'its XML has more than 16 MiB'

case_of "10 MiB that are good"
filler=$(for ((i = 0; i < 1000; i++)); do
	echo "<disk type='file' device='disk'><source file='/x/$i'/><target dev='x$i'/></disk>"
done)
{
	sed '/<\/devices>/,$d' "$WORK/good.xml"
	for ((i = 0; i < 130; i++)); do echo "$filler"; done
	sed -n '/<\/devices>/,$p' "$WORK/good.xml"
} >"$WORK/web1.xml"
(($(stat -c %s "$WORK/web1.xml") > 10 << 20)) || wrong "that is not 10 MiB"
accepted web1 prepare
((ELAPSED < limit)) || wrong "took $ELAPSED s"
served web
accepted web1 reconnect
accepted web1 release
served ""

case_of "10 MiB of one name, one attribute, one depth"
x=$(head -c 10485760 /dev/zero | tr '\0' x)
echo "<domain><name>$x</name><uuid>$UUID1</uuid></domain>" >"$WORK/web1.xml"
survives
echo "<domain $x='1'><name>a</name><uuid>$UUID1</uuid></domain>" \
	>"$WORK/web1.xml"
survives
{ head -c 5000000 /dev/zero | sed 's/\x0/<a>/g'; } >"$WORK/web1.xml"
survives
called ""

case_of "1024 disks, none served"
domain web1 "$UUID1" "" "$(for ((i = 0; i < 1024; i++)); do
	disk "x$i" "$link/x$i"
done)" >"$WORK/web1.xml"
survives
called ""

case_of "cut off"
for ((length = 0; length < ${#good}; length += 97)); do
	printf '%s' "${good:0:length}" >"$WORK/web1.xml"
	refused 'the XML cannot be parsed' web1 prepare
done
call web1 reconnect
[[ $STATUS == 0 ]] || wrong "reconnect: status $STATUS"

# One byte changed, left out or inserted somewhere: mostly no XML any more, or
# refused.  A mutant that is still accepted may serve the disk.
for ((i = 0; i < 30; i++)); do
	case_of "mutant $i"
	at=$((RANDOM % ${#good}))
	printf -v byte '%x' $((RANDOM % 94 + 33))
	printf -v byte '%b' "\\x$byte"
	case $((i % 3)) in
	0) text=${good:0:at}$byte${good:at + 1} ;;
	1) text=${good:0:at}${good:at + 1} ;;
	2) text=${good:0:at}$byte${good:at} ;;
	esac
	printf '%s' "$text" >"$WORK/web1.xml"
	call web1 prepare
	[[ $STATUS == 0 || $STATUS == 1 ]] || wrong "prepare: status $STATUS"
	call web1 reconnect
	[[ $STATUS == 0 ]] || wrong "reconnect: status $STATUS"
	call web1 release
	[[ $STATUS == 0 || $STATUS == 1 ]] || wrong "release: status $STATUS"
	served ""
done

# --- records and names ------------------------------------------------------

case_of "records that are none"
mkdir -p "$DOMAINS"
one web1 "$UUID1" $link/web "$web"
head -c 3000 /dev/urandom >"$DOMAINS/$UUID1.web"
head -c 3000 /dev/urandom >"$DOMAINS/$UUID2.web"
mkdir "$DOMAINS/$UUID1.directory"
: >"$DOMAINS/$UUID1."
: >"$DOMAINS/$UUID1...x"
: >"$DOMAINS/$UUID1.empty"
ln -s /etc/passwd "$DOMAINS/$UUID1.link"
accepted web1 prepare
served web
call web1 reconnect
[[ $STATUS == 0 ]] || wrong "reconnect: status $STATUS"
call web1 release
served ""
[[ -s /etc/passwd ]] || wrong "it followed a link"

case_of "records are private"
(umask 0; accepted web1 prepare)
[[ $(stat -c %a "$DOMAINS") == 700 ]] || wrong "mode of the directory"
[[ $(stat -c %a "$DOMAINS/$UUID1.web") == 600 ]] || wrong "mode of a record"

case_of "a link in place of a record, or of a file that becomes one"
mkdir -p "$DOMAINS"
echo precious >"$WORK/precious"
ln -s "$WORK/precious" "$DOMAINS/.$UUID1.web"
refused 'cannot write its record' web1 prepare
served ""
[[ $(cat "$WORK/precious") == precious ]] || wrong "it wrote through a link"

case_of "the directory of records is a link"
mkdir "$WORK/elsewhere"
ln -s "$WORK/elsewhere" "$DOMAINS"
refused 'cannot lock its record' web1 prepare
[[ -z $(ls "$WORK/elsewhere") ]] || wrong "it wrote through a link"

done_testing
