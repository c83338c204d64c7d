// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread is a coroutine with a stack of its own.  A mutex, or a latch, is
 * held if it stands in the list of held mutexes; the system's own are never
 * touched. A thread that cannot go on names the object that it waits for, and
 * another thread is drawn among those that can.  If none can, that is a
 * deadlock.
 *
 * A wait with a limit ends by it now and then, and when nothing else can go
 * on: time passes as fast as it is needed.  A wait without one ends now and
 * then without a signal, which POSIX allows.
 *
 * Some seeds switch at every chance and some seldom: each kind finds faults
 * that the other does not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <ucontext.h>
#include "tests/lib/helpers.h"
#include "tests/lib/scheduler.h"
#include "qcow/latch.h"

#define MAX_THREADS   16u
#define MAX_HELD      32u
#define STACK_SIZE    (256u << 10)
#define MAX_SWITCHES  1000000u
#define EARLY_TIMEOUT 16u  /* one in so many draws */
#define SPURIOUS      256u /* likewise */

enum state {
	UNUSED,
	READY,
	LOCKS, /* object: a mutex */
	WAITS, /* object: a condition */
	JOINS, /* object: a thread */
	ENDED,
};

struct thread {
	enum state state;
	const void *object;
	bool timed; /* WAITS: with a limit, */
	bool late;  /* which was reached */
	void *(*start)(void *argument);
	void *argument;
	ucontext_t context;
};

static struct thread threads[MAX_THREADS];
static char stacks[MAX_THREADS][STACK_SIZE] __attribute__((aligned(64)));
static struct thread *current; /* NULL: no scheduler is at work */
static struct random random_state;
static const void *held[MAX_HELD];
static unsigned int stays; /* so often out of 8 it is not another's turn */
static unsigned int switches;

/* ---- whose turn it is ---- */

static const void **find_held(const void *mutex)
{
	for (unsigned int i = 0; i < MAX_HELD; i++)
		if (held[i] == mutex)
			return &held[i];
	return NULL;
}

static bool can_go_on(const struct thread *thread)
{
	switch (thread->state) {
	case READY:
		return true;
	case LOCKS:
		return !find_held(thread->object);
	case JOINS:
		return ((const struct thread *)thread->object)->state == ENDED;
	default:
		return false;
	}
}

static struct thread *draw(bool (*fits)(const struct thread *thread))
{
	struct thread *found = NULL;
	unsigned int count = 0;

	for (unsigned int i = 0; i < MAX_THREADS; i++)
		if (fits(&threads[i]) && scheduler_draw(++count) == 0)
			found = &threads[i];
	return found;
}

static bool is_timed(const struct thread *thread)
{
	return thread->state == WAITS && thread->timed;
}

static bool is_waiting(const struct thread *thread)
{
	return thread->state == WAITS;
}

static struct thread *wake(struct thread *thread)
{
	if (thread) {
		thread->late = thread->timed;
		thread->state = READY;
	}
	return thread;
}

static struct thread *draw_next(void)
{
	struct thread *next = NULL;

	if (scheduler_draw(SPURIOUS) == 0)
		next = wake(draw(is_waiting));
	if (!next && scheduler_draw(EARLY_TIMEOUT) == 0)
		next = wake(draw(is_timed));
	if (!next)
		next = draw(can_go_on);
	if (!next)
		next = wake(draw(is_timed));
	if (!next)
		die("deadlock: no thread can go on");
	return next;
}

static void switch_to(struct thread *next)
{
	struct thread *self = current;

	if (++switches == MAX_SWITCHES)
		die("the threads come to no end");
	if (next == self)
		return;
	current = next;
	if (self->state == ENDED)
		setcontext(&next->context);
	else
		swapcontext(&self->context, &next->context);
}

/* Until the current thread can go on. */
static void wait_for(enum state state, const void *object)
{
	current->state = state;
	current->object = object;
	switch_to(draw_next());
	current->state = READY;
}

/* ---- begin and end ---- */

