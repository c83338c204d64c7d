# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests with libvirt's AppArmor driver, after libvirt.sh.
#
# libvirtd runs by the profile that its package brings, and has a profile made
# for each guest.  The test adds to these files; so they are copies, in the
# test's mount namespace.  The kernel has only one set of profiles; so at the
# end the test loads the machine's own again.
PROFILES=(usr.sbin.libvirtd usr.lib.libvirt.virt-aa-helper)
DENIED=0			# denials that were expected

# shellcheck disable=SC2034  # libvirt.sh uses it
SECURITY_DRIVER=apparmor

load_profiles()
{
	(cd /etc/apparmor.d && apparmor_parser -r "${PROFILES[@]}") ||
		fail "cannot load the profiles"
}

# The profiles of the test go, or the machine's own come back.
restore_profiles()
{
	umount /etc/apparmor.d
	(cd /etc/apparmor.d && apparmor_parser "$1" "${PROFILES[@]}")
}

profile_is_loaded()
{
	grep -q '^libvirtd ' /sys/kernel/security/apparmor/profiles
}

# As on Ubuntu: rules are compiled in a third of the time, and work alike.
quick_parser()
{
	cp -a /etc/apparmor "$WORK/apparmor"
	echo "Optimize=no-expr-simplify" >>"$WORK/apparmor/parser.conf"
	over /etc/apparmor "$WORK/apparmor"
}

start_apparmor()
{
	local back=-R

	[[ $(cat /sys/module/apparmor/parameters/enabled) == Y ]] ||
		fail "the kernel's AppArmor is not enabled"
	mountpoint -q /sys/kernel/security ||
		mount -t securityfs securityfs /sys/kernel/security
	! profile_is_loaded || back=-r
	quick_parser
	cp -a /etc/apparmor.d "$WORK/apparmor.d"
	: >"$WORK/apparmor.d/local/usr.sbin.libvirtd"
	: >"$WORK/apparmor.d/local/usr.lib.libvirt.virt-aa-helper"
	over /etc/apparmor.d "$WORK/apparmor.d"
	cleanup "restore_profiles $back"
	load_profiles
	DENIED=$(denials | wc -l)
}

# --- our programs, where a profile knows them by their path -------------------

BUILT=${UBLK_QCOW2%/*}

# install_in DIRECTORY: there, for this test only.
# shellcheck disable=SC2034  # libvirt.sh uses them
install_in()
{
	local new=$WORK/new$1 program

	mkdir -p "$new/upper" "$new/work"
	mount -t overlay -o \
		"lowerdir=$1,upperdir=$new/upper,workdir=$new/work" \
		overlay "$1" || fail "cannot add to $1"
	for program in "" -hook -agent -libvirt; do
		cp "$BUILT/ublk-qcow2$program" "$1"
	done
	UBLK_QCOW2=$1/ublk-qcow2
	HOOK=$1/ublk-qcow2-hook
	AGENT_PROGRAM=$1/ublk-qcow2-agent
}

# --- denials and labels -------------------------------------------------------

denials()
{
	dmesg | grep -a 'apparmor="DENIED"' || true
}

# denied NAME: this was denied, as expected.  A machine may have an auditd,
# which gets the denial in place of the kernel's log.
denied()
{
	if ! denials | tail -n "+$((DENIED + 1))" | grep -q "name=\"$1\""; then
		[[ -z ${IN_VM:-} ]] || fail "it is not told that $1 was denied"
		note "the kernel's log does not tell of denials"
	fi
	DENIED=$(denials | wc -l)
}

# Nothing was denied that was not expected.
nothing_denied()
{
	local new

	new=$(denials | tail -n "+$((DENIED + 1))")
	[[ -z $new ]] || fail "denied: $new"
}

# confined PID LABEL
confined()
{
	local label

	label=$(cat "/proc/$1/attr/current")
	[[ $label == "$2" ]] ||
		fail "process $1, $(cat "/proc/$1/comm"), is $label and not $2"
}

uuid_of()
{
	virsh domuuid "$1" | head -n 1
}

# All have the labels that they should have; the disk is $DEV.
all_confined()
{
	confined "$LIBVIRTD" "libvirtd (enforce)"
	confined "$(qemu_of web)" "libvirt-$(uuid_of web) (enforce)"
	confined "$(listed supervisor_pid)" unconfined
	confined "$(listed server_pid)" unconfined
}

# guest_may_open NAME DEVICE...: of our disks these, and no others.
guest_may_open()
{
	local file rules dev wanted
	file=/etc/apparmor.d/libvirt/libvirt-$(uuid_of "$1").files
	shift

	rules=$(grep -o '/dev/ublk.*' "$file" | sort)
	wanted=$(for dev; do
		echo "$(readlink -f "$dev")\" rwk,"
	done | sort)
	note "rules: $rules"
	[[ $rules == "$wanted" ]] || fail "the rules are not $wanted"
}
