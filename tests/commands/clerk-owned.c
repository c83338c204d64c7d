// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server is somebody else's, and has code of its own to deal with its clerk:
 * raw orders, any descriptors.  The clerk does no more for it than for an
 * honest one, and neither the clerk nor a reader outlives it.
 *
 * Each case is a child that falls, and whose descendants become the test's. The
 * driver is not asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "plugin/common/process.h"
#include "plugin/server/clerk-inside.h"
#include "plugin/server/confine.h"
#include "plugin/server/control.h"
#include "plugin/server/server.h"
#include "tests/commands/clerk-world.h"
#include "tests/lib/helpers.h"

#define SKIPPED	 77
#define PATIENCE 20000	     /* ms */
#define SERVERS	 1963982848u /* their users, with the pid */
#define NOBODY	 65534u

static char *image, *base, *legacy, *beside, *device, *link_to, *journal;
static struct disk_options disk_options = DISK_OPTIONS_DEFAULT;
static const struct qcow_names *names;
static struct clerk *clerk;
static int clerk_socket;
static int wish[2], done[2]; /* pipes: what the test does for the case */

/* ---- a server ---- */

static int find_socket(void)
{
	struct stat st;
	int fd = STDERR_FILENO;

	while (++fd < 1000)
		if (!fstat(fd, &st) && S_ISSOCK(st.st_mode))
			return fd;
	die("no socket");
}

static void start(const struct server_config *config)
{
	static const struct qcow_references beside_it;

	if (clerk_start(config, &beside_it, STDERR_FILENO, &clerk) ||
	    clerk_await(clerk))
		die("no clerk");
	names = clerk_names(clerk);
	clerk_socket = find_socket();
}

static void fall_with(const struct server_config *config, bool paths)
{
	unsigned int held;
	const char *step;

	start(config);
	expect(!confine_prepare(), "is not prepared");
	if (confine(paths ? -1 : clerk_nodes(clerk), &held, &step))
		die("cannot %s", step);
}

static void fall(const struct server_config *config)
{
	fall_with(config, false);
}

static int ask_to_open(const char *path, int flags)
{
	return names->open(names->opaque, path, flags);
}

/* An order with descriptors, whose answer nobody waits for. */
static void send_order(enum action action, const int *fds, unsigned int count)
{
	const struct order order = { .action = action };
	struct packet packet = {
		.bytes = (void *)&order,
		.length = sizeof(order),
		.nr_fds = count,
	};

	memcpy(packet.fds, fds, count * sizeof(*fds));
	expect(!packet_send(clerk_socket, &packet), "cannot send");
}

/* ---- its end ---- */

/* The clerk would wait for itself to let go of the socket. */
static void keep_clerk(const struct server_config *config)
{
	struct clerk_view view;

	fall(config);
	expect(!clerk_look(clerk, OURS, &view), "no device");
	send_order(END_RECOVERY, &clerk_socket, 1);
}

/* The clerk goes on when the server is dead. */
static void leave_order(const struct server_config *config)
{
	struct order order = { .action = REMOVE };
	struct packet packet = { .bytes = &order, .length = sizeof(order) };
	siginfo_t stop;

	start(config);
	expect(ask_to_open(config->image, O_RDWR) >= 0, "its image");
	expect(!kill(clerk->pid, SIGSTOP) &&
		       !waitid(P_PID, clerk->pid, &stop, WSTOPPED | WNOWAIT),
	       "the clerk does not stop");
	snprintf(order.path, sizeof(order.path), "%s", journal);
	expect(!packet_send(clerk_socket, &packet), "cannot send");
}

static void make_reader(struct qcow_reader *reader, int file)
{
	int data[2];

	expect(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, data), "no sockets");
	*reader = (struct qcow_reader){
		.image = file,
		.memory = memfd_create("window", 0),
		.window_size = 4096,
		.size = 1 << 20,
		.control = data[0],
		.data = data[1], /* so it has both ends */
	};
	expect(!ftruncate(reader->memory, 4096), "no window");
}

static int start_reader(int file)
{
	struct qcow_reader reader;

	make_reader(&reader, file);
	return names->start_reader(names->opaque, &reader);
}

static void keep_readers(const struct server_config *config)
{
	int file, ret, count = 0;

	fall(config);
	file = ask_to_open(config->image, O_RDONLY);
	expect(file >= 0, "its image");
	while (!(ret = start_reader(file)))
		expect(++count < 100, "readers without end");
	expect(ret == -EACCES && count > 1, "too few readers");
}

/* ---- the driver ---- */

static bool is_zero(const void *bytes, size_t length)
{
	const char *byte = bytes;

	while (length && !byte[length - 1])
		length--;
	return !length;
}

