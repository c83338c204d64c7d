// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server opens its image when it has fallen: its clerk opens the files, and
 * hands over those of the disk and no others.
 *
 * Each case is a child, for there is no way back.  The journals are on a tmpfs
 * of the test's own; the driver is not asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/server/clerk.h"
#include "plugin/server/confine.h"
#include "plugin/server/control.h"
#include "plugin/server/server.h"
#include "qcow/names.h"
#include "tests/commands/clerk-world.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77
#define LENGTH	4096

static char *image, *base, *other, *legacy, *a_pipe;
static struct disk_options disk_options = DISK_OPTIONS_DEFAULT;
static const struct qcow_names *names;
static struct clerk *clerk;
static int ring[2]; /* a pipe; the clerk takes the one end for the ring */

/* ---- a server ---- */

static void start(const struct server_config *config)
{
	static const struct qcow_references beside;

	if (pipe2(ring, O_CLOEXEC) ||
	    clerk_start(config, &beside, ring[1], &clerk) || clerk_await(clerk))
		die("no clerk");
	close(ring[1]);
	expect(clerk_features(clerk) == FEATURES, "other features");
	names = clerk_names(clerk);
}

static void fall_now(void)
{
	unsigned int held;
	const char *step;

	expect(!confine_prepare(), "is not prepared");
	if (confine(clerk_nodes(clerk), &held, &step))
		die("cannot %s", step);
}

static void fall(const struct server_config *config)
{
	start(config);
	if (config->layers)
		clerk_hold_files(clerk, config);
	fall_now();
}

/* As the server would. */
static int open_image(const struct server_config *config,
		      struct qcow_image **opened, struct qcow_error *error)
{
	const struct qcow_options options = {
		.cache = QCOW_CACHE_WRITEBACK,
		.read_only = config->options->read_only,
		.layers = config->layers,
		.nr_layers = config->nr_layers,
		.identity = config->identity,
		.names = names,
	};

	return qcow_open(config->image, &options, opened, error);
}

static struct qcow_image *fall_and_open(const struct server_config *config)
{
	struct qcow_image *opened;
	struct qcow_error error;

	fall(config);
	if (open_image(config, &opened, &error))
		die("%s", error.text);
	return opened;
}

static void serve_wholly(void)
{
	const char *step;

	if (confine_wholly(&step))
		die("cannot %s", step);
	/* There is no device, but it can be asked for. */
	expect(!clerk_end_orders(clerk), "the orders have no end");
	expect(clerk_end_recovery(clerk) == -EINVAL, "the clerk is gone");
	clerk_dismiss(clerk);
}

static void expect_bytes(struct qcow_image *opened, uint64_t offset, char byte)
{
	char bytes[LENGTH];

	expect(!qcow_read(opened, bytes, offset, LENGTH), "cannot read");
	for (unsigned int i = 0; i < LENGTH; i++)
		expect(bytes[i] == byte, "other bytes");
}

/* ---- a new disk, and the server after its death ---- */

static void write_and_die(const struct server_config *config)
{
	struct qcow_image *opened = fall_and_open(config);
	char bytes[LENGTH];

	serve_wholly();
	memset(bytes, 'x', sizeof(bytes));
	expect(!qcow_write(opened, bytes, 0, sizeof(bytes)), "cannot write");
	expect_bytes(opened, LENGTH, 'b');
}

static void read_and_close(const struct server_config *config)
{
	struct qcow_image *opened = fall_and_open(config);

	expect_bytes(opened, 0, 'x');
	expect_bytes(opened, LENGTH, 'b');
	expect(!qcow_close(opened), "cannot close");
}

static void read_legacy(const struct server_config *config)
{
	struct qcow_image *opened = fall_and_open(config);

	serve_wholly();
	expect_bytes(opened, LENGTH, 'b');
}

static void fail_to_open(const struct server_config *config)
{
	struct qcow_image *opened;
	struct qcow_error error;

	fall(config);
	expect(open_image(config, &opened, &error), "opens it");
	if (!strstr(error.text, "another file has taken its name"))
		die("%s", error.text);
}

/* ---- a server that is somebody else's ---- */

static int ask_to_open(const char *path, int flags)
{
	return names->open(names->opaque, path, flags);
}

static int ask_to_resolve(const char *from, enum qcow_reference kind,
			  const char *name)
{
	char *path;

	return names->resolve(names->opaque, from, kind, name, &path, NULL);
}

