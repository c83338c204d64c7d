#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `info` tells the same of an image of any kind as `qemu-img info`, and tells
# the truth of a crafted image.  With any bytes in the image, the JSON of `info`
# is JSON, and its text has no commands for the terminal.
set -euo pipefail

PROGRAM=$PWD/../plugin/ublk-qcow2
WORK=$(mktemp -d)
NBD=
LOOP=
trap '[[ -z $NBD ]] || kill "$NBD"; [[ -z $LOOP ]] || losetup -d "$LOOP"
	chattr -i "$WORK/fixed" 2>/dev/null; rm -rf "$WORK"' EXIT
cd "$WORK"
export UBLK_QCOW2_DIRECTORIES=$WORK/directories

fail()
{
	echo "FAILED: $*"
	exit 1
}

for tool in jq qemu-img qemu-io; do
	command -v "$tool" >/dev/null || fail "$tool is missing"
done

# --- beside qemu-img ---------------------------------------------------------

# The facts that both tell, in one form: $theirs is an array, from the image
# down; ours is one object.
# shellcheck disable=SC2016  # variables of jq
THEIRS='
def flag: . // false;
.[0] as $i | ($i["format-specific"].data // {}) as $d | {
	format: $i.format,
	version: (if $i.format == "qcow" then 1
		  elif $d.compat == "0.10" then 2 else 3 end),
	size: $i["virtual-size"],
	cluster_size: $i["cluster-size"],
	disk_usage: $i["actual-size"],
	refcount_bits: $d["refcount-bits"],
	compression: (if $d["compression-type"] == "zstd" then "zstd"
		      else "zlib" end),
	encryption: (if $d.encrypt.format then $d.encrypt.format
		     elif $i.encrypted then "aes" else "none" end),
	extended_l2: ($d["extended-l2"] | flag),
	lazy_refcounts: ($d["lazy-refcounts"] | flag),
	corrupt: ($d.corrupt | flag),
	dirty: ($i["dirty-flag"] | flag),
	data_file: ($d["data-file"] // null | if . then {
		name: ., raw: ($d["data-file-raw"] | flag) } else null end),
	backing: ($i["backing-filename"] // null | if . then {
		name: ., format: ($i["backing-filename-format"] // null) }
		else null end),
	snapshots: [($i.snapshots // [])[] | {
		id, name, date: .["date-sec"], date_ns: .["date-nsec"],
		vm_clock_ns: (.["vm-clock-sec"] * 1000000000 +
			      .["vm-clock-nsec"]),
		vm_state_size: .["vm-state-size"] }],
	bitmaps: [($d.bitmaps // [])[] | {
		name, granularity,
		in_use: (.flags | index("in-use") != null),
		auto: (.flags | index("auto") != null) }],
	chain: [.[] | {
		format, size: .["virtual-size"],
		path: (.filename | sub(".*/"; "")) }]
}'
OURS='{
	format, version, size, cluster_size, disk_usage, refcount_bits,
	compression, encryption, extended_l2, lazy_refcounts, corrupt, dirty,
	data_file, backing,
	snapshots: [.snapshots[] | {
		id, name, date: (.date | fromdateiso8601), date_ns,
		vm_clock_ns, vm_state_size }],
	bitmaps: [.bitmaps[] | { name, granularity, in_use, auto }],
	chain: [.chain[] | select(.role != "data") | {
		format, size, path: (.path | sub(".*/"; "")) }]
}'
COMPARED=0

# same IMAGE SERVED [QEMU-IMG-ARGUMENT]...
same()
{
	local image=$1 served=$2
	shift 2

	qemu-img info --output=json --backing-chain "$@" "$image" >theirs.json
	"$PROGRAM" info --json "$image" >ours.json || fail "$image: status $?"
	"$PROGRAM" info "$image" >ours.txt || fail "$image: status $?"
	jq -S "$THEIRS" theirs.json >theirs
	jq -S "$OURS" ours.json >ours
	diff theirs ours || fail "$image: we tell something else"
	[[ $(jq -r .served ours.json) == "$served" ]] ||
		fail "$image: served: $(jq -c '[.served, .why]' ours.json)"
	grep -qx "served: $served.*" ours.txt || fail "$image: as text"
	COMPARED=$((COMPARED + 1))
}

