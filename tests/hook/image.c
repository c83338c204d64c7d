// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The look of libvirt's hook at an image: the real place of the image, the
 * file, and whether another host may have it without a lock that we can see.
 * The linker gives us the hook's calls of statfs(2).  So the test has also the
 * file systems that this machine lacks, and one that does not answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "plugin/libvirt/image.h"

static unsigned long type;
static bool hangs;

int __wrap_statfs(const char *path, struct statfs *fs);
int __wrap_statfs64(const char *path, struct statfs *fs);

int __wrap_statfs(const char *path, struct statfs *fs)
{
	(void)path;
	if (hangs)
		pause();
	memset(fs, 0, sizeof(*fs));
	fs->f_type = (__typeof__(fs->f_type))type;
	return 0;
}

/* Its name where files may be large. */
int __wrap_statfs64(const char *path, struct statfs *fs)
{
	return __wrap_statfs(path, fs);
}

static int failures;

static void expect(bool right, const char *what, const char *detail)
{
	if (right)
		return;
	printf("FAILED: %s: %s\n", what, detail);
	failures++;
}

static const struct {
	unsigned long type;
	const char *shared;
} types[] = {
	{ 0xef53, "" },	    /* ext4 */
	{ 0x58465342, "" }, /* XFS */
	{ 0x9123683e, "" }, /* Btrfs */
	{ 0x01021994, "" }, /* tmpfs */
	{ 0x2fc12fc1, "" }, /* ZFS */
	{ 0x6969, "an NFS file system" },
	{ 0x517b, "an SMB file system" },
	{ 0xff534d42, "a CIFS file system" },
	{ 0xfe534d42, "an SMB file system" },
	{ 0xc36400, "a Ceph file system" },
	{ 0x01161970, "a GFS2 file system" },
	{ 0x7461636f, "an OCFS2 file system" },
	{ 0x47504653, "a GPFS file system" },
	{ 0x65735546, "a FUSE file system" },
	{ 0x0bd00bd0, "a Lustre file system" },
	{ 0x01021997, "a 9P file system" },
};

static void look_at_types(const char *path)
{
	struct image image;
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		type = types[i].type;
		expect(!image_look(path, &image), "look", types[i].shared);
		expect(!strcmp(image.shared, types[i].shared), image.shared,
		       types[i].shared);
	}
	/* The kernel's field is signed where words are short. */
	type = 0xffffffffff534d42;
	expect(!image_look(path, &image) && *image.shared, "signed", "CIFS");
}

static void look_at_names(const char *path, const char *link)
{
	struct disk disk = { .image = "/elsewhere" };
	struct image image;
	struct stat st;

	type = 0xef53;
	if (stat(path, &st))
		expect(false, "stat", path);
	expect(!image_look(link, &image), "look", link);
	expect(!strcmp(image.path, path), image.path, path);
	expect(image.identity.device == st.st_dev &&
		       image.identity.inode == st.st_ino,
	       "identity", path);

	expect(!image_is_of(&image, &disk), "another image", path);
	disk.identity = image.identity;
	expect(image_is_of(&image, &disk), "the same file", path);
	disk.identity.inode++;
	expect(!image_is_of(&image, &disk), "another file", path);
	disk.identity = image.identity;
	disk.identity.birth++;
	expect(!image.identity.birth || !image_is_of(&image, &disk),
	       "an inode used again", path);
	strcpy(disk.image, path);
	expect(image_is_of(&image, &disk), "the same name", path);

	expect(image_look("/nowhere/at/all", &image) == -ENOENT, "look",
	       "/nowhere/at/all");
}

static void look_without_answer(const char *path)
{
	struct image image;

	setenv("UBLK_QCOW2_PATIENCE", "300", 1);
	hangs = true;
	expect(image_look(path, &image) == -ETIMEDOUT, "a file system that",
	       "does not answer");
	hangs = false;
}

int main(void)
{
	char dir[] = "/tmp/hook-image.XXXXXX", *real;
	char path[PATH_MAX], link[PATH_MAX];

	if (!mkdtemp(dir) || !(real = realpath(dir, NULL)))
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/image", real);
	snprintf(link, sizeof(link), "%s/link", real);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect(!symlink("image", link), "symlink", link);

	look_at_types(path);
	look_at_names(path, link);
	look_without_answer(path);

	unlink(link);
	unlink(path);
	rmdir(real);
	free(real);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
