// SPDX-License-Identifier: GPL-2.0-only
/* Comparing the results of two passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

#define MAX_REASONS	64
#define CONTEXT		6	/* items shown before a difference */
#define MAX_SEEDS	8	/* shown of each reason */

struct file {
	FILE *stream;
	struct result_head head;
	struct kvm_cpuid2 *cpuid;
	struct result result;
};

struct comparison {
	struct file kvm, vitro;
	struct guest guest;
	bool verbose;
	bool printed;		/* the head of this guest's list */
	unsigned int bad;	/* unexplained differences of this guest */
	unsigned int known_guests, bad_guests;
	struct {
		const char *reason;
		unsigned int count, guests;
		uint64_t seeds[MAX_SEEDS];
		uint64_t last;	/* seed */
	} reasons[MAX_REASONS];
};

static int open_file(struct file *f, const char *name)
{
	size_t size;

	f->stream = fopen(name, "rb");
	if (!f->stream || fread(&f->head, sizeof(f->head), 1, f->stream) != 1 ||
	    f->head.magic != RESULT_MAGIC || f->head.nent > MAX_CPUID) {
		fprintf(stderr, "differential: %s is not a file of results\n", name);
		return -1;
	}
	size = f->head.nent * sizeof(struct kvm_cpuid_entry2);
	f->cpuid = malloc(sizeof(*f->cpuid) + size);
	if (!f->cpuid || fread(f->cpuid->entries, 1, size, f->stream) != size)
		return -1;
	f->cpuid->nent = f->head.nent;
	return 0;
}

static bool read_result(struct file *f)
{
	struct result *r = &f->result;

	return fread(&r->seed, sizeof(r->seed), 1, f->stream) == 1 &&
	       fread(&r->count, sizeof(r->count), 1, f->stream) == 1 && r->count <= MAX_ITEMS &&
	       fread(r->items, sizeof(r->items[0]), r->count, f->stream) == r->count;
}

static void print_head(struct comparison *c)
{
	const struct guest *g = &c->guest;

	if (c->printed)
		return;
	c->printed = true;
	printf("# seed %llu: %s mode%s%s%s\n", (unsigned long long)g->seed, mode_names[g->mode],
	       g->user ? ", CPL 3" : "", g->irqchip ? ", irqchip" : "",
	       g->complete ? "" : ", exits not completed one by one");
}

static void print_difference(struct comparison *c, const struct item *a, const struct item *b)
{
	char name[80], other[80];

	print_head(c);
	if (a && b && a->key == b->key && a->index == b->index) {
		printf("#   %s: kvm %#llx, vitro %#llx\n", result_name(a, name, sizeof(name)),
		       (unsigned long long)a->value, (unsigned long long)b->value);
		return;
	}
	printf("#   kvm %s", a ? result_name(a, name, sizeof(name)) : "nothing");
	if (a)
		printf(" %#llx", (unsigned long long)a->value);
	printf(", vitro %s", b ? result_name(b, other, sizeof(other)) : "nothing");
	if (b)
		printf(" %#llx", (unsigned long long)b->value);
	printf("\n");
}

static void count_reason(struct comparison *c, const char *reason)
{
	uint64_t seed = c->guest.seed;
	unsigned int i;

	for (i = 0; i < MAX_REASONS - 1 && c->reasons[i].reason; i++)
		if (c->reasons[i].reason == reason)
			break;
	if (!c->reasons[i].count++ || c->reasons[i].last != seed) {
		if (c->reasons[i].guests < MAX_SEEDS)
			c->reasons[i].seeds[c->reasons[i].guests] = seed;
		c->reasons[i].guests++;
	}
	c->reasons[i].last = seed;
	c->reasons[i].reason = reason;
}

/* Returns whether the difference has a known reason. */
static bool difference(struct comparison *c, const struct item *a, const struct item *b)
{
	const char *reason = known_difference(&c->guest, a, b);

	if (reason) {
		count_reason(c, reason);
		return true;
	}
	if (c->bad++ < 4 || c->verbose)
		print_difference(c, a, b);
	return false;
}

static const struct item *item_at(const struct result *r, unsigned int i, bool state)
{
	const struct item *item = &r->items[i];

	if (i >= r->count || (!state && item->key >= ITEM_STATE_FIRST))
		return NULL;
	return item;
}

