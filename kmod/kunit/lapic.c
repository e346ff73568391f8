// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC: priorities, delivery, end of interrupt, errors (SDM, Handling
 * Interrupts; Error Handling).
 */
#include "irq.h"

static const struct priority_case {
	const char *name;
	u8 tpr;
	u8 in_service[3];	/* accepted in this order; 0 ends */
	u8 ppr;
	u8 requested;
	bool delivered;
} priorities[] = {
	/* SDM, Task and Processor Priorities: PPR */
	{ "nothing in service", 0, {}, 0, 0x20, true },
	{ "TPR only", 0x35, {}, 0x35, 0x40, true },
	{ "TPR's class equals the request's", 0x35, {}, 0x35, 0x3f, false },
	{ "TPR's class above the request's", 0x40, {}, 0x40, 0x3f, false },
	{ "TPR's subclass does not count", 0x3f, {}, 0x3f, 0x40, true },
	{ "ISR's class above TPR's", 0x25, { 0x31 }, 0x30, 0x41, true },
	{ "ISR's class equals TPR's", 0x35, { 0x41, 0 }, 0x40, 0x51, true },
	{ "ISR's class below a raised TPR", 0x00, { 0x31 }, 0x30, 0x3f, false },
	{ "same class as in service", 0, { 0x41 }, 0x40, 0x4f, false },
	{ "lower class than in service", 0, { 0x41 }, 0x40, 0x3f, false },
	{ "higher class than in service", 0, { 0x41 }, 0x40, 0x50, true },
	{ "two in service", 0, { 0x31, 0x51 }, 0x50, 0x5f, false },
	{ "above two in service", 0, { 0x31, 0x51 }, 0x50, 0x60, true },
	{ "three in service", 0x10, { 0x21, 0x31, 0xf1 }, 0xf0, 0xff, false },
	{ "TPR blocks all", 0xf0, {}, 0xf0, 0xff, false },
	{ "highest vector", 0xe0, {}, 0xe0, 0xff, true },
	{ "lowest legal vector", 0, {}, 0, 0x10, true },
	{ "lowest legal vector, TPR class 1", 0x10, {}, 0x10, 0x1f, false },
};
TEST_PARAMS(priorities);

static void priority(struct kunit *test)
{
	const struct priority_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(p->in_service) && p->in_service[i]; i++) {
		KUNIT_ASSERT_EQ(test, apic_take(vcpu, p->in_service[i], false), 1);
		KUNIT_ASSERT_EQ(test, vitro_ack_vector(vcpu), p->in_service[i]);
	}
	apic_write(vcpu, APIC_TASKPRI, p->tpr);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), p->ppr);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), -1);
	KUNIT_EXPECT_EQ(test, apic_take(vcpu, p->requested, false), 1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_irr_class(vcpu), p->requested >> 4);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), p->delivered ? p->requested : -1);
	KUNIT_EXPECT_EQ(test, vitro_has_interrupt(vcpu), p->delivered);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), p->delivered ? p->requested : -1);
	KUNIT_EXPECT_EQ(test, vector_set(vcpu->lapic->isr, p->requested), p->delivered);
	KUNIT_EXPECT_NE(test, vector_set(vcpu->lapic->irr, p->requested), p->delivered);
}

static void subclass_of_ppr(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	/* Equal classes: PPR takes the TPR's low bits; a higher ISR's are 0. */
	apic_take(vcpu, 0x47, false);
	vitro_ack_vector(vcpu);
	apic_write(vcpu, APIC_TASKPRI, 0x43);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), 0x43U);
	apic_write(vcpu, APIC_TASKPRI, 0x53);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), 0x53U);
	apic_write(vcpu, APIC_TASKPRI, 0x33);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), 0x40U);
}

static void nested_eois(struct kunit *test)
{
	static const u8 vectors[] = { 0x31, 0x52, 0x91 };
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		apic_take(vcpu, vectors[i], false);
		KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), vectors[i]);
	}
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ISR + 0x10), BIT(0x31 - 32));
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ISR + 0x20), BIT(0x52 - 64));
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ISR + 0x40), BIT(0x91 - 128));
	for (i = ARRAY_SIZE(vectors) - 1; i >= 0; i--) {
		KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), vectors[i] & 0xf0);
		apic_write(vcpu, APIC_EOI, 0);
		KUNIT_EXPECT_FALSE(test, vector_set(vcpu->lapic->isr, vectors[i]));
	}
	/* Without anything in service an EOI does nothing. */
	apic_write(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_PROCPRI), 0U);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), -1);
}

static void requests_wait_in_order(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_take(vcpu, 0x45, false);
	apic_take(vcpu, 0x95, false);
	apic_take(vcpu, 0x93, false);
	KUNIT_EXPECT_EQ(test, apic_take(vcpu, 0x93, false), 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x95);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	apic_write(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x93);
	/* The same one again while it is in service: IRR and ISR hold one each. */
	KUNIT_EXPECT_EQ(test, apic_take(vcpu, 0x93, false), 1);
	apic_write(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x93);
	apic_write(vcpu, APIC_EOI, 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x45);
}

static void trigger_mode(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_take(vcpu, 0x61, true);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TMR + 0x30), BIT(1));
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_IRR + 0x30), BIT(1));
	vitro_ack_vector(vcpu);
	apic_write(vcpu, APIC_EOI, 0);
	apic_take(vcpu, 0x61, false);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TMR + 0x30), 0U);
}

