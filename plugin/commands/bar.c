// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A progress bar on stderr.
 *
 * Work that ends within PATIENCE needs no bar, and nobody sees a bar move more
 * often than every INTERVAL.  The bar takes all columns of the terminal but
 * one: terminals differ in the place of a cursor behind the last column.  The
 * width is asked for every time, because windows change.
 *
 * The bar needs nothing but carriage returns and spaces, so it works on any
 * terminal.  When a signal ends the program, the prompt gets a new line.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "plugin/commands/bar.h"
#include "plugin/common/process.h"

#define PATIENCE	500 /* ms */
#define INTERVAL	100 /* ms */
#define MAX_WIDTH	40  /* columns between the brackets */
#define MIN_WIDTH	4
#define REST		9  /* columns of brackets and percents */
#define DEFAULT_COLUMNS 80 /* of a terminal that does not know */

static volatile sig_atomic_t is_shown;

static void leave_line(int number)
{
	if (is_shown && write(STDERR_FILENO, "\n", 1) < 0)
		is_shown = false;
	raise(number); /* for good: SA_RESETHAND */
}

static void catch_signals(void)
{
	const struct sigaction action = {
		.sa_handler = leave_line,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void bar_begin(struct bar *bar, bool wanted)
{
	*bar = (struct bar){
		.wanted = wanted && isatty(STDERR_FILENO),
		.next = clock_ms() + PATIENCE,
	};
	if (bar->wanted)
		catch_signals();
}

static int columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return DEFAULT_COLUMNS;
	return size.ws_col;
}

/* A terminal too narrow for a bar has room for a number, perhaps. */
static int draw(int permille, char line[MAX_WIDTH + 16])
{
	static const char full[] = "########################################";
	int width = columns() - 1 - REST;
	int done;

	if (width < MIN_WIDTH)
		return sprintf(line, "%d%%", permille / 10);
	if (width > MAX_WIDTH)
		width = MAX_WIDTH;
	done = permille * width / 1000;
	return sprintf(line, "[%.*s%*s] %5.1f%%", done, full, width - done, "",
		       permille / 10.0);
}

void bar_show(struct bar *bar, uint64_t done, uint64_t total)
{
	char line[MAX_WIDTH + 16];
	int length, permille;

	if (!bar->wanted || clock_ms() < bar->next)
		return;
	permille = total ? (int)((double)done / total * 1000) : 1000;
	length = draw(permille > 1000 ? 1000 : permille, line);
	if (length < bar->length)
		bar_erase(bar);
	/* First, as a signal may come in between. */
	is_shown = true;
	fprintf(stderr, "\r%s", line);
	bar->length = length;
	bar->next = clock_ms() + INTERVAL;
}

void bar_erase(struct bar *bar)
{
	if (bar->length)
		fprintf(stderr, "\r%*s\r", bar->length, "");
	is_shown = false;
	bar->length = 0;
}

void bar_end(struct bar *bar)
{
	bar_erase(bar);
	bar->wanted = false;
}
