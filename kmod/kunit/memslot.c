// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots: KVM_SET_USER_MEMORY_REGION, look-up.
 */
#include <asm/processor.h>

#include "tree.h"

#define PAGES(n)	((u64)(n) << PAGE_SHIFT)
#define HVA		0x10000000UL
#define LOG		KVM_MEM_LOG_DIRTY_PAGES
#define RO		KVM_MEM_READONLY

static int find(struct kunit *test, u64 gfn)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	struct vitro_memslot *slot = vitro_find_slot(vm, gfn);
	int id = slot ? slot->id : -1;

	srcu_read_unlock(&vm->srcu, idx);
	return id;
}

static u64 generation(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	u64 generation = vitro_memslots(vm)->generation;

	srcu_read_unlock(&vm->srcu, idx);
	return generation;
}

/* Slot 1 has 16 pages from page 16, slot 2 a page at 64; memory is not touched. */
static int init_memslots(struct kunit *test)
{
	int err = test_init_vcpu(test);

	if (!err)
		err = test_slot(test, 1, PAGES(16), PAGES(16), HVA, 0);
	if (!err)
		err = test_slot(test, 2, PAGES(64), PAGES(1), HVA, 0);
	return err;
}

static const struct region_case {
	const char *name;
	u32 id;
	u64 gpa, size;
	unsigned long hva;
	u32 flags;
	int result;
} regions[] = {
	{ "new", 0, PAGES(80), PAGES(2), HVA, 0, 0 },
	{ "new, with log", 0, PAGES(80), PAGES(2), HVA, LOG, 0 },
	{ "new, read-only", 0, PAGES(80), PAGES(2), HVA, RO, 0 },
	{ "new, both", 0, PAGES(80), PAGES(2), HVA, RO | LOG, 0 },
	{ "unknown flag", 0, PAGES(80), PAGES(2), HVA, BIT(2), -EINVAL },
	{ "our own flag", 0, PAGES(80), PAGES(2), HVA, VITRO_MEM_INVALID, -EINVAL },
	{ "right below slot 1", 0, PAGES(15), PAGES(1), HVA, 0, 0 },
	{ "right above slot 1", 0, PAGES(32), PAGES(1), HVA, 0, 0 },
	{ "first page of slot 1", 0, PAGES(15), PAGES(2), HVA, 0, -EEXIST },
	{ "last page of slot 1", 0, PAGES(31), PAGES(2), HVA, 0, -EEXIST },
	{ "inside slot 1", 0, PAGES(20), PAGES(1), HVA, 0, -EEXIST },
	{ "around slot 1", 0, PAGES(1), PAGES(60), HVA, 0, -EEXIST },
	{ "exactly slot 1", 0, PAGES(16), PAGES(16), HVA, 0, -EEXIST },
	{ "between the slots", 0, PAGES(32), PAGES(32), HVA, 0, 0 },
	{ "between, one page too long", 0, PAGES(32), PAGES(33), HVA, 0, -EEXIST },
	{ "same user memory twice", 0, PAGES(80), PAGES(16), HVA, 0, 0 },
	{ "last slot number", 511, PAGES(80), PAGES(1), HVA, 0, 0 },
	{ "slot number too large", 512, PAGES(80), PAGES(1), HVA, 0, -EINVAL },
	{ "other address space", 1 << 16, PAGES(80), PAGES(1), HVA, 0, -EINVAL },
	{ "slot number -1", U32_MAX, PAGES(80), PAGES(1), HVA, 0, -EINVAL },
	{ "address not aligned", 0, PAGES(80) + 1, PAGES(1), HVA, 0, -EINVAL },
	{ "size not aligned", 0, PAGES(80), PAGES(1) + 512, HVA, 0, -EINVAL },
	{ "size below a page", 0, PAGES(80), 1, HVA, 0, -EINVAL },
	{ "user address not aligned", 0, PAGES(80), PAGES(1), HVA + 8, 0, -EINVAL },
	{ "kernel address", 0, PAGES(80), PAGES(1), 0xffff888000000000, 0, -EINVAL },
	{ "user address wraps", 0, PAGES(80), PAGES(2), -PAGE_SIZE, 0, -EINVAL },
	{ "guest address wraps", 0, -PAGES(1), PAGES(2), HVA, 0, -EINVAL },
	{ "last page of 64 bits", 0, -PAGES(1), PAGES(1), HVA, 0, -EINVAL },
	{ "above 48 bits", 0, BIT_ULL(48), PAGES(1), HVA, 0, -EINVAL },
	{ "more pages than an int holds", 0, 0, PAGES(BIT_ULL(31)), PAGE_SIZE, 0, -EINVAL },
	{ "size -1 page", 0, 0, -PAGES(1), HVA, 0, -EINVAL },
	{ "delete what is not there", 0, PAGES(80), 0, HVA, 0, -EINVAL },
	{ "delete", 1, PAGES(16), 0, HVA, 0, 0 },
	{ "delete, other address", 1, 0, 0, 0, 0, 0 },
	{ "same again", 1, PAGES(16), PAGES(16), HVA, 0, 0 },
	{ "move", 1, PAGES(100), PAGES(16), HVA, 0, 0 },
	{ "move over itself", 1, PAGES(17), PAGES(16), HVA, 0, 0 },
	{ "move over slot 2", 1, PAGES(60), PAGES(16), HVA, 0, -EEXIST },
	{ "move next to slot 2", 1, PAGES(48), PAGES(16), HVA, 0, 0 },
	{ "grow", 1, PAGES(16), PAGES(17), HVA, 0, -EINVAL },
	{ "shrink", 1, PAGES(16), PAGES(15), HVA, 0, -EINVAL },
	{ "other user memory", 1, PAGES(16), PAGES(16), HVA + PAGE_SIZE, 0, -EINVAL },
	{ "become read-only", 1, PAGES(16), PAGES(16), HVA, RO, -EINVAL },
	{ "begin to log", 1, PAGES(16), PAGES(16), HVA, LOG, 0 },
	{ "move and begin to log", 1, PAGES(100), PAGES(16), HVA, LOG, 0 },
};
TEST_PARAMS(regions);

