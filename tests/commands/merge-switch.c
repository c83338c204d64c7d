// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A merge is done, and the supervisor has the layer served: merge.c and move.c,
 * with stand-ins for everything around them (merge-switch-played.c).  The test
 * is of the order.  The record says that both images will do, then disks.d
 * names the layer, then the record names it, then the overlay is marked, then a
 * server begins, then hooks.d hears of it.  Whichever step fails, record and
 * disks.d name the same image when a server begins.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "plugin/common/owner.h"
#include "plugin/supervisor/teardown.h"
#include "plugin/supervisor/watch.h"
#include "tests/commands/merge-switch.h"
#include "tests/lib/helpers.h"

static struct supervisor sv;
static bool no_memory;

FILE *__real_fdopen(int fd, const char *mode);
FILE *__wrap_fdopen(int fd, const char *mode);
FILE *__wrap_fdopen(int fd, const char *mode)
{
	return no_memory ? NULL : __real_fdopen(fd, mode);
}

/* ---- steps ---- */

static bool between; /* there is an image between overlay and layer */

static void add_layer(const char *path, bool written)
{
	const struct qcow_layer layer = {
		.path = path,
		.identity.inode = 78,
		.written = written,
	};

	if (layers_append(&sv.layers, &layer))
		die("out of memory");
}

static void write_file_of(const char *image)
{
	char line[64];
	char *path = scratch_path("etc/moved.conf");

	snprintf(line, sizeof(line), "image = %s\n", image);
	write_file(path, line, strlen(line));
	free(path);
}

/* The server has ended, and has merged all. */
static void begin_told(const char *image_of_file, const char *domain)
{
	layers_clear(&sv.layers);
	memset(&sv, 0, sizeof(sv));
	played = (struct played){ 0 };
	*shared = (struct shared){ 0 };
	snprintf(sv.disk.name, sizeof(sv.disk.name), "moved");
	snprintf(sv.disk.image, sizeof(sv.disk.image), "/top");
	sv.disk.identity.inode = 77;
	sv.disk.merging = between ? 2 : 1;
	sv.disk.merged = true;
	snprintf(sv.disk.merge_domain, sizeof(sv.disk.merge_domain), "%s",
		 domain);
	if (between)
		add_layer("/mid", false);
	add_layer("/layer", true);
	add_layer("/base", false);
	sv.layers.known = true;
	sv.image_lock = IMAGE_LOCK;
	sv.layer_locks[0] = between ? MID_LOCK : LAYER_LOCK;
	sv.layer_locks[1] = between ? LAYER_LOCK : BASE_LOCK;
	sv.layer_locks[2] = between ? BASE_LOCK : NULL;
	sv.job.pidfd = -1;
	hooks_init(&sv.hooks);
	write_file_of(image_of_file);
	merge_switch(&sv);
	if (played.saves != 1 || !played.saved.merged || played.servers)
		die("the record does not say that both will do");
}

static void begin(const char *image_of_file)
{
	begin_told(image_of_file, "");
}

static void end_job(void)
{
	if (!process_wait(sv.job.pidfd, 60000))
		die("a job does not end");
	merge_job_ended(&sv);
}

static void must_be_marked(const char *when)
{
	if (played.servers || strcmp(played.saved.image, "/layer") ||
	    played.unlocked != 1)
		die("%s: the layer is served too early", when);
	end_job();
}

static void must_be_below(const char *when)
{
	must_be_marked(when);
	if (played.servers != 1 || strcmp(played.saved.image, "/layer") ||
	    played.lowered || played.unlocked != 1 ||
	    sv.image_lock != LAYER_LOCK || sv.layer_locks[0] != BASE_LOCK ||
	    sv.layer_locks[1] || sv.change.kind != CHANGE_MERGED ||
	    !sv.disk.merged_marked)
		die("%s: the layer is not served as it should", when);
}

static void must_be_as_before(const char *when, const char *why)
{
	end_job();
	if (played.servers != 1 || strcmp(played.saved.image, "/top") ||
	    played.lowered != 1 || played.unlocked ||
	    sv.image_lock != IMAGE_LOCK || sv.layers.list[0].written ||
	    sv.change.kind != CHANGE_NO_MERGE || !strstr(sv.change_text, why) ||
	    !strstr(played.saved.merge_failure, why))
		die("%s: the image is not served as before: %s", when,
		    sv.change_text);
}

/* ---- the tests ---- */

static void test_switch(void)
{
	begin("/top");
	end_job();
	must_be_below("all goes well");
	/* The one before died when the file was changed. */
	begin("/layer");
	end_job();
	must_be_below("once more");
}

/* The record has no room for the moment. */
static void test_no_record(void)
{
	begin("/top");
	played.save_result = -ENOMEM;
	end_job();
	if (played.servers || !sv.deadline || played.unlocked)
		die("it goes on without a record");
	played.save_result = 0;
	merge_try_again(&sv);
	end_job();
	must_be_below("the record can be written again");
}