create()
{
	qemu-img create -q -f qcow2 "$@"
}

refuses()
{
	! "$PROGRAM" info "$2" >out 2>err || fail "$2: not refused"
	grep -q "$1" err || fail "$2: $(cat err)"
}

die_writing()
{
	(qemu-io -c 'write -q 0 1M' -c abort "$1" || true) >/dev/null 2>&1
}

SECRET=(--object 'secret,id=key,data=hush')

create v3 1G
same v3 read-write
create -o compat=0.10,cluster_size=4k v2 100M
same v2 read-write
create -o compression_type=zstd,refcount_bits=64,cluster_size=2M zstd 1T
same zstd read-write
create -o extended_l2=on,lazy_refcounts=on,refcount_bits=1 extended 10M
same extended read-write
create -o lazy_refcounts=on dirty 10M
die_writing dirty
same dirty read-write
[[ $(jq .dirty ours.json) == true ]] || fail "not dirty"
create -o cluster_size=512 corrupt 1M
printf '\x02' | dd of=corrupt bs=1 seek=79 conv=notrunc status=none
same corrupt read-only
jq -e '.why | test("marked as corrupt")' ours.json >/dev/null || fail "why"

# A size that is no multiple of a sector: the disk is smaller.
create odd 1M
printf '\x0f\x42\x40' | dd of=odd bs=1 seek=29 conv=notrunc status=none
same odd read-write
[[ $(jq .size ours.json) == 999936 ]] || fail "odd size"

# A data file is written: it takes a word of the admin's.
create -o data_file=data,data_file_raw=on raw-data 10M
same raw-data no
jq -e '.why | test("--data-file /.*/data$")' ours.json >/dev/null ||
	fail "the data file, without a word"
echo "data-files $WORK" >directories
same raw-data read-write
jq -e '.chain[1] == { role: "data", path: $path, format: "raw",
	version: null, size: 10485760, refused: null }' \
	--arg path "$WORK/data" ours.json >/dev/null || fail "the data file"
create -o data_file=data2 plain-data 10M
same plain-data read-write
rm directories
"$PROGRAM" info plain-data --data-file data2 | grep -q 'served: read-write' ||
	fail "--data-file"
echo relative >directories
refuses "directories:1: 'relative' is none of" plain-data
rm directories

truncate -s 3M base.raw
create -b base.raw -F raw -o compat=0.10 middle
create -b middle -F qcow2 top 7M
create -b "$WORK/top" -F qcow2 -o extended_l2=on over-top
same over-top read-write

create snapshots 10M
qemu-img snapshot -c 'one two' snapshots
qemu-img snapshot -c 'schön "\ ☃' snapshots
qemu-img snapshot -c "$(printf 'x%.0s' {1..255})" snapshots
same snapshots read-write
create bitmaps 100M
qemu-img bitmap --add bitmaps one
qemu-img bitmap --add -g 4096 --disable bitmaps two
same bitmaps read-write
"$PROGRAM" info bitmaps | grep -q '^    two  granularity 4096 bytes$' ||
	fail "no bitmap in the text"
# In use, as a writer that was killed leaves it.
die_writing bitmaps
same bitmaps read-write
jq -e '.bitmaps | map(.in_use) | any' ours.json >/dev/null || fail "in use"

qemu-img create -q -f qcow legacy 5M
same legacy read-only -f qcow
create -b legacy -F qcow over-legacy
same over-legacy read-write
qemu-img create -q "${SECRET[@]}" -f qcow \
	-o encrypt.format=aes,encrypt.key-secret=key legacy-aes 5M
same legacy-aes read-only
jq -e .needs_key ours.json >/dev/null || fail "no key is needed"
create -u -b legacy-aes -F qcow over-aes 5M
same over-aes read-write
jq -e .needs_key ours.json >/dev/null || fail "no key is needed"
qemu-img create -q "${SECRET[@]}" -f qcow2 -o compat=0.10,encrypt.format=aes \
	-o encrypt.key-secret=key v2-aes 5M
same v2-aes read-only
# On a busy machine QEMU may find no measure for its key.
for _ in {1..9}; do
	! create "${SECRET[@]}" -o encrypt.format=luks,encrypt.iter-time=10 \
		-o encrypt.key-secret=key luks 5M 2>/dev/null || break
	sleep 0.2
