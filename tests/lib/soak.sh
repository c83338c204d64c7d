#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: soak.sh SECONDS
#
# The part of tests/soak that runs where the driver is: the disks, those who use
# them, and the report.  The deaths are in soak-kills.sh, the planned operations
# in soak-changes.sh, file systems in soak-files.sh, a domain in soak-guest.sh.
LIB=$(dirname "$0")
# shellcheck source=soak-guest.sh
. "$LIB/soak-guest.sh"
if have_libvirt; then
	# shellcheck source=libvirt.sh
	. "$LIB/libvirt.sh"
else
	# shellcheck source=driver.sh
	. "$LIB/driver.sh"
fi
# As on a host with systemd, an unmount reaches the servers' name spaces.
[[ -z ${LIBVIRT_PRIVATE:-} && -z ${IN_VM:-} ]] || mount --make-rshared /
# shellcheck source=soak-kills.sh
. "$LIB/soak-kills.sh"
# shellcheck source=soak-changes.sh
. "$LIB/soak-changes.sh"
# shellcheck source=soak-files.sh
. "$LIB/soak-files.sh"

# The disks: options of qemu-img for those of the load, or how they are used.
IMAGES=("cluster_size=64k" "cluster_size=4k" "extended_l2=on"
	"compat=0.10" "cluster_size=64k,lazy_refcounts=on" "under" "snapshot"
	"ext4" "xfs")
[[ -n ${NO_DOMAIN:-} ]] || ! have_libvirt || IMAGES+=("guest")
# How the load uses a disk: writes, reads, discards, zeroes.
MIX=("100,0,0,0" "50,20,15,15" "60,30,5,5")

DEVICES=() LOADS=() PAUSES=()

make_image()
{
	local kind=$1 path=$2

	case $kind in
	under)
		qemu-img create -q -f qcow2 "$path.under" 128M
		qemu-img create -q -f qcow2 -b "$path.under" -F qcow2 "$path"
		;;
	snapshot)
		qemu-img create -q -f qcow2 "$path" 128M
		qemu-io -c 'write -q -P 0 0 32M' "$path"
		qemu-img snapshot -c one "$path"
		;;
	ext4) qemu-img create -q -f qcow2 "$path" 128M ;;
	xfs) qemu-img create -q -f qcow2 "$path" 320M ;;
	*) qemu-img create -q -f qcow2 -o "$kind" "$path" 128M ;;
	esac
}

begin_disk()
{
	local i=$1 path=$WORK/$1.qcow2

	[[ ${IMAGES[i]} != guest ]] || { begin_guest "$i"; return; }
	make_image "${IMAGES[i]}" "$path"
	add "$path"
	DEVICES[i]=$DEV
}

# An emulated machine must have time for more than that.  Half of the disks are
# never flushed, so that their journals are long when a server dies.
begin_use()
{
	local i=$1

	case ${IMAGES[i]} in
	guest) return ;;
	ext4 | xfs) begin_files "$i"; return ;;
	esac
	"$LOAD" --verify --touched-only --rate 40 --depth $((4 << i % 4)) \
		--mix "${MIX[i % 3]}" --discard-align 64K --seed "$((SEED + i))" \
		--dsync-every $((i % 2 * 5)) \
		--ledger "$WORK/$i.ledger" "${DEVICES[i]}" \
		>"$WORK/$i.out" 2>"$WORK/$i.err" &
	LOADS[i]=$!
	cleanup "kill -9 ${LOADS[i]} 2>/dev/null"
}

# Now and then: how far it has come.
tell_progress()
{
	local kills

	kills=$(kills)
	((kills >= TOLD + 20)) || return 0
	TOLD=$kills
	note "$kills kills, pauses p50 $(pause 50), longest $(pause 100) ms," \
		"last write $LATEST ms after a kill"
}
TOLD=0

kills()
{
	echo $((KILLED[server] + KILLED[supervisor] + KILLED[both]))
}

