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
   reaped.  Returns:
   0		*process is filled in
   -ESRCH	there is no such process
   or another -errno: the process cannot be looked at. */
int process_identify(pid_t pid, struct process *process);

bool process_is_same(const struct process *one, const struct process *other);

/* Does the process's id mean that process here?  In a container that shares
   /run with the host, the id means another process. */
bool process_is_ours(const struct process *process);

/* Has the process's first thread ended?  The process does nothing of use any
   more, but its other threads may still write. */
bool process_is_ending(const struct process *process);

/* Is the process alive?  True also where nothing tells: memory or descriptors
   are short, or the process is in another pid namespace.  Our callers replace
   a dead process, and to replace a living one would do harm (P4). */
bool process_alive(const struct process *process);

/* Opens a pidfd of the process, which need not be a child.  Returns:
   0		*pidfd means the process
   -ESRCH	the process is dead
   -EXDEV	the process is in another pid namespace
   or another -errno. */
int process_open(const struct process *process, int *pidfd);

/* Kills by pidfd; a process that is dead already is no error. */
int process_kill(int pidfd);

/* Kills what is left of the group that the process leads, or has led until its
   end. */
void process_kill_group(int pidfd);

/* Waits for the end of the process, or for that long; a negative time has no
   end.  Has the process ended? */
bool process_wait(int pidfd, int milliseconds);

/* For the parent of a child just forked: opens its pidfd.  If that fails, the
   child is killed. */
int process_hold(pid_t child, int *pidfd);

/* For a child just forked: closes every descriptor but stdin, stdout, stderr
   and these two (or -1), and receives signals as usual again. */
void process_fresh(int keep, int keep_too);

/* For a child that may be abandoned: gives up stdin, stdout and stderr. Whoever
   reads our output to its end waits for each process that has it. */
void process_mute(void);

/* The work of a child: returns its exit status, and may leave a text. */
#define JOB_TEXT_MAX 512
typedef int job_fn(const void *argument, char *text);

/* A job: a child that does one thing and ends.  pidfd is -1 while there is no
   child. */
struct job {
	pid_t pid;
	int pidfd;
	int text;
};

/* Starts the job; mortal: the child is killed when its parent dies. */
int job_start(struct job *job, job_fn *work, const void *argument, bool mortal);

/* Takes the result of a job whose pidfd has become readable: its exit
   status, or 255 if a signal ended it, and its text. */
int job_finish(struct job *job, char text[JOB_TEXT_MAX]);

/* A job from its start to its end, however long it takes; the job is killed
   when its parent dies.  Returns as job_finish(). */
int job_run(job_fn *work, const void *argument, char text[JOB_TEXT_MAX]);

/* Kills the job and forgets it, without waiting for its end: the job may hang
   in the kernel, where SIGKILL has no effect. */
void job_abandon(struct job *job);

#endif /* PROCESS_H */
