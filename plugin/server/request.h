/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of the driver, which become calls of the engine.  All
 * functions are for the I/O thread of the request.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "plugin/common/stats.h"
#include "plugin/server/copies.h"
#include "plugin/server/counters.h"
#include "plugin/server/limits.h"
#include "plugin/server/quarantine.h"
#include "plugin/server/ublk_abi.h"
#include "plugin/server/worker.h"
#include "qcow/qcow.h"

struct disk_options;
struct health;
struct queue;
struct request;

/* The things that the I/O threads of a device share; constant but for parked,
   once the image is open. */
struct shared {
	struct qcow_image *image;
	struct workers *workers;
	struct health *health;
	struct stats *stats;
	const struct disk_options *options;
	unsigned int threads;
	int ends[2]; /* of a pipe: [0] hangs up when no ring has [1] any more */
	struct requests *of[STATS_THREADS];
	/* A bit for each I/O thread that has parked requests; set and cleared
	   by that thread.  See request-parked.c. */
	atomic_uint parked;
};

/* One extent of a mapped request on its way. */
struct transfer {
	uint32_t position; /* in the request's buffer */
	uint32_t done;	   /* bytes, added zeros included */
	bool fixed;	   /* moves the ring's buffer, not the request's */
};

/* Of an extent that is written with the zeros around it. */
#define TRANSFER_PARTS 3
#define REQUEST_PARTS  (QCOW_IO_EXTENTS * TRANSFER_PARTS)

/* Copies that are written when the batch of completions ends. */
struct gather {
	/* in the order of their places in the files */
	struct request *waiting[REQUEST_PARTS];
	unsigned int count;
};

/* Shared by all requests of an I/O thread. */
struct requests {
	struct queue *queue;
	struct shared *shared;
	struct qcow_image *image;
	struct finished *finished; /* by the workers */
	struct health *health;
	struct counters counters;
	struct limits limits;
	struct quarantine quarantine;
	unsigned int thread; /* the number of it */
	uint64_t size;	     /* of the disk, bytes */
	uint32_t max_io;     /* bytes */
	uint32_t alignment;  /* of I/O on the image's files */
	unsigned int cluster_bits;
	bool read_only;
	bool may_copy; /* a buffer has room for a cluster behind the request */
	struct copies copies;
	void *zeros; /* a cluster of them */

	/* I/O thread */
	unsigned int under_way; /* mapped or with a worker */
	bool retry;		/* something ended: parked ones may go */
	struct request *parked; /* -EBUSY, the oldest first */
	struct request **parked_end;
	struct gather gather; /* inflight-gather.c */

	/* Another I/O thread sets it: something ended there. */
	atomic_bool elsewhere;
};

/*
 * One tag's request.  It belongs to the I/O thread; while work is with the
 * workers, to one of these.  left and result are all there is to know of a
 * request under way: how much is missing, and how it went so far.
 */
struct request {
	/* set once, by the queue */
	struct requests *all;
	const struct ublksrv_io_desc *desc;
	void *buffer; /* max_io bytes */
	uint16_t queue_id;
	uint16_t tag;

	bool registered;  /* its bytes are a buffer of the ring; I/O thread */
	bool with_driver; /* its FETCH or COMMIT has not ended; I/O thread */
	struct request *next; /* parked, held, waiting for the limits, or
				 written together */
	struct work work;
	uint8_t op;	   /* UBLK_IO_OP_ */
	uint8_t tries;	   /* in vain, since it was parked */
	bool loads;	   /* the worker may do no more than load tables */
	bool loaded;	   /* one has been asked for that; I/O thread */
	bool flushes;	   /* is a FLUSH, or was written and is being flushed */
	uint64_t offset;   /* bytes */
	uint64_t length;   /* bytes */
	uint64_t began;	   /* ns; see counters.h */
	unsigned int left; /* transfers under way */
	int result;	   /* 0 or the first -errno */
	bool copying;	   /* reads the bytes for around its own */
	char *copied;	   /* these and its own, the whole cluster */
	struct qcow_io io;
	struct transfer transfers[QCOW_IO_EXTENTS];
	struct iovec parts[REQUEST_PARTS]; /* of these, or written together */
};

/* finished_fd() woke the queue: commits the requests that workers have
   finished. -EOWNERDEAD: this process cannot serve the image any longer. */
int requests_reap(struct requests *all);

/* To be called when all transfers of the request have ended. */
void request_moved(struct request *request);

/* After the time that it tells, in ns, or a batch of completions: starts those
   that the quarantine held or that waited for the disk's limits.  0: there are
   none. */
void requests_admit(struct requests *all);
uint64_t requests_wait(const struct requests *all);

/* To be called when request->desc holds a new request. */
void request_start(struct request *request);

/* A worker's part of a request. */
void requests_work(struct work *work);

/* request-create.c */

/* Fills all, for the I/O thread with that number, but for the things that
   depend on the image.  0 or -errno.
   requests_destroy() frees, after the end of the workers. */
int requests_create(struct requests *all, struct queue *queue,
		    struct shared *shared, unsigned int thread,
		    uint32_t max_io);

/* Fills in these; shared->image is open. */
int requests_open(struct requests *all);
void requests_destroy(struct requests *all);

/* request-parked.c */

/* After a batch of completions: starts the parked requests that may go now. */
void requests_retry(struct requests *all);

#endif /* REQUEST_H */
