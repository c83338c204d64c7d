/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The figures of a disk, in a file beside its record that outlives every
 * process of the disk.
 *
 * Functions return 0 or -errno.
 */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stdint.h>

#define STATS_BUCKETS 256
#define STATS_STALLS  10
#define STATS_THREADS 16 /* I/O threads of one disk, at most */

enum stats_kind {
	STATS_READ,
	STATS_WRITE,
	STATS_FLUSH,
	STATS_DISCARD,
	STATS_WRITE_ZEROES,
	STATS_KINDS
};

/* Requests of one kind that have ended.  A bucket counts latencies, see
   stats_bucket(). */
struct stats_io {
	uint64_t count;	  /* errors included */
	uint64_t bytes;	  /* of those that went well */
	uint64_t errors;  /* that failed */
	uint64_t time;	  /* ns, all latencies together */
	uint64_t longest; /* ns */
	uint64_t buckets[STATS_BUCKETS];
};

/* A pause of the disk's users: for want of a server, or of progress. */
struct stats_stall {
	uint64_t since; /* seconds since 1970 */
	uint64_t began; /* ms, of clock_ms() */
	uint64_t ms;	/* how long it took */
	uint64_t ended; /* 0: it lasts */
	char cause[160];
};

/* The file, but for the figures of further I/O threads, which come behind.  A
   change of its form is another version, and it only grows. */
struct stats {
	uint64_t magic;
	uint32_t version;
	uint32_t length; /* of the file, bytes */
	uint64_t nonce;	 /* of the disk */
	uint64_t since;	 /* seconds since 1970; counted from then on */

	/* the server's first I/O thread; of all, in a copy that is read */
	struct stats_io io[STATS_KINDS];
	uint64_t in_flight; /* requests */

	/* the server's workers */
	uint64_t cache_hits, cache_misses;
	uint64_t checkpoints;
	uint64_t journal_used, journal_size; /* bytes */

	/* the supervisor */
	uint64_t nr_stalls; /* all there were */
	struct stats_stall stalls[STATS_STALLS];

	/* The evidence by which the supervisor judges a server; since
	 * version 2. */
	struct stats_progress {
		uint64_t server;    /* pid of the server */
		uint64_t steps;	    /* of the I/O thread */
		uint64_t parts;	    /* of requests that workers did */
		uint64_t transfers; /* on the ring, not ended */
	} progress;

	/* the I/O thread; since version 3 */
	uint64_t poisoned; /* requests that failed, for servers died of them */
};

/* The counters of one I/O thread, in the file. */
struct stats_thread {
	struct stats_io *io; /* [STATS_KINDS] */
	uint64_t *in_flight, *steps, *transfers;
};

/* A disk with so many queues has so many I/O threads, or one. */
static inline unsigned int stats_threads(unsigned int queues)
{
	if (!queues)
		return 1;
	return queues < STATS_THREADS ? queues : STATS_THREADS;
}

/* Maps the disk's file, which is made if there is none that fits; the caller
   owns the mapping and its processes share it.  There is room for the I/O
   threads of so many queues.  On failure, *stats is memory of the process
   alone. */
int stats_map(int id, uint64_t nonce, unsigned int queues,
	      struct stats **stats);

/* The counters of the I/O thread with that number, from 0 on, of figures that
   are mapped. */
struct stats_thread stats_thread(struct stats *stats, unsigned int number);

/* Reads the disk's file, all I/O threads together.  Returns:
   0		*stats is filled in
   -ENOENT	this disk has no file
   -EPROTO	another version of this program made it
   or another -errno. */
int stats_read(int id, uint64_t nonce, struct stats *stats);

/* Renames the file of a disk that has got another id. */
void stats_rename(int from, int to);

void stats_forget(int id);

/* One thread adds to a field, or sets it, and other threads read it
   meanwhile. */
static inline void stats_set(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline void stats_add(uint64_t *field, uint64_t value)
{
	stats_set(field, *field + value);
}

static inline uint64_t stats_get(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* Begins a stall at that time of clock_ms(), unless one lasts already; ends the
   stall that lasts. */
void stats_begin_stall(struct stats *stats, const char *cause, uint64_t began);
void stats_end_stall(struct stats *stats);

/* stats-figures.c: percentiles and differences.  The figures may be anything:
   no file is trusted (P6). */

/* "read", for example. */
const char *stats_kind_name(enum stats_kind kind);

/* The bucket of a latency in ns.  There are eight to every doubling, so a
   bucket tells a latency to an eighth. */
unsigned int stats_bucket(uint64_t latency);

/* The least latency, in ns, that is above a bucket. */
uint64_t stats_bucket_end(unsigned int bucket);

/* The latency in ns that so many of 1000 requests do not exceed; 0 if there
   are none. */
uint64_t stats_percentile(const struct stats_io *io, unsigned int per_mille);

/* The requests of now that were not yet in before.  The longest latency is
   exact only if it is the longest of all. */
void stats_difference(const struct stats_io *now, const struct stats_io *before,
		      struct stats_io *difference);

/* Stalls by age, 0 being the latest; NULL: there is none so old. */
const struct stats_stall *stats_stall(const struct stats *stats,
				      unsigned int age);

/* The last stall that has ended, or NULL. */
const struct stats_stall *stats_last_stall(const struct stats *stats);

#endif /* STATS_H */
