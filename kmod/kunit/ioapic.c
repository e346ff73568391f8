// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOAPIC (82093AA data sheet).
 */
#include <linux/delay.h>

#include "irq.h"

#define SELECT		IO_APIC_DEFAULT_PHYS_BASE
#define WINDOW		(IO_APIC_DEFAULT_PHYS_BASE + 0x10)
#define REDIR(pin)	(0x10 + 2 * (pin))

#define MASKED		BIT(16)
#define LEVEL		BIT(15)
#define REMOTE_IRR	BIT(14)
#define PIN		5
#define VECTOR		0x65

static u32 read_reg(struct kunit *test, u8 reg)
{
	mmio_write(test, SELECT, reg);
	return mmio_read(test, WINDOW);
}

static void write_reg(struct kunit *test, u8 reg, u32 value)
{
	mmio_write(test, SELECT, reg);
	mmio_write(test, WINDOW, value);
}

static int drive(struct kunit *test, enum vitro_irq_source source, enum vitro_irq_action action)
{
	return vitro_ioapic_set(&vitro_chip(test_vm(test))->ioapic, PIN, source, action);
}

static int line(struct kunit *test, bool high)
{
	return drive(test, VITRO_SOURCE_USER, high ? VITRO_LINE_HIGH : VITRO_LINE_LOW);
}

/* Take the interrupt, and do not end it. */
static bool taken(struct kunit *test)
{
	int vector = vitro_ack_vector(test_vcpu(test));

	if (vector >= 0)
		KUNIT_EXPECT_EQ(test, vector, VECTOR);
	return vector >= 0;
}

static void eoi(struct kunit *test)
{
	apic_write(test_vcpu(test), APIC_EOI, 0);
}

static const struct register_case {
	const char *name;
	u8 reg;
	u32 written, read;
} registers[] = {
	{ "ID", 0x00, 0xffffffff, 0x0f000000 },
	{ "version and number of pins", 0x01, 0xffffffff, 0x00170011 },
	{ "arbitration follows the ID", 0x02, 0xffffffff, 0 },
	{ "no register 3", 0x03, 0, 0xffffffff },
	{ "no register 0xf", 0x0f, 0, 0xffffffff },
	{ "first entry, low", REDIR(0), 0xffffffff, 0x0001afff },
	{ "first entry, high", REDIR(0) + 1, 0xffffffff, 0xff000000 },
	{ "last entry, low", REDIR(23), 0x0000a0fe, 0x0000a0fe },
	{ "last entry, high", REDIR(23) + 1, 0x12345678, 0x12000000 },
	{ "no entry 24", REDIR(24), 0, 0xffffffff },
	{ "no register 0xff", 0xff, 0, 0xffffffff },
};
TEST_PARAMS(registers);

static void ioapic_register(struct kunit *test)
{
	const struct register_case *p = test->param_value;

	write_reg(test, p->reg, p->written);
	KUNIT_EXPECT_EQ(test, read_reg(test, p->reg), p->read);
	KUNIT_EXPECT_EQ(test, mmio_read(test, SELECT), p->reg);
}

static void arbitration_id(struct kunit *test)
{
	write_reg(test, 0, 7 << 24);
	KUNIT_EXPECT_EQ(test, read_reg(test, 2), 7U << 24);
}

static void masked_at_reset(struct kunit *test)
{
	int pin;

	for (pin = 0; pin < 24; pin++)
		KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(pin)), MASKED);
	KUNIT_EXPECT_EQ(test, line(test, true), -1);
}

static void edge(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR);
	KUNIT_EXPECT_EQ(test, line(test, true), 1);
	KUNIT_EXPECT_EQ(test, line(test, true), 0);
	KUNIT_EXPECT_TRUE(test, taken(test));
	KUNIT_EXPECT_FALSE(test, taken(test));
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, 0U);
	eoi(test);
	/* Still high: no edge. */
	KUNIT_EXPECT_FALSE(test, taken(test));
	KUNIT_EXPECT_EQ(test, line(test, false), 1);
	KUNIT_EXPECT_FALSE(test, taken(test));
	/* Two edges before the first is taken are one. */
	KUNIT_EXPECT_EQ(test, line(test, true), 1);
	KUNIT_EXPECT_EQ(test, line(test, false), 1);
	KUNIT_EXPECT_EQ(test, line(test, true), 0);
	KUNIT_EXPECT_TRUE(test, taken(test));
	eoi(test);
	KUNIT_EXPECT_FALSE(test, taken(test));
}

static void edge_while_masked_is_lost(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | MASKED);
	KUNIT_EXPECT_EQ(test, line(test, true), -1);
	write_reg(test, REDIR(PIN), VECTOR);
	KUNIT_EXPECT_FALSE(test, taken(test));
	line(test, false);
	line(test, true);
	KUNIT_EXPECT_TRUE(test, taken(test));
}

