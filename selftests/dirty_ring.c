// SPDX-License-Identifier: GPL-2.0-only
/* KVM_CAP_DIRTY_LOG_RING: pages that have been written, in a ring of each vCPU. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

#define GPA_TEST	0x40000000ULL
#define PAGES		1024ULL
#define ENTRIES		256U
#define RING_BYTES	(ENTRIES * sizeof(struct kvm_dirty_gfn))
#define RING_OFFSET	(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE)

static long enable(struct vm *vm, uint64_t bytes)
{
	return vm_enable_cap(vm, KVM_CAP_DIRTY_LOG_RING, bytes);
}

static long reset_rings(struct vm *vm)
{
	return sys_ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, NULL);
}

static uint64_t stride, count;

/* Writes to @count pages, @stride apart, again and again. */
static void write_guest(uint64_t arg)
{
	volatile uint64_t *page;
	uint64_t i;

	(void)arg;
	for (;;) {
		for (i = 0; i < *(volatile uint64_t *)&count; i++) {
			page = (void *)(GPA_TEST + i * *(volatile uint64_t *)&stride * PAGE_SIZE);
			*page += 1;
		}
		guest_sync(0, 0);
	}
}

struct ring {
	struct vm *vm;
	struct vcpu *vcpu;
	volatile struct kvm_dirty_gfn *entries;
	uint32_t next;
	uint8_t *mem;
};

static void start(struct ring *r)
{
	NEED_CAP(KVM_CAP_DIRTY_LOG_RING);
	memset(r, 0, sizeof(*r));
	r->vm = vm_new(0);
	REQUIRE_OK(enable(r->vm, RING_BYTES));
	r->vcpu = vcpu_new(r->vm, 0, write_guest);
	r->entries = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->vcpu->fd,
			  RING_OFFSET);
	REQUIRE(r->entries != MAP_FAILED, "mmap: %s", strerror(errno));
	r->mem = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(r->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	REQUIRE_OK(vm_slot(r->vm, 7, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST, PAGES * PAGE_SIZE, r->mem));
}

static void write_pages(struct ring *r, uint64_t n, uint64_t apart)
{
	GUEST_VAR(r->vm, count) = n;
	GUEST_VAR(r->vm, stride) = apart;
}

/* Take what is in the ring: it shall be these pages in their order. */
static void expect_pages(struct ring *r, uint64_t first, uint64_t n, uint64_t apart)
{
	volatile struct kvm_dirty_gfn *entry;
	uint64_t i;

	for (i = 0; i < n; i++) {
		entry = &r->entries[r->next++ % ENTRIES];
		REQUIRE(entry->flags == KVM_DIRTY_GFN_F_DIRTY, "entry %u has flags %#x", r->next - 1,
			entry->flags);
		CHECK_EQ(entry->slot, 7);
		CHECK_EQ(entry->offset, (first + i) * apart);
		entry->flags = KVM_DIRTY_GFN_F_RESET;
	}
	CHECK_EQ(r->entries[r->next % ENTRIES].flags, 0);
}

TEST(arguments)
{
	struct vm *vm = vm_bare(), *late = vm_bare();
	struct kvm_dirty_log log = { .slot = 7 };
	struct kvm_clear_dirty_log clear = { .slot = 7 };
	long max = kvm_has(KVM_CAP_DIRTY_LOG_RING);
	struct vcpu *vcpu;
	char *more;

	NEED_CAP(KVM_CAP_DIRTY_LOG_RING);
	CHECK_EQ(kvm_has(KVM_CAP_DIRTY_LOG_RING_ACQ_REL), max);
	CHECK_ERR(reset_rings(vm), EINVAL);
	CHECK_ERR(enable(vm, 0), EINVAL);
	CHECK_ERR(enable(vm, max - 16), EINVAL);
	CHECK_ERR(enable(vm, 16), EINVAL);
	CHECK_ERR(enable(vm, 2 * max), E2BIG);
	vcpu_bare(late, 0);
	CHECK_ERR(enable(late, max), EINVAL);
	REQUIRE_OK(enable(vm, max));
	CHECK_ERR(enable(vm, max), EINVAL);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), ENXIO);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear), ENXIO);
	CHECK_EQ(reset_rings(vm), 0);
	vcpu = vcpu_bare(vm, 0);
	CHECK(mmap(NULL, max, PROT_READ, MAP_PRIVATE, vcpu->fd, RING_OFFSET) == MAP_FAILED,
	      "a private mapping of the ring");
	CHECK(mmap(NULL, max, PROT_READ | PROT_EXEC, MAP_SHARED, vcpu->fd, RING_OFFSET) ==
	      MAP_FAILED, "an executable mapping of the ring");
	more = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu->fd, RING_OFFSET + max);
	if (more != MAP_FAILED) {
		int to[2];

		REQUIRE(!pipe(to), "pipe: %s", strerror(errno));
		CHECK(write(to[1], more, 1) == -1 && errno == EFAULT, "page after the last");
	}
}

