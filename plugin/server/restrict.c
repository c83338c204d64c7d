// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operations of the queues' ring.
 *
 * The filter of system calls does not see these operations.  So the kernel is
 * told the list of them here, before the ring is enabled; nobody can change the
 * list later.  The operations go to registered files only: those of the image,
 * /dev/ublkcN, the workers' eventfd and a pipe; no other file can be registered
 * later.
 *
 * A change that gives the queues another operation, or flag, adds it here.
 */
#include <liburing.h>
#include "plugin/server/restrict.h"
#include "qcow/bits.h"

/* Of io_uring_register(). */
static const unsigned int calls[] = {
	IORING_REGISTER_ENABLE_RINGS,
	IORING_REGISTER_RING_FDS,
	IORING_UNREGISTER_RING_FDS,
};

static const unsigned int operations[] = {
	IORING_OP_READ,	       IORING_OP_READ_FIXED, IORING_OP_WRITE,
	IORING_OP_WRITE_FIXED, IORING_OP_WRITEV,     IORING_OP_FSYNC,
	IORING_OP_URING_CMD,
};

int restrict_ring(struct io_uring *ring, bool fixed)
{
	struct io_uring_restriction
		list[ARRAY_SIZE(calls) + ARRAY_SIZE(operations) + 2] = { 0 };
	struct io_uring_restriction *next = list;

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++, next++) {
		next->opcode = IORING_RESTRICTION_REGISTER_OP;
		next->register_op = calls[i];
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++, next++) {
		next->opcode = IORING_RESTRICTION_SQE_OP;
		next->sqe_op = operations[i];
	}
	next->opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	next->sqe_flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
	next++;
	next->opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	next->sqe_flags = fixed ? IOSQE_FIXED_FILE : 0;
	/* io_uring_register_restrictions(), which liburing 2.3 forgot to
	   export */
	return io_uring_register(ring->ring_fd, IORING_REGISTER_RESTRICTIONS,
				 list, ARRAY_SIZE(list));
}