done
same luks no

# --- in use --------------------------------------------------------------------

# poke FILE OFFSET BYTES, as printf has them
poke()
{
	# shellcheck disable=SC2059  # the bytes are a format on purpose
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Its tables may be anything at the moment.
cp v3 busy
qemu-nbd -t -k "$WORK/socket" busy &
NBD=$!
# It listens before it opens, and answers after.
until qemu-img info "nbd+unix:///?socket=$WORK/socket" >/dev/null 2>&1; do
	sleep 0.05
done
poke busy "$(od -An -tu8 --endian=big -j40 -N8 busy)" '\x00\xff\xff'
"$PROGRAM" info --json busy | jq -e '.in_use and .served == "read-write"' \
	>/dev/null || fail "in use: $("$PROGRAM" info busy)"
kill "$NBD"
wait "$NBD" || true
NBD=
"$PROGRAM" info --json busy | jq -e '(.in_use | not) and .served == "no"' \
	>/dev/null || fail "still in use: $("$PROGRAM" info busy)"

# --- crafted -------------------------------------------------------------------

# tells IMAGE JQ-EXPRESSION: and it is JSON, and the text is tame.
tells()
{
	local image=$1

	"$PROGRAM" info --json "$image" >ours.json || fail "$image: status $?"
	"$PROGRAM" info "$image" >ours.txt || fail "$image: status $?"
	jq -e "$2" ours.json >/dev/null || fail "$image: not $2:" \
		"$(jq -c . ours.json)"
	iconv -f utf-8 -t utf-8 ours.json >/dev/null || fail "$image: UTF-8"
	! LC_ALL=C grep -aq $'[\x01-\x09\x0b-\x1f\x7f]\|\xc2[\x80-\x9f]' \
		ours.txt || fail "$image: control characters"
	COMPARED=$((COMPARED + 1))
}

# Names of snapshots: bytes of no text, and of terminals.
cp snapshots names
for name in 'one two' 'schön "\ ☃'; do
	at=$(LC_ALL=C grep -abo -F -- "$name" names | cut -d: -f1)
	poke names "$at" '\xff\e[2J\xc3'
done
at=$(LC_ALL=C grep -abo xxxxxxxx names | head -n 1 | cut -d: -f1)
poke names "$at" '\xc2\x9b2J\n\x7f\t\xed\xa0\x80\xf4\x90\x80\x80\x80'
tells names '.snapshots | length == 3 and (.[0].name | test("\u001b"))'

# Unknown features, with names and without.  The name table begins behind the
# header, at 112 + 8: kind, bit, 46 bytes.
cp v3 features
poke features 72 '\x20\x00\x00\x00\x00\x00\x00\x00' # bit 61
poke features 80 '\x00\x00\x00\x00\x00\x00\x02\x00' # bit 9
poke features 88 '\x00\x00\x01\x00\x00\x00\x00\x00' # bit 40
poke features 120 '\x01\x3ddecoy\x00'
poke features 168 '\x00\x3dfrob\e[2J\x00'
poke features 216 '\x02\x28clear\xff\x00'
tells features '.features.incompatible == [{bit: 61, known: false,
	name: "frob\u001b[2J"}] and
	.features.compatible == [{bit: 9, known: false, name: null}] and
	(.features.autoclear[0].name | startswith("clear")) and
	.served == "no" and (.why | test("frob"))'

# Tables that are not there, or cut off.
cp snapshots gone
poke gone 64 '\x00\x00\x7f\xff\xff\xff\x00\x00'
tells gone '.snapshots == [] and (.problems[0] | test("snapshot table"))'
cp snapshots many
poke many 60 '\xff\xff\xff\xff'
tells many '.snapshots == [] and (.problems[0] | test("snapshot table"))'
cp snapshots more
poke more 60 '\x00\x00\x00\xff'
tells more '.problems[0] | test("snapshot table")'
cp bitmaps directory
at=$(LC_ALL=C grep -abo -P '\x23\x85\x28\x75\x00\x00\x00\x18' directory |
	cut -d: -f1)
