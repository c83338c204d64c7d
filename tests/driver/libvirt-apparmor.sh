#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# limit: 900
#
# With AppArmor: libvirtd and its guests are confined.  The processes of a disk
# are not, whichever program started them.  A guest gets to its own disks, those
# that are plugged included, and to no others, in all steps of the other tests.
# Nothing is denied.
#
# In /usr/sbin the hook runs without a rule of ours.  For another place `make
# install` adds a rule.
# shellcheck source=../lib/libvirt.sh
. "$(dirname "$0")/../lib/libvirt.sh"
# shellcheck source=../lib/apparmor.sh
. "$(dirname "$0")/../lib/apparmor.sh"

start_apparmor
make_host_disk
image=$(host_image web.qcow2)
guest "$image"
sync -f "$WORK/host"
data=$(image data.qcow2 64M)
link=/dev/ublk-qcow2/web-vdb
DEV=$(disk_device "$image")
ADDED+=("$link")

attach()
{
	"$UBLK_QCOW2" libvirt attach web "$data" vdb || fail attach
	progress web 1
	guest_may_open web "$DEV" "$link"
}

detach()
{
	"$UBLK_QCOW2" libvirt detach web vdb || fail detach
	guest_may_open web "$DEV"
}

rules()
{
	make -s --no-print-directory -C "$BUILT" "$1-apparmor" ||
		fail "make $1"
	load_profiles
}

note "in /usr/local/sbin, without the rule"
cp -a /etc/apparmor.d "$WORK/before"
install_in /usr/local/sbin
start_libvirt
define web "$image"
! virsh start web 2>"$WORK/err" || fail "it starts"
grep -q 'cannot execute binary .*/ublk-qcow2: Permission denied' \
	"$WORK/err" || fail "it says $(cat "$WORK/err")"
denied /usr/local/sbin/ublk-qcow2-hook

note "with it"
rules install
start web
all_confined
guest_may_open web "$DEV"
storm 3
progress web
all_confined
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
"$UBLK_QCOW2" recover --all || fail recover
progress web
nothing_denied

note "libvirtd dies, too"
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
end_libvirtd -9
run_libvirtd
progress web
all_confined
nothing_denied

note "a disk is plugged, twice"
attach
storm 1 "$link"
progress web 1
detach
attach
end_libvirtd
run_libvirtd
progress web 1
kill_and_recover "$link"
progress web 1
detach
nothing_denied

note "the agent"
start_agent
break_host_disk
agent_says "domain web: paused by an I/O error of virtio-disk0"
mend_host_disk
progress web
kill -9 "$(listed supervisor_pid)" "$(listed server_pid)"
agent_says "disk web: recovered"
progress web
all_confined
end_agent

note "managed save"
virsh managedsave web || fail managedsave
domain_becomes web "shut off"
nothing_left
start web
all_confined
guest_may_open web "$DEV"
shut_down web
nothing_left
check_guest web "$image"
nothing_denied

note "in /usr/sbin, without the rule"
rules uninstall
diff -r "$WORK/before" /etc/apparmor.d --exclude='libvirt-*' ||
	fail "the profiles are not as before"
rm /usr/local/sbin/ublk-qcow2*
install_in /usr/sbin
ln -sf "$HOOK" /etc/libvirt/hooks/qemu.d/ublk-qcow2
make -s --no-print-directory -C "$BUILT" install-apparmor sbindir=/usr/sbin
cmp "$WORK/before/local/usr.sbin.libvirtd" \
	/etc/apparmor.d/local/usr.sbin.libvirtd || fail "there is a rule"
load_profiles
start web
all_confined
kill_and_recover
progress web
virsh destroy web || fail destroy
nothing_left
nothing_denied
end_libvirt