TEST(exactness)
{
	struct ring r;

	start(&r);
	write_pages(&r, 20, 3);
	EXPECT_SYNC(r.vcpu, 0);
	expect_pages(&r, 0, 20, 3);
	/* Until they are reset they are not reported again. */
	EXPECT_SYNC(r.vcpu, 0);
	expect_pages(&r, 0, 0, 3);
	CHECK_EQ(reset_rings(r.vm), 20);
	CHECK_EQ(reset_rings(r.vm), 0);
	write_pages(&r, 5, 7);
	EXPECT_SYNC(r.vcpu, 0);
	expect_pages(&r, 0, 5, 7);
	/* What has not been taken stays. */
	CHECK_EQ(reset_rings(r.vm), 5);
	EXPECT_SYNC(r.vcpu, 0);
	CHECK_EQ(reset_rings(r.vm), 0);
	expect_pages(&r, 0, 5, 7);
	CHECK_EQ(reset_rings(r.vm), 5);
}

/*
 * The vCPU stops before pages get lost, and only then. It may stop between the fault of the
 * last page and the write, which then has the page reported once more.
 */
TEST(full)
{
	uint64_t done = 0, before;
	struct ring r;

	start(&r);
	write_pages(&r, PAGES, 1);
	while (done < PAGES) {
		if (vcpu_run(r.vcpu) == EVENT_SYNC)
			break;
		CHECK_EQ(r.vcpu->run->exit_reason, KVM_EXIT_DIRTY_RING_FULL);
		/* And it stays there. */
		EXPECT_EXIT(r.vcpu, KVM_EXIT_DIRTY_RING_FULL);
		if (done && r.entries[r.next % ENTRIES].offset == done - 1)
			done--;
		before = done;
		while (done - before < ENTRIES &&
		       r.entries[(r.next + (done - before)) % ENTRIES].flags == KVM_DIRTY_GFN_F_DIRTY)
			done++;
		CHECK(done - before >= ENTRIES / 4, "full with %llu entries",
		      (unsigned long long)(done - before));
		expect_pages(&r, before, done - before, 1);
		CHECK_EQ(reset_rings(r.vm), (long)(done - before));
	}
	CHECK(done > PAGES - ENTRIES, "the ring was full too seldom");
	if (r.entries[r.next % ENTRIES].offset == done - 1)
		done--;
	expect_pages(&r, done, PAGES - done, 1);
	CHECK_EQ(reset_rings(r.vm), (long)(PAGES - done));
}

/* Whatever user space writes into the ring, at most its own log is wrong. */
TEST(spoilt)
{
	static const struct kvm_dirty_gfn bad[] = {
		{ KVM_DIRTY_GFN_F_RESET, 7, PAGES }, { KVM_DIRTY_GFN_F_RESET, 7, ~0ULL },
		{ KVM_DIRTY_GFN_F_RESET, 8, 0 }, { KVM_DIRTY_GFN_F_RESET, 0, 0 },
		{ KVM_DIRTY_GFN_F_RESET, 0xffffffff, 0 }, { 0xffffffff, 7, 1ULL << 63 },
	};
	struct ring r;
	uint32_t i;

	start(&r);
	/* Of entries that are not in use nothing is believed. */
	for (i = 0; i < ENTRIES; i++)
		r.entries[i].flags = KVM_DIRTY_GFN_F_RESET;
	CHECK_EQ(reset_rings(r.vm), 0);
	write_pages(&r, ARRAY_SIZE(bad), 1);
	EXPECT_SYNC(r.vcpu, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		r.entries[i].slot = bad[i].slot;
		r.entries[i].offset = bad[i].offset;
		r.entries[i].flags = bad[i].flags;
	}
	CHECK_EQ(reset_rings(r.vm), (long)ARRAY_SIZE(bad));
	EXPECT_SYNC(r.vcpu, 0);
	CHECK_EQ(reset_rings(r.vm), 0);
}
