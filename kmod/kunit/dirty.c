// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: what enters it, KVM_GET_DIRTY_LOG, and beginning and ending
 * it while memory is mapped.
 */
#include <linux/uaccess.h>

#include "../dirty_ring.h"
#include "fake_backend.h"
#include "tree.h"

#define PAGES(n)	((u64)(n) << PAGE_SHIFT)
#define NR_PAGES	100
#define LOG		KVM_MEM_LOG_DIRTY_PAGES

static void fault(struct kunit *test, u64 gfn, u8 access)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu), err = 0;

	KUNIT_EXPECT_EQ(test, vitro_tdp_fault(test_vcpu(test), PAGES(gfn), access, &err),
			VITRO_TDP_DONE);
	srcu_read_unlock(&vm->srcu, idx);
}

static unsigned long make_slot(struct kunit *test, u32 flags)
{
	unsigned long hva = test_map(test, PAGES(NR_PAGES));

	KUNIT_ASSERT_EQ(test, clear_user((void __user *)hva, PAGES(NR_PAGES)), 0UL);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, flags), 0);
	return hva;
}

static int get_log(struct kunit *test, u32 slot, unsigned long to)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = (void __user *)to };

	return vitro_get_dirty_log(test_vm(test), &log);
}

static void fetch(struct kunit *test, unsigned long buffer, unsigned long *bits)
{
	KUNIT_ASSERT_EQ(test, get_log(test, 3, buffer), 0);
	KUNIT_ASSERT_EQ(test, copy_from_user(bits, (void __user *)buffer, 16), 0UL);
}

static void writes_are_logged(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2];
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;

	make_slot(test, LOG);
	fault(test, 0, VITRO_ACC_WRITE);
	fault(test, 70, VITRO_ACC_WRITE);
	fault(test, 99, VITRO_ACC_WRITE);
	fault(test, 5, VITRO_ACC_READ);
	/* What has only been read is mapped so that the first write faults. */
	KUNIT_EXPECT_EQ(test, tree_entry(test, 5, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 70, NULL) & fmt->write, 0ULL);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(0));
	KUNIT_EXPECT_EQ(test, bits[1], BIT(70 - 64) | BIT(99 - 64));
	/* A new period: nothing yet, and all is write-protected, the processors told. */
	KUNIT_EXPECT_EQ(test, tree_entry(test, 70, NULL) & (fmt->write | fmt->dirty), 0ULL);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_TLB_FLUSH, &test_vcpu(test)->requests));
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0] | bits[1], 0UL);
	/* The next write is settled with the leaf that is there. */
	fault(test, 70, VITRO_ACC_WRITE);
	KUNIT_EXPECT_NE(test, tree_entry(test, 70, NULL) & fmt->write, 0ULL);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[1], BIT(70 - 64));
}

static void emulated_writes_are_logged(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2];
	struct vitro_vm *vm = test_vm(test);
	u64 old = 0;
	u8 data[64];
	int idx;

	make_slot(test, LOG);
	idx = srcu_read_lock(&vm->srcu);
	/* Over a page boundary, of several sizes, and compare-and-exchange even if it fails. */
	KUNIT_EXPECT_EQ(test, vitro_guest_write(vm, PAGES(2) - 4, data, 8), 0);
	KUNIT_EXPECT_EQ(test, vitro_guest_write(vm, PAGES(4), data, sizeof(data)), 0);
	KUNIT_EXPECT_EQ(test, vitro_guest_write(vm, PAGES(6) + 1, data, 1), 0);
	KUNIT_EXPECT_EQ(test, vitro_guest_cmpxchg(vm, PAGES(8), &old, 1, 8), 0);
	KUNIT_EXPECT_EQ(test, vitro_guest_cmpxchg(vm, PAGES(10) + 8, &old, 1, 4), 0);
	old = 7;
	KUNIT_EXPECT_EQ(test, vitro_guest_cmpxchg(vm, PAGES(12), &old, 1, 2), -EAGAIN);
	KUNIT_EXPECT_EQ(test, old, 0ULL);
	/* Reads are not, nor what was refused. */
	KUNIT_EXPECT_EQ(test, vitro_guest_read(vm, PAGES(14), data, 8), 0);
	KUNIT_EXPECT_EQ(test, vitro_guest_cmpxchg(vm, PAGES(16) + 1, &old, 1, 2), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, vitro_guest_cmpxchg(vm, PAGES(16), &old, 1, 16), -EOPNOTSUPP);
	/* The end of the slot: what is before it has been written. */
	KUNIT_EXPECT_EQ(test, vitro_guest_write(vm, PAGES(NR_PAGES) - 4, data, 8), -EFAULT);
	srcu_read_unlock(&vm->srcu, idx);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(1) | BIT(2) | BIT(4) | BIT(6) | BIT(8) | BIT(10) |
				       BIT(12));
	KUNIT_EXPECT_EQ(test, bits[1], BIT(99 - 64));
}

