// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two 8259A (8259A data sheet): what is acknowledged in which state, the
 * commands, and the cascade.
 */
#include "irq.h"

#define MASTER		0x20
#define SLAVE		0xa0
#define DATA		1
#define ELCR		0x4d0

#define EOI		0x20
#define ROTATE_EOI	0xa0
#define SPECIFIC_EOI	0x60
#define ROTATE_SPECIFIC	0xe0
#define SET_PRIORITY	0xc0
#define ROTATE_AEOI_ON	0x80
#define ROTATE_AEOI_OFF	0x00
#define READ_IRR	0x0a
#define READ_ISR	0x0b
#define POLL		0x0c
#define SPECIAL_ON	0x68
#define SPECIAL_OFF	0x48

static struct vitro_pic *pic(struct kunit *test)
{
	return &vitro_chip(test_vm(test))->pic;
}

/* As a PC's firmware does, with ICW4 as given; nothing masked. */
static void setup(struct kunit *test, u8 icw4)
{
	port_write(test, MASTER, 0x11);
	port_write(test, MASTER + DATA, 0x20);
	port_write(test, MASTER + DATA, 0x04);
	port_write(test, MASTER + DATA, icw4);
	port_write(test, SLAVE, 0x11);
	port_write(test, SLAVE + DATA, 0x28);
	port_write(test, SLAVE + DATA, 0x02);
	port_write(test, SLAVE + DATA, 0x01);
}

static int init_pic(struct kunit *test)
{
	int err = test_init_irqchip(test);

	if (!err)
		setup(test, 0x01);
	return err;
}

static int line(struct kunit *test, unsigned int pin, bool high)
{
	return vitro_pic_set(pic(test), pin, VITRO_SOURCE_USER,
			     high ? VITRO_LINE_HIGH : VITRO_LINE_LOW);
}

static int pulse(struct kunit *test, unsigned int pin)
{
	return vitro_pic_set(pic(test), pin, VITRO_SOURCE_USER, VITRO_LINE_PULSE);
}

static u8 read_isr(struct kunit *test, u16 port)
{
	port_write(test, port, READ_ISR);
	return port_read(test, port);
}

static u8 read_irr(struct kunit *test, u16 port)
{
	port_write(test, port, READ_IRR);
	return port_read(test, port);
}

static const struct priority_case {
	const char *name;
	u8 irr, imr, isr, priority_add;
	bool special;
	int vector;		/* -1: no interrupt */
} priorities[] = {
	{ "nothing", 0x00, 0x00, 0x00, 0, false, -1 },
	{ "one", 0x08, 0x00, 0x00, 0, false, 0x23 },
	{ "lowest number first", 0xc8, 0x00, 0x00, 0, false, 0x23 },
	{ "masked", 0x08, 0x08, 0x00, 0, false, -1 },
	{ "masked beside unmasked", 0x88, 0x08, 0x00, 0, false, 0x27 },
	{ "same level in service", 0x08, 0x00, 0x08, 0, false, -1 },
	{ "lower level waits", 0x10, 0x00, 0x08, 0, false, -1 },
	{ "higher level nests", 0x02, 0x00, 0x08, 0, false, 0x21 },
	{ "two in service", 0x20, 0x00, 0x90, 0, false, -1 },
	{ "above two in service", 0x08, 0x00, 0x90, 0, false, 0x23 },
	{ "masking what is in service does not unblock", 0x10, 0x08, 0x08, 0, false, -1 },
	{ "rotated: 4 is the highest", 0x91, 0x00, 0x00, 4, false, 0x24 },
	{ "rotated: 3 is the lowest", 0x09, 0x00, 0x00, 4, false, 0x20 },
	{ "rotated, in service", 0x08, 0x00, 0x01, 4, false, -1 },
	{ "rotated, nests", 0x80, 0x00, 0x01, 4, false, 0x27 },
	{ "special mask: lower level too", 0x10, 0x08, 0x08, 0, true, 0x24 },
	{ "special mask: not the same level", 0x08, 0x08, 0x08, 0, true, -1 },
	{ "special mask: unmasked in service blocks", 0x40, 0x08, 0x28, 0, true, -1 },
	{ "special mask: between them", 0x10, 0x08, 0x28, 0, true, 0x24 },
};
TEST_PARAMS(priorities);

