// SPDX-License-Identifier: GPL-2.0-only
/*
 * dirty_cost DEVICE MIB [WORD]: what the dirty log of a slot of so many MiB costs, in ticks of
 * the time-stamp counter. One line per row: pages, name and number, with tabs between; the number
 * is that of all the pages. WORD measures only the kinds of log that have it in their names.
 *
 * The host's pages are there, and the guest has written to each of them before the log begins.
 * Rows named "write" are counted inside the guest, which writes a byte to each page, its own
 * four instructions a page included; the others are system calls, and are counted by the program.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

#define GPA_TEST	0x40000000ULL
#define SLOT		1
#define RING_ENTRIES	65536
#define RING_BYTES	(RING_ENTRIES * sizeof(struct kvm_dirty_gfn))
#define RING_OFFSET	(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE)
/* So many fit without an exit to user space. */
#define RING_BATCH	(RING_ENTRIES / 2)
#define MANUAL		KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE
#define AT_ONCE		(MANUAL | KVM_DIRTY_LOG_INITIALLY_SET)

static uint64_t pages;
static uint64_t first, count;		/* the guest's copies count */

struct bench {
	const char *prefix;
	struct vm *vm;
	struct vcpu *vcpu;
	uint8_t *mem;
	uint64_t *bitmap;
	volatile struct kvm_dirty_gfn *entries;
	uint64_t next;			/* entry to take next */
};

static void row(const struct bench *b, const char *name, uint64_t ticks)
{
	printf("%llu\t%s: %s\t%llu\n", (unsigned long long)pages, b->prefix, name,
	       (unsigned long long)ticks);
	fflush(stdout);
}

static void write_pages(uint64_t arg)
{
	uint64_t start, left;
	uint8_t *page;

	(void)arg;
	for (;;) {
		page = (uint8_t *)(GPA_TEST + *(volatile uint64_t *)&first * PAGE_SIZE);
		left = *(volatile uint64_t *)&count;
		start = rdtsc();
		for (; left; left--, page += PAGE_SIZE)
			*(volatile uint8_t *)page = 1;
		guest_sync(rdtsc() - start, 0);
	}
}

/* Ticks that the guest takes to write to @nr pages from page @from on. */
static uint64_t guest_writes_some(struct bench *b, uint64_t from, uint64_t nr)
{
	GUEST_VAR(b->vm, first) = from;
	GUEST_VAR(b->vm, count) = nr;
	REQUIRE_EQ(vcpu_run(b->vcpu), EVENT_SYNC);
	return b->vcpu->call.a;
}

static uint64_t guest_writes(struct bench *b)
{
	return guest_writes_some(b, 0, pages);
}

static uint64_t set_slot(struct bench *b, uint32_t flags)
{
	uint64_t start = rdtsc();

	REQUIRE_OK(vm_slot(b->vm, SLOT, flags, GPA_TEST, pages * PAGE_SIZE, b->mem));
	return rdtsc() - start;
}

/* All pages shall be in the log, or none. */
static void check_log(const struct bench *b, bool all)
{
	uint64_t i;

	for (i = 0; i < pages / 64; i++)
		REQUIRE_EQ(b->bitmap[i], all ? ~0ULL : 0);
}

static uint64_t get_log(struct bench *b)
{
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = b->bitmap };
	uint64_t start = rdtsc();

	REQUIRE_OK(sys_ioctl(b->vm->fd, KVM_GET_DIRTY_LOG, &log));
	return rdtsc() - start;
}

static uint64_t clear_log(struct bench *b)
{
	struct kvm_clear_dirty_log log = {
		.slot = SLOT, .num_pages = pages, .dirty_bitmap = b->bitmap,
	};
	uint64_t start = rdtsc();

	REQUIRE_OK(sys_ioctl(b->vm->fd, KVM_CLEAR_DIRTY_LOG, &log));
	return rdtsc() - start;
}

static uint8_t *memory(bool large)
{
	uint64_t size = pages * PAGE_SIZE;
	uint8_t *mem = large ? bench_map_large(size) : bench_map(size, MADV_NOHUGEPAGE);

	memset(mem, 1, size);
	return mem;
}

struct kind {
	const char *prefix;
	bool large;
	uint32_t cap;
	uint64_t value;
	void (*measure)(struct bench *b);
};

/* The log is on: pages are written, taken, and written again. */
static void bitmap_rows(struct bench *b)
{
	row(b, "first write after", guest_writes(b));
	row(b, "GET_DIRTY_LOG of all pages", get_log(b));
	check_log(b, true);
	row(b, "write after GET_DIRTY_LOG", guest_writes(b));
	row(b, "GET_DIRTY_LOG of all pages, again", get_log(b));
	check_log(b, true);
	row(b, "GET_DIRTY_LOG of none", get_log(b));
	check_log(b, false);
}