static void begin_thread(void)
{
	current->start(current->argument);
	current->state = ENDED;
	switch_to(draw_next());
}

void scheduler_start(uint64_t seed)
{
	static const unsigned int choices[] = { 0, 4, 7 };

	memset(threads, 0, sizeof(threads));
	memset(held, 0, sizeof(held));
	random_state.state = seed;
	stays = choices[scheduler_draw(3)];
	switches = 0;
	current = &threads[0];
	current->state = READY;
}

void scheduler_end(void)
{
	for (unsigned int i = 1; i < MAX_THREADS; i++)
		if (threads[i].state != UNUSED)
			die("a thread was not joined");
	current = NULL;
}

void scheduler_yield(void)
{
	if (!current || scheduler_draw(8) < stays)
		return;
	switch_to(draw_next());
}

uint64_t scheduler_draw(uint64_t n)
{
	return random_below(&random_state, n);
}

static struct thread *find_unused(void)
{
	for (unsigned int i = 1; i < MAX_THREADS; i++)
		if (threads[i].state == UNUSED)
			return &threads[i];
	die("too many threads");
}

/* ---- the calls of POSIX ---- */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *argument);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
void __real_latch_take(struct latch *latch);
void __wrap_latch_take(struct latch *latch);
void __real_latch_give(struct latch *latch);
void __wrap_latch_give(struct latch *latch);
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __real_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *argument)
{
	struct thread *thread;
	unsigned int index;

	if (!current)
		return __real_pthread_create(id, attributes, start, argument);
	thread = find_unused();
	index = thread - threads;
	thread->start = start;
	thread->argument = argument;
	thread->state = READY;
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = stacks[index];
	thread->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&thread->context, begin_thread, 0);
	*id = index;
	scheduler_yield();
	return 0;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
	struct thread *thread;

	if (!current)
		return __real_pthread_join(id, result);
	thread = &threads[id];
	if (thread->state != ENDED)
		wait_for(JOINS, thread);
	thread->state = UNUSED;
	return 0;
}

static void lock(const void *mutex)
{
	const void **slot;

	while (find_held(mutex))
		wait_for(LOCKS, mutex);
	slot = find_held(NULL);
	if (!slot)
		die("too many mutexes are held");
	*slot = mutex;
}

static void unlock(const void *mutex)
{
	const void **slot = find_held(mutex);

	if (!slot)
		die("a mutex is unlocked that nobody holds");
	*slot = NULL;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!current)
		return __real_pthread_mutex_lock(mutex);
	scheduler_yield();
	lock(mutex);
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (!current)
		return __real_pthread_mutex_unlock(mutex);
	unlock(mutex);
	return 0;
}

void __wrap_latch_take(struct latch *latch)
{
	if (!current) {
		__real_latch_take(latch);
		return;
	}
	scheduler_yield();
	lock(latch);
}

void __wrap_latch_give(struct latch *latch)
{
	if (current)
		unlock(latch);
	else
		__real_latch_give(latch);
}

static int wait_on(const void *cond, const void *mutex, bool timed)
{
	current->timed = timed;
	current->late = false;
	unlock(mutex);
	wait_for(WAITS, cond);
	lock(mutex);
	return current->late ? ETIMEDOUT : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!current)
		return __real_pthread_cond_wait(cond, mutex);
	return wait_on(cond, mutex, false);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	if (!current)
		return __real_pthread_cond_timedwait(cond, mutex, until);
	return wait_on(cond, mutex, true);
}

/* The condition that is_on_condition() asks about. */
static const void *signalled;

static bool is_on_condition(const struct thread *thread)
{
	return thread->state == WAITS && thread->object == signalled;
}

static bool signal_one(const void *cond)
{
	struct thread *thread;

	signalled = cond;
	thread = draw(is_on_condition);
	if (!thread)
		return false;
	thread->state = READY;
	return true;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
	if (!current)
		return __real_pthread_cond_signal(cond);
	signal_one(cond);
	return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
	if (!current)
		return __real_pthread_cond_broadcast(cond);
	while (signal_one(cond))
		;
	return 0;
}
