// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: the input is the messages of a server to its supervisor.  They
 * may be anything, because a guest may have taken the server over (P6).
 *
 * The first byte tells the phase of the supervisor.  Then come messages: a byte
 * for the type, a byte for the length, which may be cut, and the bytes of the
 * packet.  They go through the socket as a server's messages do.
 *
 * Whatever a server says, the disk stays the disk that the supervisor knows:
 * its image, its name, its files.  No command reaches the driver here, and no
 * executable of hooks.d is run.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "memory.h"
#include "plugin/supervisor/watch.c"
#include "plugin/server/control.h"
#include "plugin/server/server.h"

#define MESSAGES_FED_MAX 300

static char directory[] = "/dev/shm/fuzz-supervisor.XXXXXX";

/* ---- in place of calls that reach outside (the linker's --wrap) ---- */

bool __wrap_hooks_run(struct hooks *hooks, const struct disk *disk,
		      enum disk_event event, pid_t server);
bool __wrap_hooks_run(struct hooks *hooks, const struct disk *disk,
		      enum disk_event event, pid_t server)
{
	(void)hooks, (void)disk, (void)event, (void)server;
	return true;
}

int __wrap_control_open(struct control **control);
int __wrap_control_open(struct control **control)
{
	(void)control;
	return -ENODEV;
}

static void compose(const char *format, va_list args)
{
	char line[8192];

	vsnprintf(line, sizeof(line), format, args);
}

void __wrap_log_line(int priority, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void __wrap_log_line(int priority, const char *format, ...)
{
	va_list args;

	(void)priority;
	va_start(args, format);
	compose(format, args);
	va_end(args);
}

void __wrap_log_event(enum disk_event event, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void __wrap_log_event(enum disk_event event, const char *format, ...)
{
	va_list args;

	(void)event;
	va_start(args, format);
	compose(format, args);
	va_end(args);
}

int server_run(const struct server_config *config)
{
	(void)config;
	return EXIT_FAILURE;
}

/* ---- the supervisor ---- */

static void make_disk(struct supervisor *sv)
{
	static struct stats stats;

	memset(sv, 0, sizeof(*sv));
	sv->stats = &stats;
	sv->disk.id = 7;
	sv->disk.state = DISK_LIVE;
	snprintf(sv->disk.name, sizeof(sv->disk.name), "disk");
	snprintf(sv->disk.image, sizeof(sv->disk.image), "%s/image.qcow2",
		 directory);
	sv->disk.size = 1 << 20;
	sv->server = sv->listener = sv->caller = sv->signals = sv->lock = -1;
	sv->job.pidfd = sv->leave.job.pidfd = -1;
	hooks_init(&sv->hooks);
	disk_save(&sv->disk, NULL);
}

static enum phase phase_of(uint8_t byte)
{
	static const enum phase phases[] = { PHASE_LIVE, PHASE_RECOVERING,
					     PHASE_STOPPING, PHASE_FAILED };

	return phases[byte % 4];
}

/* Sends one message, mostly of a form that the supervisor takes seriously. */
static size_t feed(int socket, const uint8_t *bytes, size_t size)
{
	struct server_message message = { 0 };
	size_t length, used;

	message.type = bytes[0] % 8;
	length = bytes[1];
	used = length < size - 2 ? length : size - 2;
	memcpy((char *)&message + sizeof(message.type), bytes + 2, used);
	if (bytes[0] & 0x80)
		send(socket, &message, used + sizeof(message.type),
		     MSG_DONTWAIT);
	else
		send(socket, &message, channel_length(&message), MSG_DONTWAIT);
	return used + 2;
}

static void check(const struct supervisor *sv, const struct disk *before)
{
	if (strcmp(sv->disk.image, before->image) ||
	    strcmp(sv->disk.name, before->name) || sv->disk.id != before->id ||
	    sv->disk.size != before->size ||
	    memcmp(&sv->disk.options, &before->options,
		   sizeof(before->options)))
		memory_complain("it is another disk");
	if (sv->layers.known && sv->layers.count)
		memory_complain("it took files for the disk's");
}

static void end(struct supervisor *sv)
{
	layers_clear(&sv->layers);
	if (sv->channel >= 0)
		close(sv->channel);
	hold_drop(sv);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (!mkdtemp(directory) || setenv("UBLK_QCOW2_RUN", directory, 1))
		memory_complain("no directory");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct supervisor sv;
	static struct disk before;
	unsigned int left = MESSAGES_FED_MAX;
	int ends[2];

	if (!size ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return 0;
	make_disk(&sv);
	before = sv.disk;
	sv.phase = phase_of(*bytes++);
	sv.channel = ends[0];
	for (size--; size > 2 && left--;) {
		size_t used = feed(ends[1], bytes, size);

		bytes += used;
		size -= used;
		hear_server(&sv);
	}
	check(&sv, &before);
	close(ends[1]);
	end(&sv);
	return 0;
}
