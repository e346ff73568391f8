// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logs of vCPUs that run meanwhile. No write may be lost, whoever keeps the log until user
 * space asks: on Intel processors that is the processor, 512 pages at a time, and for each
 * vCPU by itself.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpus.h"
#include "vm.h"

#define GPA_TEST	0x40000000ULL
#define GPA_MOVED	0x50000000ULL
#define PAGES		2048ULL
#define SLOT		7
#define RING_ENTRIES	256U
#define RING_BYTES	(RING_ENTRIES * sizeof(struct kvm_dirty_gfn))
#define RING_OFFSET	(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE)
#define MAX_GUESTS	3

/* Between host and guests, in memory that is not logged. */
static volatile uint64_t stop;
static volatile uint64_t todo, done;		/* page plus 1 */
static volatile uint64_t passes[MAX_GUESTS];

static uint64_t bitmap[PAGES / 64];

static void *memory(void)
{
	void *mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	madvise(mem, PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	memset(mem, 0, PAGES * PAGE_SIZE);
	return mem;
}

static void set_slot(struct vm *vm, uint32_t flags, void *mem)
{
	REQUIRE_OK(vm_slot(vm, SLOT, flags, GPA_TEST, PAGES * PAGE_SIZE, mem));
}

static void get_log(struct vm *vm)
{
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };

	memset(bitmap, 0xff, sizeof(bitmap));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

static void clear_log(struct vm *vm)
{
	struct kvm_clear_dirty_log log = {
		.slot = SLOT, .num_pages = PAGES, .dirty_bitmap = bitmap,
	};

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log));
}

static void enable(struct vm *vm, uint32_t cap, uint64_t value)
{
	NEED_CAP(cap);
	REQUIRE_OK(vm_enable_cap(vm, cap, value));
}

static bool is_dirty(uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

static uint64_t nr_dirty(void)
{
	uint64_t i, n = 0;

	for (i = 0; i < PAGES / 64; i++)
		n += __builtin_popcountll(bitmap[i]);
	return n;
}

static void write_all(uint64_t arg)
{
	uint64_t i;

	(void)arg;
	for (;;) {
		for (i = 0; i < PAGES; i++)
			*(volatile uint64_t *)(GPA_TEST + i * PAGE_SIZE) += 1;
		guest_sync(0, 0);
	}
}

/* More pages in one go than a processor's log holds, up to the exit to user space. */
TEST(many_pages)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_all);
	void *mem = memory();
	int i;

	set_slot(vm, 0, mem);
	EXPECT_SYNC(vcpu, 0);
	set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, mem);
	get_log(vm);
	CHECK_EQ(nr_dirty(), 0);
	for (i = 0; i < 2; i++) {
		EXPECT_SYNC(vcpu, 0);
		get_log(vm);
		CHECK_EQ(nr_dirty(), PAGES);
		get_log(vm);
		CHECK_EQ(nr_dirty(), 0);
	}
}

/* Writes to the page that the host names, says so, and does not leave the guest. */
static void obedient_guest(uint64_t arg)
{
	uint64_t page;

	(void)arg;
	while (!stop) {
		page = todo;
		if (page == done)
			continue;
		*(volatile uint64_t *)(GPA_TEST + (page - 1) * PAGE_SIZE) += 1;
		done = page;
	}
}

static void order(struct vm *vm, uint64_t page)
{
	GUEST_VAR(vm, todo) = page + 1;
	while (GUEST_VAR(vm, done) != page + 1)
		sched_yield();
}

static void finish(struct vm *vm, struct vcpu *vcpu)
{
	GUEST_VAR(vm, stop) = 1;
	vcpu_join(vcpu);
}

/* What a running guest has written before the call is in its answer. */
static void running(bool manual)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, obedient_guest);
	void *mem = memory();
	uint64_t i, page;

	if (manual)
		enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	set_slot(vm, 0, mem);
	vcpu_start(vcpu);
	for (i = 0; i < 8; i++)
		order(vm, i * 100);
	/* Begun while the guest runs, with pages that are mapped and with others. */
	set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, mem);
	for (i = 0; i < 48; i++) {
		page = i % 16 * 100;
		order(vm, page);
		get_log(vm);
		CHECK(is_dirty(page), "page %llu, written before the call, is missing",
		      (unsigned long long)page);
		CHECK_EQ(nr_dirty(), 1);
		if (manual)
			clear_log(vm);
	}
	finish(vm, vcpu);
}

