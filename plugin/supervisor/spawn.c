// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server as a child of the supervisor.
 *
 * It is a fork without an exec: nothing has to be found on a file system that
 * may itself wait for this disk, and the pages are there.  The child keeps
 * stdin, stdout, stderr and its end of the channel, nothing else.  Above all,
 * the child does not keep the supervisor's lock on the image, which would
 * otherwise be held for as long as either lives; closing the inherited
 * descriptor does not unlock it, for the supervisor still has it.
 *
 * The child opens nothing of the disk before its pid is in the record.  If we
 * die before, it hears of that and ends.  So there is never a server that no
 * record names.  Meanwhile it makes itself ready.
 *
 * The child leads a session of its own: Ctrl-C in the terminal of a
 * supervisor in the foreground must not kill the server under it.  Its own
 * children, clerk and readers, are in its group, and are killed when it has
 * ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "plugin/common/channel.h"
#include "plugin/common/log.h"
#include "plugin/common/title.h"
#include "plugin/supervisor/watch.h"

static void __attribute__((noreturn))
serve(const struct supervisor *sv, bool recover, int channel)
{
	const struct server_config config = {
		.image = sv->disk.image,
		.options = &sv->disk.options,
		.force = sv->force_open,
		.grow = sv->disk.growing,
		.merge_into = sv->disk.merging,
		.merge_rate = sv->disk.merge_rate,
		.kept = sv->kept,
		.unbroken = sv->unbroken,
		.identity = sv->disk.identity,
		.layers = sv->layers.known ? sv->layers.list : NULL,
		.nr_layers = sv->layers.count,
		.recover = recover,
		.dev_id = sv->disk.id,
		.nonce = sv->disk.nonce,
		.trouble = sv->disk.trouble,
		.stats = sv->stats,
		.culprit = sv->poison.culprit,
		.deaths = sv->poison.deaths,
		.channel = channel,
	};

	process_fresh(channel, -1);
	setsid();
	title_set("server", sv->disk.name);
	_exit(server_run(&config));
}

static int watch_child(struct supervisor *sv, pid_t pid)
{
	snprintf(sv->disk.server_version, sizeof(sv->disk.server_version), "%s",
		 PACKAGE_VERSION);
	sv->server = pidfd_open(pid, 0);
	if (sv->server >= 0 && !process_identify(pid, &sv->disk.server) &&
	    !disk_save(&sv->disk, &sv->layers))
		return 0;
	/* No descriptor is left to watch it, or no memory for the record. */
	if (sv->server >= 0)
		close(sv->server);
	sv->server = -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	sv->disk.server.pid = 0;
	return -EAGAIN;
}

int spawn_server(struct supervisor *sv, bool recover)
{
	int ends[2];
	pid_t pid;
	int ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	kept_prepare(sv);
	pid = fork();
	if (!pid)
		serve(sv, recover, ends[1]);
	ret = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!ret)
		ret = watch_child(sv, pid);
	if (ret) {
		close(ends[0]);
		return ret;
	}
	sv->channel = ends[0];
	send(sv->channel, "", 1, MSG_NOSIGNAL);
	sv->adopted = false;
	sv->death[0] = '\0';
	sv->notice[0] = '\0';
	sv->cause = CAUSE_PASSING;
	sv->told_merged = false;
	sv->told_failure = false;
	sv->may_say = MESSAGES_MAX;
	poison_begin(&sv->poison);
	sv->heard_since = clock_ms();
	/* If the server before has told a part, this one tells all of it
	   anew. */
	if (!sv->layers.known)
		layers_clear(&sv->layers);
	memset(&sv->opened, 0, sizeof(sv->opened));
	return 0;
}

int spawn_adopt(struct supervisor *sv)
{
	int ret;

	/* A server that is ending is of no use; its fence says when it has
	   ended (P4). */
	if (process_is_ending(&sv->disk.server))
		return -ESRCH;
	ret = process_open(&sv->disk.server, &sv->server);
	if (ret)
		return ret;
	sv->adopted = true;
	sv->may_say = MESSAGES_MAX;
	sv->heard_since = clock_ms();
	return 0;
}

void spawn_kill(struct supervisor *sv)
{
	if (sv->server >= 0)
		process_kill(sv->server);
}

