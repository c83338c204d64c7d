#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each mutation of tests/mutations fits the source as it is: one that does not
# says nothing about the tests, and only the day on which it is tried would tell.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/../mutate" --fit
