// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files in disks.d: the keys and values that they may have.  The message about
 * a wrong file names the file, the line, the key and the allowed values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/conf.h"
#include "plugin/common/owner.h"
#include "tests/lib/helpers.h"

static const char *dirs[NR_CONF_PLACES];

static void set_directories(const char *admin, const char *runtime)
{
	dirs[CONF_ADMIN] = admin;
	dirs[CONF_RUNTIME] = runtime;
	setenv("UBLK_QCOW2_DISKS", admin, 1);
	setenv("UBLK_QCOW2_RUN_DISKS", runtime, 1);
}

static void put(enum conf_place place, const char *name, const void *bytes,
		size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.conf", dirs[place], name);
	write_file(path, bytes, size);
}

static void put_text(enum conf_place place, const char *name, const char *text)
{
	put(place, name, text, strlen(text));
}

static void take_away(enum conf_place place, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.conf", dirs[place], name);
	if (unlink(path))
		die("%s: %s", path, strerror(errno));
}

static void must_find(const char *name, struct conf *conf)
{
	char text[CONF_TEXT_MAX] = "";

	if (conf_find(name, conf, text))
		die("%s: refused: %s", name, text);
}

static void must_refuse(const char *name, int error, const char *expected)
{
	char text[CONF_TEXT_MAX] = "";
	struct conf conf;
	int ret = conf_find(name, &conf, text);

	if (ret != error)
		die("%s: returned %d and not %d; says: %s", name, ret, error,
		    text);
	if (!strstr(text, expected))
		die("%s: says '%s' and not '%s'", name, text, expected);
	if (strchr(text, '\n'))
		die("%s: says more than a line: %s", name, text);
}

/* Good files */

static void minimal(void)
{
	struct conf conf;

	put_text(CONF_ADMIN, "web", "image=/srv/web.qcow2");
	must_find("web", &conf);
	if (strcmp(conf.request.image, "/srv/web.qcow2") ||
	    strcmp(conf.request.name, "web"))
		die("image %s, name %s", conf.request.image, conf.request.name);
	if (conf.request.id != -1 || conf.request.options.queues != 1 ||
	    conf.request.options.depth != 128 ||
	    conf.request.options.read_only || conf.request.options.writeback ||
	    *conf.request.options.key_file ||
	    conf.request.options.watchdog != 30 || conf.request.options.iops ||
	    conf.request.options.bandwidth || conf.request.options.workers != 4)
		die("not the defaults of add");
}

static void complete(void)
{
	struct conf conf;

	put_text(CONF_ADMIN, "all.of_it-2",
		 "# a disk\n\n"
		 "   # of everything\r\n"
		 "image = /srv/with = and # and blanks.qcow2 \t\r\n"
		 "\tid=1048575\n"
		 "queues\t=\t1\n"
		 "depth = 4096\n"
		 "read-only = yes\n"
		 "cache = writeback\n"
		 "key-file = /etc/keys/all\n"
		 "data-file = /srv/data\n"
		 "no-references = yes\n"
		 "watchdog = 7\n"
		 "iops = 500\n"
		 "bandwidth = 3M\n"
		 "cache-size = 2097152\n"
		 "workers = 32\n");
	must_find("all.of_it-2", &conf);
	if (strcmp(conf.image, "/srv/with = and # and blanks.qcow2"))
		die("image '%s'", conf.image);
	if (conf.request.id != 1048575 || conf.request.options.queues != 1 ||
	    conf.request.options.depth != 4096 ||
	    !conf.request.options.read_only ||
	    !conf.request.options.writeback ||
	    strcmp(conf.request.options.key_file, "/etc/keys/all") ||
	    strcmp(conf.request.options.data_file, "/srv/data") ||
	    !conf.request.options.no_references ||
	    conf.request.options.watchdog != 7 ||
	    conf.request.options.iops != 500 ||
	    conf.request.options.bandwidth != 3 << 20 ||
	    conf.request.options.cache_size != 2 << 20 ||
	    conf.request.options.workers != 32)
		die("something was not taken");

	put_text(CONF_ADMIN, "no",
		 "read-only=no\ncache=none\nid=0\nimage=/i\nwatchdog=no");
	must_find("no", &conf);
	if (conf.request.id || conf.request.options.read_only ||
	    conf.request.options.writeback || conf.request.options.watchdog)
		die("no, none and 0 are not that");
}

/* Lines that are wrong, all of them as line 2 after a good one */

