#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The layout of the C code is as clang-format 14 makes it (.clang-format).  Where
# clang-format breaks a line of a comment, it may lose the space behind a star.
set -euo pipefail

TOP=$(cd "${srcdir:-$(dirname "$0")/..}/.." && pwd -P)
FORMAT=$(command -v clang-format-14 || command -v clang-format)

if [[ $("$FORMAT" --version) != *" 14."* ]]; then
	echo "this clang-format is not version 14, whose layout is ours"
	exit 77
fi
cd "$TOP"
find qcow plugin tests \( -name '*.c' -o -name '*.h' \) -type f -print0 |
	xargs -0 "$FORMAT" --dry-run -Werror ||
	{ echo "FAILED: run clang-format -i on these files"; exit 1; }
! grep -rnE --include='*.[ch]' '^ \*[[:alnum:]]' qcow plugin tests ||
	{ echo "FAILED: a space is missing behind these stars"; exit 1; }
