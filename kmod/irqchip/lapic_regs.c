// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local APIC registers as the guest sees them: by MMIO in xAPIC mode and by
 * MSR in x2APIC mode (SDM, Local APIC Register Address Map; x2APIC Register
 * Address Space).
 */
#include <linux/nospec.h>

#include "internal.h"

#define PAGE_BYTES		0x1000
#define X2APIC_MSR_END		(APIC_BASE_MSR + 0xff)
#define LVT_MODE_BITS		APIC_MODE_MASK
#define LVT_READ_ONLY		(APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)

/**
 * vitro_lapic_lvt_bits() - what can be written to a local vector table entry
 * @lapic:	the APIC
 * @offset:	APIC_LVT*
 *
 * Return: mask of writable bits; 0 if @offset is not an entry.
 */
u32 vitro_lapic_lvt_bits(const struct vitro_lapic *lapic, u32 offset)
{
	u32 bits = APIC_VECTOR_MASK | APIC_LVT_MASKED;

	switch (offset) {
	case APIC_LVTT:
		bits |= APIC_LVT_TIMER_PERIODIC;
		if (vcpu_has(lapic->vcpu, VITRO_GF_TSC_DEADLINE))
			bits |= APIC_LVT_TIMER_TSCDEADLINE;
		return bits;
	case APIC_LVTTHMR:
	case APIC_LVTPC:
		return bits | LVT_MODE_BITS;
	case APIC_LVT0:
	case APIC_LVT1:
		return bits | LVT_MODE_BITS | APIC_INPUT_POLARITY | APIC_LVT_LEVEL_TRIGGER;
	case APIC_LVTERR:
		return bits;
	default:
		return 0;
	}
}

/**
 * vitro_lapic_ldr() - logical destination
 * @lapic:	any vCPU's APIC
 *
 * Return: the LDR: derived from the ID in x2APIC mode (SDM, Deriving Logical
 * x2APIC ID from the Local x2APIC ID), else what the guest has written.
 */
u32 vitro_lapic_ldr(const struct vitro_lapic *lapic)
{
	u32 id = lapic->vcpu->id;

	if (vitro_lapic_x2apic(lapic))
		return (id >> 4) << 16 | BIT(id & 0xf);
	return vitro_lapic_reg(lapic, APIC_LDR);
}

/* Is there a readable register at @offset? Then its value is in @value. */
static bool read_reg(const struct vitro_lapic *lapic, u32 offset, u32 *value)
{
	bool x2apic = vitro_lapic_x2apic(lapic);

	if (offset >= KVM_APIC_REG_SIZE)
		return false;
	offset = array_index_nospec(offset, KVM_APIC_REG_SIZE);

	switch (offset) {
	case APIC_ID:
		*value = x2apic ? lapic->vcpu->id : lapic->vcpu->id << 24;
		return true;
	case APIC_LVR:
		*value = VITRO_LAPIC_VERSION;
		return true;
	case APIC_PROCPRI:
		*value = vitro_lapic_ppr(lapic);
		return true;
	case APIC_LDR:
		*value = vitro_lapic_ldr(lapic);
		return true;
	case APIC_ISR ... APIC_ISR + 0x70:
		*value = vitro_vector_word(lapic->isr, (offset - APIC_ISR) >> 4);
		return true;
	case APIC_TMR ... APIC_TMR + 0x70:
		*value = vitro_vector_word(lapic->tmr, (offset - APIC_TMR) >> 4);
		return true;
	case APIC_IRR ... APIC_IRR + 0x70:
		*value = vitro_vector_word(lapic->irr, (offset - APIC_IRR) >> 4);
		return true;
	case APIC_TMCCT:
		*value = vitro_lapic_timer_count(lapic);
		return true;
	case APIC_DFR:
	case APIC_ICR2:
		if (x2apic)
			return false;
		fallthrough;
	case APIC_TASKPRI:
	case APIC_SPIV:
	case APIC_ESR:
	case APIC_ICR:
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
	case APIC_TMICT:
	case APIC_TDCR:
		*value = vitro_lapic_reg(lapic, offset);
		return true;
	default:
		return false;
	}
}

static void write_spiv(struct vitro_lapic *lapic, u32 value)
{
	u32 offset;

	vitro_lapic_set_reg(lapic, APIC_SPIV, value & VITRO_LAPIC_SPIV_BITS);
	if (value & APIC_SPIV_APIC_ENABLED)
		return;
	/* SDM, Local APIC State After It Has Been Software Disabled */
	for (offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 0x10)
		vitro_lapic_set_reg(lapic, offset,
				    vitro_lapic_reg(lapic, offset) | APIC_LVT_MASKED);
}

