// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC registers in both modes, IA32_APIC_BASE, reset and the state for
 * user space (SDM, Local APIC Register Address Map; Extended XAPIC).
 */
#include <asm/unaligned.h>

#include "irq.h"

#define XAPIC	(APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE)
#define OFF	APIC_DEFAULT_PHYS_BASE
#define X2APIC	(XAPIC | X2APIC_ENABLE)

static const struct register_case {
	const char *name;
	u32 offset;
	u32 written;
	u32 read;
} registers[] = {
	{ "ID is fixed", APIC_ID, 0xab000000, 0 },
	{ "version is fixed", APIC_LVR, 0, 0x00050014 },
	{ "TPR", APIC_TASKPRI, 0xffffffff, 0xff },
	{ "PPR is read-only", APIC_PROCPRI, 0x77, 0 },
	{ "LDR", APIC_LDR, 0xa5ffffff, 0xa5000000 },
	{ "DFR flat", APIC_DFR, 0xf0000000, 0xffffffff },
	{ "DFR cluster", APIC_DFR, 0, 0x0fffffff },
	{ "SPIV", APIC_SPIV, 0xffffffff, 0x3ff },
	{ "ICR high", APIC_ICR2, 0xa5ffffff, 0xa5000000 },
	{ "LVT timer, no TSC-deadline mode", APIC_LVTT, 0xfff5ffff, 0x000100ff },
	{ "LVT timer, periodic", APIC_LVTT, 0x00020033, 0x00020033 },
	{ "LVT thermal", APIC_LVTTHMR, 0xffffffff, 0x000107ff },
	{ "LVT performance", APIC_LVTPC, 0xffffffff, 0x000107ff },
	{ "LVT LINT0", APIC_LVT0, 0xffffffff, 0x0001a7ff },
	{ "LVT LINT1", APIC_LVT1, 0xffffffff, 0x0001a7ff },
	{ "LVT error", APIC_LVTERR, 0xffffffff, 0x000100ff },
	{ "divide configuration", APIC_TDCR, 0xffffffff, 0xb },
	{ "TMR is read-only", APIC_TMR, 0xffffffff, 0 },
	{ "IRR is read-only", APIC_IRR + 0x70, 0xffffffff, 0 },
	{ "ISR is read-only", APIC_ISR, 0xffffffff, 0 },
	{ "EOI reads as zero", APIC_EOI, 0xffffffff, 0 },
	{ "no such register", 0x3f0, 0xffffffff, 0 },
	{ "beyond the registers", 0xff0, 0xffffffff, 0 },
};
TEST_PARAMS(registers);

static void xapic_register(struct kunit *test)
{
	const struct register_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, p->offset, p->written);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, p->offset), p->read);
}

static void mmio_sizes(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u8 data[8] = { 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37 };

	/* Only aligned writes of 32 bits are defined: others are ignored. */
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_write(vcpu, APIC_TASKPRI, 1, data), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_write(vcpu, APIC_TASKPRI, 8, data), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_write(vcpu, APIC_TASKPRI + 4, 4, data), 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TASKPRI), 0U);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_write(vcpu, 0x1000, 4, data), 1);
	/* Reads: bytes of the register, zeros between registers, nothing beyond the page. */
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, APIC_LVR, 8, data), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned((u64 *)data), 0x00050014ULL);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, APIC_LVR + 2, 1, data), 0);
	KUNIT_EXPECT_EQ(test, data[0], 5);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, APIC_LVR + 8, 4, data), 0);
	KUNIT_EXPECT_EQ(test, get_unaligned((u32 *)data), 0U);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, 0xffc, 8, data), 1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, 0x1000, 1, data), 1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_mmio_read(vcpu, 0x20, 0, data), 1);
}

