// SPDX-License-Identifier: GPL-2.0-only
/*
 * vitro stat: why the vCPUs of a running VM leave their guests. The counters
 * are read through the file descriptors that the VMM holds: duplicates of its
 * statistics fds, or of its vCPUs' fds where those are all there is.
 */
#include "cmd/cmd.h"
#include "cmd/vm-process.h"
#include "core/stats.h"
#include "core/util.h"

#include <argp.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATUS_ERROR	1
#define STATUS_USAGE	2
#define REFRESH_MS	1000
#define CLEAR_SCREEN	"\033[H\033[J"

struct stat_options {
	unsigned int pid;		/* 0: find one */
	bool once;
	bool json;
};

static const struct argp_option options[] = {
	{ "once", '1', NULL, 0, "print the counters once instead of every second", 0 },
	{ "json", 'j', NULL, 0, "print them once, as a JSON object", 0 },
	{ 0 }
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct stat_options *o = state->input;

	switch (key) {
	case '1':
		o->once = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0 && parse_uint(arg, INT32_MAX, &o->pid) == 0 && o->pid)
			return 0;
		argp_error(state, "%s: give one process id", arg);
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

static const struct argp stat_argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "[PID]",
	.doc = "Show why the vCPUs of a virtual machine leave their guest, refreshed every second.\v"
	       "PID is the process that runs the virtual machine; it may be left out if there is "
	       "only one.",
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int read_table(const struct vm_process *p, struct stats_table *table)
{
	memset(table, 0, sizeof(*table));
	for (unsigned int i = 0; i < p->nr; i++) {
		int ret = stats_add(table, p->stats_fd[i]);

		if (ret)
			return fail(-ret, "cannot read the statistics of process %d: %s",
				    p->pid, strerror(-ret));
	}
	stats_sort(table);
	return 0;
}

static int print_once(const struct vm_process *p, bool json, struct stats_table *table)
{
	int ret = read_table(p, table);

	if (ret)
		return ret;
	if (json) {
		printf("{\"pid\": %d, \"vcpus\": %u, ", p->pid, p->nr);
		stats_print_json(stdout, table);
		printf("}\n");
	} else {
		stats_print(stdout, table, NULL, 0);
	}
	return 0;
}

/* Until the process ends. */
static int print_live(const struct vm_process *p, struct stats_table table[2])
{
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };
	uint64_t before = now_ns(), now;
	unsigned int i = 0;
	int ret = read_table(p, &table[0]);

	while (!ret) {
		int ready = poll(&end, 1, REFRESH_MS);

		if (ready < 0 && errno != EINTR)
			return fail(errno, "poll: %s", strerror(errno));
		now = now_ns();
		ret = read_table(p, &table[!i]);
		if (ret)
			break;
		i = !i;
		printf("%sprocess %d, %u vCPU%s\n", isatty(STDOUT_FILENO) ? CLEAR_SCREEN : "",
		       p->pid, p->nr, p->nr == 1 ? "" : "s");
		stats_print(stdout, &table[i], &table[!i], now - before);
		if (fflush(stdout))
			return fail(errno, "cannot print: %s", strerror(errno));
		before = now;
		if (ready > 0) {
			printf("process %d has ended\n", p->pid);
			break;
		}
	}
	return ret;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_options o = { 0 };
	struct stats_table *table;
	struct vm_process p;
	int pid, ret;

	if (argp_parse(&stat_argp, argc, argv, 0, NULL, &o))
		return STATUS_USAGE;
	pid = o.pid ? (int)o.pid : vm_process_find();
	if (pid < 0)
		return STATUS_ERROR;
	table = calloc(2, sizeof(*table));
	if (!table) {
		fail(ENOMEM, "no memory");
		return STATUS_ERROR;
	}
	ret = vm_process_open(&p, pid);
	if (!ret) {
		ret = o.once || o.json ? print_once(&p, o.json, table) : print_live(&p, table);
		vm_process_close(&p);
	}
	free(table);
	return ret ? STATUS_ERROR : 0;
}
