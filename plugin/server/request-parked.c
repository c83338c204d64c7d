// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parked requests: the engine has answered them with -EBUSY.
 *
 * They keep the order in which they came.  So that none starves, a request that
 * shares a cluster with an older parked one parks behind it without asking the
 * engine.  Each pass over the list follows the end of some other request, hence
 * no busy loop; should nothing be left whose end could call for a pass, the
 * oldest goes to a worker, which waits its turn in the engine.
 *
 * The other request may be another I/O thread's.  So a thread that has parked
 * requests says so with a bit that all threads read, and each thread that ends
 * a request wakes the one with the bit.  One thread sets its bit and asks the
 * engine once more; the other ends a request and looks at the bits: one of the
 * two sees the other.
 *
 * The order holds among the requests of one I/O thread.  The requests of
 * another could overtake a parked one for ever, so after TRIES_MAX tries that
 * one goes to a worker: the engine lets nobody overtake it there.
 */
#include <stddef.h>
#include "plugin/server/request-inside.h"

#define TRIES_MAX 32

static unsigned int bit_of(const struct requests *all)
{
	return 1u << all->thread;
}

/* Until then the other threads did not know. */
static void begin_to_wait(struct requests *all)
{
	if (!(atomic_fetch_or(&all->shared->parked, bit_of(all)) & bit_of(all)))
		all->retry = true;
}

static void end_to_wait(struct requests *all)
{
	if (atomic_load(&all->shared->parked) & bit_of(all))
		atomic_fetch_and(&all->shared->parked, ~bit_of(all));
}

void park(struct request *request)
{
	struct requests *all = request->all;

	if (all->shared->threads > 1)
		begin_to_wait(all);
	request->next = NULL;
	*all->parked_end = request;
	all->parked_end = &request->next;
}

static void ask(struct requests *all)
{
	if (!atomic_exchange(&all->elsewhere, true))
		finished_wake(all->finished);
}

void wake_elsewhere(const struct requests *all)
{
	unsigned int others;

	/* The end of the request comes first: see above. */
	atomic_thread_fence(memory_order_seq_cst);
	others = atomic_load_explicit(&all->shared->parked,
				      memory_order_relaxed) &
		 ~bit_of(all);
	for (; others; others &= others - 1)
		ask(all->shared->of[__builtin_ctz(others)]);
}

struct request *take_parked(struct requests *all)
{
	struct request *first = all->parked;

	all->parked = NULL;
	all->parked_end = &all->parked;
	return first;
}

static uint64_t first_cluster(const struct request *request)
{
	return request->offset >> request->all->cluster_bits;
}

static uint64_t last_cluster(const struct request *request)
{
	return (request->offset + request->length - 1) >>
	       request->all->cluster_bits;
}

static bool share_cluster(const struct request *one,
			  const struct request *other)
{
	return first_cluster(one) <= last_cluster(other) &&
	       first_cluster(other) <= last_cluster(one);
}

bool parked_shares_cluster(const struct request *request)
{
	const struct request *parked;

	for (parked = request->all->parked; parked; parked = parked->next)
		if (share_cluster(request, parked))
			return true;
	return false;
}

/* Not if it was overtaken too often. */
static bool is_patient(struct request *request)
{
	return request->all->shared->threads == 1 ||
	       ++request->tries < TRIES_MAX;
}

static void retry_all(struct requests *all)
{
	struct request *request, *next;

	all->retry = false;
	for (request = take_parked(all); request; request = next) {
		next = request->next;
		if (is_patient(request))
			request_try(request);
		else
			give_to_worker(request);
	}
}

static void give_oldest_to_worker(struct requests *all)
{
	struct request *oldest = all->parked;

	all->parked = oldest->next;
	if (!all->parked)
		all->parked_end = &all->parked;
	give_to_worker(oldest);
}

static void retry(struct requests *all)
{
	while (all->retry && all->parked)
		retry_all(all);
	all->retry = false;
	if (all->parked && !all->under_way)
		give_oldest_to_worker(all);
}

void requests_retry(struct requests *all)
{
	if (all->shared->threads == 1) {
		retry(all);
		return;
	}
	if (atomic_load_explicit(&all->elsewhere, memory_order_relaxed) &&
	    atomic_exchange(&all->elsewhere, false))
		all->retry = true;
	retry(all);
	if (!all->parked)
		end_to_wait(all);
}
