// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events on their way to the guest: double faults, and what goes first (SDM,
 * Interrupt 8; Simultaneous Exceptions and Interrupts).
 */
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "fake_backend.h"
#include "fixture.h"

#define TRIPLE	(-1)

static int init_events(struct kunit *test)
{
	int err = test_init_vcpu(test);

	if (!err)
		test_vcpu(test)->cr0 |= X86_CR0_PE;
	return err;
}

static void inject(struct kunit *test)
{
	to_fake(test_vcpu(test))->injected = FAKE_NOTHING;
	/* As in the inner loop. */
	local_irq_disable();
	vitro_inject_events(test_vcpu(test));
	local_irq_enable();
}

static const struct pair_case {
	const char *name;
	u8 first, second;
	int result;
} pairs[] = {
	{ "benign, benign", X86_TRAP_DB, X86_TRAP_NM, X86_TRAP_NM },
	{ "benign, contributory", X86_TRAP_UD, X86_TRAP_GP, X86_TRAP_GP },
	{ "benign, page fault", X86_TRAP_UD, X86_TRAP_PF, X86_TRAP_PF },
	{ "contributory, benign", X86_TRAP_GP, X86_TRAP_UD, X86_TRAP_UD },
	{ "contributory, contributory", X86_TRAP_GP, X86_TRAP_NP, X86_TRAP_DF },
	{ "#DE, #SS", X86_TRAP_DE, X86_TRAP_SS, X86_TRAP_DF },
	{ "#TS, #GP", X86_TRAP_TS, X86_TRAP_GP, X86_TRAP_DF },
	{ "contributory, page fault", X86_TRAP_GP, X86_TRAP_PF, X86_TRAP_PF },
	{ "page fault, benign", X86_TRAP_PF, X86_TRAP_DB, X86_TRAP_DB },
	{ "page fault, contributory", X86_TRAP_PF, X86_TRAP_GP, X86_TRAP_DF },
	{ "page fault, page fault", X86_TRAP_PF, X86_TRAP_PF, X86_TRAP_DF },
	{ "#DF, page fault", X86_TRAP_DF, X86_TRAP_PF, TRIPLE },
	{ "#DF, contributory", X86_TRAP_DF, X86_TRAP_GP, TRIPLE },
};
TEST_PARAMS(pairs);

static void during_delivery(struct kunit *test)
{
	const struct pair_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vitro_requeue_exception(vcpu, p->first, false, 0);
	if (p->second == X86_TRAP_PF)
		vitro_queue_page_fault(vcpu, 0x1234, 2);
	else
		vitro_queue_exception_error(vcpu, p->second, 0x18);
	KUNIT_EXPECT_EQ(test, test_bit(VITRO_REQ_TRIPLE_FAULT, &vcpu->requests),
			p->result == TRIPLE);
	inject(test);
	if (p->result == TRIPLE) {
		KUNIT_EXPECT_EQ(test, to_fake(vcpu)->injected, FAKE_NOTHING);
		return;
	}
	KUNIT_EXPECT_EQ(test, to_fake(vcpu)->injected, FAKE_EXCEPTION);
	KUNIT_EXPECT_EQ(test, to_fake(vcpu)->vector, p->result);
	if (p->result == X86_TRAP_DF)
		KUNIT_EXPECT_EQ(test, to_fake(vcpu)->error_code, 0U);
	KUNIT_EXPECT_EQ(test, vcpu->cr2, p->result == X86_TRAP_PF ? 0x1234ULL : 0ULL);
}

static void error_codes(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0x28);
	inject(test);
	KUNIT_EXPECT_TRUE(test, to_fake(vcpu)->has_error);
	KUNIT_EXPECT_EQ(test, to_fake(vcpu)->error_code, 0x28U);
	/* Real mode pushes none. */
	vcpu->cr0 &= ~(u64)X86_CR0_PE;
	vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0x28);
	inject(test);
	KUNIT_EXPECT_FALSE(test, to_fake(vcpu)->has_error);
}

