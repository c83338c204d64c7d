// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A supervisor's lines go to the journal with fields, else to syslog, else to a
 * file.  A journal that takes nothing holds up the supervisor for a moment
 * only, and the file has the lines.
 *
 * The daemons are sockets of this test's, in a mount name space of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/common/owner.h"
#include "plugin/common/process.h"
#include "tests/lib/helpers.h"

#define SKIPPED 77
#define JOURNAL "/run/systemd/journal/socket"
#define SYSLOG	"/dev/log"
#define FILE_OF "/run/ublk-qcow2.log"
#define UUID	"12345678-1234-1234-1234-123456789abc"

static char got[32768];
static size_t got_length;

static int bind_daemon(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)))
		die("%s: %s", path, strerror(errno));
	return fd;
}

static bool receive(int fd)
{
	ssize_t length = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	got_length = length > 0 ? length : 0;
	got[got_length] = '\0';
	return length > 0;
}

/* A line of the entry, or the whole of a binary field. */
static void expect_bytes(const char *bytes, size_t length)
{
	if (!memmem(got, got_length, bytes, length))
		die("no '%s' in: %s", bytes, got);
}

static void expect(const char *line)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s\n", line);
	expect_bytes(whole, strlen(whole));
}

static void expect_none(const char *part)
{
	if (memmem(got, got_length, part, strlen(part)))
		die("'%s' in: %s", part, got);
}

static unsigned int lines_of_file(const char *part)
{
	char line[4096];
	unsigned int count = 0;
	FILE *file = fopen(FILE_OF, "r");

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, part) != NULL;
	if (file)
		fclose(file);
	return count;
}

static void make_directories(void)
{
	if (mkdir("/run/systemd", 0755) || mkdir("/run/systemd/journal", 0755))
		die("no directory for the journal");
}

/* False: this user may not. */
static bool enter_own_machine(void)
{
	if (geteuid() && unshare(CLONE_NEWUSER))
		return false;
	return !unshare(CLONE_NEWNS) &&
	       !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("run", "/run", "tmpfs", 0, NULL) &&
	       !mount("dev", "/dev", "tmpfs", 0, NULL);
}

/* ---- the table ---- */

static void test_table(void)
{
	enum disk_event one, other;

	for (one = DISK_EVENT_NONE + 1; one < NR_DISK_EVENTS; one++) {
		const char *id = disk_event_id(one);

		if (strlen(id) != 32 ||
		    strspn(id, "0123456789abcdef") != strlen(id))
			die("%s is no id", id);
		for (other = one + 1; other < NR_DISK_EVENTS; other++)
			if (!strcmp(id, disk_event_id(other)) ||
			    !strcmp(disk_event_word(one),
				    disk_event_word(other)))
				die("%s is there twice", id);
	}
}

/* ---- the lines ---- */

static void test_file(void)
{
	log_line(LOG_WARNING, "nobody listens");
	if (lines_of_file("/dev/ublkb7 (/srv/web.qcow2): nobody listens") != 1)
		die("the file lacks the line");
}

static void test_syslog(void)
{
	int fd = bind_daemon(SYSLOG);
	char line[256];

	log_event(DISK_EVENT_CRASHED, "its server is %s", "dead");
	if (!receive(fd))
		die("syslog has nothing");
	if (strncmp(got, "<28>", 4))
		die("not a warning of a daemon's: %s", got);
	snprintf(line, sizeof(line),
		 " ublk-qcow2[%d]: /dev/ublkb7 (/srv/web.qcow2): its server is "
		 "dead",
		 (int)getpid());
	if (!strstr(got, line))
		die("no '%s' in: %s", line, got);
	if (receive(fd))
		die("more than one line");
	close(fd);
}

static void test_journal(int journal, int syslog_fd)
{
	log_event(DISK_EVENT_RECOVERED, "goes on");
	if (!receive(journal))
		die("the journal has nothing");
	expect("MESSAGE=/dev/ublkb7 (/srv/web.qcow2): goes on");
	expect("PRIORITY=6");
	expect("SYSLOG_FACILITY=3");
	expect("SYSLOG_IDENTIFIER=ublk-qcow2");
	expect("EVENT=recovered");
	expect("MESSAGE_ID=f020db662eb64865b478fd107bdb4ba9");
	expect("DISK=web");
	expect("DISK=/dev/ublkb7");
	expect("IMAGE=/srv/web.qcow2");
	expect_none("DOMAIN=");
	if (receive(journal))
		die("more than one entry");
	log_line(LOG_NOTICE, "by the way");
	receive(journal);
	expect("PRIORITY=5");
	expect("DISK=web");
	expect_none("EVENT=");
	expect_none("MESSAGE_ID=");
	if (receive(syslog_fd))
		die("syslog has it, too");
}

