// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The proof that servers die of one request: a server that has begun nothing
 * else dies while it works for that one.
 *
 * A request that a server has died of (dying.c) is the culprit.  The next
 * server holds all others until the culprit has come and has ended.  So no
 * other request has spoiled the memory of this server, and none is blamed for
 * another.  If the culprit is served, all go on, and there is no culprit any
 * more.  After CULPRIT_GUILTY deaths in a row (supervisor/poison.c counts them)
 * the server answers the culprit with an error, before another request begins
 * that may end this server, too.
 *
 * A request keeps its tag when the driver issues that request again, and no
 * other request has the tag before the answer.  So the first request with the
 * culprit's tag is the culprit, or else the driver has changed the tags.  Then
 * the quarantine ends, and no request is taken for the culprit (P5).
 *
 * The others wait for PATIENCE and no longer: after that the culprit is not
 * alone, and a death proves nothing.  The time begins when the device lives,
 * for then the driver issues again all that was not answered.  If a request
 * comes earlier, the time begins with that one.  So the users of a disk that
 * was idle do not wait for a culprit that was answered before the death.
 *
 * Nearly always there is no culprit, and a request costs two comparisons.
 */
#include <errno.h>
#include <stddef.h>
#include "plugin/server/quarantine.h"
#include "plugin/server/request.h"

#define PATIENCE 5000000000ull /* ns */
#define LOOK	 500000000ull  /* ns */

void quarantine_init(struct quarantine *quarantine,
		     const struct culprit *culprit, unsigned int deaths)
{
	*quarantine = (struct quarantine){
		.on = deaths,
		.culprit = *culprit,
		.deaths = deaths,
	};
	quarantine->held_end = &quarantine->held;
}

/* A thread that dies just now reads the field. */
static void set_alone(struct quarantine *quarantine, struct request *request)
{
	__atomic_store_n(&quarantine->alone, request, __ATOMIC_RELAXED);
}

void quarantine_lift(struct quarantine *quarantine)
{
	quarantine->on = false;
	set_alone(quarantine, NULL);
}

struct culprit quarantine_name(const struct request *request)
{
	const struct quarantine *quarantine = &request->all->quarantine;

	return (struct culprit){
		.sector = request->offset / QCOW_SECTOR,
		.sectors = request->length / QCOW_SECTOR,
		.queue_id = request->queue_id,
		.tag = request->tag,
		.op = request->op,
		.alone = __atomic_load_n(&quarantine->alone,
					 __ATOMIC_RELAXED) == request,
	};
}

static bool has_its_tag(const struct quarantine *quarantine,
			const struct request *request)
{
	return request->queue_id == quarantine->culprit.queue_id &&
	       request->tag == quarantine->culprit.tag;
}

/* Of the first request with the culprit's tag. */
static int judge_tag(struct quarantine *quarantine, struct request *request)
{
	const struct culprit name = quarantine_name(request);

	if (!culprit_is(&name, &quarantine->culprit)) {
		quarantine_lift(quarantine);
		return 0;
	}
	if (quarantine->deaths >= CULPRIT_GUILTY) {
		quarantine_lift(quarantine);
		return -EIO;
	}
	set_alone(quarantine, request);
	return 0;
}

void quarantine_begin(struct quarantine *quarantine, uint64_t now)
{
	uint64_t none = 0;

	__atomic_compare_exchange_n(&quarantine->end, &none, now + PATIENCE,
				    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool is_over(const struct quarantine *quarantine, uint64_t now)
{
	return now >= __atomic_load_n(&quarantine->end, __ATOMIC_RELAXED);
}

static void hold(struct quarantine *quarantine, struct request *request)
{
	request->next = NULL;
	*quarantine->held_end = request;
	quarantine->held_end = &request->next;
}

int quarantine_judge(struct quarantine *quarantine, struct request *request,
		     uint64_t now)
{
	if (has_its_tag(quarantine, request))
		return judge_tag(quarantine, request);
	quarantine_begin(quarantine, now);
	if (!quarantine->held && is_over(quarantine, now)) {
		quarantine_lift(quarantine);
		return 0;
	}
	hold(quarantine, request);
	return -EBUSY;
}

struct request *quarantine_next(struct quarantine *quarantine, uint64_t now)
{
	struct request *request = quarantine->held;

	if (!request || (quarantine->on && !is_over(quarantine, now)))
		return NULL;
	quarantine_lift(quarantine);
	quarantine->held = request->next;
	if (!quarantine->held)
		quarantine->held_end = &quarantine->held;
	return request;
}

uint64_t quarantine_wait(const struct quarantine *quarantine)
{
	return quarantine->held ? LOOK : 0;
}