static void ask_the_driver(const struct server_config *config)
{
	const struct order order = { .action = LOOK, .id = OF_OTHERS };
	struct look_answer answer;
	struct clerk_view view;
	int ret;

	fall(config);
	expect(!orders_send(clerk_socket, &order, NULL) &&
		       orders_hear(clerk_socket, &answer.answer, sizeof(answer),
				   NULL) == -EXDEV &&
		       is_zero(&answer.view, sizeof(answer.view)),
	       "it is told of another's device");
	expect(!clerk_end_orders(clerk), "the orders have no end");
	expect(ask_to_open(config->image, O_RDONLY) == -EPERM &&
		       clerk_look(clerk, OURS, &view) == -EPERM,
	       "an order after their end");
	/* There is no device, so the order fails; it is the last all the
	   same. */
	expect(clerk_end_recovery(clerk) == -EINVAL, "no answer");
	ret = clerk_end_recovery(clerk);
	expect(ret == -EPIPE || ret == -ECONNRESET, "an order after the last");
}

/* On a host without a directory for nodes, the user that is told gets the one
   in /dev. */
static void ask_for_node(const struct server_config *config)
{
	struct clerk_view view;

	fall(config);
	*node_user = 0;
	expect(!clerk_make_node(clerk) && clerk_hear_owed(clerk) == -EINVAL &&
		       !*node_user,
	       "a node before a device");
	expect(!clerk_look(clerk, OURS, &view) && !clerk_make_node(clerk) &&
		       !clerk_hear_owed(clerk),
	       "no node");
	/* The filter has no call that tells it. */
	expect(*node_user == SERVERS + getpid() || *node_user == NOBODY,
	       "the node is another user's");
}

/* ---- descriptors ---- */

/* A host that lets it keep its paths: it opens nothing, but finds files. */
static void ask_by_descriptor(const struct server_config *config)
{
	int file, found;

	fall_with(config, true);
	found = open("/etc/passwd", O_PATH);
	expect(found >= 0, "/etc/passwd cannot be found");
	expect_refused(names->open_again(names->opaque, found, O_RDONLY),
		       "a host's file by a descriptor");
	expect_refused(start_reader(found), "a reader of a host's file");
	expect_refused(
		names->open_again(names->opaque, clerk_nodes(clerk), O_RDONLY),
		"its directory");
	file = ask_to_open(config->image, O_RDWR);
	expect(file >= 0, "its image");
	expect(names->open_again(names->opaque, file, O_RDONLY | O_EXCL) >= 0,
	       "its image once more");
	/* Others have it, too. */
	file = ask_to_open(config->image, O_RDONLY);
	expect(names->open_again(names->opaque, file, O_RDONLY) >= 0,
	       "its image to read");
}

static void claim_layer(const struct server_config *config)
{
	char *settled, *path;
	int file;

	fall(config);
	expect(!names->settle(names->opaque, image, &settled) &&
		       !names->resolve(names->opaque, settled,
				       QCOW_REFERS_TO_BACKING, base, &path,
				       NULL),
	       "its backing");
	file = ask_to_open(path, O_RDONLY);
	expect(file >= 0, "its backing");
	expect_refused(
		names->open_again(names->opaque, file, O_RDONLY | O_EXCL),
		"claims what others have, too");
}

static void ask_for_names(const struct server_config *config)
{
	struct qcow_identity own;
	char prefix[QCOW_JOURNAL_PREFIX], name[NAME_MAX + 1];

	expect(!qcow_identify_path(config->image, &own), "no image");
	qcow_journal_prefix(&own, prefix);
	fall(config);
	expect_refused(
		names->list(names->opaque, QCOW_JOURNAL_DIR, prefix, 0, name),
		"names before it has the image");
	expect(ask_to_open(config->image, O_RDONLY) >= 0, "its image");
	expect(names->list(names->opaque, QCOW_JOURNAL_DIR, prefix, 0, name) ==
		       -ENOENT,
	       "the names of its own journals");
	expect_refused(
		names->list(names->opaque, QCOW_JOURNAL_DIR, "", 0, name),
		"the names of others");
	prefix[strlen(prefix) - 2] = '\0';
	expect_refused(
		names->list(names->opaque, QCOW_JOURNAL_DIR, prefix, 0, name),
		"the names of others");
}

/* ---- a local user changes the directory meanwhile ---- */

static void await_change(char which)
{
	char byte;

	expect(write(wish[1], &which, 1) == 1 && read(done[0], &byte, 1) == 1,
	       "the test is gone");
}

static void change(char which)
{
	switch (which) {
	case 'l':
		must_run("ln -sf /etc/hosts %s", beside);
		break;
	case 'd':
		must_run("ln -sf %s %s", device, beside);
		break;
	case 'i':
		must_run("ln -sf /etc/hosts %s", link_to);
		break;
	}
}

static void ask_by_links(const struct server_config *config)
{
	char *settled, *path;

	fall(config);
	expect(!names->settle(names->opaque, image, &settled) &&
		       !names->resolve(names->opaque, settled,
				       QCOW_REFERS_TO_BACKING, beside, &path,
				       NULL),
	       "a file beside it");
	expect(ask_to_open(path, O_RDONLY) >= 0, "a file beside it");
	await_change('l');
	expect(ask_to_open(path, O_RDONLY) == -ESTALE,
	       "a link in the file's place");
	await_change('d');
	expect(ask_to_open(path, O_RDONLY) == -ESTALE,
	       "a link to a device in the file's place");
}

