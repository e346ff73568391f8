/* SPDX-License-Identifier: GPL-2.0-only */
/* Interrupt controllers as a guest programs them. */
#ifndef SELFTESTS_APIC_H
#define SELFTESTS_APIC_H

#include "guest.h"

#define APIC_BASE	0xfee00000ULL
#define APIC_ID		0x20
#define APIC_VERSION	0x30
#define APIC_TPR	0x80
#define APIC_PPR	0xa0
#define APIC_EOI	0xb0
#define APIC_LDR	0xd0
#define APIC_DFR	0xe0
#define APIC_SVR	0xf0
#define APIC_ISR	0x100
#define APIC_TMR	0x180
#define APIC_IRR	0x200
#define APIC_ESR	0x280
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define APIC_LVTT	0x320
#define APIC_LVT0	0x350
#define APIC_LVT1	0x360
#define APIC_LVTERR	0x370
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define APIC_TDCR	0x3e0

#define APIC_SVR_ENABLE		0x100
#define APIC_LVT_MASKED		0x10000
#define APIC_LVT_PERIODIC	0x20000
#define APIC_LVT_DEADLINE	0x40000
#define APIC_DELIVERY_NMI	0x400
#define APIC_DELIVERY_INIT	0x500
#define APIC_DELIVERY_SIPI	0x600
#define APIC_DELIVERY_EXTINT	0x700
#define APIC_ICR_BUSY		0x1000
#define APIC_ICR_ASSERT		0x4000
#define APIC_ICR_LOGICAL	0x800
#define APIC_ICR_SELF		0x40000
#define APIC_ICR_ALL		0x80000
#define APIC_ICR_OTHERS		0xc0000

#define MSR_APIC_BASE		0x1b
#define APIC_BASE_ENABLE	0x800
#define APIC_BASE_X2APIC	0x400
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC(reg)		(0x800 + (reg) / 16)

#define IOAPIC_BASE	0xfec00000ULL
#define IOAPIC_LEVEL	0x8000
#define IOAPIC_MASKED	0x10000
#define IOAPIC_REMOTE_IRR 0x4000

static inline uint32_t apic_read(uint32_t reg)
{
	return mmio_read32(APIC_BASE + reg);
}

static inline void apic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(APIC_BASE + reg, value);
}

static inline void apic_enable(void)
{
	apic_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
}

static inline void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* Whether the bit of a vector is set in ISR, TMR or IRR. */
static inline bool apic_bit(uint32_t reg, uint32_t vector)
{
	return apic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}

static inline void apic_icr(uint32_t dest, uint32_t command)
{
	while (apic_read(APIC_ICR) & APIC_ICR_BUSY)
		cpu_relax();
	apic_write(APIC_ICR2, dest << 24);
	apic_write(APIC_ICR, command);
}

static inline uint32_t ioapic_read(uint32_t reg)
{
	mmio_write32(IOAPIC_BASE, reg);
	return mmio_read32(IOAPIC_BASE + 0x10);
}

static inline void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(IOAPIC_BASE, reg);
	mmio_write32(IOAPIC_BASE + 0x10, value);
}

/* Redirection entry of a pin: low half, to the APIC with this id. */
static inline void ioapic_route(uint32_t pin, uint32_t low, uint32_t dest)
{
	ioapic_write(0x11 + 2 * pin, dest << 24);
	ioapic_write(0x10 + 2 * pin, low);
}

/* Handlers that count in guest_cpu()->taken[] only. */
void guest_ignore(struct guest_regs *regs);
void guest_eoi(struct guest_regs *regs);

/* Sleep or spin until a vector was taken this often, interrupts on meanwhile. */
static inline void guest_wait(uint32_t vector, uint32_t times)
{
	while (guest_cpu()->taken[vector] < times)
		take_interrupts();
}

/* The same with HLT. */
static inline void guest_wait_hlt(uint32_t vector, uint32_t times)
{
	cli();
	while (guest_cpu()->taken[vector] < times) {
		sti_hlt();
		cli();
	}
}

#endif
