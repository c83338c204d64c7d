// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a command on a terminal of its own, and writes the terminal's output to
 * a file: for progress.sh.
 *
 * script(1) does that, too.  But script stops when its child is stopped, and
 * if the child goes on and ends at once, script may miss the end and wait for
 * ever.  This program only reads until no process has the terminal open.
 */
#include <err.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lines end as the command writes them, with no carriage return before. */
static void keep_lines(void)
{
	struct termios settings;

	if (tcgetattr(STDOUT_FILENO, &settings))
		err(1, "tcgetattr");
	settings.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(STDOUT_FILENO, TCSANOW, &settings))
		err(1, "tcsetattr");
}

static void copy_output(int terminal, int file)
{
	char bytes[4096];
	ssize_t length;

	/* It fails with EIO when the last process has closed the terminal. */
	while ((length = read(terminal, bytes, sizeof(bytes))) > 0)
		if (write(file, bytes, (size_t)length) != length)
			err(1, "write");
}

int main(int argc, char **argv)
{
	struct winsize size = { .ws_row = 24 };
	int file, terminal, status;
	pid_t child;

	if (argc != 4)
		errx(2, "usage: terminal FILE COLUMNS COMMAND");
	file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file < 0)
		err(1, "%s", argv[1]);
	size.ws_col = (unsigned short)atoi(argv[2]);
	child = forkpty(&terminal, NULL, NULL, &size);
	if (child < 0)
		err(1, "forkpty");
	if (!child) {
		keep_lines();
		execl("/bin/sh", "sh", "-c", argv[3], (char *)NULL);
		err(127, "sh");
	}
	copy_output(terminal, file);
	if (waitpid(child, &status, 0) != child)
		err(1, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
