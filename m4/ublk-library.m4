# SPDX-License-Identifier: GPL-2.0-or-later
# UBLK_LIBRARY(VARIABLE-PREFIX, PKG-CONFIG-MODULES, DEBIAN-PACKAGE,
#              FEDORA-PACKAGE)
# Looks for a library; one that is missing is added to $missing with the
# packages that bring it, so that configure can name all of them at once.
AC_DEFUN([UBLK_LIBRARY], [
	PKG_CHECK_MODULES([$1], [$2], [$1_found=yes],
		[$1_found=no
		 missing="$missing
    $2: install $3 (Debian) or $4 (Fedora)"])])
