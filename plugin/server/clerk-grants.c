// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files that the clerk opens for a server that has no path.
 *
 * The server reads a stranger's image, and may be taken over by it while it
 * opens it.  So the clerk takes a name from the server as it would take it from
 * the image (P6): it follows those that the admin allows, or, of a disk that is
 * known, those that lead to one of its files.  It never reads a byte of these
 * files.  Beside them there are the journals of the files that it has handed
 * over, and a few of the host's that have a fixed name.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "plugin/server/clerk-inside.h"
#include "plugin/server/server.h"

/* The flags of an open that change nothing for anybody else. */
#define HARMLESS_FLAGS \
	(O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_DIRECT)

/* ---- grants ---- */

struct grant *clerk_find_grant(struct clerk_files *files, const char *path)
{
	for (unsigned int i = 0; i < files->count; i++)
		if (!strcmp(files->grants[i].path, path))
			return &files->grants[i];
	return NULL;
}

bool clerk_has_opened(const struct clerk_files *files, int fd, bool write)
{
	struct qcow_identity identity;

	if (qcow_identify_file(fd, &identity))
		return false;
	for (unsigned int i = 0; i < files->count; i++) {
		const struct grant *grant = &files->grants[i];

		if ((write ? grant->opened_write : grant->opened) &&
		    identity_matches(&grant->identity, &identity))
			return true;
	}
	return false;
}

int clerk_grant(struct clerk_files *files, const char *path, bool write)
{
	struct grant *old = clerk_find_grant(files, path);
	struct grant new = { .write = write };

	if (old) {
		old->write |= write;
		return 0;
	}
	if (files->count == GRANTS_MAX)
		return -ELOOP;
	new.path = strdup(path);
	if (!new.path)
		return -ENOMEM;
	files->grants[files->count++] = new;
	return 0;
}

struct clerk_files *clerk_files(const struct server_config *config,
				const struct qcow_references *references)
{
	struct clerk_files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->config = config;
	files->options = (struct qcow_options){
		.layers = config->layers,
		.nr_layers = config->nr_layers,
		.references = references,
	};
	if (clerk_grant(files, config->image, !config->options->read_only)) {
		free(files);
		return NULL;
	}
	files->grants[0].image = true;
	return files;
}

/* ---- which files belong to the disk ---- */

static const struct qcow_layer *find_layer(const struct clerk_files *files,
					   const struct qcow_identity *identity)
{
	for (unsigned int i = 0; i < files->options.nr_layers; i++)
		if (identity_matches(&files->options.layers[i].identity,
				     identity))
			return &files->options.layers[i];
	return NULL;
}

static bool may_write_layer(const struct clerk_files *files,
			    const struct qcow_layer *layer)
{
	const unsigned int merged = files->config->merge_into;

	return layer->written ||
	       (merged && layer == &files->options.layers[merged - 1]);
}

bool clerk_may_write(const struct clerk_files *files, enum qcow_reference kind,
		     const char *path)
{
	struct qcow_identity identity;
	const struct qcow_layer *layer;

	if (files->config->options->read_only)
		return false;
	if (!files->options.layers)
		return kind == QCOW_REFERS_TO_DATA;
	if (qcow_identify_path(path, &identity))
		return false;
	layer = find_layer(files, &identity);
	return layer && may_write_layer(files, layer);
}

static int check_image(const struct clerk_files *files,
		       const struct qcow_identity *identity)
{
	const struct qcow_identity *image = &files->config->identity;

	return (!image->device && !image->inode) ||
			       identity_matches(image, identity) ?
		       0 :
		       -ESTALE;
}

/* Another file may have taken a name since the disk was new. */
static int check_identity(const struct clerk_files *files,
			  const struct grant *grant, bool write,
			  const struct qcow_identity *identity)
{
	const struct qcow_layer *layer;

	if (grant->image)
		return check_image(files, identity);
	if (!files->options.layers)
		return 0;
	layer = find_layer(files, identity);
	if (!layer)
		return -ESTALE;
	return !write || may_write_layer(files, layer) ? 0 : -EACCES;
}

/* ---- opening ---- */

static int check_flags(int flags, bool write)
{
	if (flags & ~(O_ACCMODE | HARMLESS_FLAGS))
		return -EINVAL;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return 0;
	return (flags & O_ACCMODE) == O_RDWR && write ? 0 : -EACCES;
}

static int open_named(const char *path, int flags)
{
	return qcow_names_of_host.open(NULL, path, flags | O_CLOEXEC);
}

/* ---- the file of a grant ---- */

/*
 * A name may lead to another file by now: the owner of the directory can change
 * that between any two looks.  So the file is found first (O_PATH, which does
 * nothing to the file), then judged, and the very file that was judged is
 * opened.  A file of a known disk is judged by its identity.  Of a new disk the
 * paths were judged, with all links resolved, so no link may be left in them.
 */

