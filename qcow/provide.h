/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the tables that a look-up lacks.  All of these are called under the
 * lock, may block, and drop the lock while they do.
 */
#ifndef QCOW_PROVIDE_H
#define QCOW_PROVIDE_H

#include "qcow/cluster.h"
#include "qcow/refcount.h"

/* Serves the need that a look-up has stored; the caller then looks up again.
   -EINVAL: NEED_COPY, which cow_write() serves. */
int provide(struct qcow_image *image, const struct need *need);
/* cluster_look_up() of a whole cluster, until it has an answer. */
int cluster_look_up_wait(struct qcow_image *image, uint64_t guest,
			 struct cluster *cluster);
/* refcount_get(), until it has an answer. */
int refcount_get_wait(struct qcow_image *image, uint64_t cluster,
		      uint64_t *count);
/* Reserves one free cluster.  -ENOSPC: there is none. */
int refcount_reserve_wait(struct qcow_image *image,
			  struct qcow_reservation *reservation);

#endif /* QCOW_PROVIDE_H */
