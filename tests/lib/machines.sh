# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153  # tests/check sets them
#
# The tests of the driver: in virtual machines, or here if there is a driver.

# The longest first, by their limits, so that all machines end together.
driver_tests()
{
	local file name limit

	for file in "$TESTS"/driver/*.sh; do
		name=$(basename "$file" .sh)
		limit=$(sed -n 's/^# limit: //p' "$file")
		[[ -z $QUICK || " ${QUICK_DRIVER[*]} " == *" $name "* ]] ||
			continue
		! wanted "driver/$name" || echo "${limit:-120} $name"
	done | sort -k1,1nr -k2 | cut -d ' ' -f 2
}

not_taken()
{
	local name

	for name; do
		[[ -d $RESULTS/$name.taken ]] || echo "$name"
	done
}

# driver_batch MACHINE CPUS TEST...: runs those that no other machine takes.
driver_batch()
{
	local run=(env "UBLK_QCOW2=$BUILD/gcc/plugin/ublk-qcow2"
		"UBLK_QCOW2_FAULTY=$BUILD/faulty/plugin/ublk-qcow2"
		"UBLK_QCOW2_PREVIOUS=$BUILD/previous/plugin/ublk-qcow2"
		"LOAD=$BUILD/gcc/tests/load/load"
		"TEST_EFFORT=${TEST_EFFORT:-1}"
		"$BUILD/source/tests/driver/run" "$RESULTS" "$1")
	local cpus=$2
	shift 2

	if driver_is_here; then
		mkdir -p "$BUILD/scratch"
		SCRATCH=$BUILD/scratch "${run[@]}" "$@"
	else
		"$TESTS/vm" run --timeout 3600 --cpus "$cpus" --out "$RESULTS" \
			"${run[@]}" "$@"
	fi
}

driver_is_here()
{
	[[ -c /dev/ublk-control && $(id -u) == 0 ]]
}

# driver_machine MACHINE CPUS TEST...: a test that takes the kernel down has
# failed, and the others go on in a new machine.  A kernel that dies before any
# test begins has met none of our code: emulation of two processors does that
# now and then.  Three such in a row are given up.
driver_machine()
{
	local machine=$1 cpus=$2 left before name idle=0
	shift 2

	mapfile -t left < <(not_taken "$@")
	while [[ ${#left[@]} -gt 0 && $idle -lt 3 ]]; do
		before=${#left[@]}
		driver_batch "$machine" "$cpus" "${left[@]}" || true
		if name=$(cat "$RESULTS/$machine.runs" 2>/dev/null); then
			rm "$RESULTS/$machine.runs"
			echo "FAILED: the machine died" >"$RESULTS/$name.result"
			tell "driver/$name" "FAILED: the machine died" 0
		fi
		mapfile -t left < <(not_taken "$@")
		if [[ ${#left[@]} -lt $before ]]; then
			idle=0
		else
			idle=$((idle + 1))
			say "no test began in a machine (attempt $idle of 3)"
		fi
	done
}

# Downloads the machines' kernel while tests run.  A machine that is early waits
# for that.  The download is no job of this shell, for jobs are counted.
fetch_kernel_meanwhile()
{
	driver_is_here || (setsid "$TESTS/vm" fetch \
		>"$BUILD/fetch.log" 2>&1 </dev/null 8>&- &)
}

# Tests that are about more than one processor say so.
wants_processors()
{
	grep -q '^# processors: ' "$TESTS/driver/$1.sh"
}

# Emulated processors of one machine slow each other down.  So there are as
# many machines as processors, with one each; then one that has two.
run_in_machines()
{
	local name machine machines one=() two=()

	for name; do
		if wants_processors "$name"; then
			two+=("$name")
		else
			one+=("$name")
		fi
	done
	say "no ublk driver here: the tests of the driver run in virtual" \
		"machines, kernel ${KERNEL:-6.12}"
	machines=$(machines_at_once)
	for ((machine = 0; machine < machines; machine++)); do
		driver_machine "$machine" 1 "${one[@]}" &
	done
	wait
	driver_machine 0 2 "${two[@]}"
}

run_driver_tests()
{
	local tests=("$@") name

	RESULTS=$BUILD/results
	rm -rf "$RESULTS"
	mkdir -p "$RESULTS"
	if driver_is_here; then
		driver_machine 0 0 "${tests[@]}"
	else
		run_in_machines "${tests[@]}"
	fi
	for name in "${tests[@]}"; do
		[[ -s $RESULTS/$name.result ]] ||
			tell "driver/$name" "FAILED: no machine ran it" 0
		count "$(cat "$RESULTS/$name.result" || echo FAILED)" \
			"driver/$name"
		TIMES+=("$(cat "$RESULTS/$name.seconds" || echo 0) driver/$name")
	done
}
