// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records of a disk's users, in domains/ beside the records of the disks.
 *
 * One file per domain and disk, UUID.NAME, a line per field: key, space,
 * value.  A new file replaces the old one by renaming.  These records alone
 * tell whether a disk may be removed when a domain ends: libvirt calls its
 * hook for the end of a domain even if the domain never got the disk, and the
 * hook must not ask libvirt.
 *
 * A record names the disk by its nonce, too.  If the disk was removed and
 * another disk has its name by now, the record is stale and means nothing.
 * Before a disk is served for a domain there is a record without a nonce, so
 * that the disk is found even if the hook dies before it can write the nonce.
 *
 * Each lock is one byte of one file, at an offset made from the disk's name,
 * so no lock leaves anything to clean up.  Two names may share an offset,
 * which costs some waiting only.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plugin/common/name.h"
#include "plugin/common/owner.h"

#define UUID_LENGTH   (OWNER_UUID_SIZE - 1)
#define LOCK_INTERVAL 20 /* ms */
#define FILE_NAME_MAX (1 + UUID_LENGTH + 1 + DISK_NAME_MAX + 1)
#define VALUE_MAX     (2 * PATH_MAX)

int owner_uuid(const char *text, char uuid[OWNER_UUID_SIZE])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	int i;

	if (strlen(text) != UUID_LENGTH)
		return -EINVAL;
	for (i = 0; i < UUID_LENGTH; i++) {
		if (form[i] == '-' ? text[i] != '-' :
				     !isxdigit((unsigned char)text[i]))
			return -EINVAL;
		uuid[i] = tolower((unsigned char)text[i]);
	}
	uuid[UUID_LENGTH] = '\0';
	return 0;
}

void owner_fill(struct owner *owner, const char *uuid, const char *domain,
		const struct disk *disk)
{
	memset(owner, 0, sizeof(*owner));
	snprintf(owner->uuid, sizeof(owner->uuid), "%s", uuid);
	snprintf(owner->domain, sizeof(owner->domain), "%s", domain);
	snprintf(owner->name, sizeof(owner->name), "%s", disk->name);
	snprintf(owner->image, sizeof(owner->image), "%s", disk->image);
	owner->id = disk->id;
	owner->nonce = disk->nonce;
}

void owner_begin(struct owner *owner, const char *uuid, const char *domain,
		 const char *name)
{
	memset(owner, 0, sizeof(*owner));
	snprintf(owner->uuid, sizeof(owner->uuid), "%s", uuid);
	snprintf(owner->domain, sizeof(owner->domain), "%s", domain);
	snprintf(owner->name, sizeof(owner->name), "%s", name);
	owner->id = -1;
	owner->owned = true;
	owner->released = true;
	owner->begun = true;
}

int owner_open(bool make, int *dir)
{
	char path[PATH_MAX];
	int ret = make ? state_open() : 0;

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/domains", state_dir());
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	*dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *dir < 0 ? -errno : 0;
}

/* Only a text that was checked gets into a path. */
static int file_name(const char *uuid, const char *name,
		     char file[FILE_NAME_MAX])
{
	char checked[OWNER_UUID_SIZE];

	if (owner_uuid(uuid, checked) || name_check(name))
		return -EINVAL;
	snprintf(file, FILE_NAME_MAX, "%s.%s", checked, name);
	return 0;
}

static void put_text(FILE *file, const char *key, const char *text)
{
	fprintf(file, "%s ", key);
	state_put_text(file, text);
	putc('\n', file);
}

static void put(FILE *file, const struct owner *owner)
{
	put_text(file, "domain", owner->domain);
	put_text(file, "uuid", owner->uuid);
	fprintf(file, "device /dev/ublkb%d\n", owner->id);
	put_text(file, "name", owner->name);
	put_text(file, "image", owner->image);
	fprintf(file, "nonce %" PRIu64 "\n", owner->nonce);
	fprintf(file, "owned %d\n", owner->owned);
	fprintf(file, "shareable %d\n", owner->shareable);
	fprintf(file, "released %d\n", owner->released);
	fprintf(file, "begun %d\n", owner->begun);
}

/* There is one writer at a time, so new files need one name only; a file that
   a dead writer left is overwritten. */
