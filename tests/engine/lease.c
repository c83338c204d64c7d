// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lease ends no earlier than any thread has said.  A thread that was held up
 * while it renewed the lease, between its look at the clock and its note, must
 * not take back a later renewal of another thread: a write that began within
 * that one would look like one of another program (R12).
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "tests/lib/helpers.h"
#include "qcow/image.h"

#define BETWEEN 20000 /* us, from one renewal to the next */

static struct lease lease;
static struct lease_record record;
static sem_t looked, may_go_on;
static _Thread_local bool is_slow;

int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	int ret = __real_clock_gettime(clock, time);

	if (is_slow && clock == CLOCK_BOOTTIME) {
		is_slow = false;
		sem_post(&looked);
		sem_wait(&may_go_on);
	}
	return ret;
}

static void renew(void)
{
	atomic_store(&lease.due, 0);
	lease_begin(&lease);
	lease_end(&lease);
}

static void *renew_slowly(void *argument)
{
	(void)argument;
	is_slow = true;
	renew();
	if (is_slow)
		die("the lease is not renewed");
	return NULL;
}

static void overtake(void)
{
	uint64_t before = atomic_load(&record.until), later;
	pthread_t thread;

	if (pthread_create(&thread, NULL, renew_slowly, NULL))
		die("cannot start a thread");
	sem_wait(&looked);
	usleep(BETWEEN);
	renew();
	later = atomic_load(&record.until);
	if (later <= before)
		die("the lease is not renewed beside a slow thread");
	sem_post(&may_go_on);
	pthread_join(thread, NULL);
	if (atomic_load(&record.until) < later)
		die("a slow thread has shortened the lease by %lu us",
		    (unsigned long)(later - record.until) / 1000);
}

int main(void)
{
	struct qcow_options options = { .read_only = true };
	struct qcow_error error = { "" };
	struct qcow_image *image;
	char *path = scratch_path("image");

	must_run("qemu-img create -q -f qcow2 %s 4M", path);
	if (qcow_open(path, &options, &image, &error))
		die("%s", error.text);
	if (!lease_can_tell(&image->file))
		die("the scratch file's medium does not tell when it is written");
	sem_init(&looked, 0, 0);
	sem_init(&may_go_on, 0, 0);
	lease_init(&lease);
	if (lease_start(&lease, &record, &image->file, NULL, false))
		die("no lease");
	overtake();
	lease_stop(&lease);
	if (qcow_close(image))
		die("cannot close");
	free(path);
	return 0;
}
