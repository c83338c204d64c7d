// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records of the disks, in a directory that is gone after a reboot, as
 * the devices are.
 *
 * One file per disk, ID.disk, a line per field: key, space, value.  The table
 * fields[] both writes and reads it; the disk's layers have lines of their
 * own.  record.c replaces a record whole or not at all, and without new room,
 * since a recovery must not fail because /run is full.  A record of another
 * boot (a container may keep its /run) counts as none.
 *
 * Each lock is one byte of one file, byte N for disk N, so no lock leaves
 * anything to clean up.  These are locks of the open file description: a
 * supervisor forked by a command inherits the lock with the descriptor and the
 * disk stays locked if the command dies.
 *
 * The environment's UBLK_QCOW2_RUN, another directory, is for tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/record.h"
#include "plugin/common/state.h"
#include "plugin/common/stats.h"

#define LOCK_INTERVAL 20 /* ms */

enum kind {
	NUMBER, /* int, unsigned int */
	LONG,	/* uint64_t */
	FLAG,
	TEXT,
	STATE,
	TROUBLE,
};

/* clang-format off */
#define FIELD(key, kind, member) \
	{ key, kind, offsetof(struct disk, member), \
	  sizeof(((struct disk *)NULL)->member) }

static const struct field {
	const char *key;
	enum kind kind;
	size_t offset;
	size_t size;
} fields[] = {
	FIELD("id", NUMBER, id),
	FIELD("state", STATE, state),
	FIELD("name", TEXT, name),
	FIELD("image", TEXT, image),
	FIELD("image_device", LONG, identity.device),
	FIELD("image_inode", LONG, identity.inode),
	FIELD("image_birth", LONG, identity.birth),
	FIELD("key_file", TEXT, options.key_file),
	FIELD("data_file", TEXT, options.data_file),
	FIELD("no_references", FLAG, options.no_references),
	FIELD("size", LONG, size),
	FIELD("queues", NUMBER, options.queues),
	FIELD("depth", NUMBER, options.depth),
	FIELD("read_only", FLAG, options.read_only),
	FIELD("writeback", FLAG, options.writeback),
	FIELD("confined", FLAG, options.confined),
	FIELD("watchdog", LONG, options.watchdog),
	FIELD("iops", LONG, options.iops),
	FIELD("bandwidth", LONG, options.bandwidth),
	FIELD("cache_size", LONG, options.cache_size),
	FIELD("workers", LONG, options.workers),
	FIELD("confinement", NUMBER, confinement),
	FIELD("server_pid", NUMBER, server.pid),
	FIELD("server_start", LONG, server.start),
	FIELD("server_space", LONG, server.space),
	FIELD("supervisor_pid", NUMBER, supervisor.pid),
	FIELD("supervisor_start", LONG, supervisor.start),
	FIELD("supervisor_space", LONG, supervisor.space),
	FIELD("server_version", TEXT, server_version),
	FIELD("supervisor_version", TEXT, supervisor_version),
	FIELD("growing", LONG, growing),
	FIELD("merging", NUMBER, merging),
	FIELD("merge_done", NUMBER, merge_done),
	FIELD("merge_rate", LONG, merge_rate),
	FIELD("merge_domain", TEXT, merge_domain),
	FIELD("merged", FLAG, merged),
	FIELD("merge_failure", TEXT, merge_failure),
	FIELD("merged_from", TEXT, merged_from),
	FIELD("merged_device", LONG, merged_identity.device),
	FIELD("merged_inode", LONG, merged_identity.inode),
	FIELD("merged_birth", LONG, merged_identity.birth),
	FIELD("merged_marked", FLAG, merged_marked),
	FIELD("recoveries", NUMBER, recoveries),
	FIELD("since", LONG, since),
	FIELD("nonce", LONG, nonce),
	FIELD("boot", TEXT, boot),
	FIELD("reason", TEXT, reason),
	FIELD("trouble", TROUBLE, trouble),
	FIELD("trouble_since", LONG, trouble_since),
	FIELD("trouble_text", TEXT, trouble_text),
};

#define NR_FIELDS	(sizeof(fields) / sizeof(fields[0]))

static const char *const state_names[] = {
	[DISK_ADDING] = "adding",
	[DISK_LIVE] = "live",
	[DISK_RECOVERING] = "recovering",
	[DISK_FAILED] = "failed",
	[DISK_STOPPING] = "stopping",
};
/* clang-format on */

#define NR_STATES (sizeof(state_names) / sizeof(state_names[0]))

const char *disk_state_name(enum disk_state state)
{
	return state_names[state];
}

const char *state_dir(void)
{
	const char *dir = getenv("UBLK_QCOW2_RUN");

	return dir ? dir : STATE_DIR;
}

static void record_path(int id, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%d.disk", state_dir(), id);
}

void disk_socket_path(int id, char path[108])
{
	snprintf(path, 108, "%s/%d.sock", state_dir(), id);
}

int state_open(void)
{
	/* Every user may see which disks exist; the journals and the sockets
	   are for root alone. */
	if (mkdir(state_dir(), 0755) && errno != EEXIST)
		return -errno;
	return chmod(state_dir(), 0755) ? -errno : 0;
}

void state_put_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", file);
		else if (*text == '\\')
			fputs("\\\\", file);
		else
			putc(*text, file);
	}
}