static void pulse(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR);
	KUNIT_EXPECT_EQ(test, drive(test, VITRO_SOURCE_IRQFD, VITRO_LINE_PULSE), 1);
	KUNIT_EXPECT_TRUE(test, taken(test));
	eoi(test);
	KUNIT_EXPECT_EQ(test, drive(test, VITRO_SOURCE_IRQFD, VITRO_LINE_PULSE), 1);
	KUNIT_EXPECT_TRUE(test, taken(test));
}

static void level(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_EQ(test, line(test, true), 1);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, REMOTE_IRR);
	KUNIT_EXPECT_TRUE(test, taken(test));
	/* Until the EOI, Remote IRR holds the next one back. */
	line(test, false);
	KUNIT_EXPECT_EQ(test, line(test, true), 0);
	KUNIT_EXPECT_FALSE(test, taken(test));
	eoi(test);
	/* Still high: at once again. */
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, REMOTE_IRR);
	KUNIT_EXPECT_TRUE(test, taken(test));
	line(test, false);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, REMOTE_IRR);
	eoi(test);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, 0U);
	KUNIT_EXPECT_FALSE(test, taken(test));
}

static void level_unmasked_while_high(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL | MASKED);
	KUNIT_EXPECT_EQ(test, line(test, true), -1);
	KUNIT_EXPECT_FALSE(test, taken(test));
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_TRUE(test, taken(test));
}

static void level_masked_in_service(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	line(test, true);
	KUNIT_EXPECT_TRUE(test, taken(test));
	write_reg(test, REDIR(PIN), VECTOR | LEVEL | MASKED);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)), VECTOR | LEVEL | MASKED | REMOTE_IRR);
	/* The EOI ends it all the same, and nothing comes while it is masked. */
	eoi(test);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)), VECTOR | LEVEL | MASKED);
	KUNIT_EXPECT_FALSE(test, taken(test));
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_TRUE(test, taken(test));
}

static void shared_line(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_EQ(test, drive(test, VITRO_SOURCE_USER, VITRO_LINE_HIGH), 1);
	KUNIT_EXPECT_EQ(test, drive(test, VITRO_SOURCE_RESAMPLE, VITRO_LINE_HIGH), 0);
	KUNIT_EXPECT_TRUE(test, taken(test));
	drive(test, VITRO_SOURCE_USER, VITRO_LINE_LOW);
	eoi(test);
	/* High as long as any source holds it. */
	KUNIT_EXPECT_TRUE(test, taken(test));
	drive(test, VITRO_SOURCE_RESAMPLE, VITRO_LINE_LOW);
	eoi(test);
	KUNIT_EXPECT_FALSE(test, taken(test));
}

static void edge_mode_clears_remote_irr(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	line(test, true);
	KUNIT_EXPECT_TRUE(test, taken(test));
	line(test, false);
	/* What drivers do for IOAPICs without an EOI register. */
	write_reg(test, REDIR(PIN), VECTOR | MASKED);
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)), VECTOR | LEVEL);
}

static void remote_irr_is_read_only(struct kunit *test)
{
	write_reg(test, REDIR(PIN), VECTOR | LEVEL | REMOTE_IRR | BIT(12));
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)), VECTOR | LEVEL);
	line(test, true);
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)), VECTOR | LEVEL | REMOTE_IRR);
}

static void eoi_of_others(struct kunit *test)
{
	struct vitro_ioapic *ioapic = &vitro_chip(test_vm(test))->ioapic;

	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	write_reg(test, REDIR(PIN + 1), (VECTOR + 1) | LEVEL);
	line(test, true);
	vitro_ioapic_eoi(ioapic, VECTOR + 1);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, REMOTE_IRR);
	line(test, false);
	vitro_ioapic_eoi(ioapic, VECTOR);
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, 0U);
}

static const struct mode_case {
	const char *name;
	u32 mode;
	int result;
	bool vector, nmi, init, remote_irr;
} modes[] = {
	{ "fixed", APIC_DM_FIXED, 1, true, false, false, true },
	{ "lowest priority", APIC_DM_LOWEST, 1, true, false, false, true },
	{ "SMI", APIC_DM_SMI, -1, false, false, false, false },
	{ "reserved", APIC_DM_REMRD, -1, false, false, false, false },
	{ "NMI", APIC_DM_NMI, 1, false, true, false, false },
	{ "INIT", APIC_DM_INIT, 1, false, false, true, false },
	{ "ExtINT", APIC_DM_EXTINT, -1, false, false, false, false },
};
TEST_PARAMS(modes);