static void priority(struct kunit *test)
{
	const struct priority_case *p = test->param_value;
	struct kvm_irqchip *chip = kunit_kzalloc(test, sizeof(*chip), GFP_KERNEL);
	struct kvm_pic_state *s = &chip->chip.pic;

	KUNIT_ASSERT_NOT_NULL(test, chip);
	chip->chip_id = KVM_IRQCHIP_PIC_MASTER;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	s->irr = p->irr;
	s->imr = p->imr;
	s->isr = p->isr;
	s->priority_add = p->priority_add;
	s->special_mask = p->special;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_set(test_vm(test), chip), 0);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), p->vector);
	KUNIT_EXPECT_EQ(test, READ_ONCE(pic(test)->output), p->vector >= 0);
	if (p->vector < 0)
		return;
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), p->vector);
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), p->isr | BIT(p->vector & 7));
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), p->irr & ~BIT(p->vector & 7));
}

static const struct command_case {
	const char *name;
	u8 isr, imr, priority_add, special, command;
	u8 isr_after, priority_after;
} commands[] = {
	{ "EOI of one", 0x08, 0, 0, 0, EOI, 0x00, 0 },
	{ "EOI takes the highest", 0x18, 0, 0, 0, EOI, 0x10, 0 },
	{ "EOI takes the highest, rotated", 0x18, 0, 4, 0, EOI, 0x08, 4 },
	{ "EOI of nothing", 0x00, 0, 2, 0, EOI, 0x00, 2 },
	{ "EOI in special mask mode skips masked ones", 0x18, 0x08, 0, 1, EOI, 0x08, 0 },
	{ "EOI in special mask mode, all masked", 0x08, 0x08, 0, 1, EOI, 0x08, 0 },
	{ "masked without special mask mode", 0x18, 0x08, 0, 0, EOI, 0x10, 0 },
	{ "specific EOI", 0x18, 0, 0, 0, SPECIFIC_EOI | 4, 0x08, 0 },
	{ "specific EOI of another", 0x18, 0, 0, 0, SPECIFIC_EOI | 5, 0x18, 0 },
	{ "specific EOI of a masked one, special mask", 0x18, 0x08, 0, 1, SPECIFIC_EOI | 3,
	  0x10, 0 },
	{ "rotate on EOI", 0x18, 0, 0, 0, ROTATE_EOI, 0x10, 4 },
	{ "rotate on EOI of 7", 0x80, 0, 3, 0, ROTATE_EOI, 0x00, 0 },
	{ "rotate on EOI of nothing", 0x00, 0, 3, 0, ROTATE_EOI, 0x00, 3 },
	{ "rotate on specific EOI", 0x18, 0, 0, 0, ROTATE_SPECIFIC | 4, 0x08, 5 },
	{ "set priority", 0x18, 0, 0, 0, SET_PRIORITY | 6, 0x18, 7 },
	{ "set priority of 7", 0x00, 0, 5, 0, SET_PRIORITY | 7, 0x00, 0 },
	{ "no operation", 0x18, 0, 2, 0, 0x40, 0x18, 2 },
};
TEST_PARAMS(commands);

static void command(struct kunit *test)
{
	const struct command_case *p = test->param_value;
	struct kvm_irqchip *chip = kunit_kzalloc(test, sizeof(*chip), GFP_KERNEL);
	struct kvm_pic_state *s = &chip->chip.pic;

	KUNIT_ASSERT_NOT_NULL(test, chip);
	chip->chip_id = KVM_IRQCHIP_PIC_SLAVE;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	s->isr = p->isr;
	s->imr = p->imr;
	s->priority_add = p->priority_add;
	s->special_mask = p->special;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_set(test_vm(test), chip), 0);
	port_write(test, SLAVE, p->command);
	KUNIT_ASSERT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	KUNIT_EXPECT_EQ(test, s->isr, p->isr_after);
	KUNIT_EXPECT_EQ(test, s->priority_add, p->priority_after);
}

static void initialisation(struct kunit *test)
{
	struct kvm_irqchip *chip = kunit_kzalloc(test, sizeof(*chip), GFP_KERNEL);
	struct kvm_pic_state *s = &chip->chip.pic;

	KUNIT_ASSERT_NOT_NULL(test, chip);
	pulse(test, 3);
	vitro_pic_ack(pic(test));
	pulse(test, 4);
	port_write(test, MASTER + DATA, 0xff);
	port_write(test, MASTER, SPECIAL_ON);
	port_write(test, MASTER, ROTATE_AEOI_ON);
	port_write(test, MASTER, READ_ISR);
	/* ICW1 clears mask, requests by edge, service; reads give the IRR again. */
	port_write(test, MASTER, 0x11);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER), 0);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER + DATA), 0);
	/* The low bits of ICW2 are the input's. */
	port_write(test, MASTER + DATA, 0x5f);
	port_write(test, MASTER + DATA, 0x04);
	port_write(test, MASTER + DATA, 0x13);
	chip->chip_id = KVM_IRQCHIP_PIC_MASTER;
	vitro_irqchip_get(test_vm(test), chip);
	KUNIT_EXPECT_EQ(test, s->irq_base, 0x58);
	KUNIT_EXPECT_EQ(test, s->isr, 0);
	KUNIT_EXPECT_EQ(test, s->special_mask, 0);
	KUNIT_EXPECT_EQ(test, s->rotate_on_auto_eoi, 0);
	KUNIT_EXPECT_EQ(test, s->auto_eoi, 1);
	KUNIT_EXPECT_EQ(test, s->special_fully_nested_mode, 1);
	/* After the last ICW the data port is the mask again. */
	port_write(test, MASTER + DATA, 0xa5);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER + DATA), 0xa5);
}

