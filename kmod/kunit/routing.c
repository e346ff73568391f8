// SPDX-License-Identifier: GPL-2.0-only
/*
 * GSI routing: KVM_SET_GSI_ROUTING and KVM_IRQ_LINE.
 */
#include "irq.h"

#define VECTOR	0x71

#define CHIP(g, c, p)	{ .gsi = (g), .type = KVM_IRQ_ROUTING_IRQCHIP, \
			  .u.irqchip = { .irqchip = KVM_IRQCHIP_##c, .pin = (p) } }
#define MSI(g, to)	{ .gsi = (g), .type = KVM_IRQ_ROUTING_MSI, \
			  .u.msi = { .address_lo = 0xfee00000 | (to) << 12, .data = VECTOR } }

static const struct table_case {
	const char *name;
	struct kvm_irq_routing_entry entries[3];
	u32 nr;
	int result;
} tables[] = {
	{ "empty", {}, 0, 0 },
	{ "IOAPIC pin", { CHIP(5, IOAPIC, 5) }, 1, 0 },
	{ "last pin of the IOAPIC", { CHIP(5, IOAPIC, 23) }, 1, 0 },
	{ "beyond the IOAPIC", { CHIP(5, IOAPIC, 24) }, 1, -EINVAL },
	{ "last pin of the slave PIC", { CHIP(5, PIC_SLAVE, 7) }, 1, 0 },
	{ "beyond the slave PIC", { CHIP(5, PIC_SLAVE, 8) }, 1, -EINVAL },
	{ "beyond the master PIC", { CHIP(5, PIC_MASTER, 8) }, 1, -EINVAL },
	{ "no such controller",
	  { { .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { .irqchip = 3 } } },
	  1, -EINVAL },
	{ "wild pin",
	  { { .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP,
	      .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = U32_MAX } } }, 1, -EINVAL },
	{ "a pin of each controller", { CHIP(5, IOAPIC, 5), CHIP(5, PIC_MASTER, 5),
					CHIP(5, PIC_SLAVE, 5) }, 3, 0 },
	{ "two pins of a controller", { CHIP(5, IOAPIC, 5), CHIP(5, IOAPIC, 6) }, 2, -EINVAL },
	{ "message", { MSI(5, 0) }, 1, 0 },
	{ "message and pin", { MSI(5, 0), CHIP(5, IOAPIC, 5) }, 2, -EINVAL },
	{ "pin and message", { CHIP(5, IOAPIC, 5), MSI(5, 0) }, 2, -EINVAL },
	{ "two messages", { MSI(5, 0), MSI(5, 0) }, 2, -EINVAL },
	{ "last GSI", { MSI(4095, 0) }, 1, 0 },
	{ "GSI too large", { MSI(4096, 0) }, 1, -EINVAL },
	{ "wild GSI", { MSI(U32_MAX, 0) }, 1, -EINVAL },
	{ "unknown type", { { .gsi = 1, .type = KVM_IRQ_ROUTING_HV_SINT } }, 1, -EINVAL },
	{ "flags of an entry",
	  { { .gsi = 1, .type = KVM_IRQ_ROUTING_MSI, .flags = 1 } }, 1, -EINVAL },
	{ "a wrong one after a good one", { MSI(1, 0), MSI(4096, 0) }, 2, -EINVAL },
};
TEST_PARAMS(tables);

static void table(struct kunit *test)
{
	const struct table_case *p = test->param_value;
	struct vitro_vm *vm = test_vm(test);

	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE, 0x10 + 2 * 3);
	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE + 0x10, VECTOR);
	KUNIT_EXPECT_EQ(test, vitro_set_gsi_routing(vm, p->entries, p->nr, 0), p->result);
	/* Refused: pin and input are still there. Accepted: nothing of the old is left. */
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, 3, 1), p->result ? 2 : -1);
}

static void limits(struct kunit *test)
{
	struct kvm_irq_routing_entry *entries;
	struct vitro_vm *vm = test_vm(test);
	u32 i;

	entries = kvcalloc(VITRO_MAX_GSIS + 1, sizeof(*entries), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, entries);
	for (i = 0; i < VITRO_MAX_GSIS; i++)
		entries[i] = (struct kvm_irq_routing_entry)MSI(i, 0);
	KUNIT_EXPECT_EQ(test, vitro_set_gsi_routing(vm, entries, VITRO_MAX_GSIS, 0), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, VITRO_MAX_GSIS - 1, 1), 1);
	KUNIT_EXPECT_EQ(test, vitro_set_gsi_routing(vm, entries, VITRO_MAX_GSIS + 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, vitro_set_gsi_routing(vm, entries, 1, 1), -EINVAL);
	kvfree(entries);
	/* GSIs that do not exist are ignored, however wild. */
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, VITRO_MAX_GSIS, 1), -1);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, U32_MAX, 1), -1);
}

