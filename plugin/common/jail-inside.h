/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The jail from the inside; for jail*.c only. */
#ifndef JAIL_INSIDE_H
#define JAIL_INSIDE_H

struct jail;

/* jail.c: rules for all files that the jail names. */
int jail_allow_files(int rules, const struct jail *jail);

/* jail-clerk.c: starts the clerk of this process, which confines itself by
   enter() and uses the names in the stead of this process from now on. */
int jail_start_clerk(int (*enter)(const struct jail *jail),
		     const struct jail *jail);

#endif /* JAIL_INSIDE_H */
