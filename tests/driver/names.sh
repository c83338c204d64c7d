#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 240
#
# Images may be called anything that a file may be called: each is served,
# listed, recovered and removed, and a list stays one line a disk.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

qemu-img create -q -f qcow2 "$WORK/blank" 8M

# An image of that name is served through the death of both its processes.
works()
{
	local image=$1

	cp "$WORK/blank" "$image"
	add "$image"
	dd if=/dev/urandom of="$DEV" bs=4k count=1 oflag=direct status=none
	[[ $("$UBLK_QCOW2" list | wc -l) == 2 ]] ||
		fail "$image: $("$UBLK_QCOW2" list)"
	! "$UBLK_QCOW2" list | LC_ALL=C grep -q $'[\x01-\x09\x0b-\x1f]' ||
		fail "$image: control characters in the list"
	"$UBLK_QCOW2" list --json "$DEV" |
		jq -e --arg image "$image" '.[0].image == $image' >/dev/null ||
		[[ ${2:-} == "no text" ]] || fail "$image: the JSON"
	kill_off "$(listed supervisor_pid)" "$(listed server_pid)"
	"$UBLK_QCOW2" recover --all || fail "$image: recover"
	wait_live
	[[ -e /dev/ublk-qcow2/$(listed name) ]] || fail "$image: no link"
	del
	qemu-img check -q "$image" || fail "$image: damaged"
	note "$(printf %q "${image##*/}")"
	rm "$image"
}

works "$WORK/a:b,c d'\"e.qcow2"
works "$WORK/Größe ☃.qcow2"
works "$WORK/"$'new\nline\\n \e[31m.qcow2'
works "$WORK/"$'bad\xff\xfe.qcow2' "no text"
works "$WORK/ -lead %s%n .qcow2"
works "$WORK/.qcow2"
works "$WORK/$(printf 'x%.0s' {1..240}).qcow2"

# A disk is known by its image, too.
cp "$WORK/blank" "$WORK/ours.qcow2"
add "$WORK/ours.qcow2"
(cd "$WORK" && "$UBLK_QCOW2" list ./ours.qcow2) | grep -q ours ||
	fail "its image does not find it"
(cd "$WORK" && "$UBLK_QCOW2" list ours.qcow2) | grep -q ours ||
	fail "its image does not find it beside us"
"$UBLK_QCOW2" del "$WORK/ours.qcow2" || fail "del by its image"
[[ ! -e $DEV ]] || fail "$DEV is still there"
refused 'no such disk' "$UBLK_QCOW2" del "$WORK/ours.qcow2"

# A line that names an image is one line, and speaks to no terminal.
add "$WORK/ours.qcow2"
overlay=$WORK/$'over\nlay\e[31m.qcow2'
"$UBLK_QCOW2" snapshot ours "$overlay"
said=$("$UBLK_QCOW2" commit ours) || fail "commit"
[[ $(wc -l <<<"$said") == 2 && $said != *$'\e'* &&
	$said == *'/over?lay?[31m.qcow2 is no longer needed'* ]] ||
	fail "commit says $(printf %q "$said")"
rm "$overlay"
del

# Two images of one name.
mkdir "$WORK/one" "$WORK/two"
cp "$WORK/blank" "$WORK/one/disk"
cp "$WORK/blank" "$WORK/two/disk"
add "$WORK/one/disk"
refused 'choose another one with --name' "$UBLK_QCOW2" add "$WORK/two/disk"
del disk
refused 'a name consists of' "$UBLK_QCOW2" add "$WORK/one/disk" --name 'a b'
