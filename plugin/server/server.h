/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server: the process that does the I/O of one disk, and may die at any
 * moment.  It is a child of the supervisor and talks with it by the messages of
 * channel.h:
 *
 *	server				supervisor
 *	SERVER_LAYER (path ...)	   ->	for each file besides the image
 *	SERVER_OPENED (size ...)   ->	locks those; ADD_DEV, SET_PARAMS
 *			<-	SUPERVISOR_ADDED (device id)
 *	open ublkcN, FETCH, START_DEV (or END_USER_RECOVERY)
 *	SERVER_LIVE		   ->
 *	SERVER_NOTICE (text)	   ->	at any time
 *	SERVER_TROUBLE (which ...) ->	when storage begins to fail, and ends to
 *	SERVER_MERGING (how much)  ->	while it merges the image
 *	SERVER_NOT_MERGED (text)   ->	it cannot; goes on without
 *	SERVER_MERGED		   ->	the layer holds the disk; then exits
 *					with status 0
 *	SERVER_FAILED (cause, text) ->	then exits with status 1
 *	SERVER_DYING (culprit)	   ->	then a fault ends it (dying.c)
 *
 * A server that recovers sends SERVER_OPENED too but waits for no answer, and
 * names the layers only if nobody has told it which they are.  Texts name
 * neither the image nor the device: the supervisor's lines begin with both.
 * Once the device lives, the server does not need a supervisor: it may be gone,
 * or not listen.
 *
 * When the device is stopped (the supervisor does that), every FETCH ends;
 * the server then closes the image cleanly and exits with status 0.  One that
 * has merged its image does so by itself.  There is no other way to end it but
 * to kill it, which harms nothing (P1).
 */
#ifndef SERVER_H
#define SERVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "plugin/common/culprit.h"
#include "plugin/common/disk-options.h"
#include "plugin/common/trouble.h"
#include "qcow/merge.h"

struct stats;

struct server_config {
	const char *image;
	const struct disk_options *options;
	bool force;			 /* qcow_options.force */
	uint64_t grow;			 /* the image, to this size; 0: no */
	unsigned int merge_into;	 /* qcow_options.merge_into */
	uint64_t merge_rate;		 /* bytes in a second; 0: no limit */
	struct qcow_merge_kept kept;	 /* of the servers before */
	bool unbroken;			 /* qcow_options.unbroken */
	struct qcow_identity identity;	 /* qcow_options.identity */
	const struct qcow_layer *layers; /* qcow_options.layers */
	unsigned int nr_layers;
	bool recover; /* take over device dev_id */
	int dev_id;
	uint64_t nonce;		   /* by which the device is known for ours */
	enum host_trouble trouble; /* that an earlier server told of */
	struct stats *stats;	   /* of the disk, mapped */
	struct culprit culprit;	   /* of the deaths before */
	unsigned int deaths;	   /* in a row; 0: no culprit */
	int channel;		   /* to the supervisor */
};

/* Serves until the device is stopped.  Returns the process's exit status. */
int server_run(const struct server_config *config);

#endif /* SERVER_H */