static const struct {
	const char *line;
	const char *text;
} bad_lines[] = {
	{ "nonsense", ":2: 'nonsense' is no 'key = value'" },
	{ "[disk]", ":2: '[disk]' is no 'key = value'" },
	{ "imgae = /i",
	  ":2: 'imgae' is no key; allowed are image, id, queues, depth, "
	  "read-only, cache, key-file, data-file, no-references, "
	  "confined, sound-kernel, watchdog, iops, bandwidth, cache-size, workers" },
	{ "Depth = 1", "'Depth' is no key" },
	{ "= 1", "'' is no key" },
	{ "image = /j", ":2: image: is in line 1 already" },
	{ "id = ", ":2: id: '' is no value for it; allowed: a number from 0 "
		   "to 1048575" },
	{ "id = -1", "id: '-1' is no value" },
	{ "id = 1048576", "id: '1048576' is no value" },
	{ "id = 0x1", "id: '0x1' is no value" },
	{ "id = 1 # one", "id: '1 # one' is no value" },
	{ "id = 99999999999999999999", "is no value for it" },
	{ "queues = 0", ":2: queues: '0' is no value for it; allowed: a "
			"number from 1 to " },
	{ "queues = 999999", "how many processors there are" },
	{ "depth = 0", "depth: '0' is no value for it; allowed: a number from "
		       "1 to 4096" },
	{ "depth = 4097", "depth: '4097'" },
	{ "read-only = true", ":2: read-only: 'true' is no value for it; "
			      "allowed: yes, no" },
	{ "cache = unsafe", ":2: cache: 'unsafe' is no value for it; allowed: "
			    "none, writeback" },
	{ "cache =", "cache: '' is no value" },
	{ "watchdog = 1", ":2: watchdog: '1' is no value for it; allowed: no, "
			  "a number from 2 to 3600" },
	{ "watchdog = 10s", "watchdog: '10s' is no value" },
	{ "iops = 0", ":2: iops: '0' is no value for it; allowed: no, a number "
		      "from 1 to 1000000000" },
	{ "iops = 1K", "iops: '1K' is no value" },
	{ "bandwidth = 1K", ":2: bandwidth: '1K' is no value for it; allowed: "
			    "no, a number from 64K to 1T" },
	{ "bandwidth = 1MB", "bandwidth: '1MB' is no value" },
	{ "bandwidth = 99999999999T", "bandwidth: '99999999999T' is no value" },
	{ "bandwidth = M", "bandwidth: 'M' is no value" },
	{ "cache-size = no", ":2: cache-size: 'no' is no value for it; "
			     "allowed: auto, a number from 1M to 16G" },
	{ "workers = 33", "workers: '33' is no value" },
	{ "key-file = key", ":2: key-file: 'key' is no value for it; allowed: "
			    "an absolute path" },
};

static void lines(void)
{
	char file[256];
	size_t i;

	for (i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
		snprintf(file, sizeof(file), "image = /i\n%s\n",
			 bad_lines[i].line);
		put_text(CONF_ADMIN, "bad", file);
		must_refuse("bad", -EINVAL, bad_lines[i].text);
		must_refuse("bad", -EINVAL, "/bad.conf:2: ");
	}
}

static void images(void)
{
	static char long_path[PATH_MAX + 16];

	put_text(CONF_ADMIN, "bad", "# nothing\n");
	must_refuse("bad", -EINVAL, "/bad.conf: image: is missing");
	put_text(CONF_ADMIN, "bad", "");
	must_refuse("bad", -EINVAL, "image: is missing");
	put_text(CONF_ADMIN, "bad", "image = web.qcow2");
	must_refuse("bad", -EINVAL,
		    ":1: image: 'web.qcow2' is no value for it; allowed: an "
		    "absolute path");
	put_text(CONF_ADMIN, "bad", "image = \"/srv/web.qcow2\"");
	must_refuse("bad", -EINVAL, "without quotes");

	strcpy(long_path, "image = ");
	memset(long_path + strlen(long_path), '/', PATH_MAX);
	put_text(CONF_ADMIN, "bad", long_path);
	must_refuse("bad", -EINVAL, "is no value for it");
	long_path[strlen("image = ") + PATH_MAX - 1] = '\0';
	put_text(CONF_ADMIN, "bad", long_path);
	must_find("bad", &(struct conf){ 0 });
}

/* Files that are wrong */

