// SPDX-License-Identifier: GPL-2.0-only
/* The main thread while the vCPUs run. */
#include "cmd/run-loop.h"
#include "core/terminal.h"
#include "core/util.h"
#include "core/vm.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { POLL_STOP, POLL_SIGNAL, POLL_TIMER, POLL_ROOM, POLL_INPUT, NR_POLL };

static const char help[] =
	"\nCtrl-A X  stop the guest and leave\n"
	"Ctrl-A A  send Ctrl-A to the guest\n"
	"Ctrl-A H  this help\n";

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGQUIT);
}

void run_loop_block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* A reader of our output that goes away is the UART's business. */
	signal(SIGPIPE, SIG_IGN);
}

void run_loop_unblock_signals(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static void wake_for_room(void *arg)
{
	const int *fd = arg;
	uint64_t one = 1;

	if (write(*fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		note("cannot wake the main thread: %s", strerror(errno));
}

static int start_timer(int fd, unsigned int seconds)
{
	struct itimerspec spec = { .it_value.tv_sec = seconds };

	return timerfd_settime(fd, 0, &spec, NULL);
}

static void on_signal(struct vm *vm, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) == sizeof(info))
		vm_stop(vm, VM_SIGNAL + info.ssi_signo);
}

/*
 * A terminal is always read, even when the guest takes nothing, so that the
 * way out works; what does not fit is dropped. Files and pipes wait.
 */
static void on_input(struct board *board, struct escape *escape, struct pollfd *p)
{
	uint8_t buf[256];
	size_t max = sizeof(buf);
	ssize_t n;
	size_t len;

	if (!isatty(p->fd)) {
		max = min_u64(max, uart_room(&board->uart));
		if (!max) {
			p->fd = -1;
			return;
		}
	}
	n = read(p->fd, buf, max);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The end of the input is not the end of the guest. */
		p->fd = -1;
		p->events = 0;
		return;
	}
	len = n;
	switch (escape_filter(escape, buf, &len)) {
	case ESCAPE_QUIT:
		vm_stop(board->vm, VM_USER_QUIT);
		break;
	case ESCAPE_HELP:
		fputs(help, stderr);
		break;
	case ESCAPE_NONE:
		break;
	}
	uart_input(&board->uart, buf, len);
}

static int serve(struct board *board, struct pollfd *p)
{
	struct escape escape = { false };
	struct vm *vm = board->vm;
	uint64_t count;

	while (!vm_stopping(vm)) {
		if (poll(p, NR_POLL, -1) < 0 && errno != EINTR)
			return fail(errno, "poll: %s", strerror(errno));
		if (p[POLL_SIGNAL].revents)
			on_signal(vm, p[POLL_SIGNAL].fd);
		if (p[POLL_TIMER].revents)
			vm_stop(vm, VM_TIMEOUT);
		if (p[POLL_ROOM].revents &&
		    read(p[POLL_ROOM].fd, &count, sizeof(count)) > 0 && p[POLL_INPUT].events)
			p[POLL_INPUT].fd = STDIN_FILENO;
		if (p[POLL_INPUT].revents)
			on_input(board, &escape, &p[POLL_INPUT]);
	}
	return 0;
}

int run_loop(struct board *board, unsigned int timeout)
{
	struct pollfd p[NR_POLL];
	sigset_t set;
	int ret = 0;

	signal_set(&set);
	for (int i = 0; i < NR_POLL; i++)
		p[i] = (struct pollfd){ .events = POLLIN };
	p[POLL_STOP].fd = board->vm->stop_fd;
	p[POLL_SIGNAL].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p[POLL_TIMER].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	p[POLL_ROOM].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p[POLL_INPUT].fd = STDIN_FILENO;
	if (p[POLL_SIGNAL].fd < 0 || p[POLL_TIMER].fd < 0 || p[POLL_ROOM].fd < 0 ||
	    start_timer(p[POLL_TIMER].fd, timeout) < 0) {
		ret = fail(errno, "cannot set up the main loop: %s", strerror(errno));
	} else {
		pthread_mutex_lock(&board->uart.lock);
		board->uart.room = wake_for_room;
		board->uart.room_arg = &p[POLL_ROOM].fd;
		pthread_mutex_unlock(&board->uart.lock);
		ret = serve(board, p);
		pthread_mutex_lock(&board->uart.lock);
		board->uart.room = NULL;
		pthread_mutex_unlock(&board->uart.lock);
	}
	if (ret)
		vm_stop(board->vm, VM_HOST_ERROR);
	for (int i = POLL_SIGNAL; i <= POLL_ROOM; i++) {
		if (p[i].fd >= 0)
			close(p[i].fd);
	}
	return ret;
}
