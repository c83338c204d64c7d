/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: their identity beyond the reuse of their ids, and children that
 * do one thing for us.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A process for all time: an id may be used again, but not with the same
   start.  pid 0: none. */
struct process {
	pid_t pid;
	uint64_t start; /* in clock ticks since boot */
	uint64_t space; /* the pid namespace's inode; 0: ours */
};

/* Keeps all our memory, now and later, from being paged out.  A process that
   rescues a disk must not wait for pages on that disk.  0 or -errno. */
int process_lock_memory(void);

/* Milliseconds of a clock that only goes forward. */
uint64_t clock_ms(void);

/* Names the process that now has this id, even a child that only waits to be
   reaped.  -ESRCH: there is none; or another -errno: it cannot be looked
   at. */
int process_identify(pid_t pid, struct process *process);

/* Does its id mean something to us?  In a container that shares /run with the
   host it means another process. */
bool process_is_ours(const struct process *process);

/* Has its first thread ended?  It does nothing of use any more, but others of
   its threads may still write. */
bool process_is_ending(const struct process *process);

/* Is the process alive?  Also true where nothing tells: memory or descriptors
   are short, or the process is in another pid namespace.  Our callers replace
   a dead process, and to replace a living one would do harm (P4). */
bool process_alive(const struct process *process);

/* Opens a pidfd of the process, which need not be a child.  Returns:
   -ESRCH	the process is dead
   -EXDEV	the process is in another pid namespace
   or another -errno. */
int process_open(const struct process *process, int *pidfd);

/* Kills by pidfd; a process that is dead already is no error. */
int process_kill(int pidfd);

/* Whether the process ended within the time; a negative time has no end. */
bool process_wait(int pidfd, int milliseconds);

/* For a child just forked: closes every descriptor but stdin, stdout, stderr
   and these two (or -1), and receives signals as usual again. */
void process_fresh(int keep, int keep_too);

/* The work of a child: returns its exit status, and may leave a text. */
#define JOB_TEXT_MAX 512
typedef int job_fn(const void *argument, char *text);

/* A child that does one thing, then is gone.  pidfd is -1 when there is
   none. */
struct job {
	pid_t pid;
	int pidfd;
	int text;
};

/* Starts the job; mortal: it is killed when we die. */
int job_start(struct job *job, job_fn *work, const void *argument, bool mortal);

/* Takes the result of a job whose pidfd has become readable: its exit
   status, or 255 if a signal ended it, and its text. */
int job_finish(struct job *job, char text[JOB_TEXT_MAX]);

/* Kills the job and forgets it.  Does not wait for its end: the job may hang
   in the kernel, where SIGKILL has no effect. */
void job_abandon(struct job *job);

#endif /* PROCESS_H */