static void write_lvt(struct vitro_lapic *lapic, u32 offset, u32 value)
{
	value &= vitro_lapic_lvt_bits(lapic, offset);
	if (!vitro_lapic_sw_enabled(lapic))
		value |= APIC_LVT_MASKED;
	if (offset == APIC_LVTT) {
		vitro_lapic_timer_set_lvt(lapic, value);
		return;
	}
	vitro_lapic_set_reg(lapic, offset, value);
	/* The PIC may have been waiting for LINT0. */
	if (offset == APIC_LVT0)
		vitro_lapic_recheck(lapic);
}

static void write_icr(struct vitro_lapic *lapic, u32 icr, u32 dest)
{
	/* Reserved bits are read back as they were written; sent is what the others say. */
	vitro_lapic_set_reg(lapic, APIC_ICR, icr & ~APIC_SEND_PENDING);
	vitro_send_ipi(lapic, icr & VITRO_LAPIC_ICR_BITS, dest);
}

/* Registers that both modes write in the same way. False: no such register. */
static bool write_reg(struct vitro_lapic *lapic, u32 offset, u32 value)
{
	if (offset >= KVM_APIC_REG_SIZE)
		return false;
	offset = array_index_nospec(offset, KVM_APIC_REG_SIZE);

	switch (offset) {
	case APIC_TASKPRI:
		vitro_lapic_set_tpr(lapic->vcpu, value);
		return true;
	case APIC_EOI:
		vitro_lapic_eoi(lapic);
		return true;
	case APIC_SPIV:
		write_spiv(lapic, value);
		return true;
	case APIC_ESR:
		/* A write latches what has been collected since the last one. */
		vitro_lapic_set_reg(lapic, APIC_ESR, xchg(&lapic->esr, 0));
		return true;
	case APIC_LVTT:
	case APIC_LVTTHMR:
	case APIC_LVTPC:
	case APIC_LVT0:
	case APIC_LVT1:
	case APIC_LVTERR:
		write_lvt(lapic, offset, value);
		return true;
	case APIC_TMICT:
		vitro_lapic_set_reg(lapic, APIC_TMICT, value);
		vitro_lapic_timer_start(lapic);
		return true;
	case APIC_TDCR:
		vitro_lapic_timer_set_divide(lapic, value);
		return true;
	default:
		return false;
	}
}

/**
 * vitro_lapic_owns() - does an address lie in the APIC's page?
 * @vcpu:	the caller's vCPU
 * @gpa:	guest-physical address
 *
 * Return: true if the APIC is in xAPIC mode and its page holds @gpa.
 */
bool vitro_lapic_owns(struct vitro_vcpu *vcpu, u64 gpa)
{
	u64 base = vcpu->msrs.apic_base;

	if (!vcpu->lapic || !(base & MSR_IA32_APICBASE_ENABLE) || (base & X2APIC_ENABLE))
		return false;
	return (gpa & ~(u64)(PAGE_BYTES - 1)) == (base & ~(u64)(PAGE_BYTES - 1));
}

/* Before the guest reads its ISR or PPR; without the page they show what was known. */
static void settle(struct vitro_vcpu *vcpu)
{
	if (unlikely(vcpu->pv_eoi_pending))
		vitro_pv_eoi_try_settle(vcpu);
}

/**
 * vitro_lapic_mmio_read() - the guest reads the APIC page
 * @vcpu:	the caller's vCPU
 * @offset:	in the page
 * @len:	bytes
 * @data:	result
 *
 * The page has a register of 32 bits every 16 bytes; what lies between reads
 * as zero.
 *
 * Return: 0, or 1 if the access is not for the APIC.
 */
int vitro_lapic_mmio_read(struct vitro_vcpu *vcpu, u32 offset, int len, void *data)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 value = 0, at = offset & 0xf;
	u8 *out = data;
	int i;

	if (!lapic || offset >= PAGE_BYTES || len <= 0 || len > (int)(PAGE_BYTES - offset))
		return 1;
	settle(vcpu);
	if (!read_reg(lapic, offset & ~0xfU, &value))
		vitro_lapic_error(lapic, APIC_ESR_ILLREGA);
	for (i = 0; i < len; i++)
		out[i] = at + i < sizeof(value) ? value >> (8 * (at + i)) : 0;
	return 0;
}

/**
 * vitro_lapic_mmio_write() - the guest writes to the APIC page
 * @vcpu:	the caller's vCPU
 * @offset:	in the page
 * @len:	bytes
 * @data:	what is written
 *
 * Only aligned writes of 32 bits are defined (SDM, The Local APIC Block
 * Diagram); others are ignored.
 *
 * Return: 0, or 1 if the access is not for the APIC.
 */
