#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each mutation of tests/mutations fits the source as it is.  A mutation that
# does not fit says nothing about the tests, and would be noticed only on the
# day on which it is tried.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/../mutate" --fit
