// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Legacy images: the server's side.  An image that passes the gate is given
 * to a reader process, which reads one cluster at a time into memory that
 * both have mapped.  The reader's word is not trusted further than that:
 * a reply is an error or it is not, and its sequence number is the request's
 * or it is an old one.
 *
 * There is one request at a time: libqcow would serialize them anyhow.  A
 * reader that dies over a request, or does not answer in time and is killed,
 * makes that request -EIO; the keeper starts the next one.  Where the keeper
 * itself has been killed there is no next one: we cannot fork again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "qcow/error.h"
#include "qcow/image.h"
#include "qcow/legacy/legacy.h"

#define REPLY_LIMIT_MS 10000
#define MAX_OLD_NEWS   1000u
#define DEATH_LIMIT_MS 1000 /* from the wish to the news */

struct legacy {
	uint64_t size; /* these never change */
	bool encrypted;
	uint32_t window_size;
	pid_t keeper;
	int control;
	int data;

	pthread_mutex_t lock; /* protects all from here on; held
				 while the reader works */
	uint64_t sequence;    /* of the last request */
	uint8_t *window;      /* the reader writes it, too */
};

int legacy_probe(struct file *file, bool *is_legacy)
{
	uint8_t *bytes = file_buffer(file->alignment);
	uint32_t version;
	int ret;

	if (!bytes)
		return -ENOMEM;
	ret = file_read(file, bytes, 0, file->alignment);
	version = load_be32(bytes + HEADER_VERSION);
	*is_legacy = !ret && load_be32(bytes + HEADER_MAGIC) == QCOW_MAGIC &&
		     (version == 1 ||
		      (version == 2 &&
		       load_be32(bytes + HEADER_CRYPT_METHOD) == 1));
	free(bytes);
	return ret;
}

/* ---- reading ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* The next message from the other side; -ETIMEDOUT if there is none until
   then. */
static int receive(struct legacy *legacy, int64_t until,
		   struct helper_reply *reply)
{
	struct pollfd poll_data = { .fd = legacy->data, .events = POLLIN };
	int64_t left = until - now_ms();
	int n = poll(&poll_data, 1, left > 0 ? left : 0);

	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	if (recv(legacy->data, reply, sizeof(*reply), MSG_DONTWAIT) !=
	    sizeof(*reply))
		return -EPIPE; /* nobody is left, or it babbles */
	return 0;
}

/* Only the keeper has the other end of the control socket; the word of a reader
   does not count. */
static bool keeper_lives(const struct legacy *legacy)
{
	struct pollfd control = { .fd = legacy->control };

	return poll(&control, 1, 0) <= 0;
}

/* Waits for the answer to a request or for news of the reader's death. */
static int await(struct legacy *legacy, uint64_t sequence, int limit_ms)
{
	int64_t until = now_ms() + limit_ms;
	struct helper_reply reply;
	int ret;

	for (;;) {
		ret = receive(legacy, until, &reply);
		if (ret == -EINTR)
			continue;
		if (ret)
			return ret;
		if (!reply.sequence)
			return -EIO;
		if (reply.sequence == sequence)
			return reply.result ? -EIO : 0;
		/* A helper that sends other messages without end does not
		   answer, either. */
		if (now_ms() > until)
			return -ETIMEDOUT;
	}
}

/* Old news, of a reader that died with nothing to do; not more than can have
   been waiting. */
static void drain(struct legacy *legacy)
{
	struct helper_reply reply;

	for (unsigned int n = 0; n < MAX_OLD_NEWS; n++)
		if (recv(legacy->data, &reply, sizeof(reply), MSG_DONTWAIT) <=
		    0)
			return;
}