static const struct msr_case {
	const char *name;
	u32 msr;
	u64 value;
	int write;		/* 1: #GP */
	int read;
	u64 is;
} x2apic_msrs[] = {
	{ "ID", 0x802, 0, 1, 0, 0 },
	{ "version", 0x803, 0, 1, 0, 0x00050014 },
	{ "TPR", 0x808, 0xff, 0, 0, 0xff },
	{ "TPR, reserved bit", 0x808, 0x100, 1, 0, 0 },
	{ "PPR", 0x80a, 0, 1, 0, 0 },
	{ "EOI", 0x80b, 0, 0, 1, 0 },
	{ "EOI other than 0", 0x80b, 1, 1, 1, 0 },
	{ "LDR", 0x80d, 0, 1, 0, 1 },
	{ "DFR does not exist", 0x80e, 0, 1, 1, 0 },
	{ "SPIV", 0x80f, 0x1ff, 0, 0, 0x1ff },
	{ "SPIV, reserved bit", 0x80f, 0x1400, 1, 0, 0x1ff },
	{ "ISR", 0x810, 0, 1, 0, 0 },
	{ "IRR", 0x827, 0, 1, 0, 0 },
	{ "ESR", 0x828, 0, 0, 0, 0 },
	{ "ESR other than 0", 0x828, 1, 1, 0, 0 },
	{ "ICR to an APIC that is not there", 0x830, 0x700004031, 0, 0, 0x700004031 },
	{ "ICR, reserved bit", 0x830, BIT(13) | 0x31, 1, 0, 0 },
	{ "ICR2 does not exist", 0x831, 0, 1, 1, 0 },
	{ "LVT timer", 0x832, 0x00020040, 0, 0, 0x00020040 },
	{ "LVT timer, reserved bit", 0x832, 0x00080040, 1, 0, 0x00010000 },
	{ "LVT timer, upper half", 0x832, BIT_ULL(32), 1, 0, 0x00010000 },
	{ "LINT1 NMI", 0x836, 0x400, 0, 0, 0x400 },
	{ "initial count", 0x838, 0, 0, 0, 0 },
	{ "initial count, upper half", 0x838, BIT_ULL(32), 1, 0, 0 },
	{ "current count", 0x839, 0, 1, 0, 0 },
	{ "divide configuration", 0x83e, 0xb, 0, 0, 0xb },
	{ "divide configuration, reserved bit", 0x83e, 0x4, 1, 0, 0 },
	{ "self IPI is write-only", 0x83f, 0x40, 0, 1, 0 },
	{ "self IPI, reserved bit", 0x83f, 0x100, 1, 1, 0 },
	{ "first reserved", 0x800, 0, 1, 1, 0 },
	{ "beyond the registers", 0x840, 0, 1, 1, 0 },
	{ "last of the range", 0x8ff, 0, 1, 1, 0 },
};
TEST_PARAMS(x2apic_msrs);

static void x2apic_register(struct kunit *test)
{
	const struct msr_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value = 0;

	KUNIT_ASSERT_EQ(test, vitro_apic_base_write(vcpu, X2APIC, true), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_write(vcpu, p->msr, p->value), p->write);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_read(vcpu, p->msr, &value), p->read);
	if (!p->read)
		KUNIT_EXPECT_EQ(test, value, p->is);
}

static void x2apic_needs_the_mode(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	u64 value;

	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_read(vcpu, 0x802, &value), 1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_write(vcpu, 0x808, 0), 1);
	KUNIT_EXPECT_TRUE(test, vitro_lapic_owns(vcpu, APIC_DEFAULT_PHYS_BASE + 0xfff));
	KUNIT_EXPECT_FALSE(test, vitro_lapic_owns(vcpu, APIC_DEFAULT_PHYS_BASE + 0x1000));
	vitro_apic_base_write(vcpu, X2APIC, true);
	KUNIT_EXPECT_FALSE(test, vitro_lapic_owns(vcpu, APIC_DEFAULT_PHYS_BASE));
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_read(vcpu, 0x802, &value), 0);
}