static void resume_flag(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vitro_queue_db(vcpu, BIT(14));
	inject(test);
	KUNIT_EXPECT_EQ(test, vcpu->rflags & X86_EFLAGS_RF, 0ULL);
	KUNIT_EXPECT_EQ(test, vcpu->dr6 & BIT(14), (u64)BIT(14));
	vitro_queue_exception(vcpu, X86_TRAP_UD);
	inject(test);
	KUNIT_EXPECT_EQ(test, vcpu->rflags & X86_EFLAGS_RF, (u64)X86_EFLAGS_RF);
}

static void debug_registers(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	/* B0..B3 are renewed, BS stays; GD is cleared on delivery. */
	vcpu->dr6 = 0xffff4ff5;
	vcpu->dr7 = 0x2400;
	vitro_queue_db(vcpu, 0x8);
	inject(test);
	KUNIT_EXPECT_EQ(test, vcpu->dr6, 0xffff4ff8ULL);
	KUNIT_EXPECT_EQ(test, vcpu->dr7, 0x400ULL);
}

static void delivery_begun_goes_first(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct fake_vcpu *fake = to_fake(vcpu);

	vitro_requeue_irq(vcpu, 0x41, true, 2);
	vitro_deliver_nmi(vcpu);
	vcpu->events.user_irq = 0x50;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_SOFT_IRQ);
	KUNIT_EXPECT_EQ(test, fake->vector, 0x41);
	KUNIT_EXPECT_EQ(test, fake->nmi_window, 1);
	KUNIT_EXPECT_EQ(test, fake->irq_window, 1);
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NMI);
	KUNIT_EXPECT_EQ(test, fake->irq_window, 2);
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_IRQ);
	KUNIT_EXPECT_EQ(test, fake->vector, 0x50);
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NOTHING);
}

static void exception_before_nmi(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vitro_deliver_nmi(vcpu);
	vitro_queue_exception(vcpu, X86_TRAP_UD);
	inject(test);
	KUNIT_EXPECT_EQ(test, to_fake(vcpu)->injected, FAKE_EXCEPTION);
	KUNIT_EXPECT_EQ(test, vcpu->events.nmi.pending, 1);
}

static void two_nmis_at_most(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct fake_vcpu *fake = to_fake(vcpu);
	int i;

	for (i = 0; i < 5; i++)
		vitro_deliver_nmi(vcpu);
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NMI);
	KUNIT_EXPECT_EQ(test, vcpu->events.nmi.pending, 1);
	/* In its handler one more is latched. */
	vitro_deliver_nmi(vcpu);
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NOTHING);
	KUNIT_EXPECT_EQ(test, vcpu->events.nmi.pending, 1);
	KUNIT_EXPECT_GT(test, fake->nmi_window, 0);
	fake->nmi_mask = false;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NMI);
	fake->nmi_mask = false;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NOTHING);
}

static void interrupts_wait(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct fake_vcpu *fake = to_fake(vcpu);

	fake->irqs_off = true;
	vcpu->events.user_irq = 0x33;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_NOTHING);
	KUNIT_EXPECT_EQ(test, fake->irq_window, 1);
	fake->irqs_off = false;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->injected, FAKE_IRQ);
	KUNIT_EXPECT_EQ(test, vcpu->events.user_irq, VITRO_NO_VECTOR);
	/* User space wants to know when one could be taken. */
	vcpu->run->request_interrupt_window = 1;
	inject(test);
	KUNIT_EXPECT_EQ(test, fake->irq_window, 2);
}

static struct kunit_case events_cases[] = {
	KUNIT_CASE_PARAM(during_delivery, pairs_gen_params),
	KUNIT_CASE(error_codes),
	KUNIT_CASE(resume_flag),
	KUNIT_CASE(debug_registers),
	KUNIT_CASE(delivery_begun_goes_first),
	KUNIT_CASE(exception_before_nmi),
	KUNIT_CASE(two_nmis_at_most),
	KUNIT_CASE(interrupts_wait),
	{}
};

TEST_SUITE(events, init_events);
