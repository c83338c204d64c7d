// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The jail of a process that opens an image.  The process gets the image and
 * the files beside it from its clerk, writes to the image only if that is its
 * task, and reaches nothing else.  It has none of root's rights, and the clerk
 * only the right to read files of others.  The clerk does nothing for a reader
 * that is dead.
 *
 * Each case is a child, for there is no way out.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/common/jail.h"
#include "qcow/filter.h"
#include "qcow/jail.h"
#include "qcow/landlock.h"
#include "qcow/names.h"
#include "tests/lib/helpers.h"

static char directory[] = "/tmp/jail.XXXXXX";
static char image[64], beside[64], elsewhere[64], known[64];
static char devices[] = "/dev/jail.XXXXXX", other[64];
static bool is_root, with_landlock;

static void make(char path[64], const char *name)
{
	int fd;

	snprintf(path, 64, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || close(fd))
		die("cannot make %s", path);
}

/* The clerk. */
static int ask(const char *path, int flags)
{
	return qcow_names_here->open(qcow_names_here->opaque, path, flags);
}

static bool opens(const char *path, int flags)
{
	int fd = ask(path, flags);

	return fd >= 0 && !close(fd);
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		die("%s", what);
}

static bool has_landlock(void)
{
	int rules;

	return !landlock_open(&rules) && !close(rules);
}

/* The number behind a word of the clerk's status, or of ours, after so many
   others. */
static uint64_t status_of(bool clerk, const char *word, int base,
			  unsigned int others)
{
	char path[32] = "/proc/self/status";
	FILE *file;
	char line[256];
	uint64_t number = ~0ull;

	if (!clerk)
		snprintf(path, sizeof(path), "/proc/%d/status", (int)getpid());
	file = fdopen(ask(path, O_RDONLY), "r");
	while (file && fgets(line, sizeof(line), file)) {
		char *at = line + strlen(word);

		if (strncmp(line, word, strlen(word)))
			continue;
		for (unsigned int i = 0; i <= others; i++)
			number = strtoull(at, &at, base);
	}
	if (file)
		fclose(file);
	return number;
}

static uint64_t status(const char *word, int base, unsigned int others)
{
	return status_of(false, word, base, others);
}

static void look_at_files(const struct jail *jail)
{
	expect(opens(image, O_RDONLY), "the image cannot be read");
	expect(opens("/proc/self/status", O_RDONLY), "no /proc");
	expect(open(image, O_RDONLY) < 0, "the image without the clerk");
	if (with_landlock || FILTER_ARCH)
		expect(open("/etc/passwd", O_RDONLY) < 0, "opens by itself");
	if (!with_landlock)
		return;
	expect(opens(image, O_RDWR) == jail->write, "writing to the image");
	expect(opens(beside, O_RDONLY) == !!jail->references,
	       "reading a file beside it");
	expect(!opens(beside, O_RDWR), "writes beside it");
	expect(!opens(elsewhere, O_RDONLY), "reads elsewhere");
	expect(!opens("/etc/passwd", O_RDONLY), "reads /etc/passwd");
	expect(!opens("/dev/null", O_RDWR), "opens a device");
	expect(opens(known, O_RDONLY) == !!jail->nr_layers, "a layer");
	expect(opens(known, O_RDWR) == (jail->nr_layers && jail->write),
	       "writing to a layer");
}

static void look_at_calls(void)
{
	if (!FILTER_ARCH)
		return;
	expect(status("Seccomp:", 10, 0) == 2, "no filter");
	expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0, "makes a socket");
	expect(open(image, O_RDONLY) < 0 && errno == ENOSYS, "opens a file");
	expect(execl("/bin/true", "true", NULL) && errno == ENOSYS, "executes");
	expect(unshare(CLONE_NEWUSER) < 0, "makes a user name space");
	/* On a terminal it would be as if a key had been pressed. */
	expect(ioctl(STDERR_FILENO, TIOCSTI, "x") < 0 && errno == ENOSYS,
	       "types");
	expect(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == ENOSYS,
	       "makes a ring");
}

/* Those of root that it gives up, all; its clerk keeps a few. */
static void look_at_rights(const struct jail *jail, ino_t network)
{
	const uint64_t kept = jail->write ? JAIL_WRITES : JAIL_READS;
	const pid_t parent = getppid();
	struct rlimit core;
	struct stat st;

	expect(status("NoNewPrivs:", 10, 0) == 1, "gets privileges");
	expect(!status("CapInh:", 16, 0), "capabilities that are inheritable");
	expect(!status("CapPrm:", 16, 0), "permitted capabilities");
	expect(!status("CapEff:", 16, 0), "effective capabilities");
	expect(!(status_of(true, "CapPrm:", 16, 0) & ~kept),
	       "capabilities of the clerk");
	expect(!getrlimit(RLIMIT_CORE, &core) && !core.rlim_max, "dumps core");
	if (!is_root)
		return;
	for (unsigned int i = 0; i < 4; i++)
		expect(status("Uid:", 10, i) && status("Gid:", 10, i),
		       "is root");
	for (unsigned int i = 0; i < 3; i++)
		expect(status_of(true, "Uid:", 10, i), "the clerk is root");
	expect(!status_of(true, "Uid:", 10, 3), "opens files as another user");
	expect(!status("Groups:", 10, 0) || status("Groups:", 10, 0) == ~0ull,
	       "has groups");
	expect(!prctl(PR_GET_DUMPABLE), "shows its memory");
	expect(kill(parent, 0) < 0 && errno == EPERM, "signals others");
	expect(setuid(0) < 0, "becomes root");
	expect(!stat("/proc/self/ns/net", &st) && st.st_ino != network,
	       "has the host's network");
}

