#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# usage: soak.sh SECONDS
#
# The part of tests/soak that runs where the driver is.
# shellcheck source=driver.sh
. "$(dirname "$0")/driver.sh"

# The disks: options of qemu-img, and how the load uses each disk.
IMAGES=("cluster_size=64k" "cluster_size=4k" "extended_l2=on"
	"compat=0.10" "cluster_size=64k,lazy_refcounts=on" "under" "snapshot")
MIX=("100,0,0,0" "50,20,15,15" "60,30,5,5")

DEVICES=() LOADS=() PAUSES=()
declare -A KILLED=([server]=0 [supervisor]=0 [both]=0)

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
	*) qemu-img create -q -f qcow2 -o "$kind" "$path" 128M ;;
	esac
}

begin_disk()
{
	local i=$1 path=$WORK/$1.qcow2

	make_image "${IMAGES[i]}" "$path"
	add "$path"
	DEVICES[i]=$DEV
}

# An emulated machine must have time for more than that.
begin_load()
{
	local i=$1

	"$LOAD" --verify --touched-only --rate 60 --depth $((4 << i % 4)) \
		--mix "${MIX[i % 3]}" --discard-align 64K --seed "$((SEED + i))" \
		--ledger "$WORK/$i.ledger" "${DEVICES[i]}" \
		>"$WORK/$i.out" 2>"$WORK/$i.err" &
	LOADS[i]=$!
	cleanup "kill -9 ${LOADS[i]} 2>/dev/null"
}

# Draws the process to kill, and waits until the disk lives again.
kill_one()
{
	local dev=${DEVICES[RANDOM % ${#DEVICES[@]}]} before victim

	before=$(listed recoveries "$dev")
	case $((RANDOM % 10)) in
	[0-5])
		victim=server
		kill_off "$(listed server_pid "$dev")"
		;;
	[67])
		victim=supervisor
		kill_off "$(listed supervisor_pid "$dev")"
		"$UBLK_QCOW2" recover "$dev" || fail "recover $dev"
		;;
	*)
		victim=both
		kill_off "$(listed supervisor_pid "$dev")" \
			"$(listed server_pid "$dev")"
		"$UBLK_QCOW2" recover "$dev" || fail "recover $dev"
		;;
	esac
	KILLED[$victim]=$((KILLED[$victim] + 1))
	[[ $victim == supervisor ]] ||
		listed_becomes recoveries $((before + 1)) 120 "$dev"
	wait_live "$dev" 120
	[[ $victim == supervisor ]] || PAUSES+=("$(listed ms "$dev")")
}

# Now and then: how far it has come.
tell_progress()
{
	[[ $(($(kills) % 20)) != 0 ]] || note "$(kills) kills, pause p50 $(pause 50) ms"
}

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

end_disk()
{
	local i=$1 status=0

	kill -TERM "${LOADS[i]}"
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
	del "${DEVICES[i]}"
	qemu-img check -q "$WORK/$i.qcow2" || FLAWED=$((FLAWED + 1))
	check_with_qemu "$WORK/$i.qcow2" "$WORK/$i.ledger"
}

# The pause, in ms, that so many pauses of a hundred do not exceed.
pause()
{
	printf '%s\n' "${PAUSES[@]:-0}" | sort -n |
		awk -v p="$1" '{ a[NR] = $1 }
			END { n = int(NR * p / 100 + 0.999); print a[n ? n : 1] }'
}

report()
{
	echo "soak: $SECONDS s, seed $SEED, ${#IMAGES[@]} disks:" \
		"$(kills) kills (${KILLED[server]} servers," \
		"${KILLED[supervisor]} supervisors, ${KILLED[both]} both);" \
		"$WRITES writes acknowledged, $CHECKED blocks verified," \
		"$WRONG wrong, $ERRORS errors; $FLAWED images flawed;" \
		"pauses p50 $(pause 50), p99 $(pause 99), longest $(pause 100) ms"
}

WRITES=0 CHECKED=0 WRONG=0 ERRORS=0 FLAWED=0 FAILED=0
for i in "${!IMAGES[@]}"; do
	begin_disk "$i"
done
for i in "${!IMAGES[@]}"; do
	begin_load "$i"
done
END=$((SECONDS + $1))
while ((SECONDS < END)) && [[ $(kills) -lt ${KILLS:-1000000000} ]]; do
	sleep "0.$((RANDOM % 10))"
	kill_one
	alive
	tell_progress
done
for i in "${!IMAGES[@]}"; do
	end_disk "$i"
done
report
[[ $((WRONG + ERRORS + FLAWED + FAILED)) == 0 ]]
