// SPDX-License-Identifier: GPL-2.0-only
/* The files of fault injection, kmemleak and the page allocator's counters. */
#include <fcntl.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "ktap.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define KMEMLEAK	DEBUGFS "kmemleak"

/* kmemleak takes no object for lost in the first seconds of its life. */
#define KMEMLEAK_AGE_S	6

/* What comes and goes by itself does not add up in so many rounds as a leak does. */
#define ROUNDS		10
/* Objects that end behind RCU may be on their way: the fewest pages of so many looks count. */
#define LOOKS		3

static int fail_nth = -1;

static bool set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	close(fd);
	return ok;
}

static void attribute(const char *what, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", what, name);
	REQUIRE(set(path, value), "%s: %s", path, strerror(errno));
}

void fault_setup(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	unsigned int i;

	if (!getenv("FAILNTH"))
		test_skip("only where FAILNTH is set: it takes long");
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth < 0 || access(DEBUGFS "failslab", F_OK))
		test_skip("this kernel injects no faults");
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* Each injection would leave a backtrace in the log. */
		attribute(kinds[i], "verbose", "0");
		attribute(kinds[i], "probability", "0");
	}
	attribute("failslab", "ignore-gfp-wait", "N");
	attribute("fail_page_alloc", "ignore-gfp-wait", "N");
	attribute("fail_page_alloc", "ignore-gfp-highmem", "N");
	attribute("fail_page_alloc", "min-order", "0");
	/* The faults are for the calls under test, not for this program's own pages. */
	REQUIRE(!mlockall(MCL_CURRENT), "mlockall: %s", strerror(errno));
}

void fault_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	REQUIRE(pwrite(fail_nth, text, len, 0) == len, "fail-nth: %s", strerror(errno));
}

unsigned int fault_left(void)
{
	char text[16] = "";

	/* That it fails itself is the last one's doing: at least that one is left. */
	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		return 1;
	return atoi(text);
}

bool fault_disarm(void)
{
	bool failed = !fault_left();

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	return failed;
}

/*
 * Whether a line of a report has the module's code in it. Of a module that has been
 * unloaded, only the address is left. The kernel itself loses objects, too.
 */
static bool names_module(const char *line)
{
	return strstr(line, "[vitro]") || strstr(line, "] 0xffffffff");
}

void fault_leak_scan(void)
{
	char line[256], object[4096] = "";
	bool ours = false, found = false;
	FILE *f;

	if (access(KMEMLEAK, W_OK))
		test_skip("no kmemleak");
	sleep(KMEMLEAK_AGE_S);
	/* What still changes at the first scan is reported by the second. */
	set(KMEMLEAK, "scan");
	set(KMEMLEAK, "scan");
	f = fopen(KMEMLEAK, "r");
	REQUIRE(f, KMEMLEAK ": %s", strerror(errno));
	for (;;) {
		bool more = fgets(line, sizeof(line), f);

		if (!more || !strncmp(line, "unreferenced object", 19)) {
			if (ours)
				test_note("%s", object);
			found |= ours;
			ours = false;
			object[0] = 0;
		}
		if (!more)
			break;
		ours |= names_module(line);
		strncat(object, line, sizeof(object) - strlen(object) - 1);
	}
	fclose(f);
	CHECK(!found, "kmemleak has found what is above");
}

/* Sum of the numbers behind a word in all lines of a file. */
static long sum(const char *path, const char *format)
{
	char line[256];
	long value, total = 0;
	FILE *f = fopen(path, "r");

	REQUIRE(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, format, &value) == 1)
			total += value;
	fclose(f);
	return total;
}

/*
 * Pages in use by the kernel that no counter of its own names: what module code has taken
 * from the page allocator is among them.
 */
static long pages_in_use(void)
{
	static const char *const known[] = {
		"nr_anon_pages %ld", "nr_file_pages %ld", "nr_slab_reclaimable %ld",
		"nr_slab_unreclaimable %ld", "nr_page_table_pages %ld",
		"nr_sec_page_table_pages %ld",
	};
	unsigned int i;
	long pages;

	/* Each CPU has differences that it has not added to the sums yet. */
	set("/proc/sys/vm/stat_refresh", "1");
	pages = sum("/proc/zoneinfo", " managed %ld");
	/* Free, in the buddy lists and in those of the CPUs. */
	pages -= sum("/proc/zoneinfo", " pages free %ld");
	pages -= sum("/proc/zoneinfo", " count: %ld");
	for (i = 0; i < ARRAY_SIZE(known); i++)
		pages -= sum("/proc/vmstat", known[i]);
	pages -= sum("/proc/meminfo", "KernelStack: %ld") / 4;
	pages -= sum("/proc/meminfo", "Percpu: %ld") / 4;
	return pages;
}

/*
 * What vmalloc() has given out and got back keeps its shadow until there is enough of it.
 * Freeing a module's memory ends that: so a second load of the module is tried.
 */
static void purge_vmalloc(void)
{
	const char *path = getenv("FAILNTH_MODULE");
	int fd = open(path ?: "", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!syscall(SYS_finit_module, fd, "", 0))
		syscall(SYS_delete_module, "vitro", O_NONBLOCK);
	close(fd);
}

static long settled_pages(void)
{
	long pages, least = LONG_MAX;
	unsigned int i;

	purge_vmalloc();
	for (i = 0; i < LOOKS; i++) {
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
		pages = pages_in_use();
		if (pages < least)
			least = pages;
	}
	return least;
}

bool fault_pages_lost(void (*calls)(void *arg), void *arg, long least)
{
	long before = settled_pages(), lost = 0;
	unsigned int i;

	for (i = 1; i <= ROUNDS; i++) {
		calls(arg);
		lost = settled_pages() - before;
		if (lost < i * least)
			return false;
	}
	test_note("%ld pages more in use after %u rounds", lost, ROUNDS);
	return true;
}