static void ask_for_files(const struct server_config *config)
{
	const bool known = config->layers;
	char *settled, *path;
	int fd;

	expect_refused(ask_to_open("/etc/passwd", O_RDONLY), "a host's file");
	expect_refused(ask_to_open(other, O_RDONLY), "another image");
	expect_refused(ask_to_open(image, O_RDWR | O_TRUNC), "empties it");
	expect_refused(ask_to_open(image, O_RDWR | O_CREAT), "makes it");
	expect_refused(ask_to_resolve(image, QCOW_REFERS_TO_BACKING, "base"),
		       "a name before the image is settled");
	expect(!names->settle(names->opaque, image, &settled), "settles");
	expect(known ? ask_to_resolve(settled, QCOW_REFERS_TO_BACKING, other) ==
			       -ESTALE :
		       !ask_to_resolve(settled, QCOW_REFERS_TO_BACKING, other),
	       "a file beside it as its backing");
	expect_refused(ask_to_open(other, O_RDWR), "another image to write");
	expect(ask_to_resolve(settled, QCOW_REFERS_TO_BACKING, "/etc/passwd") <
		       0,
	       "a host's file as its backing");
	expect(ask_to_resolve(settled, QCOW_REFERS_TO_DATA, other) < 0,
	       "another image as its data");
	expect_refused(
		ask_to_resolve("/etc/hosts", QCOW_REFERS_TO_BACKING, "passwd"),
		"a name from elsewhere");
	fd = ask_to_open(image, O_RDWR);
	expect(fd >= 0, "its own image");
	expect_refused(names->open_again(names->opaque, fd, O_RDWR),
		       "it once more to write");
	expect(!names->resolve(names->opaque, settled, QCOW_REFERS_TO_BACKING,
			       base, &path, NULL) &&
		       ask_to_open(path, O_RDONLY) >= 0,
	       "its backing");
	expect_refused(ask_to_open(path, O_RDWR), "its backing to write");
}

static char *path_of(const char *path, const char *ending)
{
	struct qcow_identity identity;

	if (qcow_identify_path(path, &identity))
		die("no image");
	return qcow_journal_path(&identity, QCOW_JOURNAL_DIR, ending);
}

static char *own_journal, *own_note, *base_journal, *other_journal;

static void ask_for_journals(const struct server_config *config)
{
	int fd, named;

	(void)config;
	expect_refused(names->set_aside(names->opaque, "/etc"), "a file");
	fd = names->set_aside(names->opaque, QCOW_JOURNAL_DIR);
	expect(fd >= 0, "no file for its journal");
	expect_refused(names->link(names->opaque, fd, own_journal),
		       "a journal of an image that it does not have");
	named = ask_to_open(image, O_RDWR);
	expect(named >= 0, "its own image");
	expect_refused(names->link(names->opaque, named, own_journal),
		       "another name for a file that has one");
	expect_refused(names->link(names->opaque, fd, other_journal),
		       "another's journal");
	expect(!names->link(names->opaque, fd, own_journal), "its journal");
	expect(ask_to_open(own_journal, O_RDWR) >= 0, "its journal");
	expect_refused(ask_to_open(other_journal, O_RDONLY), "another's");
	expect_refused(names->remove(names->opaque, other_journal),
		       "removes another's");
	expect_refused(ask_to_open(base_journal, O_RDWR), "its backing's");
	expect(!names->remove(names->opaque, own_journal), "removes its own");
}

static void ask(const struct server_config *config)
{
	char name[NAME_MAX + 1];
	struct stat st;

	fall(config);
	expect_refused(names->look(names->opaque, "/etc/passwd", &st), "looks");
	expect_refused(names->list(names->opaque, "/etc", "", 0, name),
		       "lists");
	ask_for_journals(config);
	ask_for_files(config);
}

/* R14: the fence is on the description, so the clerk must not have it, too. */
static void lock_and_close(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };

	for (unsigned int i = 0; i < 2; i++) {
		int fd = ask_to_open(image, O_RDWR);

		expect(fd >= 0 && !fcntl(fd, F_OFD_SETLK, &lock),
		       "its image is locked by a descriptor of the clerk's");
		close(fd);
	}
}

static void ask_for_locks(const struct server_config *config)
{
	struct clerk_view view;

	fall(config);
	lock_and_close();
	expect(clerk_look(clerk, 0, &view) == -EXDEV, "another's device");
}

/* ---- the ring ---- */

static bool somebody_has_ring(void)
{
	struct pollfd end = { .fd = ring[0] };

	return !poll(&end, 1, 0);
}

/* The driver must not take the fetches back before the last order. */
static void die_early(const struct server_config *config)
{
	start(config);
	expect(!clerk_end_orders(clerk), "the orders have no end");
	expect(somebody_has_ring(), "the clerk has no ring");
	clerk_dismiss(clerk);
	expect(!somebody_has_ring(), "the ring outlives the clerk");
}

/* ---- files that were opened before the fall ---- */

#define AS_THE_ENGINE (O_RDWR | O_CLOEXEC | O_NOFOLLOW)

