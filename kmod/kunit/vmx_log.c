// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX: the page-modification log, from its page and index to the dirty log.
 */
#include <asm/io.h>

#include "../dirty_ring.h"
#include "../vmx/vmx.h"
#include "fixture.h"

#define PAGES		600
#define GPA(i)		((u64)(i) << PAGE_SHIFT)

/* A vCPU of a VM with a slot that logs, as far as vmx/log.c looks at one. */
static struct vitro_vmx *make_vmx(struct kunit *test)
{
	struct vitro_vmx *vmx = kunit_kzalloc(test, sizeof(*vmx), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, vmx);
	vmx->vcpu.vm = test_vm(test);
	vmx->in_window = true;
	vmx->log = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vmx->log);
	/* Each entry another page. */
	for (i = 0; i < 512; i++)
		vmx->log[i] = GPA(i);
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&vmx_config, 0, sizeof(vmx_config));
	memset(vmx_config.may, 0xff, sizeof(vmx_config.may));
	KUNIT_ASSERT_EQ(test, test_slot(test, 3, 0, GPA(PAGES), test_map(test, GPA(PAGES)),
					KVM_MEM_LOG_DIRTY_PAGES), 0);
	return vmx;
}

/* Pages [@first, @end) shall be marked, and no others. */
static void expect_marks(struct kunit *test, int first, int end)
{
	struct vitro_vm *vm = test_vm(test);
	int i, wrong = 0, idx = srcu_read_lock(&vm->srcu);
	struct vitro_memslot *slot = vitro_find_slot(vm, 0);

	for (i = 0; i < PAGES; i++)
		wrong += test_bit(i, slot->dirty) != (i >= first && i < end);
	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

static void start(struct kunit *test)
{
	struct vitro_vmx *vmx = make_vmx(test);

	/* Not before an entry. */
	vmx_log_start(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmx->pending, (unsigned long)VMX_PENDING_LOG);
	KUNIT_EXPECT_TRUE(test, vmx->vcpu.refresh & VITRO_REFRESH_GUEST);
	vmx_log_empty(&vmx->vcpu);
	expect_marks(test, 0, 0);
	vmx_log_refresh(vmx);
	KUNIT_EXPECT_EQ(test, fake_vmcs[PML_ADDRESS], (u64)virt_to_phys(vmx->log));
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_PML_INDEX], 511ULL);
	KUNIT_EXPECT_TRUE(test, fake_vmcs[SECONDARY_VM_EXEC_CONTROL] & SECONDARY_EXEC_ENABLE_PML);
	expect_marks(test, 0, 0);
}

static const struct index_case {
	const char *name;
	int first;		/* where the processor began */
	u16 index;		/* where it would go on */
	int low, high;		/* entries to be taken */
} indices[] = {
	{ "nothing", 511, 511, 0, 0 },
	{ "one page", 511, 510, 511, 512 },
	{ "all but one", 511, 0, 1, 512 },
	{ "full", 511, 0xffff, 0, 512 },
	{ "little room, nothing", 9, 9, 0, 0 },
	{ "little room, some", 9, 3, 4, 10 },
	{ "little room, full", 9, 0xffff, 0, 10 },
	{ "no room", -1, 0xffff, 0, 0 },
	{ "impossible: above its beginning", 9, 300, 0, 0 },
	{ "impossible: out of range", 511, 512, 0, 512 },
};
TEST_PARAMS(indices);

static void take(struct kunit *test)
{
	const struct index_case *p = test->param_value;
	struct vitro_vmx *vmx = make_vmx(test);

	vmx->at_put = VMX_AT_PUT_LOG;
	vmx->log_first = p->first;
	fake_vmcs[GUEST_PML_INDEX] = p->index;
	vmx_log_empty(&vmx->vcpu);
	expect_marks(test, p->low, p->high);
	KUNIT_EXPECT_EQ(test, vmx->log_first, 511);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_PML_INDEX], 511ULL);
}

/* Elsewhere, or in nobody's VMX operation, the VMCS that is current is another's. */
static void not_current(struct kunit *test)
{
	struct vitro_vmx *vmx = make_vmx(test);

	vmx->in_window = false;
	vmx->at_put = VMX_AT_PUT_LOG;
	vmx->log_first = 511;
	fake_vmcs[GUEST_PML_INDEX] = 7;
	vmx_log_empty(&vmx->vcpu);
	expect_marks(test, 0, 0);
	KUNIT_EXPECT_EQ(test, vmx->pending, 0UL);
	/* With a ring, the next entry looks how much room is left. */
	vmx->vcpu.dirty_ring.nr = VITRO_DIRTY_RING_MIN;
	vmx_log_empty(&vmx->vcpu);
	KUNIT_EXPECT_EQ(test, vmx->pending, (unsigned long)VMX_PENDING_LOG);
}

static const struct room_case {
	const char *name;
	u32 nr, used;
	int first;
} rooms[] = {
	{ "much", 65536, 1000, 511 },
	{ "just enough", 1024, 1024 - 64 - 512, 511 },
	{ "one page less", 1024, 1024 - 64 - 511, 510 },
	{ "one page", 256, 256 - 64 - 1, 0 },
	{ "full", 256, 256 - 64, -1 },
	{ "more than full", 256, 256, -1 },
};
TEST_PARAMS(rooms);

/* The processor shall not log more than the ring can take. */
static void room(struct kunit *test)
{
	const struct room_case *p = test->param_value;
	struct vitro_vmx *vmx = make_vmx(test);

	vmx->vcpu.dirty_ring.nr = p->nr;
	vmx->vcpu.dirty_ring.next = p->used;
	vmx_log_refresh(vmx);
	KUNIT_EXPECT_EQ(test, vmx->log_first, p->first);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_PML_INDEX], (unsigned long long)(u16)p->first);
	/* Each exit for want of room has a way out. */
	KUNIT_EXPECT_EQ(test, test_bit(VITRO_REQ_RING_FULL, &vmx->vcpu.requests), p->first < 0);
	/* The ring has been emptied. */
	vmx->vcpu.dirty_ring.next = 0;
	vmx_log_refresh(vmx);
	KUNIT_EXPECT_EQ(test, fake_vmcs[GUEST_PML_INDEX], min_t(u32, p->nr - 64, 512) - 1ULL);
}

static struct kunit_case vmx_log_cases[] = {
	KUNIT_CASE(start),
	KUNIT_CASE_PARAM(take, indices_gen_params),
	KUNIT_CASE(not_current),
	KUNIT_CASE_PARAM(room, rooms_gen_params),
	{}
};

TEST_SUITE(vmx_log, test_init_vm);
