/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a server that lives do its work?  The judgement, without a look at
 * anything.
 */
#ifndef SUSPICION_H
#define SUSPICION_H

#include <stdbool.h>
#include <stdint.h>

/* A server at one moment, as the kernel and its own counters show it. */
struct evidence {
	bool traced;	    /* a thread stands still for a debugger */
	bool frozen;	    /* its control group is */
	bool stopped;	    /* by a signal */
	bool in_storage;    /* a thread waits in the kernel, but not for others
			       of its threads, for work or for a time */
	bool ring_waits;    /* the I/O thread waits for its ring, */
	uint64_t transfers; /*  which moves so much */
	bool runs;	    /* a thread runs, or would like to */
	bool hidden;	    /* nobody can see why its threads wait */
	uint64_t cpu;	    /* ms of processor time, since the last look */
	uint64_t elapsed;   /* ms since then; 0: there was none */
};

/* Why a server makes no progress; those from the first guilty one on are its
   own fault, and another server may do better. */
enum posture {
	POSTURE_STORAGE,
	POSTURE_TRACED,
	POSTURE_FROZEN,
	POSTURE_STARVED, /* it gets no processor */
	POSTURE_UNKNOWN,
	POSTURE_STOPPED,
	POSTURE_SPINNING,
	POSTURE_ASLEEP, /* its threads wait for one another */
	POSTURE_GUILTY = POSTURE_STOPPED,
};

enum posture suspicion_posture(const struct evidence *evidence);

/* In words: "it waits for the storage of its files". */
const char *suspicion_words(enum posture posture);

/* A server while it is watched.  All 0 at its beginning. */
struct suspicion {
	uint64_t next;	       /* when to look again; ms, of clock_ms() */
	uint64_t progress;     /* at the last look */
	uint64_t still_since;  /* without progress; 0: there is some */
	uint64_t guilty_since; /* by its own fault; 0: it is not */
	bool told;
};

enum verdict {
	VERDICT_FINE,
	VERDICT_DOUBTFUL,  /* there is no progress, but not for long */
	VERDICT_BLAMELESS, /* for long; told once */
	VERDICT_GUILTY,	   /* for long, and by its own fault */
	VERDICT_GOES_ON,   /* there is progress, after it was told */
};

/* Is there progress, or does no user wait for any?  Then no evidence is
   needed. */
bool suspicion_is_calm(const struct suspicion *suspicion, bool pending,
		       uint64_t progress);

/* Both judge a look at that time, and say when to look again; patience is in
   ms. */
enum verdict suspicion_calm(struct suspicion *suspicion, uint64_t now,
			    uint64_t progress, uint64_t patience);
enum verdict suspicion_still(struct suspicion *suspicion, uint64_t now,
			     enum posture posture, uint64_t patience);

#endif /* SUSPICION_H */
