// SPDX-License-Identifier: GPL-2.0-only
#include "core/terminal.h"
#include "core/util.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_A	0x01

static struct termios saved;
static volatile sig_atomic_t is_raw;

void terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* The handler was reset on delivery, so that raising it again kills. */
static void on_fatal(int sig)
{
	terminal_restore();
	raise(sig);
}

void terminal_raw(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGXCPU };
	struct sigaction action = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &action, NULL);
	atexit(terminal_restore);
	raw = saved;
	cfmakeraw(&raw);
	/* Keep newline translation: messages of this program need it. */
	raw.c_oflag |= OPOST | ONLCR;
	is_raw = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

enum escape_action escape_filter(struct escape *e, uint8_t *buf, size_t *len)
{
	enum escape_action action = ESCAPE_NONE;
	size_t kept = 0;

	for (size_t i = 0; i < *len && action != ESCAPE_QUIT; i++) {
		uint8_t c = buf[i];

		if (!e->seen_prefix) {
			if (c == CTRL_A)
				e->seen_prefix = true;
			else
				buf[kept++] = c;
			continue;
		}
		e->seen_prefix = false;
		switch (c) {
		case 'x':
		case 'X':
			action = ESCAPE_QUIT;
			break;
		case CTRL_A:
		case 'a':
			buf[kept++] = CTRL_A;
			break;
		default:
			action = ESCAPE_HELP;
		}
	}
	*len = kept;
	return action;
}