static int save_in(int dir, const char *file_now, const struct owner *owner)
{
	char new[FILE_NAME_MAX + 1];
	FILE *file;
	int fd, ret = 0;

	snprintf(new, sizeof(new), ".%s", file_now);
	fd = openat(dir, new,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	put(file, owner);
	if (ferror(file))
		ret = -EIO;
	if ((fclose(file) || renameat(dir, new, dir, file_now)) && !ret)
		ret = -errno;
	if (ret)
		unlinkat(dir, new, 0);
	return ret;
}

int owner_save(const struct owner *owner)
{
	char file[FILE_NAME_MAX];
	int dir;
	int ret = file_name(owner->uuid, owner->name, file);

	if (!ret)
		ret = owner_open(true, &dir);
	if (ret)
		return ret;
	ret = save_in(dir, file, owner);
	close(dir);
	return ret;
}

static void get_line(struct owner *owner, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	if (!strcmp(line, "domain"))
		state_get_text(owner->domain, sizeof(owner->domain), value);
	else if (!strcmp(line, "image"))
		state_get_text(owner->image, sizeof(owner->image), value);
	else if (!strcmp(line, "device"))
		sscanf(value, "/dev/ublkb%7d", &owner->id);
	else if (!strcmp(line, "nonce"))
		owner->nonce = strtoull(value, NULL, 10);
	else if (!strcmp(line, "owned"))
		owner->owned = *value == '1';
	else if (!strcmp(line, "shareable"))
		owner->shareable = *value == '1';
	else if (!strcmp(line, "released"))
		owner->released = *value == '1';
	else if (!strcmp(line, "begun"))
		owner->begun = *value == '1';
}

/* The file's name has the domain's uuid and the disk's name. */
static int load_in(int dir, const char *uuid, const char *name,
		   struct owner *owner)
{
	char file_now[FILE_NAME_MAX], line[VALUE_MAX];
	int ret = file_name(uuid, name, file_now);
	FILE *file;
	int fd;

	if (ret)
		return ret;
	fd = openat(dir, file_now, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -ENOENT : -errno;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	memset(owner, 0, sizeof(*owner));
	owner->id = -1;
	owner_uuid(uuid, owner->uuid);
	snprintf(owner->name, sizeof(owner->name), "%s", name);
	while (fgets(line, sizeof(line), file))
		get_line(owner, line);
	/* A link or a directory is no record. */
	if (ferror(file))
		ret = errno == EISDIR ? -ENOENT : -EIO;
	fclose(file);
	return ret;
}

int owner_load(const char *uuid, const char *name, struct owner *owner)
{
	int dir;
	int ret = owner_open(false, &dir);

	if (ret)
		return ret;
	ret = load_in(dir, uuid, name, owner);
	close(dir);
	return ret;
}

void owner_forget(const char *uuid, const char *name)
{
	char file[FILE_NAME_MAX];
	int dir;

	if (file_name(uuid, name, file) || owner_open(false, &dir))
		return;
	unlinkat(dir, file, 0);
	close(dir);
}

static int is_record(const struct dirent *entry)
{
	char uuid[OWNER_UUID_SIZE], checked[OWNER_UUID_SIZE];

	snprintf(uuid, sizeof(uuid), "%.36s", entry->d_name);
	return !owner_uuid(uuid, checked) &&
	       entry->d_name[UUID_LENGTH] == '.' &&
	       !name_check(entry->d_name + UUID_LENGTH + 1);
}

int owner_each(int (*visit)(const struct owner *owner, void *opaque),
	       void *opaque)
{
	struct dirent **entries;
	struct owner owner;
	int dir, i, nr, found = 0, unread = 0;
	int ret = owner_open(false, &dir);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	nr = scandirat(dir, ".", &entries, is_record, alphasort);
	if (nr < 0)
		ret = -errno;
	for (i = 0; i < nr; i++) {
		char *name = entries[i]->d_name;

		name[UUID_LENGTH] = '\0';
		if (!ret)
			found = load_in(dir, name, name + UUID_LENGTH + 1,
					&owner);
		if (!ret && !found)
			ret = visit(&owner, opaque);
		/* A record may go while we look. */
		else if (!ret && found != -ENOENT)
			unread = found;
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	close(dir);
	return ret ? ret : unread;
}

bool owner_is_of(const struct owner *owner, const struct disk *disk)
{
	return !strcmp(owner->name, disk->name) &&
	       (owner->begun || owner->nonce == disk->nonce);
}

bool owner_is_using(const struct owner *owner, const struct disk *disk)
{
	return owner_is_of(owner, disk) && !owner->released;
}

struct search {
	const struct disk *disk;
	struct owner *owner;
};

static int note_user(const struct owner *owner, void *opaque)
{
	struct search *search = opaque;

	if (!owner_is_using(owner, search->disk))
		return 0;
	*search->owner = *owner;
	return 1;
}

int owner_find_user(const struct disk *disk, struct owner *owner)
{
	struct search search = { .disk = disk, .owner = owner };
	int ret = owner_each(note_user, &search);

	if (ret < 0)
		return ret;
	return ret ? 0 : -ENOENT;
}

static int forget_one(const struct owner *owner, void *disk)
{
	if (owner_is_of(owner, disk))
		owner_forget(owner->uuid, owner->name);
	return 0;
}

void owner_forget_all(const struct disk *disk)
{
	struct disk it = *disk;

	owner_each(forget_one, &it);
}

/* FNV-1a, without the sign. */
static off_t offset_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return hash >> 2;
}

int owner_lock(const char *name, int milliseconds, int *lock)
{
	const struct timespec interval = { .tv_nsec = LOCK_INTERVAL * 1000000 };
	struct flock byte = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = offset_of(name),
		.l_len = 1,
	};
	int dir, fd;
	int ret = owner_open(true, &dir);

	if (ret)
		return ret;
	fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	ret = fd < 0 ? -errno : 0;
	close(dir);
	while (!ret && fcntl(fd, F_OFD_SETLK, &byte)) {
		ret = errno == EAGAIN || errno == EACCES ? 0 : -errno;
		if (!ret && milliseconds <= 0)
			ret = -EBUSY;
		milliseconds -= LOCK_INTERVAL;
		if (!ret)
			nanosleep(&interval, NULL);
	}
	if (!ret)
		*lock = fd;
	else if (fd >= 0)
		close(fd);
	return ret;
}
