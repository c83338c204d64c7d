// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sd_notify(3), as far as we need it: a datagram to the socket that
 * NOTIFY_SOCKET names, by its path or, after an @, in the abstract name
 * space.
 *
 * A manager that does not listen must not keep a disk's users waiting, so we
 * wait for it no longer than SEND_PATIENCE; and a socket lives only while it
 * is used, so no child inherits one.  A newline in a text would begin another
 * variable, and some texts come from images (P6).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/common/log.h"
#include "plugin/supervisor/notify.h"
#include "plugin/common/text.h"

#define SEND_PATIENCE 1 /* s */

static struct sockaddr_un manager;
static socklen_t manager_length; /* 0: there is none */

void notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length = name ? strlen(name) : 0;

	if (length > 1 && length < sizeof(manager.sun_path) &&
	    (*name == '/' || *name == '@')) {
		manager.sun_family = AF_UNIX;
		memcpy(manager.sun_path, name, length);
		/* An abstract name has no zero behind it. */
		manager_length = offsetof(struct sockaddr_un, sun_path) +
				 length + (*name == '/');
		if (*name == '@')
			manager.sun_path[0] = '\0';
	}
	unsetenv("NOTIFY_SOCKET");
}

void notify_keep(void)
{
	char name[sizeof(manager.sun_path) + 1] = "";

	if (!manager_length)
		return;
	memcpy(name, manager.sun_path,
	       manager_length - offsetof(struct sockaddr_un, sun_path));
	if (!*name)
		*name = '@';
	setenv("NOTIFY_SOCKET", name, 1);
}

static void send_text(const char *text)
{
	const struct timeval patience = { .tv_sec = SEND_PATIENCE };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	       (const struct sockaddr *)&manager, manager_length);
	close(fd);
}

void notify(enum notice notice, const char *format, ...)
{
	static const char *const heads[] = {
		[NOTIFY_STATUS] = "STATUS=",
		[NOTIFY_READY] = "READY=1\nSTATUS=",
		[NOTIFY_STOPPING] = "STOPPING=1\nSTATUS=",
	};
	char text[1024];
	size_t length;
	va_list args;

	if (!manager_length)
		return;
	length = snprintf(text, sizeof(text), "%s", heads[notice]);
	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - length - 1, format, args);
	va_end(args);
	text_tame(text + length);
	strcat(text, "\n");
	send_text(text);
}