static void cleared_by_user_space(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2] = { BIT(2) | BIT(9), 0 };
	struct kvm_clear_dirty_log log = {
		.slot = 3, .num_pages = 64, .dirty_bitmap = (void __user *)buffer,
	};
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;

	test_vm(test)->dirty_log_options = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	make_slot(test, LOG);
	fault(test, 2, VITRO_ACC_WRITE);
	fault(test, 3, VITRO_ACC_WRITE);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(2) | BIT(3));
	/* Reading the log changes nothing. */
	KUNIT_EXPECT_NE(test, tree_entry(test, 2, NULL) & fmt->write, 0ULL);
	bits[0] = BIT(2) | BIT(9);
	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)buffer, bits, 16), 0UL);
	KUNIT_EXPECT_EQ(test, vitro_clear_dirty_log(test_vm(test), &log), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 2, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 3, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_TLB_FLUSH, &test_vcpu(test)->requests));
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(3));
	log.first_page = 64;
	KUNIT_EXPECT_EQ(test, vitro_clear_dirty_log(test_vm(test), &log), -EINVAL);
	log.num_pages = NR_PAGES - 64;
	KUNIT_EXPECT_EQ(test, vitro_clear_dirty_log(test_vm(test), &log), 0);
}

static void begin_while_mapped(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2], hva;
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;

	hva = make_slot(test, 0);
	fault(test, 1, VITRO_ACC_WRITE);
	fault(test, 2, VITRO_ACC_WRITE);
	KUNIT_EXPECT_EQ(test, get_log(test, 3, buffer), -ENOENT);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, LOG), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL) & fmt->write, 0ULL);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0] | bits[1], 0UL);
	fault(test, 2, VITRO_ACC_WRITE);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(2));
	/* The end: what the host has in small pages stays mapped, and can be written to. */
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, 0), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 2, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 3, NULL), 0ULL);
	KUNIT_EXPECT_EQ(test, get_log(test, 3, buffer), -ENOENT);
}

/* What a log begins with needs no fault to get into it, until it is cleared. */
static void begin_with_all(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2], hva;
	struct kvm_clear_dirty_log log = {
		.slot = 3, .num_pages = NR_PAGES, .dirty_bitmap = (void __user *)buffer,
	};
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;

	test_vm(test)->dirty_log_options = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
					   KVM_DIRTY_LOG_INITIALLY_SET;
	hva = make_slot(test, 0);
	fault(test, 1, VITRO_ACC_WRITE);
	fault(test, 2, VITRO_ACC_WRITE);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, LOG), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL) & fmt->write, 0ULL);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], ~0UL);
	KUNIT_EXPECT_EQ(test, bits[1], GENMASK(NR_PAGES - 65, 0));
	bits[0] = BIT(1);
	KUNIT_ASSERT_EQ(test, copy_to_user((void __user *)buffer, bits, 16), 0UL);
	KUNIT_EXPECT_EQ(test, vitro_clear_dirty_log(test_vm(test), &log), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_NE(test, tree_entry(test, 2, NULL) & fmt->write, 0ULL);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], ~BIT(1));
	KUNIT_EXPECT_EQ(test, bits[1], 0UL);
	fault(test, 1, VITRO_ACC_WRITE);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], ~0UL);
}

