/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileges of a thread.
 */
#ifndef PRIVILEGE_H
#define PRIVILEGE_H

/* Takes CAP_SYS_ADMIN from the calling thread alone; 0 or -errno. */
int privilege_drop_admin(void);

#endif /* PRIVILEGE_H */
