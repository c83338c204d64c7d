# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153  # tests/check sets them
#
# The native tests of tests/check: the builds, the tests that each of them runs,
# the fuzzing, QEMU's iotests and the mutations.

# build VARIANT CONFIGURE-ARGUMENT...: tells it as a test of that name.  Only
# the driver's tests run the faulty programs, so those get no native tests.
build()
{
	local variant=$1 start=$SECONDS log=$BUILD/build-$1.log status=ok
	shift

	# Programs of an older tree may be where this one has directories.
	[[ ! -f $BUILD/$variant/tests/load ]] || rm -rf "${BUILD:?}/$variant"
	mkdir -p "$BUILD/$variant"
	(cd "$BUILD/$variant" && "$BUILD/source/configure" -q \
		--sysconfdir=/etc "$@" &&
		make -j"$(nproc)" && { [[ $variant == faulty ]] ||
			make -C tests -j"$(nproc)" check TESTS=; }) \
		>"$log" 2>&1 </dev/null || status=FAILED
	# The programs of an earlier build must not be tested in their place.
	[[ $status == ok ]] || rm -f "$BUILD/$variant/plugin/ublk-qcow2"
	result "build-$variant" "$status" $((SECONDS - start)) "$log"
	BUILDS=$((BUILDS + 1))
	[[ $status == ok ]]
}

# The guest of the tests with libvirt.
build_guest()
{
	local start=$SECONDS status=ok log=$BUILD/build-guest.log

	make -C "$BUILD/gcc/tests" guest/guest.bin >"$log" 2>&1 </dev/null ||
		status=FAILED
	result build-guest "$status" $((SECONDS - start)) "$log"
	BUILDS=$((BUILDS + 1))
}

# native_tests DIRECTORY: the slow ones first.
native_tests()
{
	local tests

	# shellcheck disable=SC2016  # make's variable, not ours
	tests=$(make -s -C "$1/tests" --no-print-directory \
		--eval='print-tests:;@echo $(TESTS)' print-tests |
		tr -s ' ' '\n')
	# shellcheck disable=SC2086  # several
	printf '%s\n' $SLOW_NATIVE | sed 's/.*/&\n&.sh/' |
		grep -xF -e "$tests"
	# shellcheck disable=SC2086
	grep -vxF -f <(printf '%s\n' $SLOW_NATIVE | sed 's/.*/&\n&.sh/') \
		<<<"$tests"
}

# Runs one test through automake's own harness, so that the test has the same
# environment as with `make check`.  The verdict is left in a file.
run_native()
{
	local dir=$1 test=$2 name=$3 start=$SECONDS status=0 verdict log

	log=$dir/tests/${test%.sh}.log
	mkdir -p "${log%/*}"
	rm -f "$log"
	timeout -k 10 "$TIME_LIMIT" make -C "$dir/tests" check-TESTS \
		TESTS="$test" TEST_SUITE_LOG="${test//\//-}.suite" \
		>"$log.make" 2>&1 </dev/null || status=$?
	[[ -s $log ]] || log=$log.make
	verdict=FAILED
	if [[ $status == 124 ]]; then
		verdict="FAILED: not done in $TIME_LIMIT s"
	elif [[ $status == 0 ]]; then
		verdict=ok
		! grep -q '^# SKIP: *1' "$log.make" || verdict=skipped
	fi
	tell "$name" "$verdict" $((SECONDS - start)) "$log"
	echo "$verdict $((SECONDS - start))" >"$dir/verdicts/${name//\//-}"
	[[ "$name $verdict" != "engine/combinations ok" ]] || keep_table "$log"
}

# The table of the images and their readers, for people to look at.
keep_table()
{
	cp "$1" "$BUILD/combinations.txt"
	say "$(grep -c '^ *[0-9]* *[01]\.1' "$1") images:" \
		"$BUILD/combinations.txt tells which"
}

# Asked for, not only not excluded.
wanted_by_name()
{
	[[ ${#NAMES[@]} -gt 0 ]] && wanted "$1"
}

# variant NAME SUFFIX CONFIGURE-ARGUMENT...: with ONLY, of these tests; not of
# those in SKIPS, unless they are named; one more at once than there are
# processors, for some wait most of their time.
variant()
{
	local variant=$1 suffix=$2 dir=$BUILD/$1 test name names=() verdict
	shift 2

	build "$variant" "$@" || return 0
	rm -rf "$dir/verdicts"
	mkdir "$dir/verdicts"
	for test in $(native_tests "$dir"); do
		name=${test%.sh}
		# shellcheck disable=SC2086  # several patterns
		[[ -z ${ONLY:-} ]] || fits "$name" $ONLY || continue
		# shellcheck disable=SC2086
		! fits "$name" ${SKIPS:-} || wanted_by_name "$name" || continue
		wanted "$name" || continue
		name+=$suffix
		names+=("$name")
		while [[ $(jobs -rp | wc -l) -gt $(nproc) ]]; do
			wait -n || true
		done
		run_native "$dir" "$test" "$name" &
	done
	wait
	for name in "${names[@]}"; do
		verdict=$(cat "$dir/verdicts/${name//\//-}" || echo FAILED 0)
		count "$verdict" "$name"
		TIMES+=("${verdict##* } $name")
	done
}

# The fuzz targets: their corpus, then a minute in all.
fuzz()
{
	local start=$SECONDS status=ok log=$BUILD/fuzz.log

	wanted fuzz || return 0
	FUZZ_BUILD=$BUILD/fuzz timeout -k 10 "$TIME_LIMIT" \
		"$BUILD/source/tests/fuzz/run" >"$log" 2>&1 </dev/null ||
		status=FAILED
	result fuzz "$status" $((SECONDS - start)) "$log"
}

# QEMU's own tests of qcow2, those that do not take long, on our engine.
iotests()
{
	local start=$SECONDS status=ok log=$BUILD/iotests.log

	wanted iotests || return 0
	timeout -k 10 "$TIME_LIMIT" "$BUILD/source/tests/foreign/iotests" \
		--program "$BUILD/gcc/tests/foreign/qemu-io" \
		>"$log" 2>&1 </dev/null || status=FAILED
	result iotests "$status, $(tail -n 1 "$log")" $((SECONDS - start)) "$log"
}

# A test that has just passed need not be shown to pass.
sound_tests()
{
	grep -l '^ok' "$BUILD"/gcc/verdicts/* 2>/dev/null |
		sed 's,.*/,,; s,-,/,' | paste -sd ' '
}

# A few of the lines that tests/mutate breaks: some test must notice each.
mutations()
{
	local start=$SECONDS status=ok log=$BUILD/mutations.log

	wanted mutations || return 0
	SOUND=$(sound_tests) MUTATE_BUILD=$BUILD/mutate \
		timeout -k 10 "$TIME_LIMIT" "$BUILD/source/tests/mutate" \
		--sample "$MUTATIONS" >"$log" 2>&1 </dev/null || status=FAILED
	result mutations "$status, $(head -n 1 "$log")" \
		$((SECONDS - start)) "$log"
}
