// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A descriptor that always has something to say does not stop the clock of a
 * supervisor.  Here it is the listener: for want of memory no caller can be
 * accepted, and so the first one waits there for ever.
 *
 * usage: starved
 */
#include <errno.h>
#include <unistd.h>

#include "plugin/common/rpc.h"
#include "plugin/supervisor/watch.h"
#include "tests/lib/helpers.h"

#define TIME_LIMIT 30 /* seconds; a test that hangs is killed */

static unsigned int refused;

int __wrap_rpc_accept(int listener, int *caller);
int __wrap_rpc_accept(int listener, int *caller)
{
	(void)listener;
	(void)caller;
	refused++;
	return -ENOMEM;
}

void __wrap_supervisor_handle(struct supervisor *sv, enum event event);
void __wrap_supervisor_handle(struct supervisor *sv, enum event event)
{
	if (event != EVENT_TIMER)
		die("event %d", (int)event);
	sv->ended = true;
}

int main(void)
{
	static struct supervisor sv;
	int ends[2];

	alarm(TIME_LIMIT);
	if (watch_open(&sv) || pipe(ends) || write(ends[1], "", 1) != 1)
		die("no descriptors");
	sv.caller = -1;
	sv.listener = ends[0];
	sv.deadline = clock_ms() + 1;
	watch(&sv);
	if (!refused)
		die("the listener is not heard");
	watch_close(&sv);
	return 0;
}