static void x2apic_ids(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_add_vcpu(test, 0x25);
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ID), 0x25000000U);
	vitro_apic_base_write(vcpu, X2APIC, true);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_read(vcpu, 0x802, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 0x25ULL);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_read(vcpu, 0x80d, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 0x20020ULL);
}

static const struct base_case {
	const char *name;
	u64 from, to;
	bool host, feature;
	int result;
} bases[] = {
	/* SDM, x2APIC State Transitions */
	{ "xAPIC stays", XAPIC, XAPIC, false, true, 0 },
	{ "xAPIC to off", XAPIC, OFF, false, true, 0 },
	{ "xAPIC to x2APIC", XAPIC, X2APIC, false, true, 0 },
	{ "x2APIC to off", X2APIC, OFF, false, true, 0 },
	{ "x2APIC to xAPIC", X2APIC, XAPIC, false, true, 1 },
	{ "off to xAPIC", OFF, XAPIC, false, true, 0 },
	{ "off to x2APIC", OFF, X2APIC, false, true, 1 },
	{ "EXTD without EN", XAPIC, OFF | X2APIC_ENABLE, false, true, 1 },
	{ "EXTD without EN by user space", XAPIC, OFF | X2APIC_ENABLE, true, true, 1 },
	{ "x2APIC that CPUID does not offer", XAPIC, X2APIC, false, false, 1 },
	{ "x2APIC by user space before CPUID", XAPIC, X2APIC, true, false, 0 },
	{ "x2APIC to xAPIC by user space", X2APIC, XAPIC, true, true, 0 },
	{ "reserved bit 9", XAPIC, XAPIC | BIT(9), false, true, 1 },
	{ "reserved bit 0", XAPIC, XAPIC | BIT(0), false, true, 1 },
	{ "above the physical addresses", XAPIC, XAPIC | BIT_ULL(36), false, true, 1 },
	{ "highest address bit", XAPIC, XAPIC | BIT_ULL(35), false, true, 0 },
	{ "other address", XAPIC, 0xd0000000 | MSR_IA32_APICBASE_ENABLE, false, true, 0 },
	{ "boot processor bit", XAPIC, XAPIC | MSR_IA32_APICBASE_BSP, false, true, 0 },
};
TEST_PARAMS(bases);

static void apic_base(struct kunit *test)
{
	const struct base_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_ASSERT_EQ(test, vitro_apic_base_write(vcpu, p->from, true), 0);
	vcpu->guest_features = p->feature ? VITRO_GF_X2APIC : 0;
	vcpu->maxphyaddr = 36;
	KUNIT_EXPECT_EQ(test, vitro_apic_base_write(vcpu, p->to, p->host), p->result);
	KUNIT_EXPECT_EQ(test, vcpu->msrs.apic_base, p->result ? p->from : p->to);
}

static void disabling_resets(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, APIC_TASKPRI, 0x20);
	apic_take(vcpu, 0x41, false);
	vitro_apic_base_write(vcpu, OFF, false);
	KUNIT_EXPECT_EQ(test, apic_take(vcpu, 0x42, false), -1);
	KUNIT_EXPECT_FALSE(test, vitro_lapic_owns(vcpu, APIC_DEFAULT_PHYS_BASE));
	vitro_apic_base_write(vcpu, XAPIC, false);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TASKPRI), 0U);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_SPIV), 0xffU);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_IRR + 0x20), 0U);
}

