#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 420
#
# A legacy image that is encrypted with AES, as a disk and under an overlay.
# Its key is in a file and nowhere else; each new server reads that file again.
# Any process that reads the file may be killed.
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

KEY='hush, a password'
SIZE=$((16 << 20))
SECRET=(--object "secret,id=key,file=$WORK/key")

cd "$WORK"
(umask 077; printf %s "$KEY" >key; printf '%s\n' "$KEY" >key.newline)
head -c "$SIZE" /dev/urandom >raw
qemu-img convert "${SECRET[@]}" -f raw -O qcow \
	-o encrypt.format=aes,encrypt.key-secret=key raw base.qcow
qemu-img create -q -u -f qcow2 -b base.qcow -F qcow overlay.qcow2 "$SIZE"

# --- refused ------------------------------------------------------------------

# refuses PATTERN ADD-ARGUMENT...
refuses()
{
	refused "$1" "$UBLK_QCOW2" add "${@:2}"
	! grep -qF "$KEY" err || fail "tells the key"
	[[ -z $(traces) ]] || fail "left behind: $(traces)"
}

refuses 'with --key-file' --read-only base.qcow
refuses 'with --key-file' overlay.qcow2
refuses 'no such file' --read-only base.qcow --key-file nowhere
refuses 'no regular file' --read-only base.qcow --key-file "$WORK"
refuses 'no regular file' --read-only base.qcow --key-file <(cat key)
(umask 077; : >empty; printf %s "$KEY!" >long)
refuses 'key file.*is empty' --read-only base.qcow --key-file empty
refuses 'key file.*more than 16 bytes' overlay.qcow2 --key-file long
(umask 022; cp key open; chmod 644 open)
refuses 'open to every user.*chmod' --read-only base.qcow --key-file open
image plain.qcow2 1M >/dev/null
refuses 'leave out --key-file' plain.qcow2 --key-file key

# --- read, before and after the server's death --------------------------------

reads()
{
	dd if="$DEV" iflag=direct bs=1M status=none | cmp - "$1" ||
		fail "$1: other bytes"
}

# Neither where others look nor in our own files.
key_is_nowhere()
{
	! grep -rqF -f key /run/ublk-qcow2 || fail "the key is in our files"
	# Of a process that has ended in between there is none to read.
	cat /proc/[0-9]*/cmdline >cmdlines 2>/dev/null || true
	! grep -aqF -f key cmdlines || fail "the key is on a command line"
}

# Its readers start anew with the server.
kill_keeper()
{
	local before

	before=$(listed recoveries)
	pkill -9 -x legacy-keeper || fail "no keeper"
	reads "$1"
	[[ $(listed recoveries) == $((before + 1)) ]] || fail "no new server"
}

add --read-only base.qcow --key-file key
reads raw
kill_and_recover
reads raw
kill_keeper raw
key_is_nowhere
del

add overlay.qcow2 --key-file key.newline
reads raw
kill_keeper raw
start_load --depth 8 --ledger "$WORK/ledger"
storm 3
stop_load
key_is_nowhere

# Without the key no server can be; with it, the next one can.
mv key.newline away
kill_server
listed_becomes state failed 60
grep -q 'key file.*No such file' <<<"$("$UBLK_QCOW2" list "$DEV")" ||
	fail "list does not say why"
mv away key.newline
"$UBLK_QCOW2" recover "$DEV" || fail "recover"
wait_live
start_load --depth 8 --ledger "$WORK/ledger"
sleep 1
stop_load
cp "$DEV" served

# The process that closes the image in place of the dead needs the key, too.
kill -9 "$(listed supervisor_pid)"
kill_server
del

# The same disk in QEMU's eyes.
overlay=driver=qcow2,file.filename=overlay.qcow2,backing.encrypt.key-secret=key
qemu-img check -q "${SECRET[@]}" --image-opts "$overlay" ||
	fail "the overlay has errors"
qemu-img convert "${SECRET[@]}" -O raw --image-opts "$overlay" converted
cmp converted served || fail "QEMU reads something else"
