/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel that is to serve a disk.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "plugin/common/disk-options.h"

/* Tells of a known fatal defect of this kernel's ublk driver.  Fails, with a
   complaint, if the options want a sound kernel. */
int kernel_check(const char *image, const struct disk_options *options);

#endif /* KERNEL_H */
