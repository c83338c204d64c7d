/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planned changes of a domain's disks, by the program ublk-qcow2.
 */
#ifndef LIBVIRT_CHANGE_H
#define LIBVIRT_CHANGE_H

/* Runs `ublk-qcow2` with these arguments, a NULL behind them; it speaks on our
   stdout and stderr.  Returns its exit status. */
int change_run(const char *const *arguments);

#endif /* LIBVIRT_CHANGE_H */
