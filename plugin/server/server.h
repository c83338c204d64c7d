/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server: the process that does the I/O of one disk, and may die at any
 * moment.  It is a child of the supervisor and talks with it over a
 * SOCK_SEQPACKET socket, one struct per packet:
 *
 *	server				supervisor
 *	SERVER_LAYER (path ...)	   ->	for each file besides the image
 *	SERVER_OPENED (size ...)   ->	locks those; ADD_DEV, SET_PARAMS
 *			<-	SUPERVISOR_ADDED (device id)
 *	open ublkcN, FETCH, START_DEV (or END_USER_RECOVERY)
 *	SERVER_LIVE		   ->
 *	SERVER_NOTICE (text)	   ->	at any time
 *	SERVER_FAILED (cause, text) ->	then exits with status 1
 *
 * A server that recovers sends SERVER_OPENED too but waits for no answer, and
 * names the layers only if nobody has told it which they are.  Texts are
 * complete: they name the image or the device.  A supervisor that
 * is gone or does not listen is nothing to the server once the device lives.
 *
 * When the device is stopped (the supervisor does that), every FETCH ends;
 * the server then closes the image cleanly and exits with status 0.  There
 * is no other way to end it but to kill it, which harms nothing (P1).
 */
#ifndef SERVER_H
#define SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "qcow/qcow.h"

enum server_message_type {
	SERVER_LAYER,
	SERVER_OPENED,
	SERVER_LIVE,
	SERVER_FAILED,
	SERVER_NOTICE,
	SUPERVISOR_ADDED,
};

/* What a failure is like for the next server. */
enum server_cause {
	CAUSE_PASSING, /* it may fare better */
	CAUSE_LASTING, /* only if somebody mends something */
};

struct server_message {
	enum server_message_type type;
	enum server_cause cause;       /* SERVER_FAILED */
	int dev_id;		       /* SUPERVISOR_ADDED */
	uint64_t size;		       /* SERVER_OPENED: bytes */
	uint32_t cluster_size;	       /* SERVER_OPENED: bytes */
	uint32_t alignment;	       /* SERVER_OPENED: qcow_alignment() */
	bool read_only;		       /* SERVER_OPENED, SERVER_LAYER */
	struct qcow_identity identity; /* SERVER_OPENED, SERVER_LAYER */
	unsigned int layers;	       /* SERVER_OPENED: how many came */
	char text[PATH_MAX];	       /* SERVER_FAILED, SERVER_NOTICE;
					  SERVER_LAYER: the path.  The packet
					  ends with it */
};

struct server_config {
	const char *image;
	enum qcow_cache cache;
	bool read_only;
	bool force;			 /* qcow_options.force */
	bool unbroken;			 /* qcow_options.unbroken */
	struct qcow_identity identity;	 /* qcow_options.identity */
	const struct qcow_layer *layers; /* qcow_options.layers */
	unsigned int nr_layers;
	const char *key_file;  /* qcow_options.key_file */
	const char *data_file; /* qcow_references.data_file */
	bool no_references;    /* qcow_references.none */
	unsigned int queues;
	unsigned int depth;
	bool recover; /* take over device dev_id */
	int dev_id;
	uint64_t nonce; /* by which the device is known for ours */
	int channel;	/* to the supervisor */
};

/* Serves until the device is stopped.  Returns the process's exit status. */
int server_run(const struct server_config *config);

#endif /* SERVER_H */