static void large_pages_are_split(struct kunit *test)
{
	unsigned long hva = test_map(test, PAGES(1536));
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	int level;

	hva = ALIGN(hva, PAGES(512));
	KUNIT_ASSERT_EQ(test, put_user(1, (int __user *)hva), 0);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(512), hva, 0), 0);
	fault(test, 9, VITRO_ACC_WRITE);
	tree_entry(test, 9, &level);
	KUNIT_EXPECT_EQ(test, level, 2);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(512), hva, LOG), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 9, NULL), 0ULL);
	fault(test, 9, VITRO_ACC_WRITE);
	fault(test, 10, VITRO_ACC_READ);
	KUNIT_EXPECT_NE(test, tree_entry(test, 9, &level) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, level, 1);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 10, &level) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 11, NULL), 0ULL);
	/* The end: as the host has them, large again. */
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(512), hva, 0), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 9, NULL), 0ULL);
	fault(test, 10, VITRO_ACC_READ);
	KUNIT_EXPECT_NE(test, tree_entry(test, 9, &level) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, level, 2);
}

/*
 * The end of a log touches its own slot only, and does not make writable what the host has
 * read-only. The slot next to it, in the same table, goes on logging.
 */
static void end_of_one_slot(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = &fake_backend.tdp;
	unsigned long hva = make_slot(test, LOG), shared = test_map(test, PAGES(10));
	int level;

	KUNIT_ASSERT_EQ(test, test_slot(test, 4, PAGES(NR_PAGES), PAGES(10), shared, LOG), 0);
	KUNIT_ASSERT_EQ(test, clear_user((void __user *)shared, PAGES(10)), 0UL);
	fault(test, 99, VITRO_ACC_READ);
	fault(test, 100, VITRO_ACC_READ);
	*tdp_find(test_vm(test), 98, &level) = fmt->read | fmt->exec | fmt->user;
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, 0), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 99, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 100, NULL) & fmt->write, 0ULL);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 98, NULL) & fmt->write, 0ULL);
	tdp_count(test_vm(test), 1, 1);		/* frame 98's */
}

/* A processor that logs, and its format. */
static const struct vitro_tdp_format *choose_log(void)
{
	fake_backend.tdp = vitro_vmx_backend.tdp;
	vitro_caps.tdp_log = true;
	return &fake_backend.tdp;
}

static void processor_logs(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2];
	const u64 logged[] = { PAGES(NR_PAGES), PAGES(99), PAGES(5) + 8, PAGES(5), ~0ULL, 0 };
	const struct vitro_tdp_format *fmt = choose_log();
	const u64 both = fmt->write | fmt->dirty;

	make_slot(test, LOG);
	KUNIT_EXPECT_TRUE(test, test_vm(test)->cpu_log);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_LOG, &test_vcpu(test)->requests));
	KUNIT_EXPECT_EQ(test, to_fake(test_vcpu(test))->log_allocs, 1U);
	fault(test, 5, VITRO_ACC_READ);
	fault(test, 70, VITRO_ACC_WRITE);
	/* What has only been read can be written to, and is not marked yet. */
	KUNIT_EXPECT_EQ(test, tree_entry(test, 5, NULL) & both, fmt->write);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 70, NULL) & both, both);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], 0UL);
	KUNIT_EXPECT_EQ(test, bits[1], BIT(70 - 64));
	KUNIT_EXPECT_EQ(test, tree_entry(test, 70, NULL) & both, fmt->write);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_TLB_FLUSH, &test_vcpu(test)->requests));
	/* Others' pages, and none at all, are passed over. */
	vitro_log_pages(test_vcpu(test), logged, ARRAY_SIZE(logged));
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(0) | BIT(5));
	KUNIT_EXPECT_EQ(test, bits[1], BIT(99 - 64));
}

static void processor_logs_what_is_mapped(struct kunit *test)
{
	const struct vitro_tdp_format *fmt = choose_log();
	const u64 both = fmt->write | fmt->dirty, gpa = PAGES(1);
	unsigned long hva;

	hva = make_slot(test, 0);
	KUNIT_EXPECT_FALSE(test, test_vm(test)->cpu_log);
	/* Nothing of what does not log is ever logged. */
	fault(test, 1, VITRO_ACC_READ);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL) & both, both);
	vitro_log_pages(test_vcpu(test), &gpa, 1);
	/* No memory for a vCPU: all is as before. */
	to_fake(test_vcpu(test))->log_error = -ENOMEM;
	KUNIT_EXPECT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, LOG), -ENOMEM);
	KUNIT_EXPECT_FALSE(test, test_vm(test)->cpu_log);
	KUNIT_EXPECT_FALSE(test, test_bit(VITRO_REQ_LOG, &test_vcpu(test)->requests));
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL) & both, both);
	to_fake(test_vcpu(test))->log_error = 0;
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, LOG), 0);
	KUNIT_EXPECT_EQ(test, tree_entry(test, 1, NULL) & both, fmt->write);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, PAGES(NR_PAGES), hva, 0), 0);
	KUNIT_EXPECT_NE(test, tree_entry(test, 1, NULL) & fmt->write, 0ULL);
	vitro_log_pages(test_vcpu(test), &gpa, 1);
}

