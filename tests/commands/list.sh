#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `list` shows the records as a table for people and as JSON for programs, also
# without root's rights.  Below the table `list` names the disks that need a
# hand.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
WORK=$(mktemp -d)
SLEEPER=
trap '[[ -z $SLEEPER ]] || kill "$SLEEPER"; rm -rf "$WORK"' EXIT
chmod a+x "$WORK"
export UBLK_QCOW2_RUN=$WORK/run TZ=UTC LC_ALL=C.UTF-8
mkdir "$UBLK_QCOW2_RUN"

fail()
{
	echo "FAILED: $*"
	exit 1
}

sleep 600 &
SLEEPER=$!
VERSION=$("$PROGRAM" --version | sed 's/.* //')
START=$(sed 's/.*) //' "/proc/$SLEEPER/stat" | cut -d ' ' -f 20)

# record ID NAME SIZE READ-ONLY IMAGE [LINE]...: of a disk whose supervisor and
# server live, unless a line says otherwise.
record()
{
	local id=$1 name=$2 size=$3 read_only=$4 image=$5
	shift 5

	printf '%s\n' "id $id" "state live" "name $name" "image $image" \
		"size $size" "read_only $read_only" \
		"boot $(</proc/sys/kernel/random/boot_id)" \
		"server_pid $SLEEPER" "server_start $START" \
		"supervisor_pid $SLEEPER" "supervisor_start $START" \
		"server_version $VERSION" "supervisor_version $VERSION" \
		"since 1764331391" "$@" >"$UBLK_QCOW2_RUN/$id.disk"
}

# is_table: the program's output is the same as stdin, but for spaces at the end
# of a line.
is_table()
{
	local says expected

	expected=$(cat)
	says=$("$PROGRAM" list "$@" | sed 's/ *$//') || fail "list $*"
	[[ $says == "$expected" ]] || fail "list $* says"$'\n'"$says"
}

is_table </dev/null
[[ $("$PROGRAM" list --json | jq length) == 0 ]] || fail "not empty"