static int find_without_links(const char *path)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static bool is_allowed_device(const struct clerk_files *files,
			      const struct grant *grant, int fd)
{
	char self[32], resolved[PATH_MAX];
	struct stat st;
	ssize_t length;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	length = readlink(self, resolved, sizeof(resolved) - 1);
	if (length < 0 || fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	resolved[length] = '\0';
	return qcow_allows_device(files->options.references,
				  grant->write ? QCOW_REFERS_TO_DATA :
						 QCOW_REFERS_TO_BACKING,
				  grant->path, resolved);
}

/* A device keeps the name by which it was given, and that may be a link. */
static int find_device(const struct clerk_files *files,
		       const struct grant *grant)
{
	int fd = open_named(grant->path, O_PATH);

	if (fd < 0 || is_allowed_device(files, grant, fd))
		return fd;
	close(fd);
	return -ESTALE;
}

static int find_file(const struct clerk_files *files, const struct grant *grant)
{
	int fd;

	if (files->options.layers || grant->image)
		return open_named(grant->path, O_PATH);
	fd = find_without_links(grant->path);
	return fd == -ELOOP ? find_device(files, grant) : fd;
}

/* Even to open some devices does something. */
static int check_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? 0 : -EINVAL;
}

/* A refusal leaves the grant as it was: its identity tells which journals are
   the server's. */
static int open_found(const struct clerk_files *files, struct grant *grant,
		      int found, int flags)
{
	const bool write = (flags & O_ACCMODE) == O_RDWR;
	struct qcow_identity identity;
	int ret = check_kind(found);

	if (!ret)
		ret = qcow_identify_file(found, &identity);
	if (!ret)
		ret = check_identity(files, grant, write, &identity);
	if (!ret)
		ret = qcow_names_of_host.open_again(
			NULL, found, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	if (ret < 0)
		return ret;
	if (!identity_matches(&grant->identity, &identity))
		grant->opened_write = false;
	grant->identity = identity;
	grant->opened = true;
	grant->opened_write |= write;
	return ret;
}

static int open_grant(struct clerk_files *files, struct grant *grant, int flags)
{
	int ret = check_flags(flags, grant->write);
	int found = ret ? ret : find_file(files, grant);

	if (found < 0)
		return found;
	ret = open_found(files, grant, found, flags);
	close(found);
	return ret;
}

/* ---- journals, and files with a fixed name ---- */

static bool is_journal_of(const struct grant *grant, const char *path)
{
	static const char *const endings[] = { "journal", "life" };
	bool is = false;

	for (unsigned int i = 0; grant->opened && !is && i < 2; i++) {
		char *own = qcow_journal_path(&grant->identity,
					      QCOW_JOURNAL_DIR, endings[i]);

		is = own && !strcmp(own, path);
		free(own);
	}
	return is;
}

bool clerk_is_journal(const struct clerk_files *files, const char *path,
		      bool write)
{
	for (unsigned int i = 0; i < files->count; i++)
		if ((!write || files->grants[i].opened_write) &&
		    is_journal_of(&files->grants[i], path))
			return true;
	return false;
}

bool clerk_is_journal_prefix(const struct clerk_files *files,
			     const char *prefix)
{
	char own[QCOW_JOURNAL_PREFIX];

	for (unsigned int i = 0; i < files->count; i++) {
		if (!files->grants[i].opened)
			continue;
		qcow_journal_prefix(&files->grants[i].identity, own);
		if (!strcmp(own, prefix))
			return true;
	}
	return false;
}

/* As alignment.c of the engine names it. */
static bool is_block_size(const char *path)
{
	static const char *const places[] = { "", "../" };
	unsigned int major, minor;
	char wanted[96];
	bool is = false;

	if (sscanf(path, "/sys/dev/block/%u:%u/", &major, &minor) != 2)
		return false;
	for (unsigned int i = 0; !is && i < 2; i++) {
		snprintf(wanted, sizeof(wanted),
			 "/sys/dev/block/%u:%u/%squeue/logical_block_size",
			 major, minor, places[i]);
		is = !strcmp(path, wanted);
	}
	return is;
}

static int open_other(const struct clerk_files *files, const char *path,
		      int flags)
{
	const char *key = disk_key_file(files->config->options);
	const bool journal = clerk_is_journal(files, path, false);
	int ret;

	if (!journal && strcmp(path, QCOW_BOOT_ID) && !is_block_size(path) &&
	    !(key && !strcmp(path, key)))
		return -EACCES;
	ret = check_flags(flags,
			  journal && clerk_is_journal(files, path, true));
	return ret ? ret : open_named(path, flags);
}

int clerk_open(struct clerk_files *files, const char *path, int flags)
{
	struct grant *grant = clerk_find_grant(files, path);

	return grant ? open_grant(files, grant, flags) :
		       open_other(files, path, flags);
}