bool spawn_receive(struct supervisor *sv, struct server_message *message)
{
	ssize_t got;

	if (sv->channel < 0)
		return false;
	got = recv(sv->channel, message, sizeof(*message), MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (channel_is_whole(message, got))
		return true;
	close(sv->channel);
	sv->channel = -1;
	return false;
}

void spawn_tell_added(struct supervisor *sv)
{
	const struct server_message added = {
		.type = SUPERVISOR_ADDED,
		.dev_id = sv->disk.id,
	};

	/* A server that does not hear this is dead, which we will notice. */
	send(sv->channel, &added, channel_length(&added), MSG_NOSIGNAL);
}

void spawn_note_last_words(struct supervisor *sv,
			   const struct server_message *message)
{
	if (message->type == SERVER_DYING) {
		poison_name(&sv->poison, &message->culprit);
		return;
	}
	snprintf(sv->death, sizeof(sv->death), "%.*s",
		 (int)sizeof(sv->death) - 1, message->text);
	sv->cause = message->cause;
}

/* The last words of a server may still be in the channel. */
static void hear_last_words(struct supervisor *sv)
{
	struct server_message message;

	while (spawn_receive(sv, &message)) {
		if (message.type == SERVER_FAILED ||
		    message.type == SERVER_DYING)
			spawn_note_last_words(sv, &message);
		if (message.type == SERVER_MERGED)
			sv->told_merged = true;
		if (message.type == SERVER_NOT_MERGED)
			sv->told_failure = true;
	}
	if (sv->channel >= 0)
		close(sv->channel);
	sv->channel = -1;
}

static void describe_death(struct supervisor *sv, int status)
{
	sv->orderly = WIFEXITED(status) && !WEXITSTATUS(status);
	sv->signalled = WIFSIGNALED(status);
	if (sv->death[0])
		return;
	if (WIFSIGNALED(status))
		snprintf(sv->death, sizeof(sv->death),
			 "its server (process %d) was killed by signal %d (%s)",
			 (int)sv->disk.server.pid, WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(sv->death, sizeof(sv->death),
			 "its server (process %d) ended with status %d",
			 (int)sv->disk.server.pid, WEXITSTATUS(status));
}

/* The server closed the image, and the layer that it had open for writing; to
   remove the journals was beyond its reach. */
static void forget_journals(const struct supervisor *sv)
{
	const unsigned int merging = sv->told_failure ? 0 : sv->disk.merging;
	int ret;

	if (sv->disk.options.read_only)
		return;
	ret = qcow_forget_journal(&sv->disk.identity, NULL);
	if (!ret && merging)
		ret = qcow_forget_journal(
			&sv->layers.list[merging - 1].identity, NULL);
	if (ret)
		log_line(LOG_WARNING,
			 "its journal cannot be removed: %s; nothing in it is "
			 "needed",
			 strerror(-ret));
}

/* A server may fail a culprit, and die before it says that it is live. */
static void count_death(struct supervisor *sv, int signal)
{
	const uint64_t failed = stats_get(&sv->stats->poisoned);

	if (sv->poison.untold && failed != sv->poison.failed)
		poison_tell(sv);
	poison_count(&sv->poison, signal, clock_ms());
	sv->poison.failed = failed;
}

void spawn_reap(struct supervisor *sv)
{
	int status = 0;

	hear_last_words(sv);
	/* P5: its clerk ends with it, unless somebody has stopped the clerk,
	   which has the ring, and so the fence. */
	process_kill_group(sv->server);
	close(sv->server);
	sv->server = -1;
	/* A server that was adopted is our child if we were renewed. */
	if (waitpid(sv->disk.server.pid, &status, 0) == sv->disk.server.pid) {
		describe_death(sv, status);
		count_death(sv, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	} else {
		count_death(sv, 0);
		sv->orderly = false;
		if (!sv->death[0])
			snprintf(sv->death, sizeof(sv->death),
				 "its server (process %d) is dead",
				 (int)sv->disk.server.pid);
	}
	sv->disk.server.pid = 0;
	if (!sv->orderly)
		return;
	forget_journals(sv);
	sv->disk.merged = sv->disk.merging && sv->told_merged;
}