static void routes_of_a_new_vm(struct kunit *test)
{
	struct vitro_irqchip *chip = vitro_chip(test_vm(test));
	u32 gsi;

	for (gsi = 0; gsi < 24; gsi++) {
		vitro_set_irq(test_vm(test), gsi, 1);
		KUNIT_EXPECT_TRUE(test, chip->ioapic.line & BIT(gsi));
		if (gsi < 16)
			KUNIT_EXPECT_TRUE(test, chip->pic.chip[gsi / 8].last_irr & BIT(gsi % 8));
	}
	KUNIT_EXPECT_EQ(test, vitro_set_irq(test_vm(test), 24, 1), -1);
}

static void message(struct kunit *test)
{
	static const struct kvm_irq_routing_entry entries[] = { MSI(30, 0), MSI(31, 5) };
	struct vitro_vm *vm = test_vm(test);

	KUNIT_ASSERT_EQ(test, vitro_set_gsi_routing(vm, entries, 2, 0), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, 30, 0), -1);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, 30, 1), 1);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, 30, 1), 0);
	KUNIT_EXPECT_EQ(test, vitro_ack_vector(test_vcpu(test)), VECTOR);
	/* To an APIC that does not exist. */
	KUNIT_EXPECT_EQ(test, vitro_set_irq(vm, 31, 1), -1);
}

static void several_pins(struct kunit *test)
{
	static const struct kvm_irq_routing_entry entries[] = {
		CHIP(40, IOAPIC, 11), CHIP(40, PIC_SLAVE, 3),
	};
	struct vitro_irqchip *chip = vitro_chip(test_vm(test));

	KUNIT_ASSERT_EQ(test, vitro_set_gsi_routing(test_vm(test), entries, 2, 0), 0);
	KUNIT_EXPECT_EQ(test, vitro_set_irq(test_vm(test), 40, 1), 1);
	KUNIT_EXPECT_EQ(test, chip->ioapic.line, BIT(11));
	KUNIT_EXPECT_EQ(test, chip->pic.chip[1].irr, BIT(3));
	vitro_set_irq(test_vm(test), 40, 0);
	KUNIT_EXPECT_EQ(test, chip->ioapic.line, 0U);
}

static void watched_eois(struct kunit *test)
{
	static const struct kvm_irq_routing_entry entries[] = { CHIP(0, IOAPIC, 2) };
	struct kvm_pit_config config = { };
	struct vitro_vm *vm = test_vm(test);
	struct vitro_irqchip *chip = vitro_chip(vm);

	/* Nobody waits for the EOI of an edge, but a PIT does, wherever GSI 0 leads. */
	KUNIT_EXPECT_EQ(test, vitro_watched_pins(chip), 0U);
	mutex_lock(&vm->lock);
	KUNIT_EXPECT_EQ(test, vitro_pit_create(vm, &config), 0);
	mutex_unlock(&vm->lock);
	KUNIT_EXPECT_EQ(test, vitro_watched_pins(chip), BIT(0));
	KUNIT_ASSERT_EQ(test, vitro_set_gsi_routing(vm, entries, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, vitro_watched_pins(chip), BIT(2));
	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE, 0x10 + 2 * 2);
	mmio_write(test, IO_APIC_DEFAULT_PHYS_BASE + 0x10, VECTOR);
	KUNIT_EXPECT_TRUE(test, vector_set(chip->ioapic.eoi_watch, VECTOR));
}

static void created_once(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);

	mutex_lock(&vm->lock);
	KUNIT_EXPECT_EQ(test, vitro_irqchip_create(vm), -EEXIST);
	mutex_unlock(&vm->lock);
}

static struct kunit_case routing_cases[] = {
	KUNIT_CASE_PARAM(table, tables_gen_params),
	KUNIT_CASE(limits),
	KUNIT_CASE(routes_of_a_new_vm),
	KUNIT_CASE(message),
	KUNIT_CASE(several_pins),
	KUNIT_CASE(watched_eois),
	KUNIT_CASE(created_once),
	{}
};

TEST_SUITE(routing, test_init_irqchip);
