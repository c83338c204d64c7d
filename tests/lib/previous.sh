# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2153  # tests/check sets them
#
# The program of the release before this one, for the test that upgrades from
# it.
#
# It is built from the history.  A shallow clone, as CI makes them, asks its
# origin for that one commit.  Where neither has it, as in a tree without git,
# the test upgrades from this very program, and that is told.

# The last release, or as long as there is none, a commit that stands for it.
# Whoever makes a release puts its commit here.
PREVIOUS=38dc22c2b8c7e29b8f04e5ee22b6201f3c7ee3c5

has_previous()
{
	git -C "$TOP" cat-file -e "$PREVIOUS^{commit}" 2>/dev/null ||
		git -C "$TOP" fetch -q --depth 1 origin "$PREVIOUS"
}

# Once for each commit.
previous_sources()
{
	local sources=$BUILD/previous-source

	[[ $(cat "$sources.commit" 2>/dev/null) != "$PREVIOUS" ]] || return 0
	rm -rf "$sources" "$BUILD/previous"
	mkdir "$sources"
	git -C "$TOP" archive "$PREVIOUS" | tar -C "$sources" -xf - &&
		(cd "$sources" && autoreconf -fi) &&
		echo "$PREVIOUS" >"$sources.commit"
}

# Only the program: nobody runs its tests.
make_previous()
{
	previous_sources && mkdir -p "$BUILD/previous" &&
		cd "$BUILD/previous" &&
		"$BUILD/previous-source/configure" -q --sysconfdir=/etc &&
		make -j"$(nproc)"
}

build_previous()
{
	local start=$SECONDS log=$BUILD/build-previous.log status=ok

	BUILDS=$((BUILDS + 1))
	if ! has_previous >"$log" 2>&1 </dev/null; then
		result build-previous "skipped: no commit $PREVIOUS here" \
			$((SECONDS - start)) "$log"
		return
	fi
	(make_previous) >"$log" 2>&1 </dev/null || status=FAILED
	[[ $status == ok ]] || rm -f "$BUILD/previous/plugin/ublk-qcow2"
	result build-previous "$status" $((SECONDS - start)) "$log"
}
