/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt's qemu hook: one call of it.
 */
#ifndef HOOK_H
#define HOOK_H

#include "plugin/libvirt/domain.h"
#include "plugin/libvirt/release.h"
#include "plugin/common/owner.h"

#define HOOK_RECOVER_PATIENCE 60000  /* ms, for one disk */
#define HOOK_STOP_PATIENCE    10000  /* ms, for one disk */
#define HOOK_LOCK_PATIENCE    90000  /* ms, for another hook's work */
#define HOOK_TOTAL_PATIENCE   120000 /* ms, where no disk is needed */

struct call {
	const char *name;	    /* the domain, as libvirt calls it */
	struct domain domain;	    /* as far as it could be read */
	char uuid[OWNER_UUID_SIZE]; /* "": unknown */
	int wrong; /* 0, or -errno: the XML is wrong, see why */
	char why[DOMAIN_REASON_MAX];
	uint64_t deadline; /* by clock_ms() */
};

/* hook-prepare.c, hook-reconnect.c, hook-release.c, hook-migrate.c: one for
   each operation; each returns the exit status. */
int prepare_begin(const struct call *call);
int started_begin(const struct call *call);
int release_end(const struct call *call);
int reconnect_begin(const struct call *call);
int migrate_begin(const struct call *call);

/* hook.c */

/* Writes one line about the domain to stderr; returns EXIT_FAILURE. */
int hook_say(const struct call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Has the domain a disk of ours? */
bool hook_concerns_us(const struct call *call);

/* The smaller of that time, in ms, and the rest of the call's time; 5 s at
   least. */
int hook_patience(const struct call *call, int milliseconds);

/* hook-migrate.c: has the domain been announced as incoming?  Forgets the
   announcement. */
bool migrate_take(const struct call *call);

#endif /* HOOK_H */
