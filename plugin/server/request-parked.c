// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parked requests: the engine has answered them with -EBUSY.
 *
 * They keep the order in which they came.  So that none starves, a request that
 * shares a cluster with an older parked one parks behind it without asking the
 * engine.  Each pass over the list follows the end of some other request, hence
 * no busy loop; should nothing be left whose end could call for a pass, the
 * oldest goes to a worker, which waits its turn in the engine.
 */
#include <stddef.h>
#include "plugin/server/request-inside.h"

void park(struct request *request)
{
	struct requests *all = request->all;

	request->next = NULL;
	*all->parked_end = request;
	all->parked_end = &request->next;
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

static void retry_all(struct requests *all)
{
	struct request *request, *next;

	all->retry = false;
	for (request = take_parked(all); request; request = next) {
		next = request->next;
		request_try(request);
	}
}

void requests_retry(struct requests *all)
{
	struct request *oldest;

	while (all->retry && all->parked)
		retry_all(all);
	all->retry = false;
	if (!all->parked || all->under_way)
		return;
	oldest = all->parked;
	all->parked = oldest->next;
	if (!all->parked)
		all->parked_end = &all->parked;
	give_to_worker(oldest);
}
