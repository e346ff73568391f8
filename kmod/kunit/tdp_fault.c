// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page faults: which leaf a fault makes, and how the tree follows the
 * host's page tables.
 */
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "fake_backend.h"
#include "tree.h"

#define PAGES(n)	((u64)(n) << PAGE_SHIFT)
#define SIZE_2M		0x200000UL
#define GFN_2M		512ULL

#define R		VITRO_ACC_READ
#define W		VITRO_ACC_WRITE
#define X		VITRO_ACC_EXEC

static enum vitro_tdp_result fault(struct kunit *test, u64 gpa, u8 access, int *err)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	enum vitro_tdp_result result = vitro_tdp_fault(test_vcpu(test), gpa, access, err);

	srcu_read_unlock(&vm->srcu, idx);
	return result;
}

static void map(struct kunit *test, u64 gpa, u8 access)
{
	int err = 0;

	KUNIT_EXPECT_EQ(test, fault(test, gpa, access, &err), VITRO_TDP_DONE);
	KUNIT_EXPECT_EQ(test, err, 0);
}

static enum vitro_tdp_result fault_fast(struct kunit *test, u64 gpa, u8 access)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	enum vitro_tdp_result result;

	local_irq_disable();
	result = vitro_tdp_fault_fast(test_vcpu(test), gpa, access);
	local_irq_enable();
	srcu_read_unlock(&vm->srcu, idx);
	return result;
}

static const struct format_case {
	const char *name;
	const struct vitro_backend *backend;
} formats[] = {
	{ "EPT", &vitro_vmx_backend },
	{ "NPT", &vitro_svm_backend },
};
TEST_PARAMS(formats);

static void leaf_bits(struct kunit *test)
{
	const struct format_case *p = test->param_value;
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	struct vitro_vm *vm = test_vm(test);
	unsigned long hva;
	struct page *page;
	u64 entry, all;
	int level;

	fake_backend.tdp = p->backend->tdp;
	hva = test_memory(test);
	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)(hva + PAGE_SIZE)), 0);
	map(test, PAGES(1) + 0x123, W);
	entry = tree_entry(test, 1, &level);
	all = fmt->leaf | fmt->read | fmt->write | fmt->exec | fmt->user | fmt->accessed |
	      fmt->dirty | TDP_HOST_WRITABLE;
	KUNIT_EXPECT_EQ(test, level, 1);
	KUNIT_EXPECT_EQ(test, entry & ~TDP_ADDRESS, all);
	KUNIT_ASSERT_EQ(test, get_user_pages_fast(hva + PAGE_SIZE, 1, 0, &page), 1);
	KUNIT_EXPECT_EQ(test, tdp_pfn(entry), (u64)page_to_pfn(page));
	put_page(page);
	KUNIT_EXPECT_EQ(test, vm->stats.tdp_pages_4k, 1ULL);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vm->tdp.nr_tables), 4L);
	/* The neighbour uses the same tables. */
	map(test, PAGES(2), W);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&vm->tdp.nr_tables), 4L);
	/* Every table on the way permits all. */
	KUNIT_EXPECT_EQ(test, vm->tdp.root[0] & ~TDP_ADDRESS,
			fmt->present | fmt->user | fmt->accessed);
}

static void reading_maps_the_zero_page(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	u64 first, second;

	test_memory(test);
	map(test, 0, R);
	first = tree_entry(test, 0, NULL);
	KUNIT_EXPECT_NE(test, first & fmt->read, 0ULL);
	KUNIT_EXPECT_EQ(test, first & (fmt->write | TDP_HOST_WRITABLE), 0ULL);
	/* A write gets a page of its own; the notifier has removed the old leaf. */
	map(test, 0, W);
	second = tree_entry(test, 0, NULL);
	if (!second) {
		map(test, 0, W);
		second = tree_entry(test, 0, NULL);
	}
	KUNIT_EXPECT_NE(test, second & fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, tdp_pfn(first), tdp_pfn(second));
}

static void reading_a_writable_page(struct kunit *test)
{
	unsigned long hva = test_memory(test);

	/* The first write then does not fault. */
	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)hva), 0);
	map(test, 0, R);
	KUNIT_EXPECT_NE(test, tree_entry(test, 0, NULL) & fake_backend.tdp.write, 0ULL);
}

static void read_only_slot(struct kunit *test)
{
	unsigned long hva = test_map(test, TEST_RAM_SIZE);
	int err = 0;

	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)hva), 0);
	KUNIT_ASSERT_EQ(test, test_slot(test, 0, 0, TEST_RAM_SIZE, hva, KVM_MEM_READONLY), 0);
	map(test, 0, R);
	map(test, 0, X);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 0, NULL) &
			      (fake_backend.tdp.write | TDP_HOST_WRITABLE), 0ULL);
	/* Writes go to user space as MMIO. */
	KUNIT_EXPECT_EQ(test, fault(test, 0, W, &err), VITRO_TDP_MMIO);
	KUNIT_EXPECT_EQ(test, fault_fast(test, 0, W), VITRO_TDP_MMIO);
}

