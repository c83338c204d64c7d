/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults for tests: the server without one of its safety measures, to show the
 * use of the measure.  Only a program built with TEST_FAULTS knows them;
 * UBLK_QCOW2_FAULT then names those that it shall have, separated by commas.
 *
 *	no-fence-ring	/dev/ublkcN is used without being a file of the ring
 *	no-fence-lock	the engine does without its fence byte
 *	no-landlock	as on a kernel without Landlock
 *	no-seccomp	as on a kernel without seccomp
 *	old-protocol	the supervisor speaks with commands as an earlier
 *			version did (common/rpc.c)
 *	dies-of-N	a write that begins at the sector N kills the server,
 *			on the I/O thread; a long discard does so on a
 *			worker's
 *	rests-mapped	the server rests for two seconds between mapping
 *			/dev/ublkcN and its first FETCH
 *	slow-close	the image is closed three seconds later when its disk
 *			gets an overlay (supervisor/change.c)
 *	slow-merge	a merge rests after each step (merger.c)
 *	slow-leave	the server rests for three seconds while it has a copy
 *			of the host's mounts
 *	late-order	the clerk gives the driver its last order when its
 *			server is dead, or after some seconds; its thread that
 *			waits for that is called late-order meanwhile
 *	apart		such a clerk leaves its server's group
 *	late-live	the server tells the supervisor a second late that it
 *			serves
 *	die-merged	the supervisor dies when a merge is done, and
 *	die-configured	 when disks.d has been changed for that
 *			(supervisor/merge.c)
 *	die-moved	it dies before it has the overlay marked,
 *	die-marked	 when the overlay is marked, and
 *	die-told	 when the hooks have been told of the merge
 *			(supervisor/merged.c)
 *	slow-call	a command rests between its call of the supervisor and
 *			the words (common/rpc.c)
 *	late-discard	a command rests for some seconds before it removes an
 *	late-removal	 overlay that is not used, or one that was merged
 *			(commands/leftover.c)
 *	late-copy	a backup rests for some seconds before it copies
 *			(commands/backup.c)
 *	die-parted ...	a command dies at one of its steps (commands/backup.c,
 *			part.c, snapshot.c, command.c)
 *	no-nodes	as on a host that forbids to make nodes of devices
 *	owned		a guest's write makes the server take the steps of
 *			owned.c
 *	owned-opening	the server takes them while it opens its image
 */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct qcow_options;

#ifdef TEST_FAULTS

/* Shall the server have this fault? */
bool fault(const char *name);

/* With this fault the process dies here. */
void fault_die(const char *name);

/* Passes on the faults that are the engine's. */
void fault_options(struct qcow_options *options);

/* The I/O thread begins a request, and a worker does; it may be the last. */
void fault_of_queue(uint8_t op, uint64_t sector);
void fault_of_worker(uint8_t op, uint64_t sector);

/* The I/O thread has mapped the device. */
void fault_of_mapping(void);

/* The server has a copy of the host's mounts. */
void fault_of_mounts(void);

/* The clerk is about to give the driver its last order; server is the pidfd of
   its server. */
void fault_of_order(int server);

#else

static inline bool fault(const char *name)
{
	(void)name;
	return false;
}

static inline void fault_die(const char *name)
{
	(void)name;
}

static inline void fault_options(struct qcow_options *options)
{
	(void)options;
}

static inline void fault_of_queue(uint8_t op, uint64_t sector)
{
	(void)op;
	(void)sector;
}

static inline void fault_of_worker(uint8_t op, uint64_t sector)
{
	(void)op;
	(void)sector;
}

static inline void fault_of_mapping(void)
{
}

static inline void fault_of_mounts(void)
{
}

static inline void fault_of_order(int server)
{
	(void)server;
}

#endif

#endif /* FAULT_H */