static void test_domain(int journal, const struct disk *disk)
{
	struct owner owner;

	owner_fill(&owner, UUID, "web server", disk);
	if (owner_save(&owner))
		die("no record of a domain");
	log_event(DISK_EVENT_GAVE_UP, "gave up");
	receive(journal);
	expect("DOMAIN=web server");
	expect("EVENT=gave-up");
	expect("PRIORITY=3");
	/* Another disk of that name is not this one. */
	owner.nonce++;
	if (owner_save(&owner))
		die("no record of a domain");
	log_line(LOG_INFO, "free");
	receive(journal);
	expect_none("DOMAIN=");
	log_of_domain(LOG_NOTICE, "other", "is paused");
	receive(journal);
	expect("DOMAIN=other");
	expect("MESSAGE=/dev/ublkb7 (/srv/web.qcow2): domain other: is paused");
}

static void test_newline(int journal, struct disk disk)
{
	static const char binary[] = "\nIMAGE\n\x07\0\0\0\0\0\0\0/a\nEVEN\n";

	strcpy(disk.image, "/a\nEVEN");
	log_about(&disk);
	log_event(DISK_EVENT_LIVE, "a name with\na newline");
	receive(journal);
	expect_bytes(binary, sizeof(binary) - 1);
	expect("MESSAGE=/dev/ublkb7 (/a?EVEN): a name with?a newline");
}

/* A unit's lines. */
static void test_stderr(int journal)
{
	int saved = dup(STDERR_FILENO), fd = open("/run/err", O_RDWR | O_CREAT);
	char text[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die("no file");
	dup2(fd, STDERR_FILENO);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	log_to_journal();
	log_event(DISK_EVENT_LIVE, "from a unit");
	dup2(saved, STDERR_FILENO);
	close(saved);
	if (!receive(journal) || lseek(fd, 0, SEEK_END))
		die("the line went to stderr");
	expect("EVENT=live");
	close(fd);
}

/* Whether a daemon took it.  Each with a socket of its own, or it would be the
   sender's buffer that is full in the end. */
static bool send_byte(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool sent;

	strcpy(address.sun_path, path);
	sent = sendto(fd, "x", 1, MSG_DONTWAIT, (void *)&address,
		      sizeof(address)) == 1;
	if (!sent && errno != EAGAIN)
		die("cannot fill the daemon's queue: %s", strerror(errno));
	close(fd);
	return sent;
}

static void test_hung(int journal)
{
	uint64_t begin = clock_ms();
	int i;

	while (send_byte(JOURNAL))
		;
	for (i = 0; i < 50; i++)
		log_event(DISK_EVENT_CRASHED, "the journal hangs");
	if (clock_ms() - begin > 2000)
		die("waits for it, %d ms", (int)(clock_ms() - begin));
	if (lines_of_file("the journal hangs") != 50)
		die("lines are lost");
	while (receive(journal))
		;
	log_event(DISK_EVENT_CRASHED, "it is back");
	if (!receive(journal) || lines_of_file("it is back"))
		die("does not come back to it");
}

int main(void)
{
	static struct disk disk = {
		.id = 7,
		.name = "web",
		.image = "/srv/web.qcow2",
		.nonce = 77,
	};
	int syslog_fd, journal;

	test_table();
	if (!enter_own_machine())
		return SKIPPED;
	log_about(&disk);
	make_directories();
	journal = bind_daemon(JOURNAL);
	test_stderr(journal);
	unlink(JOURNAL);
	close(journal);
	log_to_system();
	test_file();
	test_syslog();
	syslog_fd = bind_daemon(SYSLOG);
	journal = bind_daemon(JOURNAL);
	test_journal(journal, syslog_fd);
	test_domain(journal, &disk);
	test_newline(journal, disk);
	test_hung(journal);
	return 0;
}