TEST_LIMIT(get_while_running, 60)
{
	running(false);
}

TEST_LIMIT(clear_while_running, 60)
{
	running(true);
}

/* Nor is it lost when the slot moves. */
TEST_LIMIT(move_while_running, 60)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, obedient_guest);
	void *mem = memory();

	set_slot(vm, 0, mem);
	vcpu_start(vcpu);
	order(vm, 5);
	set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, mem);
	order(vm, 6);
	order(vm, 5);
	REQUIRE_OK(vm_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA_MOVED, PAGES * PAGE_SIZE, mem));
	get_log(vm);
	CHECK(is_dirty(5) && is_dirty(6), "the log has %#llx",
	      (unsigned long long)bitmap[0]);
	CHECK_EQ(nr_dirty(), 2);
	finish(vm, vcpu);
}

/* Guest @arg counts in a word of its own in pages here and there, in all of them by and by. */
static void scribbling_guest(uint64_t arg)
{
	uint64_t x = arg + 1, i;

	while (!stop) {
		for (i = 0; i < PAGES && !stop; i++) {
			x = x * 6364136223846793005ULL + 1442695040888963407ULL;
			((volatile uint64_t *)(GPA_TEST + (x >> 33) % PAGES * PAGE_SIZE))[arg] += 1;
		}
		passes[arg]++;
	}
}

/* Until each of @nr guests has been through once more. */
static void wait_passes(struct vm *vm, unsigned int nr)
{
	uint64_t before[MAX_GUESTS];
	unsigned int i;

	for (i = 0; i < nr; i++)
		before[i] = GUEST_VAR(vm, passes)[i];
	for (i = 0; i < nr; i++)
		while (GUEST_VAR(vm, passes)[i] == before[i])
			sched_yield();
}

static struct vcpu *add_guest(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = vcpu_new(vm, id, scribbling_guest);

	vcpu_arg(vcpu, id);
	return vcpu;
}

static void copy_dirty(uint8_t *copy, const uint8_t *mem)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (is_dirty(i))
			memcpy(copy + i * PAGE_SIZE, mem + i * PAGE_SIZE, PAGE_SIZE);
}

static void compare(const uint8_t *copy, const uint8_t *mem)
{
	uint64_t i, differ = 0;

	for (i = 0; i < PAGES; i++)
		differ += !!memcmp(copy + i * PAGE_SIZE, mem + i * PAGE_SIZE, PAGE_SIZE);
	CHECK(!differ, "%llu pages of the copy are old", (unsigned long long)differ);
}

/*
 * As a migration does it: log, copy all, then again and again what has been written, and the rest
 * when the guests have stopped. The copy is the memory, or writes have been lost. One vCPU comes
 * when the log is on.
 */
static void migrate(bool manual, unsigned int rounds)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpus[MAX_GUESTS];
	uint8_t *mem = memory(), *copy = malloc(PAGES * PAGE_SIZE);
	unsigned int i;

	REQUIRE(copy, "no memory");
	if (manual)
		enable(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	set_slot(vm, 0, mem);
	for (i = 0; i < 2; i++) {
		vcpus[i] = add_guest(vm, i);
		vcpu_start(vcpus[i]);
	}
	wait_passes(vm, 2);
	set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, mem);
	memcpy(copy, mem, PAGES * PAGE_SIZE);
	vcpus[2] = add_guest(vm, 2);
	vcpu_start(vcpus[2]);
	for (i = 0; i < rounds; i++) {
		/* Sometimes they have done much, and sometimes next to nothing. */
		if (i % 4 == 0)
			wait_passes(vm, MAX_GUESTS);
		get_log(vm);
		if (manual)
			clear_log(vm);
		copy_dirty(copy, mem);
	}
	GUEST_VAR(vm, stop) = 1;
	for (i = 0; i < MAX_GUESTS; i++)
		vcpu_join(vcpus[i]);
	get_log(vm);
	copy_dirty(copy, mem);
	compare(copy, mem);
	get_log(vm);
	CHECK(manual || !nr_dirty(), "the log is not empty");
}