record 5001 web $((64 << 30)) 0 /srv/vm/web.qcow2 "recoveries 12"
record 5002 database-1 $((1536 << 20)) 1 $'/srv/\e[31mb\xc3\xa4r.qcow2'
is_table <<'END'
DEVICE         NAME       STATE SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5001 web        live   64G no  -               12          - 2025-11-28 12:03:11 /srv/vm/web.qcow2
/dev/ublkb5002 database-1 live  1.5G yes -                0          - 2025-11-28 12:03:11 /srv/?[31mbär.qcow2
END
is_table web <<'END'
DEVICE         NAME STATE SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5001 web  live   64G no  -               12          - 2025-11-28 12:03:11 /srv/vm/web.qcow2
END

# Its image may be beside us.
touch "$WORK/beside.qcow2"
record 5009 another 1024 0 "$WORK/beside.qcow2"
for word in "$WORK/beside.qcow2" ./beside.qcow2 beside.qcow2; do
	[[ $(cd "$WORK" && "$PROGRAM" list --json "$word" |
		jq -r '.[0].name') == another ]] ||
		fail "$word does not find its disk"
done
rm "$UBLK_QCOW2_RUN/5009.disk"

# Bytes that are no text, and a locale that knows no other text.
record 5006 bytes 1024 0 $'/srv/\xff\xc3.qcow2'
for locale in C C.UTF-8; do
	LC_ALL=$locale timeout 10 "$PROGRAM" list >"$WORK/out" ||
		fail "list hangs in locale $locale"
	[[ $(wc -l <"$WORK/out") == 4 ]] || fail "lines: $(cat "$WORK/out")"
done
rm "$UBLK_QCOW2_RUN/5006.disk"

# Disks that need a hand.
record 5003 dead 1024 0 /dead "supervisor_pid 0"
record 5004 bad 1024 0 /bad "state failed" "reason no room for it"
is_table 5003 <<'END'
DEVICE         NAME STATE SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5003 dead live    1K no  -                0          - 2025-11-28 12:03:11 /dead
/dev/ublkb5003: it has no supervisor; run 'ublk-qcow2 recover 5003'
END
is_table bad <<'END'
DEVICE         NAME STATE  SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5004 bad  failed   1K no  -                0          - 2025-11-28 12:03:11 /bad
/dev/ublkb5004: no room for it
END
record 5008 old 1024 0 /old "server_version 0.0"
is_table old <<END
DEVICE         NAME STATE SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5008 old  live    1K no  -                0          - 2025-11-28 12:03:11 /old
/dev/ublkb5008: it runs another version than $VERSION, which is installed; run 'ublk-qcow2 upgrade 5008'
END
rm "$UBLK_QCOW2_RUN/5008.disk"
record 5007 over 1024 0 /over "queues 2" "depth 64" "writeback 1" \
	"layer 1 2 3 0 /srv/base one.qcow2" "layers 1"
"$PROGRAM" list --json over | jq -e '.[0] | .queues == 2 and .depth == 64 and
	.cache == "writeback" and .files == ["/srv/base one.qcow2"] and
	.last_pause == null and .confinement == []' >/dev/null ||
	fail "JSON: $("$PROGRAM" list --json over)"
rm "$UBLK_QCOW2_RUN/5007.disk"
record 5005 full 1024 0 /full "trouble no-space" "trouble_since 1764331391" \
	"trouble_text No space left on device"
is_table full <<'END'
DEVICE         NAME STATE SIZE R/O USED-BY RECOVERIES LAST-PAUSE SINCE               IMAGE
/dev/ublkb5005 full live    1K no  -                0          - 2025-11-28 12:03:11 /full
/dev/ublkb5005: no-space: its users' requests fail since 2025-11-28 12:03:11: No space left on device
END

# For programs.
"$PROGRAM" list --json | jq -e --argjson pid "$SLEEPER" '
	length == 5 and .[1].read_only and (.[0].read_only | not) and
	(.[0] | .size == 68719476736 and .recoveries == 12 and
		.device == "/dev/ublkb5001" and .server_pid == $pid and
		.link == "/dev/ublk-qcow2/web" and .reason == null and
		.since == "2025-11-28T12:03:11Z" and .domain == null and
		.used_by == null and .name == "web" and .state == "live") and
	.[1].image == "/srv/\u001b[31mb\u00e4r.qcow2" and
	.[2].supervisor_pid == null and .[3].reason == "no room for it" and
	.[3].trouble == null and (.[4].trouble | .kind == "no-space" and
		.since == "2025-11-28T12:03:11Z" and
		.text == "No space left on device")' \
	>/dev/null || fail "JSON: $("$PROGRAM" list --json)"

# A domain that uses it.
mkdir "$UBLK_QCOW2_RUN/domains"
printf '%s\n' 'domain web one' 'uuid 8f51ec33-6d33-4c7c-8f0c-6b5a2e7d3e03' \
	'device /dev/ublkb5001' 'name web' 'image /srv/vm/web.qcow2' 'nonce 0' \
	>"$UBLK_QCOW2_RUN/domains/8f51ec33-6d33-4c7c-8f0c-6b5a2e7d3e03.web"
"$PROGRAM" list web | grep -q ' domain web one  *12 ' ||
	fail "no domain: $("$PROGRAM" list web)"
[[ $("$PROGRAM" list --json web | jq -r '.[0].domain') == "web one" ]] ||
	fail "no domain in JSON"
rm -r "$UBLK_QCOW2_RUN/domains"

# A record that cannot be read makes it fail, and hides no other.
echo 'ublk-qcow2 9' >"$UBLK_QCOW2_RUN/5006.disk"
status=0
"$PROGRAM" list >"$WORK/out" 2>"$WORK/err" || status=$?
[[ $status == 1 && $(wc -l <"$WORK/err") == 1 ]] ||
	fail "status $status: $(cat "$WORK/err")"
grep -q '^/dev/ublkb5004 ' "$WORK/out" || fail "the others are hidden"
rm "$UBLK_QCOW2_RUN/5006.disk"

# An output that is not written is not shown to a reader as a short one.
image=$WORK/image.qcow2
qemu-img create -q -f qcow2 "$image" 1M
for command in list "list --json" stat "stat --json" "info $image" \
	"info --json $image" "check $image" "check --json $image"; do
	status=0
	# shellcheck disable=SC2086  # into words
	"$PROGRAM" $command >/dev/full 2>"$WORK/err" || status=$?
	[[ $status == 1 ]] || fail "$command to a full disk: status $status"
	grep -qx 'ublk-qcow2: writing the output: No space left on device' \
		"$WORK/err" || fail "$command says $(cat "$WORK/err")"
done

# A file of `stat` is replaced.  Anything else is written to, or stays as it is; a
# link is not followed to a file.
echo old >"$WORK/target"
ln -s target "$WORK/link"
ln -s /dev/null "$WORK/null"
mkfifo "$WORK/pipe"
mkdir "$WORK/directory"
! "$PROGRAM" stat --output "$WORK/link" 2>"$WORK/err" || fail "a link is taken"
grep -qx "ublk-qcow2: $WORK/link: is a link; name the file itself" \
	"$WORK/err" || fail "a link: $(cat "$WORK/err")"
[[ -L $WORK/link && $(<"$WORK/target") == old ]] || fail "a link is replaced"
"$PROGRAM" stat --json --output "$WORK/target"
jq -e 'length == 5' "$WORK/target" >/dev/null || fail "no figures in the file"
timeout 10 cat "$WORK/pipe" >"$WORK/out" &
timeout 10 "$PROGRAM" stat --json --output "$WORK/pipe" ||
	fail "a pipe: status $?"
wait $!
jq -e 'length == 5' "$WORK/out" >/dev/null || fail "no figures in the pipe"
"$PROGRAM" stat --output "$WORK/null"
[[ -p $WORK/pipe && -L $WORK/null ]] || fail "a file is in the place of another"
! "$PROGRAM" stat --output "$WORK/directory" 2>"$WORK/err" ||
	fail "a directory is written to"
grep -qx "ublk-qcow2: $WORK/directory: Is a directory" "$WORK/err" ||
	fail "a directory: $(cat "$WORK/err")"
left=$(find "$WORK" -name 'link?*' -o -name 'directory?*' -o -name 'pipe?*')
[[ -z $left ]] || fail "left over: $left"

# Everybody.
if [[ $(id -u) == 0 ]]; then
	cp "$PROGRAM" "$WORK/program"
	chmod -R a+rX "$WORK"
	"$PROGRAM" list >"$WORK/root"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$WORK/program" \
		list >"$WORK/nobody" || fail "list needs root"
	cmp "$WORK/root" "$WORK/nobody" || fail "others get another list"
fi
