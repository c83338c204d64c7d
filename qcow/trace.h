/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static tracepoints (USDT), of the engine and of the programs around it.
 *
 * TRACE(name, ...) marks a place in the program for bpftrace, perf and
 * SystemTap, which find it as ublk_qcow2:name.  Arguments are integers, at
 * most 12; a pointer is cast to uintptr_t and serves as an identifier.
 * A tracepoint that nobody watches costs one nop and the making of its
 * arguments, so they must be at hand.  In a build without USDT they are checked
 * by the compiler and cost nothing.
 *
 * The engine's tracepoints, with their arguments:
 *
 *	group_sealed		journal, position, words
 *	checkpoint_freeze	image, assignments, journal position
 *	checkpoint_raise	image	refcounts that go up (R5)
 *	checkpoint_link		image	L2 entries, then L1 (R6)
 *	checkpoint_lower	image	refcounts that go down (R7)
 *	checkpoint_end		image, 0 or -errno
 *
 * Those of a server's requests:
 *
 *	request_begin		request, operation, offset, length
 *	request_mapped		request, number of extents
 *	request_worker		request	it may block and is handed over
 *	request_end		request, result
 */
#ifndef QCOW_TRACE_H
#define QCOW_TRACE_H

#include <stdint.h>
#include "config.h"

#ifdef USDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define TRACE(name, ...) STAP_PROBEV(ublk_qcow2, name, __VA_ARGS__)
#else
#define TRACE(name, ...) ((void)sizeof((const uint64_t[]){ __VA_ARGS__ }))
#endif

#endif /* QCOW_TRACE_H */
