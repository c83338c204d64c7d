#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 1200
#
# README's commands for root, pasted in order on a fresh machine, all succeed.
# The test makes only the things that README takes for granted: images, and a
# domain of libvirt's where the machine has libvirt.
#
# Commands are the lines that begin with four blanks and a #; one with a word in
# capitals has something to fill in, and is left out.
if [[ -z ${IN_VM:-} && ${1:-} != inside ]]; then
	echo "it installs programs: only on a machine of its own"
	exit 0
fi
LIBVIRT=$(command -v libvirtd || true)
if [[ -n $LIBVIRT ]]; then
	# shellcheck source=../lib/libvirt.sh
	. "$(dirname "$0")/../lib/libvirt.sh"
else
	# shellcheck source=../lib/driver.sh
	. "$(dirname "$0")/../lib/driver.sh"
fi
# shellcheck source=../lib/systemd.sh
. "$(dirname "$0")/../lib/systemd.sh"
under_systemd "$@"

CAN_GROW=yes			# since Linux 6.16
[[ $(uname -r) =~ ^6\.([0-9]|1[0-5])\. ]] && CAN_GROW=
README=$(dirname "$0")/../../README
BUILT=${UBLK_QCOW2%/plugin/*}
PREFIX=$(sed -n 's/^prefix = //p' "$BUILT/Makefile")
export PATH=$WORK/bin:$PREFIX/sbin:$PATH HOME=${HOME:-/root}
export LIBVIRT_DEFAULT_URI=qemu:///system

# --- things that README takes for granted -------------------------------------

# There is no unit of the libvirtd that a test has.
write_systemctl()
{
	mkdir "$WORK/bin"
	cat >"$WORK/bin/systemctl" <<-END
	#!/bin/bash
	if [[ \$* == "reload libvirtd" ]]; then
		kill -HUP "$LIBVIRTD"
	else
		exec /usr/bin/systemctl "\$@"
	fi
	END
	chmod +x "$WORK/bin/systemctl"
}

# A domain whose disk is a qcow2 file.
define_plain()
{
	guest "$1"
	domain_xml web1 "$1" | sed -e '/<metadata>/,/<\/metadata>/d' \
		-e "s/<disk type='block'/<disk type='file'/" \
		-e "/<driver/,/\/>/c <driver name='qemu' type='qcow2' cache='writeback'/>" \
		-e "s:<source dev=.*:<source file='$1'/>:" >"$WORK/web1.xml"
	virsh define "$WORK/web1.xml" || fail "define"
}

chmod a+x "$WORK"		# QEMU's user is another
mkdir "$WORK/vm"
mkdir -p /srv
[[ ! -e /srv/vm ]] || fail "there is a /srv/vm"
ln -s "$WORK/vm" /srv/vm
cleanup "rm /srv/vm"
qemu-img create -q -f qcow2 /srv/vm/web.qcow2 64G
qemu-img create -q -f qcow2 /srv/vm/web1.qcow2 64M
if [[ -n $LIBVIRT ]]; then
	start_libvirt
	define_plain /srv/vm/web1.qcow2
fi
write_systemctl
cleanup "rm -rf /etc/ublk-qcow2"
cleanup "rm -f /etc/systemd/system/multi-user.target.wants/ublk-qcow2*"
cleanup "make -C '$BUILT/plugin' -s uninstall >/dev/null"

# --- the commands -------------------------------------------------------------

commands()
{
	sed -n 's/^    # //p' "$README" | grep -vE '\b[A-Z]{2,}\b'
}

# Whether the machine has the things that a command speaks of.
possible()
{
	[[ $1 != "ublk-qcow2 resize "* || $CAN_GROW ]] || return 1
	# commands/packages installs packages, and needs no network.
	[[ $1 != apt-get\ * && $1 != dnf\ * ]] || return 1
	# Of ublksrv, which Debian lacks; driver/ublk-tool stands for it.
	[[ $1 != "ublk "* ]] || return 1
	[[ -n $LIBVIRT ]] || ! grep -qE 'libvirt|virsh|web1|agent' <<<"$1"
}

# Does, or waits for, the things that a user would before going on.
afterwards()
{
	case $1 in
	"make install")
		cp "$PREFIX"/lib/systemd/system/ublk-qcow2* "$UNITS"
		cleanup "rm -f $UNITS/ublk-qcow2*"
		/usr/bin/systemctl daemon-reload
		;;
	*ublk-qcow2@web.service) ADDED+=(/dev/ublk-qcow2/web) ;;
	"virsh start web1" | "virsh resume web1" | *web1-vda\ \|* | \
		*"libvirt snapshot web1"* | *"libvirt commit web1"* | \
		*"libvirt backup web1"*)
		progress web1
		;;
	esac
}

run_commands()
{
	local command count=0

	while read -r command <&3; do
		possible "$command" || continue
		note "# $command"
		(cd "$BUILT" && timeout 300 bash -c "$command" </dev/null) ||
			fail "README's command fails: $command"
		afterwards "$command"
		count=$((count + 1))
	done 3< <(commands)
	[[ $count -ge 8 ]] || fail "README has only $count commands"
}

[[ -z $LIBVIRT ]] || cleanup "/usr/bin/systemctl stop ublk-qcow2-agent"
run_commands

# --- as README says -----------------------------------------------------------

DEV=/dev/ublk-qcow2/web
wait_live
# Its overlay was merged.
[[ $(listed image) == */web.qcow2 ]] || fail "web is $(listed image)"
unit=$(sed 's/.*\///' "/proc/$(listed supervisor_pid)/cgroup" | tail -n 1)
[[ $unit == ublk-qcow2@web.service ]] || fail "web is supervised in $unit"
if [[ -n $LIBVIRT ]]; then
	[[ -s /srv/vm/backup.qcow2 ]] || fail "no backup"
	check_image /srv/vm/backup.qcow2
	shut_down web1
	check_image /srv/vm/web1.qcow2
	check_image /srv/vm/web1.before.qcow2
	qemu-img snapshot -l /srv/vm/web1.qcow2 | grep -q before ||
		fail "no snapshot"
	/usr/bin/systemctl disable --now ublk-qcow2-agent.service
	end_libvirt
fi
ublk-qcow2 del web
[[ -z $(traces) ]] || fail "left behind: $(traces)"
check_image /srv/vm/web.qcow2
check_image /srv/vm/web-2.qcow2
check_image /srv/vm/web-backup.qcow2
