// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Looking at images.
 *
 * A file server that is gone may let stat() wait for ever, and not even
 * SIGKILL helps, so a child looks.
 *
 * A lock tells that two hosts share an image only where locks reach the other
 * host.  On a file system of a network or a cluster that depends on the
 * options of the mount; on a block device, locks never reach another host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "plugin/libvirt/child.h"
#include "plugin/libvirt/image.h"
#include "plugin/libvirt/service.h"

#define LOOK_PATIENCE 10000 /* ms */

/* The types of statfs(2).  <linux/magic.h> has not all of them in every
   release. */
static const struct {
	unsigned long type;
	const char *name;
} shared_types[] = {
	{ 0x00006969, "an NFS" },
	{ 0x0000517b, "an SMB" },
	{ 0xff534d42, "a CIFS" },
	{ 0xfe534d42, "an SMB" },
	{ 0x00c36400, "a Ceph" },
	{ 0x01161970, "a GFS2" },
	{ 0x7461636f, "an OCFS2" },
	{ 0x47504653, "a GPFS" },
	{ 0x0bd00bd0, "a Lustre" },
	{ 0x19830326, "a BeeGFS" },
	{ 0x5346414f, "an AFS" },
	{ 0x6b414653, "an AFS" },
	{ 0x73757245, "a Coda" },
	{ 0x01021997, "a 9P" },
	{ 0x61636673, "an ACFS" },
	{ 0xaad7aaea, "a PanFS" },
	{ 0xa501fcf5, "a VxFS" },
	/* GlusterFS, Quobyte, virtiofs or sshfs: the type does not say. */
	{ 0x65735546, "a FUSE" },
};

static void tell_type(unsigned long type, char shared[48])
{
	size_t i;

	for (i = 0; i < sizeof(shared_types) / sizeof(shared_types[0]); i++)
		if (shared_types[i].type == type)
			snprintf(shared, 48, "%s file system",
				 shared_types[i].name);
}

/* The time of birth of a file; 0: the file system does not know it. */
static uint64_t birth_of(const char *path)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &stx) < 0 ||
	    !(stx.stx_mask & STATX_BTIME))
		return 0;
	return stx.stx_btime.tv_sec * 1000000000ull + stx.stx_btime.tv_nsec;
}

static int look(const char *path, struct image *image)
{
	struct statfs fs;
	struct stat st;

	if (!realpath(path, image->path) || stat(image->path, &st) ||
	    statfs(image->path, &fs))
		return -errno;
	/* As the disk's record has it. */
	image->identity.device = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	image->identity.inode = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	image->identity.birth = S_ISBLK(st.st_mode) ? 0 : birth_of(image->path);
	if (S_ISBLK(st.st_mode))
		snprintf(image->shared, sizeof(image->shared),
			 "a block device");
	else
		tell_type((unsigned int)fs.f_type, image->shared);
	return 0;
}

static int look_child(const void *path)
{
	struct image image;
	int ret;

	memset(&image, 0, sizeof(image));
	ret = look(path, &image);
	if (!ret &&
	    write(STDERR_FILENO, &image, sizeof(image)) != sizeof(image))
		ret = -EIO;
	return -ret;
}

int image_look(const char *path, struct image *image)
{
	size_t length = 0;
	int ret = child_run(look_child, path, service_patience(LOOK_PATIENCE),
			    image, sizeof(*image), &length);

	if (ret)
		return ret < 0 ? ret : -ret;
	return length == sizeof(*image) ? 0 : -EIO;
}

bool image_is_of(const struct image *image, const struct disk *disk)
{
	return !strcmp(image->path, disk->image) ||
	       disk_is_file(disk, &image->identity);
}