static void region(struct kunit *test)
{
	const struct region_case *p = test->param_value;
	u64 before = generation(test), gfn = p->gpa >> PAGE_SHIFT;
	u64 npages = p->size >> PAGE_SHIFT;

	KUNIT_EXPECT_EQ(test, test_slot(test, p->id, p->gpa, p->size, p->hva, p->flags),
			p->result);
	if (p->result) {
		/* Nothing has changed. */
		KUNIT_EXPECT_EQ(test, generation(test), before);
		KUNIT_EXPECT_EQ(test, find(test, 15), -1);
		KUNIT_EXPECT_EQ(test, find(test, 16), 1);
		KUNIT_EXPECT_EQ(test, find(test, 31), 1);
		KUNIT_EXPECT_EQ(test, find(test, 32), -1);
		KUNIT_EXPECT_EQ(test, find(test, 64), 2);
		return;
	}
	if (npages) {
		KUNIT_EXPECT_EQ(test, find(test, gfn), (int)p->id);
		KUNIT_EXPECT_EQ(test, find(test, gfn + npages - 1), (int)p->id);
	}
	if (p->id == 1 && gfn > 31)
		KUNIT_EXPECT_EQ(test, find(test, 16), -1);
	if (!npages)
		KUNIT_EXPECT_EQ(test, find(test, 20), -1);
	KUNIT_EXPECT_EQ(test, find(test, 64), 2);
}

