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

# look I: the disk's answers, of one `list`, which takes as long as a kill.
declare -A SEEN=()

look()
{
	local json key

	json=$("$UBLK_QCOW2" list --json "${DEVICES[$1]}")
	for key in state recoveries server_pid supervisor_pid ms; do
		SEEN[$key]=''
		[[ ! $json =~ \"$key\":\ *\"?([^\",}]*) ]] ||
			SEEN[$key]=${BASH_REMATCH[1]%%[[:space:]]*}
	done
}

# Draws the process to kill: of each disk that is given.
declare -A VICTIM=() BEFORE=()

draw_victims()
{
	local i

	PIDS=()
	for i; do
		look "$i"
		BEFORE[$i]=${SEEN[recoveries]}
		case $((RANDOM % 10)) in
		[0-5]) VICTIM[$i]=server PIDS+=("${SEEN[server_pid]}") ;;
		[67]) VICTIM[$i]=supervisor PIDS+=("${SEEN[supervisor_pid]}") ;;
		*)
			VICTIM[$i]=both
			PIDS+=("${SEEN[server_pid]}" "${SEEN[supervisor_pid]}")
			;;
		esac
	done
}

# Those without a supervisor are recovered side by side.
recover_disks()
{
	local i commands=()

	for i; do
		[[ ${VICTIM[$i]} != server ]] || continue
		"$UBLK_QCOW2" recover "${DEVICES[i]}" 2>"$WORK/$i.recover" &
		commands[i]=$!
	done
	for i in "${!commands[@]}"; do
		wait "${commands[i]}" || give_up "$i"
	done
}

# An image of version 2 has no mark.  It is refused if a write of the dead server
# reached it late (R12): then the disk is out.  Others never are.
give_up()
{
	local i=$1

	cat "$WORK/$i.recover"
	[[ ${VICTIM[$i]} == both && ${IMAGES[i]} == compat=0.10 ]] ||
		fail "recover ${DEVICES[i]}"
	grep -q 'does not fit it' "$WORK/$i.recover" ||
		fail "recover ${DEVICES[i]}"
	note "${IMAGES[i]}: refused after a death of both," \
		"written ${LATE[$i]} ms after it"
	REFUSED=$((REFUSED + 1))
	kill -9 "${LOADS[i]}"
	wait "${LOADS[i]}" || true
	"$UBLK_QCOW2" del --force "${DEVICES[i]}" || true
	unset "DEVICES[i]" "LOADS[i]"
}
REFUSED=0

# The record of a disk tells when to ask.
await_life()
{
	local i=$1 end=$((SECONDS + 120)) wanted=${BEFORE[$1]}

	[[ ${VICTIM[$i]} == supervisor ]] || wanted=$((wanted + 1))
	for (( ; ; )); do
		if record_hints "recoveries $wanted" "${DEVICES[i]}"; then
			look "$i"
			[[ ${SEEN[state]} != live ||
				${SEEN[recoveries]} != "$wanted" ]] || break
		fi
		((SECONDS <= end)) || fail "${DEVICES[i]} does not live again"
		sleep 0.1
	done
	[[ ${VICTIM[$i]} == supervisor ]] || PAUSES+=("${SEEN[ms]}")
	KILLED[${VICTIM[$i]}]=$((KILLED[${VICTIM[$i]}] + 1))
}

# As often one disk as several.
draw_disks()
{
	local left=("${!DEVICES[@]}") count=1 n

	((RANDOM % 2)) || count=$((1 + RANDOM % ${#left[@]}))
	DISKS=()
	for (( ; count; count--)); do
		n=$((RANDOM % ${#left[@]}))
		DISKS+=("${left[n]}")
		unset "left[n]"
		left=("${left[@]}")
	done
}

# The last write of a dead server, in ms after the kill.  It may come late if
# the kernel had queued it.
declare -A LATE=()

note_late()
{
	local i killed=$1

	shift
	for i; do
		[[ ${VICTIM[$i]} == both ]] || continue
		LATE[$i]=$(stat -c %.9Y "$WORK/$i.qcow2" | awk -v t="$killed" \
			'{ printf "%d", ($1 - t) * 1000 }')
		((LATE[$i] <= LATEST)) || LATEST=${LATE[$i]}
	done
}
LATEST=-1000

# Now and then a disk goes on with the installed program.
upgrade_one()
{
	local all=("${!DEVICES[@]}") i

	((RANDOM % 6 == 0)) || return 0
	i=${all[RANDOM % ${#all[@]}]}
	"$UBLK_QCOW2" upgrade "${DEVICES[i]}" >"$WORK/$i.upgrade" 2>&1 ||
		fail "upgrade ${DEVICES[i]}: $(cat "$WORK/$i.upgrade")"
	UPGRADES=$((UPGRADES + 1))
}
UPGRADES=0

# Several are killed at once, and their recoveries do not wait for each other.
kill_some()
{
	local i killed

	draw_disks
	draw_victims "${DISKS[@]}"
	killed=$EPOCHREALTIME
	kill_off "${PIDS[@]}"
	note_late "$killed" "${DISKS[@]}"
	recover_disks "${DISKS[@]}"
	for i in "${DISKS[@]}"; do
		[[ -z ${DEVICES[i]:-} ]] || await_life "$i"
	done
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
		"${KILLED[supervisor]} supervisors, ${KILLED[both]} both)," \
		"$UPGRADES upgrades;" \
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
	begin_load "$i"
done
END=$((SECONDS + $1))
while ((SECONDS < END)) && [[ $(kills) -lt ${KILLS:-1000000000} ]]; do
	sleep "0.$((RANDOM % 10))"
	kill_some
	upgrade_one
	alive
	tell_progress
done
for i in "${!DEVICES[@]}"; do
	end_disk "$i"
done
report
[[ $((WRONG + ERRORS + FLAWED + FAILED + REFUSED)) == 0 ]]