static void no_memory(struct kunit *test)
{
	unsigned long hva = test_memory(test);
	int err = 0;

	KUNIT_EXPECT_EQ(test, fault(test, TEST_RAM_SIZE, R, &err), VITRO_TDP_MMIO);
	KUNIT_EXPECT_EQ(test, fault_fast(test, TEST_RAM_SIZE, R), VITRO_TDP_MMIO);
	/* A slot whose user memory has gone. */
	KUNIT_ASSERT_EQ(test, vm_munmap(hva, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, fault(test, 0, R, &err), VITRO_TDP_ERROR);
	KUNIT_EXPECT_EQ(test, err, -EFAULT);
	KUNIT_EXPECT_EQ(test, fault_fast(test, 0, R), VITRO_TDP_SLOW);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 0, NULL), 0ULL);
}

/* Devices' accesses, each twice, as the gap between slots is remembered, while slots come and go. */
static void between_slots(struct kunit *test)
{
	const int nr = 40;
	unsigned long hva = test_map(test, PAGES(3));
	bool there[40] = {};
	int step, i;

	for (step = 0; step < 2 * nr; step++) {
		int n = step * 17 % nr;

		there[n] = !there[n];
		KUNIT_ASSERT_EQ(test, test_slot(test, n, PAGES(n * 4), there[n] ? PAGES(3) : 0,
						hva, 0), 0);
		for (i = 0; i < 8 * nr; i++) {
			/* Up and down, so that what was a gap for the last set is asked first. */
			int gfn = step % 2 ? 4 * nr - 1 - i / 2 : i / 2;
			bool memory = there[gfn / 4] && gfn % 4 < 3;

			if ((fault_fast(test, PAGES(gfn), R) != VITRO_TDP_MMIO) != memory)
				KUNIT_FAIL(test, "frame %d in step %d: %s", gfn, step,
					   memory ? "memory is missing" : "memory");
		}
	}
	KUNIT_EXPECT_EQ(test, fault_fast(test, ~0ULL, R), VITRO_TDP_MMIO);
}

static void fast_path(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	unsigned long hva = test_memory(test);

	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)hva), 0);
	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)(hva + PAGE_SIZE)), 0);
	/* No tables in store, and no sleeping for them. */
	KUNIT_EXPECT_EQ(test, vcpu->tdp_cache.nr, 0);
	KUNIT_EXPECT_EQ(test, fault_fast(test, 0, W), VITRO_TDP_SLOW);
	map(test, 0, W);
	KUNIT_EXPECT_EQ(test, fault_fast(test, PAGES(1), W), VITRO_TDP_DONE);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL), 0ULL);
	/* Not resident: somebody who can sleep has to bring it in. */
	KUNIT_EXPECT_EQ(test, fault_fast(test, PAGES(2), W), VITRO_TDP_SLOW);
	/* Settled by another vCPU meanwhile. */
	KUNIT_EXPECT_EQ(test, fault_fast(test, 0, R), VITRO_TDP_DONE);
}

static void invalidation_in_progress(struct kunit *test)
{
	unsigned long hva = test_memory(test);
	struct vitro_tdp *tdp = &test_vm(test)->tdp;

	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)(hva + PAGE_SIZE)), 0);
	tdp->invalidate_count = 1;
	tdp->invalidate_start = hva + PAGE_SIZE;
	tdp->invalidate_end = hva + 2 * PAGE_SIZE;
	map(test, PAGES(1), W);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL), 0ULL);
	KUNIT_EXPECT_NE(test, fault_fast(test, PAGES(1), W), VITRO_TDP_DONE);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL), 0ULL);
	/* Its neighbours are not concerned. */
	tdp->invalidate_start = hva + 2 * PAGE_SIZE;
	tdp->invalidate_end = hva + 3 * PAGE_SIZE;
	map(test, PAGES(1), W);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL), 0ULL);
	tdp->invalidate_count = 0;
}

static void host_unmaps(struct kunit *test)
{
	unsigned long hva = test_memory(test);
	struct vitro_vm *vm = test_vm(test);
	unsigned long seq = vm->tdp.invalidate_seq;
	int i;

	for (i = 0; i < 4; i++)
		map(test, PAGES(i), W);
	KUNIT_ASSERT_EQ(test, vm_munmap(hva + PAGE_SIZE, 2 * PAGE_SIZE), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 0, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 2, NULL), 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 3, NULL), 0ULL);
	KUNIT_EXPECT_GT(test, vm->tdp.invalidate_seq, seq);
	KUNIT_EXPECT_EQ(test, vm->tdp.invalidate_count, 0);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_TLB_FLUSH, &test_vcpu(test)->requests));
}

/* A slot of 4 MiB at @gpa on huge pages that are present; @shift moves it against them. */
static unsigned long huge_memory(struct kunit *test, u64 gpa, unsigned long shift, u32 flags)
{
	unsigned long hva = test_map(test, 4 * SIZE_2M), at;

	hva = ALIGN(hva, SIZE_2M);
	for (at = hva; at < hva + 3 * SIZE_2M; at += SIZE_2M)
		KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)at), 0);
	KUNIT_ASSERT_EQ(test, test_slot(test, 1, gpa, 2 * SIZE_2M, hva + shift, flags), 0);
	return hva + shift;
}