static void physical_limit(struct kunit *test)
{
	unsigned int bits = min(cpuid_eax(0x80000008) & 0xff, 48U);
	u64 limit = 1ULL << bits;

	KUNIT_EXPECT_EQ(test, test_slot(test, 0, limit - PAGE_SIZE, PAGE_SIZE, HVA, 0), 0);
	KUNIT_EXPECT_EQ(test, find(test, (limit >> PAGE_SHIFT) - 1), 0);
	KUNIT_EXPECT_EQ(test, test_slot(test, 3, limit, PAGE_SIZE, HVA, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, test_slot(test, 3, limit - PAGE_SIZE, 2 * PAGE_SIZE, HVA, 0),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, find(test, limit >> PAGE_SHIFT), -1);
	KUNIT_EXPECT_EQ(test, find(test, ~0ULL >> PAGE_SHIFT), -1);
	KUNIT_EXPECT_EQ(test, find(test, ~0ULL), -1);
}

static void user_limit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, test_slot(test, 0, PAGES(80), PAGES(1), TASK_SIZE_MAX, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, test_slot(test, 0, PAGES(80), PAGES(2), TASK_SIZE_MAX - PAGE_SIZE,
					0), -EINVAL);
	KUNIT_EXPECT_EQ(test, test_slot(test, 0, PAGES(80), PAGES(1), TASK_SIZE_MAX - PAGE_SIZE,
					0), 0);
}

/* Look-ups against what must come, while slots come and go out of order. */
static void look_up(struct kunit *test)
{
	const int nr = 40;
	bool there[40] = {};
	int step, i;

	test_slot(test, 1, 0, 0, 0, 0);
	test_slot(test, 2, 0, 0, 0, 0);
	for (step = 0; step < 2 * nr; step++) {
		int n = step * 17 % nr, wanted;

		there[n] = !there[n];
		KUNIT_ASSERT_EQ(test, test_slot(test, n, PAGES(n * 4), there[n] ? PAGES(3) : 0,
						HVA, 0), 0);
		for (i = 0; i < 4 * nr; i++) {
			wanted = there[i / 4] && i % 4 < 3 ? i / 4 : -1;
			if (find(test, i) != wanted)
				KUNIT_FAIL(test, "frame %d in step %d: slot %d, not %d", i, step,
					   find(test, i), wanted);
		}
	}
}

static void deletion_unmaps(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);

	tree_plant(test, 16, 1);
	tree_plant(test, 31, 1);
	tree_plant(test, 64, 1);
	KUNIT_EXPECT_EQ(test, test_slot(test, 1, 0, 0, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 16, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 31, NULL), 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 64, NULL), 0ULL);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_TLB_FLUSH, &vm->vcpus[0]->requests));
	KUNIT_EXPECT_EQ(test, vm->stats.tdp_pages_4k, 1ULL);
}

static void move_unmaps(struct kunit *test)
{
	tree_plant(test, 16, 1);
	KUNIT_EXPECT_EQ(test, test_slot(test, 1, PAGES(17), PAGES(16), HVA, 0), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 16, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, find(test, 16), -1);
	KUNIT_EXPECT_EQ(test, find(test, 32), 1);
}

static void adding_keeps(struct kunit *test)
{
	u64 *entry = tree_plant(test, 16, 1), before = *entry;

	KUNIT_EXPECT_EQ(test, test_slot(test, 0, PAGES(80), PAGES(1), HVA, LOG), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 16, NULL), before);
}

static void bounded_user_address(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	struct vitro_memslot *slot = vitro_find_slot(vm, 20);

	KUNIT_EXPECT_EQ(test, vitro_slot_hva(slot, 20), HVA + 4 * PAGE_SIZE);
	/* A frame beyond the slot, as only speculation can ask for. */
	KUNIT_EXPECT_EQ(test, vitro_slot_hva(slot, 20 + 16), HVA);
	srcu_read_unlock(&vm->srcu, idx);
}

static struct kunit_case memslot_cases[] = {
	KUNIT_CASE_PARAM(region, regions_gen_params),
	KUNIT_CASE(physical_limit),
	KUNIT_CASE(user_limit),
	KUNIT_CASE(look_up),
	KUNIT_CASE(deletion_unmaps),
	KUNIT_CASE(move_unmaps),
	KUNIT_CASE(adding_keeps),
	KUNIT_CASE(bounded_user_address),
	{}
};

TEST_SUITE(memslot, init_memslots);