/* What happened, in order. Returns false if the rest cannot be compared. */
static bool compare_sequence(struct comparison *c)
{
	const struct result *kvm = &c->kvm.result, *vitro = &c->vitro.result;
	const struct item *a, *b;
	unsigned int i, k;

	for (i = 0;; i++) {
		a = item_at(kvm, i, false);
		b = item_at(vitro, i, false);
		if (!a && !b)
			return true;
		if (a && b && result_same(a, b))
			continue;
		if (!difference(c, a, b)) {
			if ((b ? b : a)->slot < c->guest.nr_slots)
				guest_print_slot(&c->guest, (b ? b : a)->slot);
			for (k = i > CONTEXT ? i - CONTEXT : 0; k < i; k++)
				result_print(stdout, &kvm->items[k]);
		}
		return false;
	}
}

static int order(const struct item *a, const struct item *b)
{
	if (!a || !b)
		return a ? -1 : 1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return a->index == b->index ? 0 : a->index < b->index ? -1 : 1;
}

static int by_key(const void *a, const void *b)
{
	return order(a, b);
}

static unsigned int state_begin(struct result *r)
{
	unsigned int i;

	for (i = 0; i < r->count && r->items[i].key < ITEM_STATE_FIRST; i++)
		;
	qsort(r->items + i, r->count - i, sizeof(r->items[0]), by_key);
	return i;
}

static void compare_state(struct comparison *c)
{
	unsigned int i = state_begin(&c->kvm.result), k = state_begin(&c->vitro.result);
	const struct item *a, *b;
	int which;

	for (;;) {
		a = item_at(&c->kvm.result, i, true);
		b = item_at(&c->vitro.result, k, true);
		if (!a && !b)
			return;
		which = order(a, b);
		if (which || a->value != b->value)
			difference(c, which <= 0 ? a : NULL, which >= 0 ? b : NULL);
		i += which <= 0;
		k += which >= 0;
	}
}

static bool identical(const struct result *a, const struct result *b)
{
	unsigned int i;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++)
		if (!result_same(&a->items[i], &b->items[i]))
			return false;
	return true;
}

static void compare_guest(struct comparison *c)
{
	if (identical(&c->kvm.result, &c->vitro.result))
		return;
	guest_generate(&c->guest, c->kvm.result.seed, c->kvm.cpuid);
	c->printed = false;
	c->bad = 0;
	if (compare_sequence(c))
		compare_state(c);
	if (!c->bad) {
		c->known_guests++;
		return;
	}
	c->bad_guests++;
	if (c->bad > 4 && !c->verbose)
		printf("#   and %u more\n", c->bad - 4);
}

static void report(const struct comparison *c, unsigned int guests)
{
	unsigned int i, k;

	printf("# %u guests: %u alike, %u with known differences, %u with others\n", guests,
	       guests - c->known_guests - c->bad_guests, c->known_guests, c->bad_guests);
	for (i = 0; c->reasons[i].count; i++) {
		printf("# %6u times in %u guests (seeds", c->reasons[i].count,
		       c->reasons[i].guests);
		for (k = 0; k < c->reasons[i].guests && k < MAX_SEEDS; k++)
			printf(" %llu", (unsigned long long)c->reasons[i].seeds[k]);
		printf("%s): %s\n", c->reasons[i].guests > MAX_SEEDS ? " ..." : "",
		       c->reasons[i].reason);
	}
}

int compare_files(const char *kvm, const char *vitro, bool verbose)
{
	struct comparison *c = calloc(1, sizeof(*c));
	unsigned int guests;
	int bad = -1;

	if (!c)
		return -1;
	c->verbose = verbose;
	if (open_file(&c->kvm, kvm) || open_file(&c->vitro, vitro))
		goto out;
	if (!c->kvm.head.stock || c->vitro.head.stock) {
		fprintf(stderr, "differential: the first file is to be of stock KVM, the second of vitro\n");
		goto out;
	}
	for (guests = 0; read_result(&c->kvm) && read_result(&c->vitro); guests++) {
		if (c->kvm.result.seed != c->vitro.result.seed)
			goto out;
		compare_guest(c);
	}
	report(c, guests);
	bad = guests == c->kvm.head.count && guests == c->vitro.head.count ? (int)c->bad_guests :
									     -1;
	if (bad < 0)
		fprintf(stderr, "differential: %u guests in the files, not %u\n", guests,
			c->kvm.head.count);
out:
	free(c);
	return bad;
}