static void initialisation_without_icw4(struct kunit *test)
{
	setup(test, 0x13);
	port_write(test, MASTER, 0x10);
	port_write(test, MASTER + DATA, 0x40);
	port_write(test, MASTER + DATA, 0x04);
	/* No ICW4: its functions are off, and this is the mask. */
	port_write(test, MASTER + DATA, 0xfd);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER + DATA), 0xfd);
	pulse(test, 1);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x41);
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), 0x02);
}

static void edges(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, line(test, 5, true), 1);
	KUNIT_EXPECT_EQ(test, line(test, 5, true), 0);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x25);
	port_write(test, MASTER, EOI);
	/* Still high: that is no edge. */
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	line(test, 5, false);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	KUNIT_EXPECT_EQ(test, line(test, 5, true), 1);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), 0x25);
}

static void edge_remembered_while_masked(struct kunit *test)
{
	port_write(test, MASTER + DATA, 0x20);
	KUNIT_EXPECT_EQ(test, pulse(test, 5), -1);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x20);
	port_write(test, MASTER + DATA, 0x00);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), 0x25);
}

static void levels(struct kunit *test)
{
	port_write(test, ELCR, 0x20);
	KUNIT_EXPECT_EQ(test, line(test, 5, true), 1);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x25);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x20);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, MASTER, EOI);
	/* Still high: again. Lowered before it is acknowledged: gone. */
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), 0x25);
	line(test, 5, false);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
}

static void elcr(struct kunit *test)
{
	port_write(test, ELCR, 0xff);
	port_write(test, ELCR + 1, 0xff);
	/* Timer, keyboard, cascade, clock and coprocessor are edges for ever. */
	KUNIT_EXPECT_EQ(test, port_read(test, ELCR), 0xf8);
	KUNIT_EXPECT_EQ(test, port_read(test, ELCR + 1), 0xde);
}

static void cascade(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pulse(test, 9), 1);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x04);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), 0x29);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x29);
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), 0x04);
	KUNIT_EXPECT_EQ(test, read_isr(test, SLAVE), 0x02);
	/* The master's 3 waits for the slave's 9, its 1 does not. */
	pulse(test, 3);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	pulse(test, 1);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x21);
	port_write(test, MASTER, EOI);
	/* The slave's higher one is blocked by the master, unless that is fully nested. */
	pulse(test, 8);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, SLAVE, EOI);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x28);
	port_write(test, SLAVE, EOI);
	port_write(test, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x23);
}

/* The master sees the slave's INT rise and fall, as it does any other edge. */
static void cascade_is_an_edge(struct kunit *test)
{
	pulse(test, 9);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x04);
	port_write(test, SLAVE + DATA, 0x02);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, SLAVE + DATA, 0);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x04);
	/* Initialisation forgets edges. */
	port_write(test, MASTER, 0x11);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	/* Of two that wait in the slave, the second interrupts without another pulse. */
	setup(test, 0x11);
	pulse(test, 12);
	pulse(test, 9);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x29);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0);
	port_write(test, SLAVE, EOI);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x2c);
}

static void special_fully_nested(struct kunit *test)
{
	setup(test, 0x11);
	pulse(test, 12);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x2c);
	/* A higher one of the same slave gets through, a lower one does not. */
	pulse(test, 13);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	pulse(test, 10);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x2a);
	KUNIT_EXPECT_EQ(test, read_isr(test, SLAVE), 0x14);
}

static void spurious(struct kunit *test)
{
	/* The request has gone before the acknowledge cycle. */
	port_write(test, ELCR, 0x20);
	line(test, 5, true);
	line(test, 5, false);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x27);
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), 0);
}

static void auto_eoi(struct kunit *test)
{
	setup(test, 0x03);
	pulse(test, 4);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x24);
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), 0);
	port_write(test, MASTER, ROTATE_AEOI_ON);
	pulse(test, 4);
	vitro_pic_ack(pic(test));
	/* 4 has become the lowest. */
	pulse(test, 4);
	pulse(test, 7);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x27);
	port_write(test, MASTER, ROTATE_AEOI_OFF);
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x24);
	pulse(test, 0);
	pulse(test, 4);
	/* Not rotated by the last one: 0 is the highest since 7 was served. */
	KUNIT_EXPECT_EQ(test, vitro_pic_ack(pic(test)), 0x20);
}

