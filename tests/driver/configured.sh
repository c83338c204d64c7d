#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 120
#
# `add --all` adds the configured disks that are not there.  A disk that cannot
# be added does not hold up the others.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

export UBLK_QCOW2_DISKS=$WORK/disks.d
"$UBLK_QCOW2" add --all >"$WORK/out" 2>"$WORK/err" ||
	fail "a directory that is not there: $(cat "$WORK/err")"
[[ ! -s $WORK/out && ! -s $WORK/err ]] || fail "says something"

mkdir "$UBLK_QCOW2_DISKS"
for name in one two; do
	printf '# a test\nimage = %s\n' "$(image "$name-$$.qcow2" 64M)" \
		>"$UBLK_QCOW2_DISKS/$name-$$.conf"
done
"$UBLK_QCOW2" add --all >"$WORK/out" || fail "add --all"
mapfile -t devices <"$WORK/out"
ADDED+=("${devices[@]}")
[[ ${#devices[@]} == 2 && -b ${devices[0]} && -b ${devices[1]} ]] ||
	fail "says: $(cat "$WORK/out")"
[[ $(readlink -f "/dev/ublk-qcow2/two-$$") == "${devices[1]}" ]] ||
	fail "not by their names"

# Again: `add --all` adds only the missing disks.
"$UBLK_QCOW2" add --all >"$WORK/out" || fail "add --all, repeated"
[[ ! -s $WORK/out ]] || fail "added again: $(cat "$WORK/out")"
del "${devices[0]}"
echo "cache = no" >"$UBLK_QCOW2_DISKS/bad-$$.conf"
status=0
"$UBLK_QCOW2" add --all >"$WORK/out" 2>"$WORK/err" || status=$?
[[ $status == 1 ]] || fail "status $status in spite of a bad file"
[[ $(wc -l <"$WORK/err") == 1 ]] || fail "says: $(cat "$WORK/err")"
grep -q "bad-$$.conf:1: cache: 'no' is no value" "$WORK/err" ||
	fail "says: $(cat "$WORK/err")"
[[ $(cat "$WORK/out") == "${devices[0]}" ]] || fail "one was not added again"

# Another image under the name of a disk that is there.
rm "$UBLK_QCOW2_DISKS/bad-$$.conf"
printf 'image = %s\n' "$(image three.qcow2 64M)" \
	>"$UBLK_QCOW2_DISKS/two-$$.conf"
refused "name two-$$ belongs to ${devices[1]}" "$UBLK_QCOW2" add --all
rm "$UBLK_QCOW2_DISKS"/*
del "${devices[0]}"
del "${devices[1]}"
