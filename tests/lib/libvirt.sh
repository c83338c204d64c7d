# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The functions that the tests with libvirt share.  This file sources driver.sh.
# Guests are in guests.sh, the agent is in agent.sh, and a disk of the host's
# that breaks is in host-disk.sh.
#
# Each test has a libvirtd of its own.  Its configuration, its state, its
# hooks and its sockets are in $WORK, mounted over the machine's in a mount
# namespace of the test's own: the machine's libvirt, if it has one, sees
# nothing of it.  libvirtd takes a quarter of a minute to learn the facts about
# QEMU; so these are kept for the next test.
#
# The guest is in guest/: it works on its disks and tells on its serial
# port, which is a file here, how far it is.
if [[ -z ${LIBVIRT_PRIVATE:-} ]]; then
	export LIBVIRT_PRIVATE=1
	exec unshare --mount bash "$0" "$@"
fi
# shellcheck source=driver.sh
. "$(dirname "${BASH_SOURCE[0]}")/driver.sh"

GUEST=$PROGRAMS/guest/guest.bin
GUEST_DATA=$PROGRAMS/guest/guest-data
HOOK=${UBLK_QCOW2%/*}/ublk-qcow2-hook
NAMESPACE=https://ublk-qcow2/1.0
LIBVIRTD=			# its pid

explain_libvirt()
{
	local file

	for file in "$WORK"/libvirt/log/*.log "$WORK"/libvirt/log/qemu/*.log \
		"$WORK"/*.serial; do
		[[ -e $file ]] || continue
		echo "--- ${file#"$WORK/"}"
		tail -n 15 "$file"
	done
}

images()
{
	find "$WORK" -name '*.qcow2' -type f
}

# Disks that the hook had served are this test's, too.
cleanup_libvirt()
{
	local status=$? image dev

	set +e			# or the next commands would not run
	[[ $status == 0 ]] || explain_libvirt
	for image in $(images); do
		dev=$(readlink -e "$(disk_device "$image")") && ADDED+=("$dev")
	done
	(exit "$status")
	clean_up
}
trap cleanup_libvirt EXIT

# shellcheck source=guests.sh
. "$(dirname "${BASH_SOURCE[0]}")/guests.sh"
# shellcheck source=agent.sh
. "$(dirname "${BASH_SOURCE[0]}")/agent.sh"
# shellcheck source=host-disk.sh
. "$(dirname "${BASH_SOURCE[0]}")/host-disk.sh"

# --- libvirtd -----------------------------------------------------------------

# over DIRECTORY SOURCE: in this test SOURCE lies over the machine's DIRECTORY.
over()
{
	mkdir -p "$1" "$2"
	mount --bind "$2" "$1"
}

# Everything is the default, QEMU's own user and its own /dev included.  Only
# two parts that need a distribution around them are off: the daemon for logs,
# and AppArmor, which has tests of its own (apparmor.sh).
SECURITY_DRIVER=none

libvirt_configuration()
{
	cat <<-END
	security_driver = "$SECURITY_DRIVER"
	stdio_handler = "file"
	END
	printf '%s\n' "$@"
}

# start_libvirt [LINE-OF-QEMU.CONF]...
start_libvirt()
{
	local dir=$WORK/libvirt

	mkdir -p "$dir/etc/hooks/qemu.d" "$dir/etc/secrets"
	libvirt_configuration "$@" >"$dir/etc/qemu.conf"
	over /etc/libvirt "$dir/etc"
	over /var/lib/libvirt "$dir/lib"
	over /var/log/libvirt "$dir/log"
	over /run/libvirt "$dir/run"
	over /var/cache/libvirt "$SCRATCH/libvirt-cache"
	ln -s "$HOOK" /etc/libvirt/hooks/qemu.d/ublk-qcow2
	cleanup stop_libvirt_anyhow
	run_libvirtd
	note "libvirtd runs"
}

# Starts the daemon and waits until it answers: its sockets are there before.
run_libvirtd()
{
	local end=$((SECONDS + 120))

	libvirtd --pid-file "$WORK/libvirt/libvirtd.pid" \
		>>"$WORK/libvirt/log/libvirtd.log" 2>&1 &
	LIBVIRTD=$!
	disown				# and do not tell of its death
	until [[ -S /run/libvirt/libvirt-sock ]] &&
		timeout 30 virsh -c qemu:///system uri >/dev/null 2>&1; do
		kill -0 "$LIBVIRTD" 2>/dev/null || fail "libvirtd ended"
		((SECONDS <= end)) || fail "libvirtd does not come up"
		sleep 0.1
	done
}

# Ends it, like an administrator or, with -9, like a crash.
end_libvirtd()
{
	local end=$((SECONDS + 60))

	kill "${1:--TERM}" "$LIBVIRTD"
	while kill -0 "$LIBVIRTD" 2>/dev/null; do
		((SECONDS <= end)) || fail "libvirtd does not end"
		sleep 0.1
	done
	rm -f /run/libvirt/libvirt-sock
	LIBVIRTD=
}

# The end of a test that went well.
end_libvirt()
{
	end_libvirtd
	note "libvirtd ended"
}

# The end of one that may not have.
stop_libvirt_anyhow()
{
	local file

	for file in /run/libvirt/qemu/*.pid; do
		[[ ! -e $file ]] || kill -9 "$(cat "$file")" 2>/dev/null
	done
	[[ -z $LIBVIRTD ]] || kill -9 "$LIBVIRTD" 2>/dev/null
}

virsh()
{
	timeout -k 5 150 virsh -q -c qemu:///system "$@"
}

# --- afterwards ---------------------------------------------------------------

# check_guest NAME IMAGE [DISK]: QEMU finds all of the guest's writes in the
# image and, if the guest ended by itself, nothing else.
check_guest()
{
	local told found

	check_image "$2"
	qemu-img convert -O raw "$2" "$WORK/converted"
	found=$("$GUEST_DATA" "$WORK/converted") ||
		fail "$2 does not hold the writes of $1"
	rm "$WORK/converted"
	told=$(position "$1" "${3:-0}")
	note "$1 told of $told blocks; $found are on $(disk_name "$2")"
	[[ $found -ge $told ]] || fail "that is less"
	[[ $found == "$told" ]] || ! tail -n 1 "$WORK/$1.serial" |
		grep -aq 'in the end' || fail "that is more"
}

# The remains of disks, and the locks on images.
remains()
{
	local image major minor inode

	traces
	pgrep -a qemu-system || true
	for image in $(images); do
		read -r major minor inode < <(stat -c '%Hd %Ld %i' "$image")
		grep "$(printf ' %02x:%02x:%d ' "$major" "$minor" "$inode")" \
			/proc/locks || true
	done
}

# No device, no process, no link and no lock is left, very soon.
nothing_left()
{
	local end=$((SECONDS + 60))

	# Cheap, and most of the time.
	while compgen -G '/run/ublk-qcow2/*.disk' >"$WORK/records" &&
		((SECONDS <= end - 50)); do
		sleep 0.1
	done
	while [[ -n $(remains) ]]; do
		((SECONDS <= end)) || fail "left behind: $(remains)"
		sleep 0.2
	done
}
