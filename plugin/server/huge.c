// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Huge pages.
 *
 * The process has none otherwise (PR_SET_THP_DISABLE, server.c): its memory is
 * small and scattered.  The switch is for the whole process, so it is off for
 * as long as one page needs to come; a page that has come stays.  The kernel
 * may look for a huge page for a while, so a worker asks.  If the kernel has
 * none, or the admin wants none, small ones take its place: nobody notices but
 * by the speed.
 */
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "plugin/server/huge.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* A huge page's address is a multiple of its size. */
char *huge_reserve(unsigned int pages)
{
	const size_t length = (size_t)pages * HUGE_PAGE;
	char *memory = mmap(NULL, length + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (memory == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)memory % HUGE_PAGE;
	if (before)
		munmap(memory, before);
	munmap(memory + before + length, HUGE_PAGE - before);
	madvise(memory + before, length, MADV_HUGEPAGE);
	return memory + before;
}

static void make_ready(struct work *work)
{
	static pthread_mutex_t lock =
		PTHREAD_MUTEX_INITIALIZER; /* the switch */
	struct huge *huge = (void *)work;

	pthread_mutex_lock(&lock);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	*(volatile char *)huge->memory = 0;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	pthread_mutex_unlock(&lock);
	atomic_store_explicit(&huge->state, HUGE_READY, memory_order_release);
}

void huge_init(struct huge *huge, char *memory)
{
	huge->work.run = make_ready;
	huge->memory = memory;
	atomic_init(&huge->state, HUGE_FREE);
}

void huge_ask(struct huge *huge, struct workers *workers)
{
	atomic_store_explicit(&huge->state, HUGE_ASKED, memory_order_relaxed);
	workers_submit(workers, NULL, &huge->work);
}

void huge_give_back(struct huge *huge)
{
	memory_give_back(huge->memory, HUGE_PAGE);
	atomic_store_explicit(&huge->state, HUGE_FREE, memory_order_relaxed);
}

/* The server's memory is locked; kernels before 5.18 give none of that back. */
void memory_give_back(void *memory, size_t length)
{
	madvise(memory, length, MADV_DONTNEED_LOCKED);
}