static void manual_rows(struct bench *b)
{
	row(b, "first write after", guest_writes(b));
	row(b, "GET_DIRTY_LOG of all pages", get_log(b));
	check_log(b, true);
	row(b, "CLEAR_DIRTY_LOG of all pages", clear_log(b));
	row(b, "write after CLEAR_DIRTY_LOG", guest_writes(b));
	get_log(b);
	check_log(b, true);
	row(b, "CLEAR_DIRTY_LOG of all pages, again", clear_log(b));
	get_log(b);
	check_log(b, false);
}

/*
 * Ticks to take the entries of @nr pages from page @from on. Who has the processor write them
 * down gets them in an order of its own.
 */
static uint64_t collect(struct bench *b, uint64_t from, uint64_t nr)
{
	volatile struct kvm_dirty_gfn *entry;
	uint64_t start = rdtsc(), sum = 0, i;

	for (i = 0; i < nr; i++, b->next++) {
		entry = &b->entries[b->next % RING_ENTRIES];
		REQUIRE_EQ(entry->flags, KVM_DIRTY_GFN_F_DIRTY);
		sum += entry->offset;
		entry->flags = KVM_DIRTY_GFN_F_RESET;
	}
	REQUIRE_EQ(sum, nr * from + nr * (nr - 1) / 2);
	return rdtsc() - start;
}

static void ring_turn(struct bench *b, const char *write, const char *taking, const char *reset)
{
	uint64_t from, nr, start, writing = 0, collecting = 0, resetting = 0;

	for (from = 0; from < pages; from += nr) {
		nr = pages - from < RING_BATCH ? pages - from : RING_BATCH;
		writing += guest_writes_some(b, from, nr);
		collecting += collect(b, from, nr);
		start = rdtsc();
		REQUIRE_EQ(sys_ioctl(b->vm->fd, KVM_RESET_DIRTY_RINGS, NULL), (long)nr);
		resetting += rdtsc() - start;
	}
	row(b, write, writing);
	row(b, taking, collecting);
	row(b, reset, resetting);
}

static void ring_rows(struct bench *b)
{
	b->entries = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b->vcpu->fd,
			  RING_OFFSET);
	REQUIRE(b->entries != MAP_FAILED, "mmap: %s", strerror(errno));
	ring_turn(b, "first write after", "taking the entries", "RESET_DIRTY_RINGS");
	ring_turn(b, "write after RESET_DIRTY_RINGS", "taking the entries, again",
		  "RESET_DIRTY_RINGS, again");
}

static const struct kind kinds[] = {
	{ "bitmap", false, 0, 0, bitmap_rows },
	{ "bitmap, pages of 2 MiB", true, 0, 0, bitmap_rows },
	{ "manual", false, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL, manual_rows },
	{ "initially set", false, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, AT_ONCE, manual_rows },
	{ "initially set, pages of 2 MiB", true, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, AT_ONCE,
	  manual_rows },
	{ "ring", false, KVM_CAP_DIRTY_LOG_RING, RING_BYTES, ring_rows },
	{ "ring, pages of 2 MiB", true, KVM_CAP_DIRTY_LOG_RING, RING_BYTES, ring_rows },
};

static void measure(const struct kind *kind)
{
	struct bench b = { .prefix = kind->prefix, .vm = vm_new(0) };

	if (kind->cap)
		REQUIRE_OK(vm_enable_cap(b.vm, kind->cap, kind->value));
	b.mem = memory(kind->large);
	b.bitmap = calloc(pages / 64, sizeof(*b.bitmap));
	REQUIRE(b.bitmap, "no memory for the bitmap");
	/* Its own page faults are none of the log's. */
	memset(b.bitmap, 0xff, pages / 8);
	b.vcpu = vcpu_new(b.vm, 0, write_pages);
	set_slot(&b, 0);
	guest_writes(&b);
	row(&b, "begin to log", set_slot(&b, KVM_MEM_LOG_DIRTY_PAGES));
	kind->measure(&b);
	row(&b, "stop to log", set_slot(&b, 0));
	row(&b, "write when it has stopped", guest_writes(&b));

	if (b.entries)
		munmap((void *)b.entries, RING_BYTES);
	vcpu_free(b.vcpu);
	vm_free(b.vm);
	munmap(b.mem, pages * PAGE_SIZE);
	free(b.bitmap);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: dirty_cost DEVICE MIB [WORD]\n");
		return 2;
	}
	setenv("VITRO_DEVICE", argv[1], 1);
	pages = strtoull(argv[2], NULL, 10) * ((1 << 20) / PAGE_SIZE);
	if (!pages || GPA_TEST + pages * PAGE_SIZE > GPA_MMIO) {
		fprintf(stderr, "dirty_cost: from 1 to %llu MiB\n",
			(GPA_MMIO - GPA_TEST) >> 20);
		return 2;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (argc == 3 || strstr(kinds[i].prefix, argv[3]))
			measure(&kinds[i]);
	return 0;
}