static void illegal_vectors(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	int vector;

	for (vector = 0; vector < 16; vector++)
		KUNIT_EXPECT_EQ(test, apic_take(vcpu, vector, false), -1);
	/* The ESR shows what has been collected once it is written. */
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ESR), 0U);
	apic_write(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ESR), APIC_ESR_RECVILL);
	apic_write(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ESR), 0U);
}

static void error_interrupt(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, APIC_LVTERR, 0xe5);
	apic_take(vcpu, 5, false);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0xe5);
	apic_write(vcpu, APIC_EOI, 0);
	/* The same error again says nothing new. */
	apic_take(vcpu, 6, false);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
	/* Another one does. */
	apic_write(vcpu, 0x3f0 + 0x10, 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0xe5);
	apic_write(vcpu, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ESR), APIC_ESR_RECVILL | APIC_ESR_ILLREGA);
	apic_write(vcpu, APIC_EOI, 0);
	/* An illegal vector for errors must not lead to itself for ever. */
	apic_write(vcpu, APIC_LVTERR, 0x05);
	apic_take(vcpu, 5, false);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), -1);
}

static void software_disable(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	apic_write(vcpu, APIC_LVT1, 0x400);
	apic_take(vcpu, 0x41, false);
	apic_write(vcpu, APIC_SPIV, 0xff);
	/* SDM, Local APIC State After It Has Been Software Disabled */
	KUNIT_EXPECT_EQ(test, apic_take(vcpu, 0x51, false), -1);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_LVT1), APIC_LVT_MASKED | 0x400);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_LVT0) & APIC_LVT_MASKED, APIC_LVT_MASKED);
	apic_write(vcpu, APIC_LVT1, 0x400);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_LVT1), APIC_LVT_MASKED | 0x400);
	/* Requests from before are held and need handling by the processor. */
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x41);
	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(vcpu->lapic, APIC_DM_NMI, 0, false), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&vcpu->nmi_queued), 1);
}

static void other_messages(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic *lapic = vcpu->lapic;

	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(lapic, APIC_DM_SMI, 0, false), -1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(lapic, APIC_DM_EXTINT, 0x30, false), -1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(lapic, APIC_DM_REMRD, 0, false), -1);
	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(lapic, APIC_DM_STARTUP, 0x9a, false), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_SIPI_PENDING, &vcpu->init_sipi));
	KUNIT_EXPECT_EQ(test, vcpu->sipi_vector, 0x9a);
	/* An INIT cancels the start-up IPI before it. */
	KUNIT_EXPECT_EQ(test, vitro_lapic_accept(lapic, APIC_DM_INIT, 0, false), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_INIT_PENDING, &vcpu->init_sipi));
	KUNIT_EXPECT_FALSE(test, test_bit(VITRO_SIPI_PENDING, &vcpu->init_sipi));
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_INIT_SIPI, &vcpu->requests));
}

static void extint(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);
	struct vitro_lapic *lapic = vcpu->lapic;

	/* As firmware leaves the boot processor. */
	apic_write(vcpu, APIC_LVT0, APIC_DM_EXTINT);
	KUNIT_EXPECT_TRUE(test, vitro_lapic_takes_extint(lapic));
	apic_write(vcpu, APIC_LVT0, APIC_DM_EXTINT | APIC_LVT_MASKED);
	KUNIT_EXPECT_FALSE(test, vitro_lapic_takes_extint(lapic));
	apic_write(vcpu, APIC_LVT0, APIC_DM_FIXED | 0x40);
	KUNIT_EXPECT_FALSE(test, vitro_lapic_takes_extint(lapic));
	/* A disabled APIC passes its pin through, on the boot processor. */
	vitro_apic_base_write(vcpu, APIC_DEFAULT_PHYS_BASE, true);
	KUNIT_EXPECT_TRUE(test, vitro_lapic_takes_extint(lapic));
	test_vm(test)->bsp_id = 1;
	KUNIT_EXPECT_FALSE(test, vitro_lapic_takes_extint(lapic));
}

static void tpr_of_vcpu(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	vitro_lapic_set_tpr(vcpu, 0x50);
	KUNIT_EXPECT_EQ(test, vitro_lapic_get_tpr(vcpu), 0x50);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_TASKPRI), 0x50U);
	KUNIT_EXPECT_EQ(test, vitro_lapic_irr_class(vcpu), -1);
	apic_take(vcpu, 0x51, false);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), -1);
	clear_bit(VITRO_REQ_EVENT, &vcpu->requests);
	vitro_lapic_set_tpr(vcpu, 0x40);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_EVENT, &vcpu->requests));
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), 0x51);
}

static struct kunit_case lapic_cases[] = {
	KUNIT_CASE_PARAM(priority, priorities_gen_params),
	KUNIT_CASE(subclass_of_ppr),
	KUNIT_CASE(nested_eois),
	KUNIT_CASE(requests_wait_in_order),
	KUNIT_CASE(trigger_mode),
	KUNIT_CASE(illegal_vectors),
	KUNIT_CASE(error_interrupt),
	KUNIT_CASE(software_disable),
	KUNIT_CASE(other_messages),
	KUNIT_CASE(extint),
	KUNIT_CASE(tpr_of_vcpu),
	{}
};

TEST_SUITE(lapic, test_init_irqchip);