static void files(void)
{
	static char big[64 * 1024 + 1];
	char path[PATH_MAX];

	put(CONF_ADMIN, "bad", "image = /i\0/j", 13);
	must_refuse("bad", -EINVAL, "/bad.conf: holds a zero byte");

	memset(big, '#', sizeof(big));
	memcpy(big, "image=/i\n", 9);
	put(CONF_ADMIN, "bad", big, sizeof(big));
	must_refuse("bad", -EINVAL, "is longer than 65536 bytes");
	put(CONF_ADMIN, "bad", big, sizeof(big) - 1);
	must_find("bad", &(struct conf){ 0 });
	take_away(CONF_ADMIN, "bad");

	snprintf(path, sizeof(path), "%s/bad.conf", dirs[CONF_ADMIN]);
	if (mkfifo(path, 0600))
		die("mkfifo: %s", strerror(errno));
	must_refuse("bad", -EINVAL, "/bad.conf: is no regular file");
	take_away(CONF_ADMIN, "bad");
	if (mkdir(path, 0700))
		die("mkdir: %s", strerror(errno));
	must_refuse("bad", -EINVAL, "is no regular file");
	rmdir(path);
	if (symlink("/nowhere/at/all", path))
		die("symlink: %s", strerror(errno));
	must_refuse("bad", -EINVAL, "/bad.conf: No such file");
	take_away(CONF_ADMIN, "bad");
}

static void names(void)
{
	must_refuse("nobody", -ENOENT, "nobody is not configured: write ");
	must_refuse("nobody", -ENOENT, "/nobody.conf, with at least");
	must_refuse("../web", -EINVAL, "does not begin with a dot");
	must_refuse("a/../web", -EINVAL, "a name consists of");
	must_refuse("12", -EINVAL, "would be taken for an id");
	must_refuse("", -EINVAL, "1 to 64 characters");
	must_refuse(".web", -EINVAL, "does not begin with a dot");
}

/* The two directories */

static void places(void)
{
	struct conf conf;

	put_text(CONF_RUNTIME, "guest", "image=/run-time");
	must_find("guest", &conf);
	if (strcmp(conf.image, "/run-time"))
		die("the file of the second directory was not read");
	put_text(CONF_ADMIN, "guest", "image=/run-time");
	must_refuse("guest", -EEXIST, "both configure the disk guest");
	must_refuse("guest", -EEXIST, dirs[CONF_ADMIN]);
	must_refuse("guest", -EEXIST, dirs[CONF_RUNTIME]);
	take_away(CONF_RUNTIME, "guest");
	must_find("guest", &conf);
}

static void must_change(const char *from, const char *to, int expected)
{
	char text[CONF_TEXT_MAX] = "";
	int ret = conf_change_image("moved", from, to, text);

	if (ret != expected)
		die("%s to %s: %d and not %d: %s", from, to, ret, expected,
		    text);
}

/* The successor of a process that died in the middle makes the change again. */
static void change_image(void)
{
	struct conf conf;

	must_change("/a.qcow2", "/b.qcow2", -ENOENT);
	put_text(CONF_ADMIN, "moved", "# image=\nimage = /a.qcow2\ndepth=2\n");
	must_change("/c.qcow2", "/b.qcow2", -EINVAL);
	must_change("/a.qcow2", "/b.qcow2", 0);
	must_change("/a.qcow2", "/b.qcow2", 0);
	must_find("moved", &conf);
	if (strcmp(conf.image, "/b.qcow2") || conf.request.options.depth != 2)
		die("it says something else");
	must_change("/b.qcow2", "/a.qcow2", 0);
	must_find("moved", &conf);
	if (strcmp(conf.image, "/a.qcow2"))
		die("there is no way back");
	take_away(CONF_ADMIN, "moved");
}

static void must_have(const char *image)
{
	struct conf conf;

	must_find("moved", &conf);
	if (strcmp(conf.image, image))
		die("its image is %s and not %s", conf.image, image);
}

/* The line is one that the reader of the file takes, and so is the new one. */
static void change_odd_image(void)
{
	put_text(CONF_ADMIN, "moved", "\v\fimage\r= /a.qcow2\r\n");
	must_change("/a.qcow2", "/b.qcow2", 0);
	must_have("/b.qcow2");
	must_change("/b.qcow2", "/a.qcow2 ", -EINVAL);
	must_change("/b.qcow2", "/a.qcow2\ndepth = 2", -EINVAL);
	must_have("/b.qcow2");
	take_away(CONF_ADMIN, "moved");
}