poke directory $((at + 24)) '\x7f'
tells directory '.bitmaps == [] and (.problems[0] | test("bitmap"))'
cp bitmaps count
poke count $((at + 8)) '\x7f\xff\xff\xff'
tells count '.problems[0] | test("bitmap")'
# The state of a VM, as QEMU's savevm leaves it: extra data of the entry.
cp snapshots state
at=$(($(od -An -tu8 --endian=big -j64 -N8 state) + 40))
poke state "$at" '\x00\x00\x00\x01\x00\x00\x00\x00'
tells state '.snapshots[0].vm_state_size == 4294967296'

# The files under an image, as far as they may be opened.
mkdir elsewhere own
cp v3 elsewhere/base
create -u -b "$WORK/elsewhere/base" -F qcow2 own/outside 1M
tells own/outside '.served == "no" and (.chain | length == 2) and
	(.chain[1] | .size == null and
		(.refused | test("outside the image.s directory")))'
echo "$WORK/elsewhere" >directories
tells own/outside '.served == "read-write" and .chain[1].refused == null and
	.chain[1].size == 1073741824'
create -u -b "$WORK/elsewhere/features" -F qcow2 own/feature 1M
cp features elsewhere
tells own/feature '.chain[1].refused | test("frob")'
create loop 1M
qemu-img rebase -u -b loop -F qcow2 loop
tells loop '.served == "no" and (.chain[1].refused | test("loop"))'
create -u -b missing -F raw missing-base 1M
tells missing-base '.chain[1].refused | test("No such file")'
create -u -b base.raw -F raw unnamed 1M
at=$(LC_ALL=C grep -abo -P '\xe2\x79\x2a\xca' unnamed | cut -d: -f1)
poke unnamed "$at" '\x01\x02\x03\x04'
tells unnamed '.backing.format == null and
	(.chain[1].refused | test("without its format"))'
create -u -b 'nbd:localhost:1' -F raw protocol 1M
tells protocol '.chain[1] | .path == "nbd:localhost:1" and
	(.refused | test("protocol"))'
create -u -b $'dir\n\e]0;x\a' -F raw tricky 1M
tells tricky '.served == "no"'

# Another user's image, where nothing can be written.
create elses 1M
chmod 600 elses
if [[ $EUID == 0 ]] && unshare -m true 2>/dev/null; then
	chown 1000:1000 elses
	# shellcheck disable=SC2016
	UNSHARED=$(unshare -m bash -c 'mount --bind "$1" "$1" &&
		mount -o remount,bind,ro "$1" && "$2" info --json "$1/elses"' \
		- "$WORK" "$PROGRAM" || true)
	[[ $(jq -r '"\(.served) \(.why)"' <<<"$UNSHARED") == \
		"read-only Read-only file system; serve it with --read-only, "* ]] ||
		fail "$UNSHARED"
fi
tells elses '.served == "read-write"'

# A device, and a file, that the kernel lets nobody write to.
create fixed 1M
truncate -s 1M fixed
if LOOP=$(losetup --read-only --find --show fixed 2>/dev/null); then
	tells "$LOOP" '.served == "read-only" and
		(.why | test("^the device is read-only; make it writable"))'
	losetup --detach "$LOOP"
	LOOP=
fi
if chattr +i fixed 2>/dev/null; then
	tells fixed '.served == "read-only" and
		(.why | test("permitted; it is immutable or append-only"))'
	chattr -i fixed
fi
tells fixed '.served == "read-write"'

# In a container that has one user and may not let go of its groups.
if unshare -Ur true 2>/dev/null; then
	"$PROGRAM" info middle >inside || fail "in a container: $?"
	unshare -Ur "$PROGRAM" info middle >outside || fail "in a container: $?"
	diff inside outside || fail "in a container"
	unshare -Ur "$PROGRAM" check middle >outside ||
		fail "check in a container: $?"
fi

# A file of which `info` cannot tell anything: one line, status 1.
for file in base.raw missing elsewhere; do
	status=0
	"$PROGRAM" info --json "$file" >out 2>err || status=$?
	[[ $status == 1 && ! -s out && $(wc -l <err) == 1 ]] ||
		fail "info $file: $status, $(cat out err)"
done

[[ $COMPARED -ge 30 ]] || fail "only $COMPARED images"
echo "$COMPARED images"