TEST_LIMIT(migration, 120)
{
	migrate(false, 24);
}

TEST_LIMIT(migration_by_hand, 120)
{
	migrate(true, 24);
}

/* The same with rings, each of which is emptied by its vCPU's thread when it is full. */
struct ringed {
	struct vcpu *vcpu;
	volatile struct kvm_dirty_gfn *entries;
	uint32_t next, full;
	uint8_t *mem, *copy;
	pthread_t thread;
};

static pthread_mutex_t reset_lock = PTHREAD_MUTEX_INITIALIZER;

/* The pages are copied when the log is armed for them again. */
static void empty_ring(struct ringed *r)
{
	static uint64_t taken[RING_ENTRIES];
	volatile struct kvm_dirty_gfn *entry;
	uint64_t n = 0, i;

	pthread_mutex_lock(&reset_lock);
	for (; n < RING_ENTRIES; n++) {
		entry = &r->entries[r->next % RING_ENTRIES];
		if (entry->flags != KVM_DIRTY_GFN_F_DIRTY)
			break;
		CHECK_EQ(entry->slot, SLOT);
		CHECK(entry->offset < PAGES, "offset %#llx", (unsigned long long)entry->offset);
		taken[n] = entry->offset % PAGES;
		entry->flags = KVM_DIRTY_GFN_F_RESET;
		r->next++;
	}
	CHECK_EQ(sys_ioctl(r->vcpu->vm->fd, KVM_RESET_DIRTY_RINGS, NULL), (long)n);
	for (i = 0; i < n; i++)
		memcpy(r->copy + taken[i] * PAGE_SIZE, r->mem + taken[i] * PAGE_SIZE, PAGE_SIZE);
	pthread_mutex_unlock(&reset_lock);
}

static void *run_ringed(void *arg)
{
	struct ringed *r = arg;

	while (vcpu_run(r->vcpu) == EVENT_EXIT) {
		if (r->vcpu->run->exit_reason != KVM_EXIT_DIRTY_RING_FULL)
			return (void *)1;
		r->full++;
		empty_ring(r);
	}
	return NULL;
}

TEST_LIMIT(migration_with_rings, 120)
{
	struct ringed rings[2] = { 0 };
	uint8_t *mem = memory(), *copy = malloc(PAGES * PAGE_SIZE);
	struct vm *vm = vm_new(0);
	struct ringed *r;
	void *failed;
	int i;

	REQUIRE(copy, "no memory");
	enable(vm, KVM_CAP_DIRTY_LOG_RING, RING_BYTES);
	set_slot(vm, KVM_MEM_LOG_DIRTY_PAGES, mem);
	memcpy(copy, mem, PAGES * PAGE_SIZE);
	for (i = 0; i < 2; i++) {
		r = &rings[i];
		r->vcpu = add_guest(vm, i);
		r->mem = mem;
		r->copy = copy;
		r->entries = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->vcpu->fd,
				  RING_OFFSET);
		REQUIRE(r->entries != MAP_FAILED, "mmap: %s", strerror(errno));
		REQUIRE(!pthread_create(&r->thread, NULL, run_ringed, r), "pthread_create");
	}
	for (i = 0; i < 6; i++)
		wait_passes(vm, 2);
	GUEST_VAR(vm, stop) = 1;
	for (i = 0; i < 2; i++) {
		pthread_join(rings[i].thread, &failed);
		CHECK(!failed, "exit reason %u", rings[i].vcpu->run->exit_reason);
		CHECK(rings[i].full, "ring %d has never been full", i);
	}
	for (i = 0; i < 2; i++)
		empty_ring(&rings[i]);
	compare(copy, mem);
}