static void delivery_mode(struct kunit *test)
{
	const struct mode_case *p = test->param_value;
	struct vitro_vcpu *vcpu = test_vcpu(test);

	write_reg(test, REDIR(PIN), VECTOR | LEVEL | p->mode);
	KUNIT_EXPECT_EQ(test, line(test, true), p->result);
	KUNIT_EXPECT_EQ(test, vector_set(vcpu->lapic->irr, VECTOR), p->vector);
	KUNIT_EXPECT_EQ(test, atomic_read(&vcpu->nmi_queued), p->nmi);
	KUNIT_EXPECT_EQ(test, test_bit(VITRO_INIT_PENDING, &vcpu->init_sipi), p->init);
	KUNIT_EXPECT_EQ(test, !!(read_reg(test, REDIR(PIN)) & REMOTE_IRR), p->remote_irr);
}

static void nobody_there(struct kunit *test)
{
	write_reg(test, REDIR(PIN) + 1, 0x33 << 24);
	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	KUNIT_EXPECT_EQ(test, line(test, true), -1);
	/* Not accepted: nothing is to be ended. */
	KUNIT_EXPECT_EQ(test, read_reg(test, REDIR(PIN)) & REMOTE_IRR, 0U);
}

static void storm(struct kunit *test)
{
	int i;

	write_reg(test, REDIR(PIN), VECTOR | LEVEL);
	line(test, true);
	/* A line that nobody lowers gets a pause after some ten thousand EOIs, not for ever. */
	for (i = 0; i < 20000 && taken(test); i++)
		eoi(test);
	KUNIT_EXPECT_LE(test, i, 10001);
	KUNIT_EXPECT_GE(test, i, 1000);
	for (i = 0; i < 50 && !taken(test); i++)
		msleep(20);
	KUNIT_EXPECT_LT(test, i, 50);
	line(test, false);
	eoi(test);
}

static const struct state_case {
	const char *name;
	u64 base;
	u32 select, id;
	int result;
} states[] = {
	{ "plain", IO_APIC_DEFAULT_PHYS_BASE, 0x3f, 0xf, 0 },
	{ "other base address", 0xfec10000, 0, 0, -EINVAL },
	{ "select too large", IO_APIC_DEFAULT_PHYS_BASE, 0x100, 0, -EINVAL },
	{ "ID too large", IO_APIC_DEFAULT_PHYS_BASE, 0, 0x10, -EINVAL },
};
TEST_PARAMS(states);

static void set_state(struct kunit *test)
{
	const struct state_case *p = test->param_value;
	struct kvm_irqchip *chip = kunit_kzalloc(test, sizeof(*chip), GFP_KERNEL);
	struct kvm_ioapic_state *state = &chip->chip.ioapic;

	KUNIT_ASSERT_NOT_NULL(test, chip);
	chip->chip_id = KVM_IRQCHIP_IOAPIC;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	state->base_address = p->base;
	state->ioregsel = p->select;
	state->id = p->id;
	state->irr = BIT(PIN) | BIT(31);
	state->redirtbl[PIN].bits = VECTOR | LEVEL | GENMASK_ULL(55, 17) | BIT(12);
	state->redirtbl[PIN + 1].bits = (VECTOR + 1) | REMOTE_IRR;
	KUNIT_EXPECT_EQ(test, vitro_irqchip_set(test_vm(test), chip), p->result);
	if (p->result)
		return;
	KUNIT_EXPECT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	KUNIT_EXPECT_EQ(test, state->irr, BIT(PIN));
	/* A level that is high is sent; reserved bits are dropped, and edges have no Remote IRR. */
	KUNIT_EXPECT_EQ(test, state->redirtbl[PIN].bits, (u64)(VECTOR | LEVEL | REMOTE_IRR));
	KUNIT_EXPECT_EQ(test, state->redirtbl[PIN + 1].bits, VECTOR + 1ULL);
	KUNIT_EXPECT_TRUE(test, taken(test));
}

static struct kunit_case ioapic_cases[] = {
	KUNIT_CASE_PARAM(ioapic_register, registers_gen_params),
	KUNIT_CASE(arbitration_id),
	KUNIT_CASE(masked_at_reset),
	KUNIT_CASE(edge),
	KUNIT_CASE(edge_while_masked_is_lost),
	KUNIT_CASE(pulse),
	KUNIT_CASE(level),
	KUNIT_CASE(level_unmasked_while_high),
	KUNIT_CASE(level_masked_in_service),
	KUNIT_CASE(shared_line),
	KUNIT_CASE(edge_mode_clears_remote_irr),
	KUNIT_CASE(remote_irr_is_read_only),
	KUNIT_CASE(eoi_of_others),
	KUNIT_CASE_PARAM(delivery_mode, modes_gen_params),
	KUNIT_CASE(nobody_there),
	KUNIT_CASE(storm),
	KUNIT_CASE_PARAM(set_state, states_gen_params),
	{}
};

TEST_SUITE(ioapic, test_init_irqchip);
