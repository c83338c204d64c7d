/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels whose ublk driver has a defect that no server can live with.
 */
#ifndef DEFECT_H
#define DEFECT_H

#include <stddef.h>

/* The defect of that kernel in words that follow "its ublk driver", or NULL:
   none is known.  Release and version are as uname() says them. */
const char *defect_of_kernel(const char *release, const char *version);

#endif /* DEFECT_H */
