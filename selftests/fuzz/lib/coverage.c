// SPDX-License-Identifier: GPL-2.0-only
/* What programs reach in the module, by the kernel's KCOV. */
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define KCOV		"/sys/kernel/debug/kcov"
#define SECTIONS	"/sys/module/vitro/sections/"
#define KCOV_WORDS	(128 << 10)
#define EDGE_BITS	20
#define TEXT_MAX	(8U << 20)

static int kcov[FUZZ_THREADS];
static uint64_t *area[FUZZ_THREADS];
static uint64_t text_start, text_end;
static uint8_t *edge_seen, *place_seen;
static unsigned int edges, places;

static const char *const sections[] = {
	".text", ".text.unlikely", ".init.text", ".exit.text", ".noinstr.text",
};

static uint64_t section_address(const char *name)
{
	unsigned long long address = 0;
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), SECTIONS "%s", name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%llx", &address) != 1)
		address = 0;
	fclose(file);
	return address;
}

/* Where the module's code lies: from its first section on, as much as it may have. */
static bool find_text(void)
{
	unsigned int i;
	uint64_t address;

	text_start = section_address(".text");
	for (i = 1; text_start && i < ARRAY_SIZE(sections); i++) {
		address = section_address(sections[i]);
		if (address && address < text_start)
			text_start = address;
	}
	text_end = text_start + TEXT_MAX;
	return text_start;
}

static bool open_one(unsigned int i)
{
	kcov[i] = open(KCOV, O_RDWR | O_CLOEXEC);
	if (kcov[i] < 0 || ioctl(kcov[i], KCOV_INIT_TRACE, KCOV_WORDS))
		return false;
	area[i] = mmap(NULL, KCOV_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		       MAP_SHARED, kcov[i], 0);
	return area[i] != MAP_FAILED;
}

bool coverage_open(void)
{
	unsigned int i;

	for (i = 0; i < FUZZ_THREADS; i++)
		kcov[i] = -1;
	edge_seen = calloc(1, 1U << EDGE_BITS);
	place_seen = calloc(1, TEXT_MAX);
	if (!edge_seen || !place_seen || !find_text())
		return false;
	for (i = 0; i < FUZZ_THREADS; i++)
		if (!open_one(i))
			return false;
	return true;
}

void fuzz_cover(unsigned int thread)
{
	if (thread < FUZZ_THREADS && kcov[thread] >= 0)
		ioctl(kcov[thread], KCOV_ENABLE, KCOV_TRACE_PC);
}

void coverage_clear(void)
{
	unsigned int i;

	for (i = 0; i < FUZZ_THREADS; i++)
		if (area[i])
			__atomic_store_n(&area[i][0], 0, __ATOMIC_RELAXED);
}

static void take_place(uint64_t pc)
{
	uint8_t *seen = &place_seen[pc - text_start];

	places += !*seen;
	*seen = 1;
}

/* A transition is known by its two ends; that some share a bit does no harm. */
static unsigned int take_edge(uint64_t from, uint64_t to)
{
	uint64_t hash = (from * 0x9e3779b97f4a7c15ULL ^ to) * 0xbf58476d1ce4e5b9ULL;
	uint8_t *seen = &edge_seen[hash >> (64 - EDGE_BITS)];
	bool new = !*seen;

	*seen = 1;
	edges += new;
	return new;
}

unsigned int coverage_collect(void)
{
	unsigned int i, new = 0;
	uint64_t n, at, pc, last;

	for (i = 0; i < FUZZ_THREADS && area[i]; i++) {
		last = 0;
		n = __atomic_load_n(&area[i][0], __ATOMIC_RELAXED);
		for (at = 1; at <= n && at < KCOV_WORDS; at++) {
			pc = area[i][at];
			if (pc < text_start || pc >= text_end)
				continue;
			take_place(pc);
			new += take_edge(last, pc);
			last = pc;
		}
	}
	return new;
}

unsigned int coverage_places(void)
{
	return places;
}

unsigned int coverage_edges(void)
{
	return edges;
}

void coverage_print(void)
{
	unsigned int i;
	uint64_t address;

	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		address = section_address(sections[i]);
		if (address)
			printf("section %s %#llx\n", sections[i], (unsigned long long)address);
	}
	for (i = 0; places && i < TEXT_MAX; i++)
		if (place_seen[i])
			printf("pc %#llx\n", (unsigned long long)(text_start + i));
}
