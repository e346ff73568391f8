/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Short forms for the tests of the interrupt controllers.
 */
#ifndef VITRO_KUNIT_IRQ_H
#define VITRO_KUNIT_IRQ_H

#include "../irqchip/internal.h"
#include "fixture.h"

static inline void apic_write(struct vitro_vcpu *vcpu, u32 offset, u32 value)
{
	vitro_lapic_mmio_write(vcpu, offset, sizeof(value), &value);
}

static inline u32 apic_read(struct vitro_vcpu *vcpu, u32 offset)
{
	u32 value = 0;

	vitro_lapic_mmio_read(vcpu, offset, sizeof(value), &value);
	return value;
}

static inline int apic_take(struct vitro_vcpu *vcpu, u8 vector, bool level)
{
	return vitro_lapic_accept(vcpu->lapic, APIC_DM_FIXED, vector, level);
}

static inline bool vector_set(const unsigned long *map, u8 vector)
{
	return map[vector / BITS_PER_LONG] >> (vector % BITS_PER_LONG) & 1;
}

/* Port and MMIO accesses to the chips by the buses that the guest reaches them by. */
static inline void port_write(struct kunit *test, u16 port, u8 value)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	int r = vitro_iobus_write(test_vcpu(test), VITRO_BUS_PIO, port, 1, &value);

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, r, 0);
}

static inline u8 port_read(struct kunit *test, u16 port)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	u8 value = 0;
	int r = vitro_iobus_read(test_vcpu(test), VITRO_BUS_PIO, port, 1, &value);

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, r, 0);
	return value;
}

static inline void mmio_write(struct kunit *test, u64 gpa, u32 value)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	int r = vitro_iobus_write(test_vcpu(test), VITRO_BUS_MMIO, gpa, sizeof(value), &value);

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, r, 0);
}

static inline u32 mmio_read(struct kunit *test, u64 gpa)
{
	struct vitro_vm *vm = test_vm(test);
	int idx = srcu_read_lock(&vm->srcu);
	u32 value = 0;
	int r = vitro_iobus_read(test_vcpu(test), VITRO_BUS_MMIO, gpa, sizeof(value), &value);

	srcu_read_unlock(&vm->srcu, idx);
	KUNIT_ASSERT_EQ(test, r, 0);
	return value;
}

#endif /* VITRO_KUNIT_IRQ_H */
