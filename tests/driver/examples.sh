#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 420
#
# The commands in the EXAMPLES of ublk-qcow2(8), in order, all succeed and do
# their work as the page says, while the disk is written to and its servers are killed
# in between.  They begin with a # in the first column.
if [[ -z ${IN_VM:-} && -e /srv/vm ]]; then
	echo "there is a /srv/vm: only on a machine of its own"
	exit 0
fi
# shellcheck source=../lib/driver.sh
. "$(dirname "$0")/../lib/driver.sh"

PAGE=$(dirname "$0")/../../plugin/man/ublk-qcow2.8
CAN_GROW=yes			# since Linux 6.16
[[ $(uname -r) =~ ^6\.([0-9]|1[0-5])\. ]] && CAN_GROW=

# --- things that the page takes for granted -----------------------------------

modules loop
mkdir "$WORK/bin" "$WORK/vm" "$WORK/backup" "$WORK/disks.d"
ln -s "$UBLK_QCOW2" "$WORK/bin/ublk-qcow2"
export PATH=$WORK/bin:$PATH
mkdir -p /srv /etc/ublk-qcow2
ln -s "$WORK/vm" /srv/vm
ln -s "$WORK/backup" /backup
cleanup "rm -f /srv/vm /backup"
mkdir -p /etc/ublk-qcow2/disks.d
cleanup "rm -f /etc/ublk-qcow2/disks.d/web.conf"
qemu-img create -q -f qcow2 /srv/vm/web.qcow2 1G

# A partition at 1 MiB with a file system, and a snapshot of that.
make_template()
{
	truncate -s 16M "$WORK/part"
	mkfs.ext4 -q "$WORK/part"
	truncate -s 32M "$WORK/raw"
	printf 'label: gpt\nstart=2048,size=16MiB\n' | sfdisk -q "$WORK/raw"
	dd if="$WORK/part" of="$WORK/raw" bs=1M seek=1 conv=notrunc status=none
	qemu-img convert -O qcow2 "$WORK/raw" /srv/vm/debian.qcow2
	qemu-img snapshot -c clean /srv/vm/debian.qcow2
}
make_template

# --- the commands -------------------------------------------------------------

commands()
{
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh DIAGNOSTICS/s/^# //p' "$PAGE"
}

possible()
{
	[[ $1 != "ublk-qcow2 resize "* || $CAN_GROW ]]
}

# There are no units here.
adapted()
{
	if [[ $1 == "systemctl enable "* ]]; then
		echo "ublk-qcow2 add --all"
	else
		echo "$1"
	fi
}

# Other bytes than before, at another place each time.
write_something()
{
	offset=$(((offset + 3) % 100))
	dd if=/dev/urandom of="$DEV" bs=1M seek=$((512 + offset)) count=2 \
		oflag=direct status=none
}
offset=0

# A copy has the bytes of its image, and no more than were written.
copied()
{
	qemu-img compare -U -q "$1" "$2" || fail "$2 is no copy of $1"
	(($(stat -c %s "$2") < 8 << 20)) || fail "$2 is large"
}

afterwards()
{
	case $1 in
	"ublk-qcow2 add "*) wait_live /dev/ublk-qcow2/"$(newest)" ;;
	"ublk-qcow2 snapshot "*) write_something ;;
	"ublk-qcow2 commit "* | "ublk-qcow2 backup "*)
		[[ $(listed image) == */web.qcow2 ]] ||
			fail "web is served from $(listed image)"
		kill_and_recover
		;;
	*"/srv/vm/web-1.qcow2 /backup/"*)
		copied /srv/vm/web-1.qcow2 /backup/web-1.qcow2 ;;
	*"/srv/vm/web-2.qcow2 /backup/"*)
		copied /srv/vm/web-2.qcow2 /backup/web-2.qcow2 ;;
	esac
}

newest()
{
	"$UBLK_QCOW2" list --json | jq -r 'last.name'
}

run_commands()
{
	local line command count=0

	while read -r line <&3; do
		possible "$line" || continue
		command=$(adapted "$line")
		note "# $command"
		timeout 120 bash -c "$command" </dev/null ||
			fail "the page's command fails: $command"
		afterwards "$command"
		count=$((count + 1))
	done 3< <(commands)
	((count > 40)) || fail "the page has only $count commands"
}

DEV=/dev/ublk-qcow2/web
ADDED+=(/dev/ublk-qcow2/template "$DEV")
run_commands
qemu-img check -q /backup/web.qcow2 || fail "the backup is damaged"
ublk-qcow2 del template
qemu-img compare -q "$WORK/raw" /srv/vm/clean.qcow2 || fail "clean is not clean"
[[ -z $(traces) ]] || fail "left: $(traces)"
