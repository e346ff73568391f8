// SPDX-License-Identifier: GPL-2.0-only
/* Runs the test cases of a program and reports them in KTAP. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"

#define EXIT_SKIPPED	4

/* Written by the process of the test case, read by its parent. */
struct outcome {
	unsigned int failures;
	bool finished;
	bool skipped;
	char why[200];
};

extern const struct test_case *const __start_test_cases[];
extern const struct test_case *const __stop_test_cases[];

static const char *device = "/dev/vitro";
static struct outcome *outcome;
static unsigned int slowness = 1;

const char *test_device(void)
{
	return device;
}

static void put_line(const char *prefix, const char *fmt, va_list args)
{
	char buf[600];
	int len, n;

	len = snprintf(buf, sizeof(buf), "%s", prefix);
	n = vsnprintf(buf + len, sizeof(buf) - len - 1, fmt, args);
	if (n > (int)sizeof(buf) - len - 2)
		n = sizeof(buf) - len - 2;
	len += n;
	buf[len++] = '\n';
	/* One write per line: threads and processes do not mix theirs. */
	if (write(STDOUT_FILENO, buf, len) != len)
		_exit(2);
}

static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line("", fmt, args);
	va_end(args);
}

void test_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	put_line("# ", fmt, args);
	va_end(args);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char prefix[80];
	va_list args;

	__atomic_add_fetch(&outcome->failures, 1, __ATOMIC_RELAXED);
	snprintf(prefix, sizeof(prefix), "# %s:%d: ",
		 base ? base + 1 : file, line);
	va_start(args, fmt);
	put_line(prefix, fmt, args);
	va_end(args);
}

void test_abort(void)
{
	outcome->finished = true;
	_exit(0);
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(outcome->why, sizeof(outcome->why), fmt, args);
	va_end(args);
	outcome->skipped = true;
	test_abort();
}

unsigned int test_failures(void)
{
	return __atomic_load_n(&outcome->failures, __ATOMIC_RELAXED);
}

unsigned int test_slowness(void)
{
	return slowness;
}

const char *test_result(long ret, char *buf, size_t size)
{
	const char *name = ret < 0 ? strerrorname_np(-ret) : NULL;

	if (name)
		snprintf(buf, size, "-%s", name);
	else
		snprintf(buf, size, "%ld", ret);
	return buf;
}

bool test_eq(const char *file, int line, const char *what,
	     uint64_t got, uint64_t want)
{
	if (got == want)
		return true;
	test_fail(file, line, "%s: expected %#llx, got %#llx", what,
		  (unsigned long long)want, (unsigned long long)got);
	return false;
}

bool test_ret(const char *file, int line, const char *what,
	      long got, long want)
{
	char a[32], b[32];

	if (got == want)
		return true;
	test_fail(file, line, "%s: expected %s, got %s", what,
		  test_result(want, a, sizeof(a)),
		  test_result(got, b, sizeof(b)));
	return false;
}

bool test_ok(const char *file, int line, const char *what, long got)
{
	char b[32];

	if (got >= 0)
		return true;
	test_fail(file, line, "%s: expected success, got %s", what,
		  test_result(got, b, sizeof(b)));
	return false;
}

/* Returns false if the process did not end within the limit. */
static bool wait_limited(pid_t pid, unsigned int limit_s, int *status)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	bool in_time = pidfd < 0 || poll(&pfd, 1, limit_s * 1000) == 1;

	if (!in_time)
		kill(-pid, SIGKILL);
	if (pidfd >= 0)
		close(pidfd);
	if (waitpid(pid, status, 0) != pid)
		*status = 0;
	/* What the case may have left behind ends with it. */
	kill(-pid, SIGKILL);
	return in_time;
}

static void run_case(const struct test_case *tc)
{
	int status = 0;
	pid_t pid;

	memset(outcome, 0, sizeof(*outcome));
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		tc->fn();
		test_abort();
	}
	if (pid < 0) {
		test_fail(__FILE__, __LINE__, "fork: %s", strerror(errno));
		return;
	}
	setpgid(pid, pid);
	if (!wait_limited(pid, tc->limit_s * slowness, &status))
		test_fail(__FILE__, tc->line,
			  "expected an end within %u s, got none",
			  tc->limit_s * slowness);
	else if (WIFSIGNALED(status))
		test_fail(__FILE__, tc->line,
			  "expected a normal end, got signal %s",
			  sigabbrev_np(WTERMSIG(status)));
	else if (!outcome->finished)
		test_fail(__FILE__, tc->line,
			  "expected a normal end, got exit status %d",
			  WEXITSTATUS(status));
}

static int by_line(const void *a, const void *b)
{
	const struct test_case *const *x = a, *const *y = b;

	return (*x)->line - (*y)->line;
}

static int run_all(const struct test_case **list, int n)
{
	int i, failed = 0, skipped = 0;

	say("KTAP version 1");
	say("1..%d", n);
	for (i = 0; i < n; i++) {
		run_case(list[i]);
		if (outcome->failures) {
			failed++;
			say("not ok %d %s", i + 1, list[i]->name);
		} else if (outcome->skipped) {
			skipped++;
			say("ok %d %s # SKIP %s", i + 1, list[i]->name,
			    outcome->why);
		} else {
			say("ok %d %s", i + 1, list[i]->name);
		}
	}
	say("# Totals: pass:%d fail:%d skip:%d", n - failed - skipped,
	    failed, skipped);
	if (failed)
		return 1;
	return skipped == n ? EXIT_SKIPPED : 0;
}

static void usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [--device PATH] [--list] [TEST...]\n"
		"Runs all of its test cases, or those named. The device is\n"
		"$VITRO_DEVICE, or /dev/vitro.\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int total = __stop_test_cases - __start_test_cases, n = 0, i, j, arg;
	const struct test_case *all[total], *list[total];
	bool list_only = false;

	if (getenv("VITRO_DEVICE"))
		device = getenv("VITRO_DEVICE");
	if (getenv("VITRO_SLOWNESS"))
		slowness = atoi(getenv("VITRO_SLOWNESS")) ?: 1;
	for (arg = 1; arg < argc && argv[arg][0] == '-'; arg++) {
		if (!strcmp(argv[arg], "--device") && arg + 1 < argc)
			device = argv[++arg];
		else if (!strcmp(argv[arg], "--list"))
			list_only = true;
		else
			usage(argv[0]);
	}
	memcpy(all, __start_test_cases, sizeof(all));
	qsort(all, total, sizeof(all[0]), by_line);
	for (i = 0; i < total; i++) {
		for (j = arg; j < argc && strcmp(argv[j], all[i]->name); j++)
			;
		if (arg == argc || j < argc)
			list[n++] = all[i];
	}
	if (!n)
		usage(argv[0]);
	if (list_only) {
		for (i = 0; i < n; i++)
			say("%s", list[i]->name);
		return 0;
	}
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (outcome == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	return run_all(list, n);
}