static void poll(struct kunit *test)
{
	port_write(test, MASTER, POLL);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER) & 0x80, 0);
	pulse(test, 6);
	pulse(test, 3);
	port_write(test, MASTER, POLL);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER), 0x83);
	/* One read acknowledges, as a cycle would, and ends the poll. */
	KUNIT_EXPECT_EQ(test, read_isr(test, MASTER), 0x08);
	KUNIT_EXPECT_EQ(test, read_irr(test, MASTER), 0x40);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, MASTER, EOI);
	port_write(test, MASTER, POLL);
	/* From the data port too. */
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER + DATA), 0x86);
	KUNIT_EXPECT_EQ(test, port_read(test, MASTER + DATA), 0x00);
}

static void special_mask_by_command(struct kunit *test)
{
	pulse(test, 3);
	vitro_pic_ack(pic(test));
	pulse(test, 5);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
	port_write(test, MASTER + DATA, 0x08);
	port_write(test, MASTER, SPECIAL_ON);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), 0x25);
	port_write(test, MASTER, SPECIAL_OFF);
	KUNIT_EXPECT_EQ(test, vitro_pic_peek(pic(test)), -1);
}

static void reaches_the_processor(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vcpu(test);

	/* LVT0 is ExtINT after reset, and the PIC goes before the local APIC. */
	apic_take(vcpu, 0xf0, false);
	clear_bit(VITRO_REQ_EVENT, &vcpu->requests);
	pulse(test, 2 + 2);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_REQ_EVENT, &vcpu->requests));
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), 0x24);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0x24);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(vcpu), 0xf0);
	apic_write(vcpu, APIC_LVT0, APIC_LVT_MASKED);
	port_write(test, MASTER, EOI);
	pulse(test, 4);
	KUNIT_EXPECT_EQ(test, vitro_next_vector(vcpu), -1);
}

static const struct state_case {
	const char *name;
	size_t field;
	u8 value;
} bad_states[] = {
	{ "priority", offsetof(struct kvm_pic_state, priority_add), 8 },
	{ "initialisation", offsetof(struct kvm_pic_state, init_state), 4 },
	{ "base", offsetof(struct kvm_pic_state, irq_base), 0x21 },
	{ "register select", offsetof(struct kvm_pic_state, read_reg_select), 2 },
	{ "poll", offsetof(struct kvm_pic_state, poll), 2 },
	{ "special mask", offsetof(struct kvm_pic_state, special_mask), 2 },
	{ "automatic EOI", offsetof(struct kvm_pic_state, auto_eoi), 2 },
	{ "rotation", offsetof(struct kvm_pic_state, rotate_on_auto_eoi), 2 },
	{ "fully nested", offsetof(struct kvm_pic_state, special_fully_nested_mode), 2 },
	{ "ICW4", offsetof(struct kvm_pic_state, init4), 2 },
};
TEST_PARAMS(bad_states);

static void bad_state(struct kunit *test)
{
	const struct state_case *p = test->param_value;
	struct kvm_irqchip *chip = kunit_kzalloc(test, sizeof(*chip), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, chip);
	chip->chip_id = KVM_IRQCHIP_PIC_SLAVE;
	KUNIT_ASSERT_EQ(test, vitro_irqchip_get(test_vm(test), chip), 0);
	KUNIT_EXPECT_EQ(test, vitro_irqchip_set(test_vm(test), chip), 0);
	((u8 *)&chip->chip.pic)[p->field] = p->value;
	KUNIT_EXPECT_EQ(test, vitro_irqchip_set(test_vm(test), chip), -EINVAL);
}

static struct kunit_case pic_cases[] = {
	KUNIT_CASE_PARAM(priority, priorities_gen_params),
	KUNIT_CASE_PARAM(command, commands_gen_params),
	KUNIT_CASE(initialisation),
	KUNIT_CASE(initialisation_without_icw4),
	KUNIT_CASE(edges),
	KUNIT_CASE(edge_remembered_while_masked),
	KUNIT_CASE(levels),
	KUNIT_CASE(elcr),
	KUNIT_CASE(cascade),
	KUNIT_CASE(cascade_is_an_edge),
	KUNIT_CASE(special_fully_nested),
	KUNIT_CASE(spurious),
	KUNIT_CASE(auto_eoi),
	KUNIT_CASE(poll),
	KUNIT_CASE(special_mask_by_command),
	KUNIT_CASE(reaches_the_processor),
	KUNIT_CASE_PARAM(bad_state, bad_states_gen_params),
	{}
};

TEST_SUITE(pic, init_pic);