void state_get_text(char *text, size_t size, const char *value)
{
	size_t length = 0;

	for (; *value && length + 1 < size; value++) {
		if (*value == '\\' && value[1])
			text[length++] = *++value == 'n' ? '\n' : *value;
		else
			text[length++] = *value;
	}
	text[length] = '\0';
}

static void put_field(FILE *file, const struct field *field,
		      const struct disk *disk)
{
	const void *member = (const char *)disk + field->offset;

	fprintf(file, "%s ", field->key);
	switch (field->kind) {
	case NUMBER:
		fprintf(file, "%d", *(const int *)member);
		break;
	case LONG:
		fprintf(file, "%" PRIu64, *(const uint64_t *)member);
		break;
	case FLAG:
		fprintf(file, "%d", *(const bool *)member);
		break;
	case TEXT:
		state_put_text(file, member);
		break;
	case STATE:
		fputs(state_names[disk->state], file);
		break;
	case TROUBLE:
		fputs(trouble_name(disk->trouble), file);
		break;
	}
	putc('\n', file);
}

static void get_field(struct disk *disk, const struct field *field,
		      const char *value)
{
	void *member = (char *)disk + field->offset;
	unsigned int state;

	switch (field->kind) {
	case NUMBER:
		*(int *)member = atoi(value);
		break;
	case LONG:
		*(uint64_t *)member = strtoull(value, NULL, 10);
		break;
	case FLAG:
		*(bool *)member = *value == '1';
		break;
	case TEXT:
		state_get_text(member, field->size, value);
		break;
	case STATE:
		for (state = 0; state < NR_STATES; state++)
			if (!strcmp(value, state_names[state]))
				disk->state = state;
		break;
	case TROUBLE:
		disk->trouble = trouble_named(value);
		break;
	}
}

static int read_record(int id, char **text)
{
	char path[PATH_MAX];

	record_path(id, path);
	return record_read(path, text);
}

int disk_load_layers(int id, struct layers *layers)
{
	char *text, *rest, *line;
	int ret;

	layers_clear(layers);
	ret = read_record(id, &text);
	if (ret)
		return ret;
	for (rest = text; !ret && (line = strsep(&rest, "\n"));)
		ret = layers_get_line(layers, line);
	free(text);
	if (ret)
		layers_clear(layers);
	return ret;
}

static int write_text(const struct disk *disk, const struct layers *layers,
		      char **text, size_t *length)
{
	FILE *file = open_memstream(text, length);
	size_t i;

	if (!file)
		return -errno;
	for (i = 0; i < NR_FIELDS; i++)
		put_field(file, &fields[i], disk);
	layers_put(file, layers);
	return fclose(file) ? -ENOMEM : 0;
}

int disk_save(const struct disk *disk, const struct layers *layers)
{
	char path[PATH_MAX];
	char *text = NULL;
	size_t length;
	int ret = write_text(disk, layers, &text, &length);

	record_path(disk->id, path);
	if (!ret)
		ret = record_write(path, text, length);
	free(text);
	return ret;
}

static void get_line(struct disk *disk, char *line)
{
	char *value = strchr(line, ' ');
	size_t i;

	if (!value)
		return;
	*value++ = '\0';
	for (i = 0; i < NR_FIELDS; i++)
		if (!strcmp(line, fields[i].key))
			get_field(disk, &fields[i], value);
}

static int read_boot(char *boot, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	char *line;

	if (!file)
		return -errno;
	line = fgets(boot, size, file);
	fclose(file);
	if (!line)
		return -EIO;
	boot[strcspn(boot, "\n")] = '\0';
	return 0;
}

int disk_load(int id, struct disk *disk)
{
	static const struct disk_options defaults = DISK_OPTIONS_DEFAULT;
	char boot[sizeof(disk->boot)];
	char *text, *rest, *line;
	int ret = read_record(id, &text);

	if (ret)
		return ret;
	memset(disk, 0, sizeof(*disk));
	disk->id = -1;
	/* An older version may have known fewer of them. */
	disk->options = defaults;
	for (rest = text; (line = strsep(&rest, "\n"));)
		get_line(disk, line);
	free(text);

	ret = read_boot(boot, sizeof(boot));
	if (ret)
		return ret;
	if (disk->id != id || strcmp(disk->boot, boot))
		return -ENOENT;
	return 0;
}

/* A record of another boot is none.  One that cannot be read may be a
   disk's. */
bool disk_exists(int id)
{
	struct disk disk;

	return disk_load(id, &disk) != -ENOENT;
}

void disk_forget(int id)
{
	char sock[108], path[PATH_MAX];

	disk_socket_path(id, sock);
	unlink(sock);
	stats_forget(id);
	record_path(id, path);
	unlink(path);
}

int disk_stamp(struct disk *disk)
{
	if (getrandom(&disk->nonce, sizeof(disk->nonce), 0) !=
	    sizeof(disk->nonce))
		return -EIO;
	return read_boot(disk->boot, sizeof(disk->boot));
}

int state_lock(int id, int milliseconds, int *lock)
{
	struct flock byte = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = id,
		.l_len = 1,
	};
	struct timespec interval = { .tv_nsec = LOCK_INTERVAL * 1000000 };
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/lock", state_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (;; milliseconds -= LOCK_INTERVAL) {
		if (!fcntl(fd, F_OFD_SETLK, &byte)) {
			*lock = fd;
			return 0;
		}
		ret = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		if (ret != -EBUSY || milliseconds <= 0) {
			close(fd);
			return ret;
		}
		nanosleep(&interval, NULL);
	}
}