/* The file is another one's, and a link in disks.d leads to it. */
static void change_behind_link(void)
{
	struct stat st;
	char path[PATH_MAX];

	put_text(CONF_RUNTIME, "real", "image = /a.qcow2\n");
	snprintf(path, sizeof(path), "%s/moved.conf", dirs[CONF_ADMIN]);
	must_run("ln -s %s/real.conf %s", dirs[CONF_RUNTIME], path);
	must_change("/a.qcow2", "/b.qcow2", 0);
	must_have("/b.qcow2");
	if (lstat(path, &st) || !S_ISLNK(st.st_mode))
		die("the link is gone");
	must_run("grep -q /b.qcow2 %s/real.conf", dirs[CONF_RUNTIME]);
	take_away(CONF_ADMIN, "moved");
	take_away(CONF_RUNTIME, "real");
}

/* Another process is about to change the file. */
static void change_beside(void)
{
	int lock, status;
	pid_t other;

	put_text(CONF_ADMIN, "moved", "image = /a.qcow2\n");
	if (owner_lock("disks.d/moved", 0, &lock))
		die("no lock");
	other = fork();
	if (!other) {
		usleep(300000);
		put_text(CONF_ADMIN, "moved", "image = /c.qcow2\n");
		_exit(0);
	}
	/* The lock is the child's now, and goes with it. */
	close(lock);
	must_change("/a.qcow2", "/b.qcow2", -EINVAL);
	must_have("/c.qcow2");
	if (waitpid(other, &status, 0) != other || status)
		die("the other process");
	take_away(CONF_ADMIN, "moved");
}

static void must_find_other(const char *image, int expected)
{
	char path[PATH_MAX], text[CONF_TEXT_MAX];
	int ret = conf_find_other("mine", image, path, text);

	if (ret != expected)
		die("another file names %s: %d and not %d", image, ret,
		    expected);
	if (!ret && !strstr(path, "/other.conf"))
		die("%s names %s", path, image);
}

/* Which other file names an image, by whatever path? */
static void find_other(void)
{
	char *image = scratch_path("image"), *line;

	must_run("cd %s && : >image && : >third && ln -s . link && "
		 "ln image same",
		 scratch());
	put_text(CONF_ADMIN, "mine", "image = /gone.qcow2\n");
	put_text(CONF_ADMIN, "broken", "image\n");
	must_find_other(image, -ENOENT);
	for (const char *const *name =
		     (const char *[]){ "image", "link/image", "same", NULL };
	     *name; name++) {
		if (asprintf(&line, "image = %s/%s\n", scratch(), *name) < 0)
			die("out of memory");
		put_text(CONF_ADMIN, "other", line);
		must_find_other(image, 0);
		free(line);
	}
	put_text(CONF_ADMIN, "other", "image = /gone.qcow2\n");
	must_find_other("/gone.qcow2", 0);
	must_find_other(image, -ENOENT);
	take_away(CONF_ADMIN, "other");
	take_away(CONF_ADMIN, "broken");
	take_away(CONF_ADMIN, "mine");
	free(image);
}

static void collect(const char *name, void *opaque)
{
	strcat(opaque, name);
	strcat(opaque, " ");
}

static void list(void)
{
	char found[256] = "", text[CONF_TEXT_MAX];
	char *dir = scratch_path("list");
	char *missing = scratch_path("missing");

	set_directories(dir, dir);
	if (mkdir(dir, 0700))
		die("%s: %s", dir, strerror(errno));
	put_text(CONF_ADMIN, "b", "");
	put_text(CONF_ADMIN, "a", "");
	put_text(CONF_ADMIN, ".hidden", "");
	put_text(CONF_ADMIN, "", "");
	put_text(CONF_ADMIN, "c.conf~", "");
	must_run("touch %s/d %s/e.conf.dpkg-new", dir, dir);
	if (conf_each(collect, found, text) || strcmp(found, "a b c.conf~ "))
		die("the directory has: %s", found);
	found[0] = '\0';
	set_directories(missing, missing);
	if (conf_each(collect, found, text) || *found)
		die("a directory that is not there has: %s", found);
	must_run("touch %s", missing);
	if (conf_each(collect, found, text) != -ENOTDIR ||
	    !strstr(text, missing))
		die("a file was taken for a directory: %s", text);
	free(missing);
	free(dir);
}

int main(void)
{
	char *admin = scratch_path("etc");
	char *runtime = scratch_path("run");

	setenv("UBLK_QCOW2_RUN", runtime, 1);
	set_directories(admin, runtime);
	if (mkdir(admin, 0700) || mkdir(runtime, 0700))
		die("mkdir: %s", strerror(errno));
	minimal();
	complete();
	lines();
	images();
	files();
	names();
	places();
	change_image();
	change_odd_image();
	change_behind_link();
	change_beside();
	find_other();
	list();
	free(runtime);
	free(admin);
	return 0;
}
