// SPDX-License-Identifier: GPL-2.0-only
/*
 * exit_cost [--device PATH] [WORD]: what each way out of a guest and back costs
 * on a hypervisor that speaks the KVM API, in ticks of the time-stamp counter.
 * One line per row: unit, name and number, with tabs between. WORD measures only
 * the rows that have it in their names.
 *
 * exit_cost --time NAME SECONDS COMMAND ARGS...: run the command, then print what it
 * took. One that has not ended after so many seconds is killed, and the status is 3.
 *
 * On the emulated machines with --deterministic a tick is an instruction, and
 * two runs give the same numbers. Elsewhere ticks are time.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define TIME_OVER	3

static const char *wanted = "";

void bench_row(const char *name, void (*measure)(const char *name, const void *arg),
	       const void *arg)
{
	int status;
	pid_t pid;

	if (!strstr(name, wanted))
		return;
	pid = fork();
	if (!pid) {
		measure(name, arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "exit_cost: no figure for the row: %s\n", name);
		exit(1);
	}
}

void bench_print(const char *unit, const char *name, uint64_t value)
{
	printf("%s\t%s\t%llu\n", unit, name, (unsigned long long)value);
	fflush(stdout);
}

/* Nanoseconds of processor time, user's, kernel's and guests', of children. */
static uint64_t children_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ULL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ULL;
}

static int time_command(const char *name, unsigned int limit, char **argv)
{
	uint64_t start = rdtsc(), ticks;
	char label[200];
	int status;
	pid_t pid;

	TRACE_MARK();
	pid = fork();
	if (!pid) {
		alarm(limit);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror(argv[0]);
		return 1;
	}
	ticks = rdtsc() - start;
	TRACE_MARK();
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
		fprintf(stderr, "exit_cost: no figure for the row: %s: no end after %u s\n", name,
			limit);
		return TIME_OVER;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "%s: expected status 0, got %#x\n", argv[0], status);
		return 1;
	}
	bench_print("ticks", name, ticks);
	snprintf(label, sizeof(label), "%s: processor time", name);
	bench_print("ns", label, children_ns());
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: exit_cost [--device PATH] [WORD]\n"
			"       exit_cost --time NAME SECONDS COMMAND [ARG...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "--time"))
		return time_command(argv[2], atoi(argv[3]), argv + 4);
	if (argc > 2 && !strcmp(argv[1], "--device")) {
		setenv("VITRO_DEVICE", argv[2], 1);
		argv += 2;
		argc -= 2;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return usage();
	if (argc == 2)
		wanted = argv[1];
	guest_rows();
	wake_rows();
	host_rows();
	return 0;
}