static void reset(struct kunit *test)
{
	static const u32 lvts[] = { APIC_LVTT, APIC_LVTTHMR, APIC_LVTPC, APIC_LVT1, APIC_LVTERR };
	struct vitro_vcpu *bsp = test_vcpu(test), *ap = test_add_vcpu(test, 1);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, ap);
	apic_write(ap, APIC_LDR, 0x42000000);
	apic_write(ap, APIC_TMICT, 1000000000);
	apic_take(ap, 0x31, true);
	vitro_lapic_reset(ap, true);
	vitro_lapic_reset(bsp, false);

	/* SDM, Local APIC State After Power-Up or Reset */
	KUNIT_EXPECT_EQ(test, bsp->msrs.apic_base, XAPIC | MSR_IA32_APICBASE_BSP);
	KUNIT_EXPECT_EQ(test, ap->msrs.apic_base, XAPIC);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_SPIV), 0xffU);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_DFR), 0xffffffffU);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_LDR), 0U);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_TMICT), 0U);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_TMCCT), 0U);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_IRR + i * 0x10), 0U);
		KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_TMR + i * 0x10), 0U);
	}
	for (i = 0; i < ARRAY_SIZE(lvts); i++)
		KUNIT_EXPECT_EQ(test, apic_read(ap, lvts[i]), APIC_LVT_MASKED);
	/* The virtual wire that firmware would have set up, on the boot processor only. */
	KUNIT_EXPECT_EQ(test, apic_read(bsp, APIC_LVT0), APIC_DM_EXTINT);
	KUNIT_EXPECT_EQ(test, apic_read(ap, APIC_LVT0), APIC_LVT_MASKED);
}

static void state_round_trip(struct kunit *test)
{
	struct vitro_vcpu *a = test_vcpu(test), *b = test_add_vcpu(test, 1);
	struct kvm_lapic_state *state = kunit_kzalloc(test, 2 * sizeof(*state), GFP_KERNEL);
	u32 id;

	KUNIT_ASSERT_NOT_NULL(test, b);
	KUNIT_ASSERT_NOT_NULL(test, state);
	apic_write(a, APIC_TASKPRI, 0x30);
	apic_write(a, APIC_LDR, 0x04000000);
	apic_write(a, APIC_LVTT, 0x20041);
	apic_write(a, APIC_LVTERR, 0xe1);
	apic_take(a, 0x81, true);
	vitro_ack_vector(a);
	apic_take(a, 0x71, false);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_state(a, state), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_set_state(b, state), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_state(b, state + 1), 0);
	/* The ID is the vCPU's own; all else has come along. */
	memcpy(&id, state[1].regs + APIC_ID, sizeof(id));
	KUNIT_EXPECT_EQ(test, id, 1U << 24);
	memcpy(state[1].regs + APIC_ID, state[0].regs + APIC_ID, sizeof(id));
	KUNIT_EXPECT_EQ(test, memcmp(state, state + 1, sizeof(*state)), 0);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(b), -1);
	apic_write(b, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(b), 0x71);
}

static void state_drops_what_cannot_be(struct kunit *test)
{
	struct kvm_lapic_state *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_ASSERT_NOT_NULL(test, state);
	memset(state, 0xff, sizeof(*state));
	memset(state->regs + APIC_TMICT, 0, 4);
	KUNIT_EXPECT_EQ(test, vitro_lapic_set_state(vcpu, state), 0);
	/* Vectors that no interrupt has: kept, never delivered. */
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_IRR), 0xffffffffU);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ISR), 0xffff0000U);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TASKPRI), 0xffU);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ID), 0U);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TDCR), 0xbU);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ICR), (u32)~APIC_ICR_BUSY);
}

static struct kunit_case lapic_regs_cases[] = {
	KUNIT_CASE_PARAM(xapic_register, registers_gen_params),
	KUNIT_CASE(mmio_sizes),
	KUNIT_CASE_PARAM(x2apic_register, x2apic_msrs_gen_params),
	KUNIT_CASE(x2apic_needs_the_mode),
	KUNIT_CASE(x2apic_ids),
	KUNIT_CASE_PARAM(apic_base, bases_gen_params),
	KUNIT_CASE(disabling_resets),
	KUNIT_CASE(reset),
	KUNIT_CASE(state_round_trip),
	KUNIT_CASE(state_drops_what_cannot_be),
	{}
};

TEST_SUITE(lapic_regs, test_init_irqchip);