/* Nothing keeps the users waiting for long. */
static void test_no_mark(void)
{
	begin("/top");
	shared->mark_result = -EIO;
	end_job();
	must_be_below("no mark");
	begin("/top");
	shared->mark_result = -ENOENT;
	end_job();
	must_be_below("no overlay");
}

/* The job that marks is killed, or the supervisor is. */
static void test_mark_again(void)
{
	begin("/top");
	end_job();
	kill(sv.job.pid, SIGKILL);
	end_job();
	if (!played.servers) {
		if (!merge_comes_first(&sv))
			die("the mark is forgotten");
		end_job();
	}
	if (played.servers != 1 || merge_comes_first(&sv))
		die("it does not end");
}

static void hear(const char *when)
{
	if (sv.hooks.job.pidfd < 0 || sv.hooks.running != DISK_EVENT_MERGED ||
	    strcmp(played.saved.merged_from, "/top"))
		die("%s: hooks.d is not told, or forgotten too early", when);
}

static void end_hooks(void)
{
	if (!process_wait(sv.hooks.job.pidfd, 60000))
		die("the hooks do not end");
	merged_hooks_ended(&sv, hooks_finished(&sv.hooks, &sv.disk));
}

/* So it is with images between the two: they are marked, too, also by another
   supervisor, and the record has them until hooks.d has heard. */
static void test_between(void)
{
	between = true;
	begin("/top");
	end_job();
	if (sv.layers.nr_merged != 1 ||
	    strcmp(sv.layers.merged[0].path, "/mid"))
		die("the record forgets what lay between");
	must_be_below("over another one");
	if (!shared->mid_marks || played.mid_unlocked != 1)
		die("what lay between is not marked, or locked for ever");
	sv.phase = PHASE_LIVE;
	merged_run_hooks(&sv);
	end_hooks();
	if (sv.layers.nr_merged)
		die("hooks.d has heard of it, and the record has not");
	begin("/top");
	shared->mark_result = -EIO;
	end_job();
	must_be_below("over another one, and no mark");
	if (!shared->mid_marks)
		die("one mark fails, and the other one is not tried");
	between = false;
}

/* The record has the overlay until hooks.d has heard of it. */
static void test_hooks(void)
{
	begin("/top");
	end_job();
	end_job();
	sv.phase = PHASE_LIVE;
	merged_run_hooks(&sv);
	hear("served");
	merged_tell(&sv);
	if (sv.hooks.nr_pending)
		die("hooks.d is told twice");
	/* Another supervisor. */
	if (!process_wait(sv.hooks.job.pidfd, 60000))
		die("the hooks do not end");
	hooks_finished(&sv.hooks, &sv.disk);
	sv.disk = played.saved;
	merged_tell(&sv);
	hear("another supervisor");
	end_hooks();
	if (*played.saved.merged_from || *sv.disk.merged_from)
		die("hooks.d has heard of it, and the record has not");
	merged_tell(&sv);
	if (sv.hooks.job.pidfd >= 0)
		die("hooks.d is told once more");
}

/* There are too many events; when there is room again, this one comes. */
static void test_hooks_behind(void)
{
	begin("/top");
	end_job();
	end_job();
	sv.phase = PHASE_LIVE;
	for (unsigned int i = 0; i <= HOOKS_PENDING_MAX; i++)
		hooks_run(&sv.hooks, &sv.disk, DISK_EVENT_CRASHED, 1);
	merged_tell(&sv);
	if (hooks_have(&sv.hooks, DISK_EVENT_MERGED))
		die("there is room for nine");
	for (unsigned int i = 0; i <= HOOKS_PENDING_MAX; i++)
		end_hooks();
	hear("room again");
	end_hooks();
	if (*played.saved.merged_from)
		die("hooks.d has heard of it, and the record has not");
}

/* This process may have so many descriptors. */
static void limit_files(rlim_t number)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("no limit");
	limit.rlim_cur = number;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("the limit cannot be set");
}

/* There is no process for them; when there is one again, they hear of it. */
static void test_hooks_refused(void)
{
	struct rlimit old;

	if (getrlimit(RLIMIT_NOFILE, &old))
		die("no limit");
	begin("/top");
	end_job();
	end_job();
	sv.phase = PHASE_LIVE;
	hooks_run(&sv.hooks, &sv.disk, DISK_EVENT_CRASHED, 1);
	merged_tell(&sv);
	if (!process_wait(sv.hooks.job.pidfd, 60000))
		die("the hooks do not end");
	sv.deadline = 0;
	limit_files(0);
	merged_hooks_ended(&sv, hooks_finished(&sv.hooks, &sv.disk));
	limit_files(old.rlim_cur);
	if (!*sv.disk.merged_from || sv.hooks.job.pidfd >= 0)
		die("hooks.d has heard of it without a process");
	if (!sv.deadline)
		die("there is no other time to tell");
	merged_run_hooks(&sv);
	hear("told later");
	end_hooks();
	if (*played.saved.merged_from)
		die("hooks.d has heard of it, and the record has not");
}