static const struct large_case {
	const char *name;
	u64 gpa;
	unsigned long shift;
	u32 flags;
	u64 fault;
	u8 access;
	int level;
} large_pages[] = {
	{ "aligned, first page", SIZE_2M, 0, 0, SIZE_2M, W, 2 },
	{ "aligned, last byte", SIZE_2M, 0, 0, 3 * SIZE_2M - 1, W, 2 },
	{ "aligned, read", SIZE_2M, 0, 0, SIZE_2M + 0x5000, R, 2 },
	{ "aligned, executed", SIZE_2M, 0, 0, SIZE_2M + 0x5000, X, 2 },
	{ "guest address not aligned", SIZE_2M + 0x1000, 0, 0, SIZE_2M + 0x5000, W, 1 },
	{ "user address not aligned", SIZE_2M, 0x1000, 0, SIZE_2M + 0x5000, W, 1 },
	{ "both shifted alike, inside", SIZE_2M + 0x1000, 0x1000, 0, 2 * SIZE_2M, W, 2 },
	{ "both shifted alike, over the begin", SIZE_2M + 0x1000, 0x1000, 0, SIZE_2M + 0x5000,
	  W, 1 },
	{ "both shifted alike, over the end", SIZE_2M + 0x1000, 0x1000, 0, 3 * SIZE_2M,
	  W, 1 },
	{ "with dirty log", SIZE_2M, 0, KVM_MEM_LOG_DIRTY_PAGES, SIZE_2M, W, 1 },
};
TEST_PARAMS(large_pages);

static void large_page(struct kunit *test)
{
	const struct large_case *p = test->param_value;
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	int level;
	u64 entry;

	huge_memory(test, p->gpa, p->shift, p->flags);
	map(test, p->fault, p->access);
	entry = tree_entry(test, p->fault >> PAGE_SHIFT, &level);
	KUNIT_EXPECT_NE(test, entry, 0ULL);
	KUNIT_EXPECT_EQ(test, level, p->level);
	KUNIT_EXPECT_EQ(test, !!(entry & fmt->large), p->level == 2);
	KUNIT_EXPECT_EQ(test, tdp_pfn(entry) & (tdp_pages(level) - 1), 0ULL);
}

static void processor_without_large_pages(struct kunit *test)
{
	int level;

	huge_memory(test, SIZE_2M, 0, 0);
	vitro_caps.tdp_1g = false;
	vitro_caps.tdp_2m = false;
	map(test, SIZE_2M, W);
	tree_entry(test, GFN_2M, &level);
	KUNIT_EXPECT_EQ(test, level, 1);
	/* Where they are possible after all, what is small is replaced. */
	vitro_caps.tdp_1g = true;
	vitro_caps.tdp_2m = true;
	map(test, SIZE_2M + 0x5000, W);
	KUNIT_EXPECT_EQ(test, tree_entry(test, GFN_2M, NULL), 0ULL);
	map(test, SIZE_2M + 0x5000, W);
	KUNIT_EXPECT_NE(test, tree_entry(test, GFN_2M, &level), 0ULL);
	KUNIT_EXPECT_EQ(test, level, 2);
	KUNIT_EXPECT_EQ(test, test_vm(test)->stats.tdp_pages_4k, 0ULL);
}

static void host_splits_its_page(struct kunit *test)
{
	unsigned long hva = huge_memory(test, SIZE_2M, 0, 0);
	int level;

	map(test, SIZE_2M, W);
	tree_entry(test, GFN_2M, &level);
	KUNIT_EXPECT_EQ(test, level, 2);
	/* A hole: the host maps what is left by small entries, and so must we. */
	KUNIT_ASSERT_EQ(test, vm_munmap(hva + 7 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, GFN_2M, NULL), 0ULL);
	map(test, SIZE_2M, W);
	KUNIT_EXPECT_NE(test, tree_entry(test, GFN_2M, &level), 0ULL);
	KUNIT_EXPECT_EQ(test, level, 1);
	map(test, 2 * SIZE_2M, W);
	tree_entry(test, 2 * GFN_2M, &level);
	KUNIT_EXPECT_EQ(test, level, 2);
}

static struct kunit_case tdp_fault_cases[] = {
	KUNIT_CASE_PARAM(leaf_bits, formats_gen_params),
	KUNIT_CASE(reading_maps_the_zero_page),
	KUNIT_CASE(reading_a_writable_page),
	KUNIT_CASE(read_only_slot),
	KUNIT_CASE(no_memory),
	KUNIT_CASE(between_slots),
	KUNIT_CASE(fast_path),
	KUNIT_CASE(invalidation_in_progress),
	KUNIT_CASE(host_unmaps),
	KUNIT_CASE_PARAM(large_page, large_pages_gen_params),
	KUNIT_CASE(processor_without_large_pages),
	KUNIT_CASE(host_splits_its_page),
	{}
};

TEST_SUITE(tdp_fault, test_init_vcpu);
