// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file that configures a disk: disks.d/NAME.conf.
 *
 * The same name must always give the same disk, so files are not merged: a
 * disk that two directories configure is an error, and neither file wins.  To
 * serve the wrong image under a guest's disk would be worse than to serve
 * none.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/common/conf.h"
#include "plugin/common/name.h"

#define SUFFIX ".conf"

/* The environment is for tests. */
const char *conf_directory(enum conf_place place)
{
	const char *admin = getenv("UBLK_QCOW2_DISKS");
	const char *runtime = getenv("UBLK_QCOW2_RUN_DISKS");

	if (place == CONF_ADMIN)
		return admin ? admin : "/etc/ublk-qcow2/disks.d";
	return runtime ? runtime : STATE_DIR "/disks.d";
}

static void begin(struct conf *conf, const char *name)
{
	const struct disk_options defaults = DISK_OPTIONS_DEFAULT;

	memset(conf, 0, sizeof(*conf));
	conf->request = (struct disk_request){
		.image = conf->image,
		.name = conf->name,
		.id = -1,
		.options = defaults,
	};
	strcpy(conf->name, name);
}

/* A link that leads nowhere counts, too: an admin made it for some disk. */
static bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st) || errno != ENOENT;
}

/* Decides between the directories. */
static int find_file(struct conf *conf, char text[CONF_TEXT_MAX])
{
	char paths[NR_CONF_PLACES][PATH_MAX];
	enum conf_place place, found = NR_CONF_PLACES;

	for (place = 0; place < NR_CONF_PLACES; place++) {
		snprintf(paths[place], PATH_MAX, "%s/%s" SUFFIX,
			 conf_directory(place), conf->name);
		if (!is_there(paths[place]))
			continue;
		if (found != NR_CONF_PLACES) {
			snprintf(text, CONF_TEXT_MAX,
				 "%.400s and %.400s both configure the disk "
				 "%s; remove one of them",
				 paths[found], paths[place], conf->name);
			return -EEXIST;
		}
		found = place;
	}
	if (found == NR_CONF_PLACES) {
		snprintf(text, CONF_TEXT_MAX,
			 "%s is not configured: write %.400s, with at least "
			 "the line 'image = /path/of/the/image'",
			 conf->name, paths[CONF_ADMIN]);
		return -ENOENT;
	}
	strcpy(conf->path, paths[found]);
	return 0;
}

int conf_find(const char *name, struct conf *conf, char text[CONF_TEXT_MAX])
{
	const char *wrong = name_check(name);
	int ret;

	if (wrong) {
		snprintf(text, CONF_TEXT_MAX, "%.128s: %s", name, wrong);
		return -EINVAL;
	}
	begin(conf, name);
	ret = find_file(conf, text);
	return ret ? ret : conf_read_file(conf, text);
}

/* All of them */

static int is_conf(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX);
}

int conf_each(void (*visit)(const char *name, void *opaque), void *opaque,
	      char text[CONF_TEXT_MAX])
{
	const char *dir = conf_directory(CONF_ADMIN);
	struct dirent **entries;
	int i, nr;

	nr = scandir(dir, &entries, is_conf, alphasort);
	if (nr < 0 && errno != ENOENT) {
		nr = -errno;
		snprintf(text, CONF_TEXT_MAX, "%.500s: %s", dir, strerror(-nr));
		return nr;
	}
	for (i = 0; i < nr; i++) {
		char *name = entries[i]->d_name;

		name[strlen(name) - strlen(SUFFIX)] = '\0';
		visit(name, opaque);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return 0;
}
