/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision about a domain that an I/O error has paused.
 */
#ifndef DECIDE_H
#define DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The I/O error of a disk, as QEMU reports it. */
enum trouble {
	TROUBLE_NONE,
	TROUBLE_ERROR,
	TROUBLE_SPACE,
};

struct decide_disk {
	enum trouble trouble;
	bool ours;
	bool served; /* the disk exists */
	bool live;   /* it has a server and a supervisor */
	bool orphan; /* it has no supervisor, which would recover it */
	bool room;   /* there is space for its image to grow */
};

/* The resumes of the domain so far. */
struct decide_history {
	unsigned int tries;
	uint64_t resumed; /* the last time, in ms */
};

enum decision {
	DECIDE_NOTHING, /* it runs, or its pause is not for the agent */
	DECIDE_RECOVER, /* recover the orphans, then look again */
	DECIDE_WAIT,	/* look again */
	DECIDE_RESUME,
	DECIDE_GIVE_UP, /* only an admin can help */
};

struct verdict {
	enum decision decision;
	unsigned int delay; /* ms, until the next look */
	const char *reason; /* said of the disk, or NULL */
	size_t disk;	    /* which */
};

#define DECIDE_TRIES_MAX 30
#define DECIDE_DELAY_MAX 60000 /* ms, between two tries */
#define DECIDE_CALM \
	300000 /* ms, after which a try counts no \
		  more; longer than any delay */

/* Judges a domain with these disks, paused by an I/O error or not, at a
   time in ms. */
struct verdict decide(bool paused_by_error, const struct decide_disk *disks,
		      size_t nr_disks, const struct decide_history *history,
		      uint64_t now);

/* Notes that the domain has been resumed. */
void decide_resumed(struct decide_history *history, uint64_t now);

#endif /* DECIDE_H */
