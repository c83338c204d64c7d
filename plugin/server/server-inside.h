/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server from the inside; for server*.c only.
 *
 * Each function returns 0, or -1 after it has told the supervisor why (P7).
 */
#ifndef SERVER_INSIDE_H
#define SERVER_INSIDE_H

#include <pthread.h>
#include <semaphore.h>
#include "plugin/server/clerk.h"
#include "plugin/server/device.h"
#include "plugin/server/health.h"
#include "plugin/server/queues.h"
#include "plugin/server/server.h"
#include "plugin/server/ublk_abi.h"

struct server;

/* One of the I/O threads. */
struct io_thread {
	struct server *server;
	struct queue *queue;
	pthread_t thread;
};

/* The main thread's, but for the part that says so.  The I/O threads only read
   it. */
struct server {
	const struct server_config *config;
	int channel;
	struct qcow_image *image;
	struct clerk *clerk;
	struct clerk_view view; /* of the device */
	struct queues queues;
	struct health health;
	struct device device;
	struct merger *merger;	      /* NULL: it does not merge */
	struct qcow_error not_merged; /* why not, although it should */
	unsigned int confinement;     /* enum confinement, once it has fallen */

	/* server-threads.c */
	struct io_thread io_threads[STATS_THREADS];
	sem_t opened;	/* the image is open, the rings have their files */
	sem_t enabled;	/* the I/O thread owns its ring */
	sem_t confined; /* and may fetch */
	sem_t fetched;	/* and has */
	sem_t never;	/* nobody posts it */
	pthread_mutex_t lock;
	pthread_cond_t all_ended;
	unsigned int ended; /* I/O threads that serve no more; lock */
	unsigned int left;  /* those that have left, of these; lock */
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

/* The queues have left, because of the merger: the rest of the merge, and the
   end of the process. */
void __attribute__((noreturn)) server_finish_merge(struct server *server);

void server_end_merger(struct server *server);

/* server-device.c */

/* Tells that something failed at the device, with a negative errno; -1. */
int server_device_failed(const struct server *server, const char *what,
			 int error);

/* Fills in view, and has the device's node made: a new server waits until the
   supervisor has added the device. */
int server_find_device(struct server *server);

/* A device cannot change its size in recovery; its image may have. */
int server_check_size(const struct server *server);

int server_start_recovery(const struct server *server);

/* Opens /dev/ublkcN and gives it to the queues. */
int server_open_device(struct server *server);

/* Before the I/O threads fetch (P6): the clerk makes the device live, and does
   nothing else. */
int server_end_orders(const struct server *server);

/* When all I/O threads have fetched. */
int server_start_device(const struct server *server);
int server_end_recovery(const struct server *server);

/* server-threads.c */

void server_prepare_threads(struct server *server);

/* Starts the I/O threads, which wait. */
int server_start_threads(struct server *server);

/* The rings have their files: returns when each thread owns its ring. */
void server_enable_rings(struct server *server);

/* The server is confined: returns when all tags are fetched.  From here on the
   tags are the I/O threads'; only to die is safe. */
void server_let_fetch(struct server *server);

/* health_watch() has ended: have the queues left?  Otherwise the device was
   stopped. */
bool server_has_left(const struct server *server);

/* Waits for the end of the I/O threads, if the queues have not left. */
void server_join_threads(struct server *server);

#endif /* SERVER_INSIDE_H */
