// SPDX-License-Identifier: GPL-2.0-only
/*
 * agent [-p] [-q] TTY COMMAND ARGS...: run a command in the emulated machine and
 * carry what it writes and its exit status over a serial port to the host.
 *
 * What goes over the port is frames: a type, the length of the payload in two bytes
 * (low one first), the payload.
 *
 *	to the host	O, E	the command's standard output, standard error
 *			X	its exit status, one byte: nothing follows
 *			B	a heartbeat: the machine lives
 *	to the command	I	standard input (-p only)
 *			W	rows and columns of the terminal (-p only), one byte each
 *
 * -p gives the command a terminal of its own, -q sends no heartbeats: they would cost
 * instructions where instructions are counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define FRAME_HEADER	3
#define FRAME_MAX	1024
#define HEARTBEAT_MS	5000

struct session {
	int tty;		/* the serial port */
	int in;			/* where the command reads, or -1 */
	int out, err;		/* where it writes, or -1 at their end */
	pid_t child;
	unsigned char frame[FRAME_HEADER + FRAME_MAX];	/* from the host, so far */
	size_t have;
};

static void fail(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void write_all(int fd, const unsigned char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		data += n;
		len -= n;
	}
}

static void send_frame(int tty, char type, const unsigned char *data, size_t len)
{
	unsigned char frame[FRAME_HEADER + FRAME_MAX];

	frame[0] = type;
	frame[1] = len & 0xff;
	frame[2] = len >> 8;
	if (len)
		memcpy(frame + FRAME_HEADER, data, len);
	write_all(tty, frame, FRAME_HEADER + len);
}

static int open_tty(const char *name)
{
	struct termios termios;
	int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &termios))
		fail(name);
	cfmakeraw(&termios);
	cfsetspeed(&termios, B115200);
	termios.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &termios))
		fail(name);
	return fd;
}

/* Pass on what can be read now.  Returns false at the end of the stream. */
static bool forward(int tty, char type, int fd)
{
	unsigned char buf[FRAME_MAX];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		send_frame(tty, type, buf, n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void handle_frame(struct session *s, const unsigned char *data, size_t len)
{
	struct winsize size = {};

	switch (s->frame[0]) {
	case 'I':
		if (s->in >= 0)
			write_all(s->in, data, len);
		break;
	case 'W':
		if (s->in >= 0 && len == 2) {
			size.ws_row = data[0];
			size.ws_col = data[1];
			ioctl(s->in, TIOCSWINSZ, &size);
		}
		break;
	}
}

static void receive(struct session *s)
{
	ssize_t n = read(s->tty, s->frame + s->have, sizeof(s->frame) - s->have);

	if (n <= 0)
		return;
	s->have += n;
	while (s->have >= FRAME_HEADER) {
		size_t len = s->frame[1] | s->frame[2] << 8;

		if (len > FRAME_MAX) {
			s->have = 0;
			return;
		}
		if (s->have < FRAME_HEADER + len)
			return;
		handle_frame(s, s->frame + FRAME_HEADER, len);
		s->have -= FRAME_HEADER + len;
		memmove(s->frame, s->frame + FRAME_HEADER + len, s->have);
	}
}

static void exec_command(char **argv)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "agent: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void start_on_pipes(struct session *s, char **argv)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("pipe");
	s->child = fork();
	if (s->child < 0)
		fail("fork");
	if (!s->child) {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		setsid();
		exec_command(argv);
	}
	close(out[1]);
	close(err[1]);
	s->in = -1;
	s->out = out[0];
	s->err = err[0];
	fcntl(s->err, F_SETFL, O_NONBLOCK);
	fcntl(s->out, F_SETFL, O_NONBLOCK);
}

static void start_on_terminal(struct session *s, char **argv)
{
	int master;

	s->child = forkpty(&master, NULL, NULL, NULL);
	if (s->child < 0)
		fail("forkpty");
	if (!s->child)
		exec_command(argv);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	s->in = dup(master);
	s->out = master;
	s->err = -1;
	fcntl(s->out, F_SETFL, O_NONBLOCK);
}

static void on_child(int sig)
{
	(void)sig;
}

static void pass_output(struct session *s, const struct pollfd *fds)
{
	if (fds[0].revents && !forward(s->tty, 'O', s->out))
		s->out = -1;
	if (fds[1].revents && !forward(s->tty, 'E', s->err))
		s->err = -1;
}

/*
 * Carry data until the command has ended, then what is left in its pipes.  Not until
 * the pipes end: a process that the command left behind may hold them.
 */
static int carry(struct session *s, bool quiet)
{
	const struct timespec beat = { .tv_sec = HEARTBEAT_MS / 1000 };
	const struct timespec now = {};
	bool ended = false;
	sigset_t none;
	int status;

	sigemptyset(&none);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = s->out, .events = POLLIN },
			{ .fd = s->err, .events = POLLIN },
			{ .fd = s->tty, .events = POLLIN },
		};
		int n = ppoll(fds, s->in >= 0 ? 3 : 2, ended ? &now : quiet ? NULL : &beat, &none);

		if (!n && ended)
			break;
		if (!n)
			send_frame(s->tty, 'B', NULL, 0);
		if (n > 0) {
			pass_output(s, fds);
			if (fds[2].revents)
				receive(s);
		}
		if (!ended && waitpid(s->child, &status, WNOHANG) == s->child)
			ended = true;
		if (ended && s->out < 0 && s->err < 0)
			break;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_child };
	bool terminal = false, quiet = false;
	struct session session = {};
	unsigned char status;
	sigset_t child;
	int opt;

	while ((opt = getopt(argc, argv, "+pq")) != -1) {
		switch (opt) {
		case 'p':
			terminal = true;
			break;
		case 'q':
			quiet = true;
			break;
		default:
			return 125;
		}
	}
	if (argc - optind < 2) {
		fprintf(stderr, "usage: agent [-p] [-q] TTY COMMAND ARGS...\n");
		return 125;
	}

	/* SIGCHLD is taken in ppoll() alone, so that it cannot come just before it. */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigaction(SIGCHLD, &action, NULL);

	session.tty = open_tty(argv[optind]);
	if (terminal)
		start_on_terminal(&session, argv + optind + 1);
	else
		start_on_pipes(&session, argv + optind + 1);
	status = carry(&session, quiet);
	send_frame(session.tty, 'X', &status, 1);
	tcdrain(session.tty);
	return 0;
}
