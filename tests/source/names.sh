#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/check knows a test by its room and name, and by its name alone; it
# refuses a name that no test has.
set -euo pipefail

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=../lib/names.sh
. "$TESTS/lib/names.sh"

# known NAME: does check take it?
known()
{
	# shellcheck disable=SC2034  # check_names reads it
	(NAMES=("$1"); check_names 2>/dev/null)
}

for name in engine/crash crash commands/list check-lists driver/4k-disk 4k-disk \
	fuzz iotests mutations; do
	known "$name" || { echo "FAILED: check does not know $name"; exit 1; }
done
for name in nonsense cras driver/crash 'cr*' '-x'; do
	! known "$name" || { echo "FAILED: check knows $name"; exit 1; }
done