static void look_around(const struct jail *jail, ino_t network)
{
	int ret = jail_enter_for(jail);

	if (ret)
		die("no jail: %s", strerror(-ret));
	look_at_files(jail);
	look_at_rights(jail, network);
	look_at_calls();
}

/* Nothing is behind the device; a process that may open it is told so. */
static bool may_open(const char *path)
{
	int fd = ask(path, O_RDONLY);

	return fd >= 0 ? !close(fd) : fd != -EACCES;
}

static void look_at_devices(const char *link)
{
	const char *const directories[] = { devices, NULL };
	const struct qcow_references references = {
		.directories = directories,
	};
	const struct jail jail = { .image = image, .references = &references };

	expect(!jail_enter_for(&jail), "no jail");
	expect(may_open(link), "a device by its link");
	expect(!with_landlock || !may_open(other), "another device");
}

/* As a volume is: a link in a directory that is named. */
static void try_devices(void)
{
	char link[64], node[64];
	pid_t child;
	int status = 0;

	snprintf(node, sizeof(node), "/dev/jail-%d", (int)getpid());
	snprintf(other, sizeof(other), "/dev/jail-%d-other", (int)getpid());
	if (!is_root || !mkdtemp(devices))
		return;
	snprintf(link, sizeof(link), "%s/volume", devices);
	if (!mknod(node, S_IFBLK | 0600, makedev(1, 4000)) &&
	    !mknod(other, S_IFBLK | 0600, makedev(1, 4001)) &&
	    !symlink(node, link)) {
		child = fork();
		if (!child) {
			look_at_devices(link);
			_exit(0);
		}
		waitpid(child, &status, 0);
	}
	unlink(link);
	unlink(node);
	unlink(other);
	rmdir(devices);
	if (status)
		die("see above");
}

static void try(const struct jail *jail)
{
	struct stat st;
	pid_t child;
	int status;

	if (stat("/proc/self/ns/net", &st))
		die("no name space");
	child = fork();
	if (!child) {
		look_around(jail, st.st_ino);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("see above");
}

/* ---- a reader that dies ---- */

#define ROUNDS 5

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
		 (int)pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &child) != 1)
		die("the reader has no clerk");
	fclose(file);
	return child;
}

static bool is_stopped(pid_t pid)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		die("the clerk is gone");
	fclose(file);
	return state == 'T';
}

/* It closes an image, and its last step is an order. */
static void __attribute__((noreturn))
close_image(const char *journal, int ready, int go)
{
	const struct jail jail = { .image = image, .write = true };
	char byte = 0;

	expect(!jail_enter_for(&jail), "no jail");
	expect(write(ready, &byte, 1) == 1 && read(go, &byte, 1) == 1,
	       "the test is gone");
	qcow_names_here->remove(qcow_names_here->opaque, journal);
	_exit(0);
}

static void kill_reader(const char *journal)
{
	int ready[2], go[2], status;
	pid_t reader, clerk;
	char byte = 0;

	if (pipe(ready) || pipe(go))
		die("no pipe");
	reader = fork();
	if (!reader)
		close_image(journal, ready[1], go[0]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("see above");
	clerk = child_of(reader);
	kill(clerk, SIGSTOP);
	while (!is_stopped(clerk))
		usleep(1000);
	if (write(go[1], &byte, 1) != 1)
		die("the reader is gone");
	usleep(50000); /* it gives the order */
	kill(reader, SIGKILL);
	waitpid(reader, &status, 0);
	kill(clerk, SIGCONT);
	if (waitpid(clerk, &status, 0) != clerk)
		die("the clerk is not ours");
	close(ready[0]);
	close(go[0]);
	close(go[1]);
}

/* Its clerk goes on when it is dead, and the journal is another's by then. */
static void try_death(void)
{
	char *journal = scratch_path("journal");

	if (!is_root)
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setenv("UBLK_QCOW2_RUN", scratch(), 1);
	write_file(journal, "", 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		kill_reader(journal);
		expect(!access(journal, F_OK),
		       "the order of a dead reader is carried out");
	}
	free(journal);
}

static void make_files(void)
{
	if (!mkdtemp(directory))
		die("no directory");
	snprintf(elsewhere, sizeof(elsewhere), "%s/below", directory);
	if (mkdir(elsewhere, 0700))
		die("no directory");
	make(image, "below/image");
	make(beside, "below/beside");
	make(known, "known");
	make(elsewhere, "elsewhere");
	/* Root reads and writes everybody's. */
	if (is_root && chown(image, 1000, 1000))
		die("no image of somebody else's");
}

int main(void)
{
	const struct qcow_references all = { 0 };
	const struct qcow_layer layer = { .path = known, .written = true };

	const gid_t group = 1000;

	is_root = !geteuid();
	with_landlock = has_landlock();
	if (is_root && setgroups(1, &group))
		die("no group");
	make_files();
	try(&(struct jail){ .image = image, .references = &all });
	try(&(struct jail){ .image = image });
	try(&(struct jail){ .image = image, .write = true });
	try(&(struct jail){ .image = image,
			    .write = true,
			    .layers = &layer,
			    .nr_layers = 1 });
	try(&(struct jail){ .image = image, .layers = &layer, .nr_layers = 1 });
	try_devices();
	try_death();
	unlink(image);
	unlink(beside);
	unlink(known);
	unlink(elsewhere);
	return 0;
}