/* With rings, in the order of the writes, and each page once. */
static void processor_logs_into_ring(struct kunit *test)
{
	const u64 first[] = { PAGES(9), PAGES(8), PAGES(7) }, second[] = { PAGES(8), PAGES(10) };
	static const u64 order[] = { 7, 8, 9, 10 };
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_dirty_ring *ring = &vcpu->dirty_ring;
	int i;

	choose_log();
	test_vm(test)->dirty_ring_nr = VITRO_DIRTY_RING_MIN;
	KUNIT_ASSERT_EQ(test, vitro_dirty_ring_alloc(vcpu), 0);
	make_slot(test, LOG);
	KUNIT_EXPECT_EQ(test, vitro_dirty_ring_room(vcpu), VITRO_DIRTY_RING_MIN - 64);
	vitro_log_pages(vcpu, first, ARRAY_SIZE(first));
	vitro_log_pages(vcpu, second, ARRAY_SIZE(second));
	KUNIT_EXPECT_EQ(test, ring->next, 4U);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		KUNIT_EXPECT_EQ(test, ring->entries[i].offset, order[i]);
	KUNIT_EXPECT_EQ(test, vitro_dirty_ring_room(vcpu), VITRO_DIRTY_RING_MIN - 64 - 4);
}

static void log_survives_a_move(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2], hva;

	hva = make_slot(test, LOG);
	fault(test, 33, VITRO_ACC_WRITE);
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, PAGES(1000), PAGES(NR_PAGES), hva, LOG), 0);
	fault(test, 1034, VITRO_ACC_WRITE);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(33) | BIT(34));
}

static void bad_arguments(struct kunit *test)
{
	unsigned long buffer = test_map(test, PAGE_SIZE), bits[2];

	make_slot(test, LOG);
	KUNIT_EXPECT_EQ(test, get_log(test, 512, buffer), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_log(test, U32_MAX, buffer), -EINVAL);
	KUNIT_EXPECT_EQ(test, get_log(test, 4, buffer), -ENOENT);
	fault(test, 7, VITRO_ACC_WRITE);
	/* The marks are kept for a call that can take them. */
	KUNIT_EXPECT_EQ(test, get_log(test, 3, 8), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_log(test, 3, buffer + PAGE_SIZE - 8), -EFAULT);
	fetch(test, buffer, bits);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(7));
}

static void mark_is_bounded(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	unsigned long bits[2] = { };
	struct vitro_memslot slot = { .base_gfn = 10, .npages = 100, .dirty = bits };

	vitro_mark_dirty(vm, &slot, 109);
	KUNIT_EXPECT_EQ(test, bits[1], BIT(99 - 64));
	/* Beyond the slot, as only speculation can ask for: the first page. */
	vitro_mark_dirty(vm, &slot, 110);
	KUNIT_EXPECT_EQ(test, bits[0], BIT(0));
	slot.dirty = NULL;
	vitro_mark_dirty(vm, &slot, 10);
	srcu_read_unlock(&vm->srcu, idx);
}

static struct kunit_case dirty_cases[] = {
	KUNIT_CASE(writes_are_logged),
	KUNIT_CASE(emulated_writes_are_logged),
	KUNIT_CASE(cleared_by_user_space),
	KUNIT_CASE(begin_while_mapped),
	KUNIT_CASE(begin_with_all),
	KUNIT_CASE(large_pages_are_split),
	KUNIT_CASE(end_of_one_slot),
	KUNIT_CASE(processor_logs),
	KUNIT_CASE(processor_logs_what_is_mapped),
	KUNIT_CASE(processor_logs_into_ring),
	KUNIT_CASE(log_survives_a_move),
	KUNIT_CASE(bad_arguments),
	KUNIT_CASE(mark_is_bounded),
	{}
};

TEST_SUITE(dirty, test_init_vcpu);