/* The reader hangs: has it killed, and hears of it. */
static void replace_reader(struct legacy *legacy)
{
	char wish = 0;

	if (send(legacy->control, &wish, sizeof(wish),
		 MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		await(legacy, UINT64_MAX, DEATH_LIMIT_MS);
}

static int ask_reader(struct legacy *legacy, uint64_t offset, uint32_t length)
{
	struct helper_request request = {
		.sequence = ++legacy->sequence,
		.offset = offset,
		.length = length,
	};
	int ret;

	if (send(legacy->data, &request, sizeof(request),
		 MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -EIO;
	ret = await(legacy, request.sequence, REPLY_LIMIT_MS);
	if (ret == -ETIMEDOUT)
		replace_reader(legacy);
	return ret ? -EIO : 0;
}

/* Under the lock: fills the window. */
static int request_window(struct legacy *legacy, uint64_t offset,
			  uint32_t length)
{
	int ret;

	drain(legacy);
	ret = ask_reader(legacy, offset, length);
	return ret && !keeper_lives(legacy) ? -EOWNERDEAD : ret;
}

static int read_piece(struct legacy *legacy, void *buffer, uint64_t offset,
		      uint32_t length)
{
	int ret;

	pthread_mutex_lock(&legacy->lock);
	ret = request_window(legacy, offset, length);
	if (!ret)
		memcpy(buffer, legacy->window, length);
	pthread_mutex_unlock(&legacy->lock);
	return ret;
}

int legacy_read(struct legacy *legacy, void *buffer, uint64_t offset,
		size_t length)
{
	uint8_t *to = buffer;

	if (offset > legacy->size || length > legacy->size - offset)
		return -EINVAL;
	while (length) {
		uint64_t in_cluster = offset & (legacy->window_size - 1);
		uint32_t n = min_u64(length, legacy->window_size - in_cluster);
		int ret = read_piece(legacy, to, offset, n);

		if (ret)
			return ret;
		to += n;
		offset += n;
		length -= n;
	}
	return 0;
}

uint64_t legacy_size(const struct legacy *legacy)
{
	return round_down(legacy->size, QCOW_SECTOR);
}

bool legacy_is_encrypted(const struct legacy *legacy)
{
	return legacy->encrypted;
}

/* ---- opening ---- */

/* The file once more, without the locks and the I/O mode of the first. */
static int open_again(const struct file *file)
{
	return file->names->open_again(file->names->opaque, file->fd,
				       O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

static int connect_helper(struct legacy *legacy, struct qcow_reader *job)
{
	int control[2], data[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return -errno;
	legacy->control = control[0];
	job->control = control[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, data) < 0)
		return -errno;
	legacy->data = data[0];
	job->data = data[1];
	return 0;
}

static int share_window(struct legacy *legacy, struct qcow_reader *job)
{
	void *window;

	job->memory = memfd_create("window", MFD_CLOEXEC);
	if (job->memory < 0 || ftruncate(job->memory, legacy->window_size) < 0)
		return -errno;
	window = mmap(NULL, legacy->window_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED, job->memory, 0);
	if (window == MAP_FAILED)
		return -errno;
	legacy->window = window;
	job->window = window;
	job->window_size = legacy->window_size;
	return 0;
}

static void close_descriptor(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int fork_keeper(struct legacy *legacy, struct qcow_reader *job)
{
	job->server = syscall(SYS_pidfd_open, getpid(), 0);
	if (job->server < 0)
		return -errno;
	legacy->keeper = fork();
	if (!legacy->keeper)
		qcow_read_legacy(job);
	return legacy->keeper < 0 ? -errno : 0;
}

static int start_helper(struct legacy *legacy, struct qcow_reader *job,
			struct file *file)
{
	int ret = share_window(legacy, job);

	if (!ret)
		ret = connect_helper(legacy, job);
	if (ret)
		return ret;
	job->image = open_again(file);
	if (job->image < 0)
		return job->image;
	if (file->names->start_reader)
		return file->names->start_reader(file->names->opaque, job);
	return fork_keeper(legacy, job);
}

/* Starts the reader, and reads a sector to see that it works. */
static int start(struct legacy *legacy, struct qcow_reader *job,
		 struct file *file, struct qcow_error *error)
{
	uint8_t sector[QCOW_SECTOR];
	int ret = start_helper(legacy, job, file);

	close_descriptor(job->image);
	close_descriptor(job->memory);
	close_descriptor(job->control);
	close_descriptor(job->data);
	close_descriptor(job->server);
	if (ret)
		return fail(
			error, ret,
			"cannot start the process that reads legacy images: %s",
			strerror(-ret));
	ret = legacy_read(legacy, sector, 0, sizeof(sector));
	if (ret)
		return fail(
			error, ret,
			"the process that reads legacy images cannot read it");
	return 0;
}

static struct legacy *new_legacy(const struct gate *gate)
{
	struct legacy *legacy = calloc(1, sizeof(*legacy));

	if (!legacy)
		return NULL;
	legacy->size = gate->size;
	legacy->encrypted = gate->encrypted;
	legacy->window_size = 1u << gate->cluster_bits;
	legacy->keeper = -1;
	legacy->control = legacy->data = -1;
	pthread_mutex_init(&legacy->lock, NULL);
	return legacy;
}

int legacy_open(struct file *file, const char *key_file, struct legacy **result,
		struct qcow_error *error)
{
	struct qcow_reader job = {
		.image = -1,
		.memory = -1,
		.control = -1,
		.data = -1,
		.server = -1,
	};
	struct legacy *legacy;
	struct gate gate;
	int ret = gate_check(file, &gate, error);

	if (!ret)
		ret = legacy_choose_key(file, &gate, key_file, &job, error);
	if (ret)
		return ret;
	legacy = new_legacy(&gate);
	if (!legacy)
		return fail(error, -ENOMEM, "out of memory");
	job.size = gate.size;
	ret = start(legacy, &job, file, error);
	explicit_bzero(&job, sizeof(job));
	if (ret)
		legacy_close(legacy);
	else
		*result = legacy;
	return ret;
}

void legacy_close(struct legacy *legacy)
{
	if (!legacy)
		return;
	/* Without their other ends the keeper ends, and the reader with it. */
	close_descriptor(legacy->control);
	close_descriptor(legacy->data);
	if (legacy->keeper > 0)
		waitpid(legacy->keeper, NULL, 0);
	if (legacy->window)
		munmap(legacy->window, legacy->window_size);
	pthread_mutex_destroy(&legacy->lock);
	free(legacy);
}
