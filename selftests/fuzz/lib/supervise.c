// SPDX-License-Identifier: GPL-2.0-only
/* Each program in a process of its own, which is ended when it takes too long. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/*
 * A program that blocks every signal cannot be interrupted in KVM_RUN, so being
 * killed is one of the regular ends. Not to die of it is none, however busy
 * the computer is that emulates this one.
 */
#define KILL_AFTER	4.0	/* seconds */
#define STUCK_AFTER	90.0

static struct {
	bool failed;
	char reason[512];
} *shared;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void supervise_open(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("fuzz: mmap");
		exit(2);
	}
	/* Children of a program that has ended are ours to wait for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void fuzz_fail(const char *format, ...)
{
	va_list args;

	if (__atomic_exchange_n(&shared->failed, true, __ATOMIC_ACQ_REL))
		return;
	va_start(args, format);
	vsnprintf(shared->reason, sizeof(shared->reason), format, args);
	va_end(args);
}

/* Waits for the process group's end; returns false when the time is over. */
static bool wait_for(pid_t leader, int *status, double limit)
{
	double end = now() + limit;
	useconds_t pause = 500;
	int one;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, &one, WNOHANG);
		if (pid == leader) {
			*status = one;
			/* What it has forked and left behind. */
			kill(-leader, SIGKILL);
		} else if (pid < 0 && errno == ECHILD) {
			return true;
		}
		if (pid > 0)
			continue;
		if (now() > end)
			return false;
		usleep(pause);
		if (pause < 10000)
			pause *= 2;
	}
}

static void child(const struct fuzz_target *target, const struct program *program)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	dup2(null, 0);
	dup2(null, 1);
	target->execute(program);
	_exit(0);
}

/* Where the threads of a process are stuck, into the kernel's log. */
static void show_stuck(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "w", 1) != 1 || write(fd, "l", 1) != 1)
		perror("fuzz: /proc/sysrq-trigger");
	close(fd);
}

enum verdict supervise(const struct fuzz_target *target, const struct program *program,
		       char *reason, size_t size)
{
	int status = 0;
	pid_t pid;

	shared->failed = false;
	pid = fork();
	if (pid < 0) {
		snprintf(reason, size, "fork: %s", strerror(errno));
		return VERDICT_FAILED;
	}
	if (!pid)
		child(target, program);
	setpgid(pid, pid);
	if (!wait_for(pid, &status, KILL_AFTER)) {
		kill(-pid, SIGKILL);
		if (!wait_for(pid, &status, STUCK_AFTER)) {
			show_stuck();
			snprintf(reason, size, "process %d did not end %g seconds after SIGKILL",
				 pid, STUCK_AFTER);
			return VERDICT_STUCK;
		}
	}
	if (shared->failed) {
		snprintf(reason, size, "%s", shared->reason);
		return VERDICT_FAILED;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		snprintf(reason, size, "its process died of signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
		return VERDICT_FAILED;
	}
	return VERDICT_FINE;
}
