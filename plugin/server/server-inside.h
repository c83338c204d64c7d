/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server from the inside; for server*.c only.
 *
 * Each function returns 0, or -1 after it has told the supervisor why (P7).
 */
#ifndef SERVER_INSIDE_H
#define SERVER_INSIDE_H

#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include "plugin/server/clerk.h"
#include "plugin/server/device.h"
#include "plugin/server/health.h"
#include "plugin/server/server.h"
#include "plugin/server/ublk_abi.h"

struct queue;

/* The main thread's.  The I/O thread only reads it. */
struct server {
	const struct server_config *config;
	int channel;
	struct qcow_image *image;
	struct clerk *clerk;
	struct clerk_view view; /* of the device */
	struct io_uring ring;	/* becomes the queue's */
	struct queue *queue;
	struct health health;
	struct device device;
	struct merger *merger;	      /* NULL: it does not merge */
	struct qcow_error not_merged; /* why not, although it should */
	pthread_t io_thread;
	sem_t enabled;		  /* the I/O thread owns the ring */
	sem_t confined;		  /* and may fetch */
	sem_t never;		  /* nobody posts it */
	unsigned int confinement; /* enum confinement, once it has fallen */
};

/* server-image.c */

/* The files that the admin allows the image to name; references_free() frees
 * it. */
int server_read_references(const struct server *server,
			   struct qcow_references *references);

int server_open_image(struct server *server);

/* Tells the supervisor the size and files of the open image. */
void server_tell_opened(const struct server *server);

/* Closes the image cleanly. */
int server_close_image(const struct server *server);

/* server-merge.c */

/* Makes the merger, if the image was opened for that; it may turn out that the
   image cannot be merged, which is told when the disk is live. */
void server_create_merger(struct server *server);

/* Before the first request: without a merger, the work of earlier mergers
   does not count any more. */
void server_begin_unmerged(const struct server *server);

void server_begin_merge(struct server *server);

/* The queue has left, because of the merger: the rest of the merge, and the end
   of the process. */
void __attribute__((noreturn)) server_finish_merge(struct server *server);

void server_end_merger(struct server *server);

/* server-device.c */

/* Tells that something failed at the device, with a negative errno; -1. */
int server_device_failed(const struct server *server, const char *what,
			 int error);

/* Fills in view: a new server waits until the supervisor has added the
   device. */
int server_find_device(struct server *server);

/* A device cannot change its size in recovery; its image may have. */
int server_check_size(const struct server *server);

int server_start_recovery(const struct server *server);

/* Opens /dev/ublkcN and gives it to the queue. */
int server_open_device(struct server *server);

/* START_DEV and END_USER_RECOVERY block until the I/O thread has fetched. */
int server_start_device(const struct server *server);
int server_end_recovery(const struct server *server);

#endif /* SERVER_INSIDE_H */