/* Of a known disk it is the file that counts, under any name. */
static void ask_by_layer_name(const struct server_config *config)
{
	char *settled, *path;

	fall(config);
	expect(!names->settle(names->opaque, image, &settled) &&
		       !names->resolve(names->opaque, settled,
				       QCOW_REFERS_TO_BACKING, beside, &path,
				       NULL) &&
		       ask_to_open(path, O_RDONLY) >= 0,
	       "its layer");
	await_change('l');
	expect(ask_to_open(path, O_RDONLY) == -ESTALE,
	       "a host's file in the layer's place");
}

/* The path that the admin gave; it goes on to be the image's. */
static void ask_by_image_link(const struct server_config *config)
{
	char *settled;

	fall(config);
	expect(!names->settle(names->opaque, link_to, &settled) &&
		       !strcmp(settled, image) &&
		       ask_to_open(settled, O_RDWR) >= 0,
	       "its image");
	await_change('i');
	expect(!names->settle(names->opaque, link_to, &settled) &&
		       !strcmp(settled, "/etc/hosts"),
	       "the link is the same");
	expect(ask_to_open(settled, O_RDWR) == -ESTALE &&
		       ask_to_open(link_to, O_RDONLY) == -ESTALE,
	       "a host's file in the image's place");
}

/* ---- all of them ---- */

static void serve_wishes(void)
{
	char which;

	close(wish[1]);
	while (read(wish[0], &which, 1) == 1) {
		change(which);
		expect(write(done[1], &which, 1) == 1, "the case is gone");
	}
	close(wish[0]);
}

/* With it its clerk and its readers end, which are the test's by then. */
static void expect_end(const char *name)
{
	const uint64_t end = clock_ms() + PATIENCE;
	pid_t child;

	while ((child = waitpid(-1, NULL, WNOHANG)) >= 0) {
		if (!child)
			usleep(10000);
		if (clock_ms() > end)
			die("%s: something outlives the server", name);
	}
}

static void continue_stopped(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, WUNTRACED | WNOHANG);

	if (pid > 0 && WIFSTOPPED(status))
		kill(pid, SIGCONT);
}

static void run_case(const char *name,
		     void (*act)(const struct server_config *config),
		     const struct server_config *config)
{
	pid_t child;
	int status = 0;

	if (pipe(wish) || pipe(done))
		die("no pipe");
	child = fork();
	if (!child) {
		act(config);
		_exit(0);
	}
	serve_wishes();
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("%s: see above (%#x)", name, status);
	continue_stopped();
	expect_end(name);
}

/* Each thread of the clerk may be the first one to go on. */
static void leave_orders(const struct server_config *config)
{
	struct qcow_identity identity;

	if (qcow_identify_path(config->image, &identity))
		die("no image");
	journal = qcow_journal_path(&identity, QCOW_JOURNAL_DIR, "journal");
	must_run("touch %s", journal);
	for (unsigned int i = 0; i < 20; i++) {
		run_case("leaves an order", leave_order, config);
		expect(!access(journal, F_OK), "its order is carried out");
	}
	must_run("rm %s", journal);
}

static void make_images(void)
{
	image = scratch_path("image.qcow2");
	base = scratch_path("base");
	legacy = scratch_path("legacy");
	beside = scratch_path("beside");
	device = scratch_path("device");
	link_to = scratch_path("link");
	must_run("head -c 1M /dev/zero | tr '\\0' b >%s && cp %s %s", base,
		 base, beside);
	must_run("qemu-img convert -f raw -O qcow %s %s", base, legacy);
	must_run("qemu-img create -q -f qcow2 -b %s -F raw %s 1M", base, image);
	must_run("ln -s %s %s", image, link_to);
	must_run("mknod %s b 1 4000", device);
	/* As libvirt leaves it. */
	must_run("chown 1000:1000 %s && chmod 600 %s", image, image);
}

static void run_cases(void)
{
	struct qcow_layer layer = { .path = beside };
	struct server_config config = {
		.image = image,
		.options = &disk_options,
		.nonce = NONCE,
	};

	if (qcow_identify_path(beside, &layer.identity))
		die("no layer");
	run_case("keeps the clerk", keep_clerk, &config);
	leave_orders(&config);
	run_case("asks the driver", ask_the_driver, &config);
	run_case("asks for its node", ask_for_node, &config);
	run_case("asks by descriptors", ask_by_descriptor, &config);
	run_case("claims a layer", claim_layer, &config);
	run_case("asks for names", ask_for_names, &config);
	config.layers = &layer;
	config.nr_layers = 1;
	run_case("asks by a layer's name", ask_by_layer_name, &config);
	config.layers = NULL;
	must_run("cp --remove-destination %s %s", base, beside);
	run_case("asks by links", ask_by_links, &config);
	config.image = link_to;
	if (qcow_identify_path(image, &config.identity))
		die("no image");
	run_case("asks by the image's link", ask_by_image_link, &config);
	config.image = legacy;
	config.identity = (struct qcow_identity){ 0 };
	run_case("keeps readers", keep_readers, &config);
}

int main(void)
{
	if (geteuid() || !make_world() || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return SKIPPED;
	make_images();
	run_cases();
	return 0;
}