static unsigned int descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 100; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Without the image the clerk gives none of these. */
static void ask_for_held(const struct server_config *config)
{
	unsigned int before;

	must_run("touch %s %s %s", own_journal, own_note, other_journal);
	start(config);
	clerk_hold_files(clerk, config);
	must_run("rm %s", own_note);
	fall_now();
	before = descriptors();
	expect_refused(ask_to_open(own_journal, O_RDWR), "with other flags");
	expect_refused(ask_to_open(other_journal, AS_THE_ENGINE), "another's");
	expect_refused(ask_to_open(own_note, AS_THE_ENGINE),
		       "one that is gone");
	expect(ask_to_open(own_journal, AS_THE_ENGINE) >= 0, "its journal");
	expect_refused(ask_to_open(own_journal, AS_THE_ENGINE), "it again");
	expect(!clerk_end_orders(clerk) && descriptors() == before - 2,
	       "the others stay open");
}

/* To open it would wait for a writer. */
static void ask_for_a_pipe(const struct server_config *config)
{
	fall(config);
	expect_refused(ask_to_open(config->image, O_RDONLY | O_NONBLOCK),
		       "a pipe");
}

static void ask_to_write(const struct server_config *config)
{
	char *settled, *path;

	fall(config);
	expect(!names->settle(names->opaque, image, &settled) &&
		       !names->resolve(names->opaque, settled,
				       QCOW_REFERS_TO_BACKING, base, &path,
				       NULL),
	       "its backing");
	expect_refused(ask_to_open(path, O_RDWR), "its backing to write");
	expect_refused(ask_to_open(image, O_RDWR), "a read-only disk");
	expect(ask_to_open(image, O_RDONLY) >= 0, "its image");
	expect_refused(names->remove(names->opaque, own_journal),
		       "removes a journal that it may only read");
}

/* The engine is not asked whether it is the right file. */
static void ask_for_another(const struct server_config *config)
{
	fall(config);
	expect(ask_to_open(image, O_RDONLY) == -ESTALE,
	       "another file in its image's place");
}

/* ---- all of them ---- */

static void run_case(const char *name,
		     void (*act)(const struct server_config *config),
		     const struct server_config *config)
{
	pid_t child = fork();
	int status = 0;

	if (!child) {
		act(config);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("%s: see above (%#x)", name, status);
}

static void make_images(void)
{
	must_run("head -c 1M /dev/zero | tr '\\0' b >%s", base);
	must_run("qemu-img convert -f raw -O qcow %s %s", base, legacy);
	must_run("qemu-img create -q -f qcow2 -b %s -F raw %s 1M", base, image);
	must_run("qemu-img create -q -f qcow2 -b %s -F qcow %s 1M", legacy,
		 other);
	/* As libvirt leaves them. */
	must_run("chown 1000:1000 %s %s && chmod 600 %s %s", image, base, image,
		 base);
}

static bool has_journal(void)
{
	return !run("ls " QCOW_JOURNAL_DIR "/*.journal >/dev/null 2>&1");
}

static void run_cases(void)
{
	struct qcow_layer layer = { .path = base };
	struct server_config config = {
		.image = image,
		.options = &disk_options,
		.nonce = NONCE,
	};

	expect(!qcow_identify_path(image, &config.identity) &&
		       !qcow_identify_path(base, &layer.identity),
	       "no image");
	run_case("asks, a new disk", ask, &config);
	run_case("a new disk", write_and_die, &config);
	run_case("the ring", die_early, &config);
	expect(has_journal(), "no journal");
	config.layers = &layer;
	config.nr_layers = 1;
	run_case("the next server", read_and_close, &config);
	expect(!has_journal(), "its journal stays");
	run_case("asks, a known disk", ask, &config);
	run_case("asks for locks", ask_for_locks, &config);
	run_case("asks for files that it holds", ask_for_held, &config);
	must_run("rm %s %s", own_journal, other_journal);
	disk_options.read_only = true;
	layer.written = true;
	run_case("asks, a read-only disk", ask_to_write, &config);
	disk_options.read_only = false;
	layer.written = false;
	must_run("cp %s %s.new && mv %s.new %s", image, image, image, image);
	run_case("another image", fail_to_open, &config);
	run_case("asks, another image", ask_for_another, &config);
	config = (struct server_config){
		.image = other,
		.options = &disk_options,
	};
	run_case("a legacy image", read_legacy, &config);
	must_run("mkfifo %s", a_pipe);
	config.image = a_pipe;
	run_case("asks, a pipe", ask_for_a_pipe, &config);
}

int main(void)
{
	if (geteuid() || !make_world())
		return SKIPPED;
	image = scratch_path("image.qcow2");
	base = scratch_path("base");
	legacy = scratch_path("legacy");
	other = scratch_path("other.qcow2");
	a_pipe = scratch_path("pipe");
	make_images();
	own_journal = path_of(image, "journal");
	own_note = path_of(image, "life");
	base_journal = path_of(base, "journal");
	other_journal = path_of(other, "journal");
	run_cases();
	return 0;
}