int vitro_lapic_mmio_write(struct vitro_vcpu *vcpu, u32 offset, int len, const void *data)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 value;

	if (!lapic || offset >= PAGE_BYTES)
		return 1;
	if (len != sizeof(value) || (offset & 0xf))
		return 0;
	memcpy(&value, data, sizeof(value));

	switch (offset) {
	case APIC_ID:
	case APIC_LVR:
		/* The ID is fixed, as on current processors. */
		break;
	case APIC_LDR:
		vitro_lapic_set_reg(lapic, APIC_LDR, value & APIC_LDR_MASK);
		break;
	case APIC_DFR:
		vitro_lapic_set_reg(lapic, APIC_DFR, value | APIC_DFR_CLUSTER);
		break;
	case APIC_ICR2:
		vitro_lapic_set_reg(lapic, APIC_ICR2, value & SET_XAPIC_DEST_FIELD(0xffU));
		break;
	case APIC_ICR:
		write_icr(lapic, value,
			  GET_XAPIC_DEST_FIELD(vitro_lapic_reg(lapic, APIC_ICR2)));
		break;
	default:
		if (!write_reg(lapic, offset, value))
			vitro_lapic_error(lapic, APIC_ESR_ILLREGA);
	}
	return 0;
}

/**
 * vitro_lapic_msr_read() - RDMSR in the x2APIC range
 * @vcpu:	the caller's vCPU
 * @msr:	0x800..0x8ff
 * @value:	result
 *
 * Return: 0, or 1 for #GP.
 */
int vitro_lapic_msr_read(struct vitro_vcpu *vcpu, u32 msr, u64 *value)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 offset, low;

	if (!lapic || !vitro_lapic_x2apic(lapic) || msr < APIC_BASE_MSR || msr > X2APIC_MSR_END)
		return 1;
	offset = (msr - APIC_BASE_MSR) << 4;
	settle(vcpu);
	if (!read_reg(lapic, offset, &low))
		return 1;
	*value = low;
	if (offset == APIC_ICR)
		*value |= (u64)vitro_lapic_reg(lapic, APIC_ICR2) << 32;
	return 0;
}

/* Would @value set a reserved bit of the 32-bit register at @offset? */
static bool x2apic_reserved(const struct vitro_lapic *lapic, u32 offset, u64 value)
{
	u64 allowed;

	switch (offset) {
	case APIC_TASKPRI:
	case APIC_SELF_IPI:
		allowed = 0xff;
		break;
	case APIC_EOI:
	case APIC_ESR:
		allowed = 0;
		break;
	case APIC_SPIV:
		allowed = VITRO_LAPIC_SPIV_BITS;
		break;
	case APIC_TMICT:
		allowed = U32_MAX;
		break;
	case APIC_TDCR:
		allowed = VITRO_LAPIC_TDCR_BITS;
		break;
	default:
		/* Read-only bits may be written back as they were read. */
		allowed = vitro_lapic_lvt_bits(lapic, offset);
		if (!allowed)
			return true;
		allowed |= LVT_READ_ONLY;
	}
	return value & ~allowed;
}

/**
 * vitro_lapic_msr_write() - WRMSR in the x2APIC range
 * @vcpu:	the caller's vCPU
 * @msr:	0x800..0x8ff
 * @value:	operand
 *
 * Return: 0, or 1 for #GP.
 */
int vitro_lapic_msr_write(struct vitro_vcpu *vcpu, u32 msr, u64 value)
{
	struct vitro_lapic *lapic = vcpu->lapic;
	u32 offset;

	if (!lapic || !vitro_lapic_x2apic(lapic) || msr < APIC_BASE_MSR || msr > X2APIC_MSR_END)
		return 1;
	offset = (msr - APIC_BASE_MSR) << 4;

	if (offset == APIC_ICR) {
		if ((u32)value & ~(VITRO_LAPIC_ICR_BITS | APIC_SEND_PENDING))
			return 1;
		vitro_lapic_set_reg(lapic, APIC_ICR2, value >> 32);
		write_icr(lapic, value, value >> 32);
		return 0;
	}
	if (x2apic_reserved(lapic, offset, value))
		return 1;
	if (offset == APIC_SELF_IPI) {
		vitro_send_ipi(lapic, APIC_DEST_SELF | APIC_DM_FIXED | (u32)value, 0);
		return 0;
	}
	return write_reg(lapic, offset, value) ? 0 : 1;
}