alive()
{
	local i

	for i in "${!LOADS[@]}"; do
		kill -0 "${LOADS[i]}" 2>/dev/null ||
			fail "${IMAGES[i]}: the load ended:" \
				"$(tail -n 3 "$WORK/$i.err")"
	done
}

# told I KEY: of a load's report.
told()
{
	sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$WORK/$1.out" | tail -n 1
}

# All at once, or those that are left would slow down the verification.
stop_uses()
{
	local i

	for i in "${!LOADS[@]}"; do
		touch "$WORK/$i.stop"
		[[ ${IMAGES[i]} == ext4 || ${IMAGES[i]} == xfs ]] ||
			kill -TERM "${LOADS[i]}"
	done
}

end_disk()
{
	local i=$1 status=0 image

	case ${IMAGES[i]} in
	guest) end_guest "$i"; return ;;
	ext4 | xfs) end_files "$i"; return ;;
	esac
	wait "${LOADS[i]}" || status=$?
	note "${IMAGES[i]}: $(tail -n 1 "$WORK/$i.out")"
	if [[ $status != 0 ]]; then
		tail -n 5 "$WORK/$i.err"
		FAILED=$((FAILED + 1))
	fi
	[[ $(told "$i" writes) -gt 20 ]] || fail "next to no writes"
	WRITES=$((WRITES + $(told "$i" writes)))
	CHECKED=$((CHECKED + $(told "$i" checked)))
	WRONG=$((WRONG + $(told "$i" wrong)))
	ERRORS=$((ERRORS + $(told "$i" errors)))
	look "$i"
	image=${SEEN[image]}
	del "${DEVICES[i]}"
	qemu-img check -q "$image" || FLAWED=$((FLAWED + 1))
	check_with_qemu "$image" "$WORK/$i.ledger"
}

# The pause, in ms, that so many pauses of a hundred do not exceed.
pause()
{
	printf '%s\n' "${PAUSES[@]:-0}" | sort -n |
		awk -v p="$1" '{ a[NR] = $1 }
			END { n = int(NR * p / 100 + 0.999); print a[n ? n : 1] }'
}

# "53 upgrade, 20 snapshot" and so on.
list_changes()
{
	local what list=''

	for what in "${!CHANGES[@]}"; do
		list+=", ${CHANGES[$what]} $what"
	done
	echo "${list#, }"
}

report()
{
	echo "soak: $SECONDS s, seed $SEED, ${#IMAGES[@]} disks:" \
		"$(kills) kills (${KILLED[server]} servers," \
		"${KILLED[supervisor]} supervisors, ${KILLED[both]} both;" \
		"${KILLED[libvirtd]} libvirtd, ${KILLED[agent]} agents);" \
		"$(list_changes), $INTERRUPTED with a kill meanwhile," \
		"$COPIES copies compared;" \
		"$WRITES writes acknowledged, $CHECKED blocks verified," \
		"$WRONG wrong, $ERRORS errors; $FLAWED images flawed," \
		"$REFUSED refused after a death of both;" \
		"pauses p50 $(pause 50), p99 $(pause 99), longest $(pause 100) ms;" \
		"last write of a dead server $LATEST ms after the kill"
}

WRITES=0 CHECKED=0 WRONG=0 ERRORS=0 FLAWED=0 FAILED=0
for i in "${!IMAGES[@]}"; do
	begin_disk "$i"
done
for i in "${!IMAGES[@]}"; do
	begin_use "$i"
done
END=$((SECONDS + $1))
while ((SECONDS < END)) && [[ $(kills) -lt ${KILLS:-1000000000} ]]; do
	sleep "0.$((RANDOM % 10))"
	kill_some
	change_one
	alive
	tell_progress
done
[[ -z $GUEST_DISK ]] || end_disk "$GUEST_DISK"
stop_uses
for i in "${!LOADS[@]}"; do
	end_disk "$i"
done
report
[[ $((WRONG + ERRORS + FLAWED + FAILED + REFUSED)) == 0 ]]
