// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests that do the same twice.
 *
 * On TCG, an interrupt of L1's that ends a guest's stay in an interrupt shadow takes the
 * shadow away (stock KVM), or puts the instruction that follows into one (vitro): see
 * docs/machines.md. What waits for the guest then comes an instruction too early or too
 * late. Nothing tells when that has happened, but it hardly happens twice: so a guest of the
 * AMD machine counts when it has done the same in two runs, one after the other. Those that
 * needed more are told of, and must be few.
 */
#include "known.h"

#define MAX_RUNS	6

/* Returns the index of the first item that differs, or -1. */
static int difference(const struct result *a, const struct result *b)
{
	unsigned int i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (!result_same(&a->items[i], &b->items[i]))
			return i;
	return a->count == b->count ? -1 : (int)i;
}

static void tell(const struct result *r, unsigned int at)
{
	unsigned int i;

	fprintf(stderr, "differential: seed %llu, one of two runs that differ:\n",
		(unsigned long long)r->seed);
	for (i = at > 6 ? at - 6 : 0; i <= at && i < r->count; i++)
		result_print(stderr, &r->items[i]);
}

/* Has the time limit ended it? That happens anywhere, and takes its time. */
static bool timed_out(const struct result *r)
{
	unsigned int i;

	for (i = 0; i < r->count; i++)
		if (endless(&r->items[i]))
			return true;
	return false;
}

struct result *vm_run_twice(struct machine *machine, struct guest *g, struct result *results)
{
	struct result *now = NULL;
	unsigned int runs;
	int at;

	for (runs = 1; runs <= MAX_RUNS; runs++) {
		now = &results[runs % 2];
		if (vm_run(machine, g, now))
			return NULL;
		if (timed_out(now))
			return now;
		if (runs == 1)
			continue;
		at = difference(&results[0], &results[1]);
		if (at < 0)
			return now;
		if (runs == 2)
			machine->unlike++;
		tell(&results[0], at);
		tell(&results[1], at);
	}
	fprintf(stderr, "differential: seed %llu does something else each time\n",
		(unsigned long long)g->seed);
	return NULL;
}