static void test_interrupted(void)
{
	begin("/top");
	kill(sv.job.pid, SIGKILL);
	end_job();
	/* It may have been quicker. */
	if (strcmp(played.saved.image, "/layer")) {
		merge_try_again(&sv);
		end_job();
	}
	must_be_below("interrupted");
}

#define WEB  "6b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39"
#define TWIN "7b6dbf1f-d3c9-46ef-87c8-bd5b30c4cf39"

/* The domain web gets the disk.  This job is too late to see that, or it is
   not; the next one is not. */
static void begin_owned(void)
{
	struct owner owner;

	begin("/top");
	owner_fill(&owner, WEB, "web", &sv.disk);
	if (owner_save(&owner))
		die("owner_save");
	if (!process_wait(sv.job.pidfd, 60000))
		die("a job does not end");
}

static void test_failures(void)
{
	begin_owned();
	begin("/top");
	end_job();
	must_be_as_before("a domain", "the domain web names its image");
	owner_forget(WEB, sv.disk.name);
}

/* The program that asked for the merge changes that domain, and no other. */
static void test_told_domain(void)
{
	begin_owned();
	begin_told("/top", "web");
	end_job();
	must_be_below("a domain that is told");
	begin_told("/top", "other");
	end_job();
	must_be_as_before("another domain", "the domain web names its image");
	owner_forget(WEB, sv.disk.name);
}

/* A domain that shares the disk with that one. */
static void test_twin_domain(void)
{
	struct owner owner;

	begin_owned();
	owner_fill(&owner, TWIN, "twin", &sv.disk);
	if (owner_save(&owner))
		die("owner_save");
	begin_told("/top", "web");
	end_job();
	must_be_as_before("a second domain", "the domain twin names its image");
	owner_forget(WEB, sv.disk.name);
	owner_forget(TWIN, sv.disk.name);
}

/* A domain may be there whose record cannot be read just now. */
static void test_unknown_domain(void)
{
	begin_owned();
	no_memory = true;
	begin("/top");
	end_job();
	no_memory = false;
	must_be_as_before("no record", "cannot see which domains use it");
	owner_forget(WEB, sv.disk.name);
}

/* The one before changed the file and died, and by now a domain has come: the
   next boot must serve the image, as we do. */
static void test_put_back(void)
{
	begin_owned();
	begin("/layer");
	end_job();
	must_be_as_before("changed before", "the domain web names its image");
	owner_forget(WEB, sv.disk.name);
}

/* The file cannot even be read: the image that it names is not known. */
static void test_unreadable(void)
{
	char *path = scratch_path("etc/moved.conf");

	begin("/top");
	if (!process_wait(sv.job.pidfd, 60000))
		die("a job does not end");
	begin("/layer");
	if (!process_wait(sv.job.pidfd, 60000))
		die("a job does not end");
	must_run("rm %s && ln -s %s %s", path, path, path);
	merge_switch(&sv);
	end_job();
	if (played.servers || !sv.deadline)
		die("it goes on with a file that cannot be read");
	must_run("rm %s", path);
	write_file_of("/layer");
	merge_try_again(&sv);
	end_job();
	must_be_below("the file can be read again");
	free(path);
}

/* Then nothing names the same image, and the admin has to mend that; but they
   did not by our doing. */
static void test_other_file(void)
{
	begin("/third");
	if (!process_wait(sv.job.pidfd, 60000))
		die("a job does not end");
	merge_job_ended(&sv);
	write_file_of("/top");
	must_be_as_before("another image", "mend that first");
}

int main(void)
{
	char *run = scratch_path("run"), *etc = scratch_path("etc");

	if (mkdir(run, 0700) || mkdir(etc, 0700))
		die("mkdir: %s", strerror(errno));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	setenv("UBLK_QCOW2_HOOKS", "/nonexistent", 1);
	setenv("UBLK_QCOW2_RUN", run, 1);
	setenv("UBLK_QCOW2_DISKS", etc, 1);
	setenv("UBLK_QCOW2_RUN_DISKS", run, 1);
	test_switch();
	test_between();
	test_no_record();
	test_interrupted();
	test_no_mark();
	test_mark_again();
	test_hooks();
	test_hooks_behind();
	test_hooks_refused();
	test_failures();
	test_told_domain();
	test_twin_domain();
	test_unknown_domain();
	test_other_file();
	test_put_back();
	test_unreadable();
	layers_clear(&sv.layers);
	free(etc);
	free(run);
	return 0;
}
