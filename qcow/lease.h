/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When we last wrote to an image's files, as a successor can know (R12). */
#ifndef QCOW_LEASE_H
#define QCOW_LEASE_H

#include <pthread.h>
#include <stdatomic.h>
#include "qcow/file.h"
#include "qcow/shared.h"

#define LEASE_FILES 2 /* the image, its data file */

/* One file, as fstat() tells. */
struct lease_times {
	uint64_t size;	   /* bytes */
	uint64_t modified; /* CLOCK_REALTIME, ns */
};

/* In the journal's header, so it outlives the process.  The owner's threads
   change it; a successor reads it once the owner's fence is free. */
struct lease_record {
	_Atomic uint64_t begun; /* writes so far that were counted here: all
				   that began at rest */
	_Atomic uint64_t rest;	/* begun, when the times were taken with
				   no write in flight; else 0 */
	struct lease_times times[LEASE_FILES];
	_Atomic uint64_t until; /* CLOCK_BOOTTIME, ns: the owner lived
				   until shortly before that */
	_Atomic int64_t offset; /* CLOCK_REALTIME - CLOCK_BOOTTIME */
};

struct lease {
	struct lease_record *record; /* NULL: nobody needs to know */
	const struct file *files[LEASE_FILES];
	struct lease_shard {
		_Alignas(CACHE_LINE) _Atomic uint64_t begun; /* writes so far */
		_Atomic uint64_t ended;
	} shards[SHARDS];      /* each thread counts in its own */
	_Atomic bool watched;  /* a write that begins counts in the record */
	atomic_flag taking;    /* somebody takes the times */
	_Atomic uint64_t late; /* ns: by how much the thread was, lately */
	_Atomic uint64_t due;  /* CLOCK_MONOTONIC_COARSE: renew it */
	_Atomic int64_t skew;  /* CLOCK_REALTIME - CLOCK_MONOTONIC */

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* protects stopping */
	pthread_cond_t work;
	bool stopping;
	_Atomic bool asleep; /* the thread waits for a first write */
};

enum lease_verdict {
	LEASE_KEPT,    /* nobody wrote since the owner's last write */
	LEASE_BROKEN,  /* somebody did, or older contents were put back */
	LEASE_UNKNOWN, /* the medium or the clock gives no way to tell */
};

/* lease-judge.c */

/* Does the file's medium tell, by our clock, when the file was written? */
bool lease_can_tell(const struct file *file);
/* Compares the files with the record of their last owner, all of whose I/O
   is over.  data may be NULL.  slack, ns: so long after the lease a write
   that was in flight at the owner's death may have begun in the kernel, or
   LEASE_NO_END. */
#define LEASE_NO_END INT64_MAX
enum lease_verdict lease_judge(const struct lease_record *record,
			       const struct file *image,
			       const struct file *data, int64_t slack);

/* lease.c */

/* Before anything else; a lease of zeros holds nothing. */
void lease_init(struct lease *lease);
/* Around every call that changes a file's contents or size.  lease may be
   NULL.  Never blocks. */
void lease_begin(struct lease *lease);
void lease_end(struct lease *lease);
/* We are the owner from now on; nothing is in flight.  The record and the
   files stay until lease_stop().  with_thread: renews it while a write takes
   long; without, only its begin does.  0 or -errno. */
int lease_start(struct lease *lease, struct lease_record *record,
		const struct file *image, const struct file *data,
		bool with_thread);
void lease_stop(struct lease *lease);

#endif /* QCOW_LEASE_H */
