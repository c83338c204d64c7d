/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a thread is allowed to do.
 */
#ifndef PRIVILEGE_H
#define PRIVILEGE_H

/* Takes CAP_SYS_ADMIN from the calling thread alone; 0 or -errno. */
int privilege_drop_admin(void);

#endif /* PRIVILEGE_H */
