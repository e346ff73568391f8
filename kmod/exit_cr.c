// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control and debug registers: validation, side effects, and the exits that
 * accesses to them cause.
 */
#include <linux/kvm.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "debug.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "vm.h"

#define CR0_DEFINED (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | \
		     X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | \
		     X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
#define CR0_PAGING_BITS (X86_CR0_PG | X86_CR0_WP)
#define CR4_PAGING_BITS (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | \
			 X86_CR4_PCIDE | X86_CR4_SMEP | X86_CR4_SMAP)

static bool cr3_valid(struct vitro_vcpu *vcpu, u64 cr3, u64 cr4, u64 efer)
{
	if (efer & EFER_LMA) {
		/* Bit 63 of the operand asks to keep translations; see caller. */
		return !(cr3 & ~(BIT_ULL(vcpu->maxphyaddr) - 1));
	}
	return cr3 <= U32_MAX || !(cr4 & X86_CR4_PAE);
}

/**
 * vitro_pdpte_invalid() - does loading a page-directory pointer of PAE paging raise #GP?
 * @vcpu:  the vCPU, whose CPUID tells how long addresses are
 * @pdpte: the entry
 */
bool vitro_pdpte_invalid(const struct vitro_vcpu *vcpu, u64 pdpte)
{
	/* Bits 1, 2 and 5 to 8; bit 5 is spared, which QEMU's TCG sets as it walks. */
	u64 reserved = ~(BIT_ULL(vcpu->maxphyaddr) - 1) | 0x1c6;

	return pdpte & 1 && pdpte & reserved;
}

/**
 * vitro_read_pdptes() - read what PAE paging is to have in its PDPTE registers
 * @vcpu: the vCPU; vcpu->pdpte is written, for the backend to load
 * @cr3:  CR3 from now on
 *
 * Read once: the guest, or its user space, may write them at any time, and what is
 * judged has to be what is loaded. Entries that cannot be read are not present.
 *
 * Context: vm->srcu held; may sleep.
 * Return: false if loading them raises #GP: a present one has a reserved bit (SDM,
 * "PAE Paging"), or they cannot be read.
 */
bool vitro_read_pdptes(struct vitro_vcpu *vcpu, u64 cr3)
{
	int i;

	if (vitro_guest_read(vcpu->vm, cr3 & 0xffffffe0, vcpu->pdpte, sizeof(vcpu->pdpte))) {
		memset(vcpu->pdpte, 0, sizeof(vcpu->pdpte));
		return false;
	}
	for (i = 0; i < 4; i++)
		if (vitro_pdpte_invalid(vcpu, vcpu->pdpte[i]))
			return false;
	return true;
}

/**
 * vitro_crs_valid() - is a set of control registers consistent?
 * @vcpu: the vCPU, whose CPUID tells which bits there are
 * @cr0:  CR0
 * @cr3:  CR3
 * @cr4:  CR4
 * @efer: EFER
 *
 * SDM, "Control Registers" and "Initializing IA-32e Mode". As with KVM, CR4.PCIDE may be
 * set before the vCPU is in IA-32e mode: VM entry judges that, should it come to it.
 */
bool vitro_crs_valid(struct vitro_vcpu *vcpu, u64 cr0, u64 cr3, u64 cr4, u64 efer)
{
	if (cr0 >> 32 || cr4 & vcpu->cr4_reserved || efer & vcpu->efer_reserved)
		return false;
	if ((cr0 & X86_CR0_PG && !(cr0 & X86_CR0_PE)) ||
	    (cr0 & X86_CR0_NW && !(cr0 & X86_CR0_CD)))
		return false;
	if (efer & EFER_LME && cr0 & X86_CR0_PG) {
		if (!(efer & EFER_LMA) || !(cr4 & X86_CR4_PAE))
			return false;
	} else if (efer & EFER_LMA) {
		return false;
	}
	return cr3_valid(vcpu, cr3, cr4, efer);
}

int vitro_write_cr0(struct vitro_vcpu *vcpu, u64 value)
{
	u64 old = vcpu_cr0(vcpu);
	u64 efer = vcpu->efer;

	if (value >> 32)
		return 1;
	/* Reserved bits of the lower half are ignored; ET reads as one. */
	value = (value & CR0_DEFINED) | X86_CR0_ET;
	if (value & X86_CR0_NW && !(value & X86_CR0_CD))
		return 1;
	if (value & X86_CR0_PG && !(value & X86_CR0_PE))
		return 1;

	if (value & X86_CR0_PG && !(old & X86_CR0_PG)) {
		if (efer & EFER_LME) {
			if (!(vcpu_cr4(vcpu) & X86_CR4_PAE) || static_call(vitro_cs_long)(vcpu))
				return 1;
			efer |= EFER_LMA;
		}
	} else if (!(value & X86_CR0_PG) && old & X86_CR0_PG) {
		if (vcpu_cr4(vcpu) & X86_CR4_PCIDE || static_call(vitro_cs_long)(vcpu))
			return 1;
		efer &= ~(u64)EFER_LMA;
	}
	if (value & X86_CR0_PG && vcpu_cr4(vcpu) & X86_CR4_PAE && !(efer & EFER_LMA) &&
	    (value ^ old) & CR0_LOADS_PDPTES &&
	    !vitro_read_pdptes(vcpu, vcpu_cr3(vcpu)))
		return 1;

	static_call(vitro_set_cr0)(vcpu, value);
	if (efer != vcpu->efer)
		static_call(vitro_set_efer)(vcpu, efer);
	if ((value ^ old) & CR0_PAGING_BITS)
		static_call(vitro_flush_guest_tlb)(vcpu);
	return 0;
}

int vitro_write_cr3(struct vitro_vcpu *vcpu, u64 value)
{
	u64 cr4 = vcpu_cr4(vcpu);
	bool keep = cr4 & X86_CR4_PCIDE && value & BIT_ULL(63);

	if (cr4 & X86_CR4_PCIDE)
		value &= ~BIT_ULL(63);
	if (!cr3_valid(vcpu, value, cr4, vcpu->efer))
		return 1;
	if (cr4 & X86_CR4_PAE && !(vcpu->efer & EFER_LMA) &&
	    vcpu_cr0(vcpu) & X86_CR0_PG && !vitro_read_pdptes(vcpu, value))
		return 1;
	static_call(vitro_set_cr3)(vcpu, value);
	if (!keep)
		static_call(vitro_flush_guest_tlb)(vcpu);
	return 0;
}

int vitro_write_cr4(struct vitro_vcpu *vcpu, u64 value)
{
	u64 old = vcpu_cr4(vcpu);
	bool pae_paging;

	if (value & vcpu->cr4_reserved)
		return 1;
	if (vcpu->efer & EFER_LMA && !(value & X86_CR4_PAE))
		return 1;
	if (value & X86_CR4_PCIDE && !(old & X86_CR4_PCIDE) &&
	    (!(vcpu->efer & EFER_LMA) || vcpu_cr3(vcpu) & 0xfff))
		return 1;
	pae_paging = value & X86_CR4_PAE && vcpu_cr0(vcpu) & X86_CR0_PG &&
		     !(vcpu->efer & EFER_LMA);
	if (pae_paging && (value ^ old) & CR4_LOADS_PDPTES &&
	    !vitro_read_pdptes(vcpu, vcpu_cr3(vcpu)))
		return 1;

	static_call(vitro_set_cr4)(vcpu, value);
	if ((value ^ old) & CR4_PAGING_BITS)
		static_call(vitro_flush_guest_tlb)(vcpu);
	if ((value ^ old) & X86_CR4_OSXSAVE)
		vitro_cpuid_runtime(vcpu);
	return 0;
}

int vitro_write_cr8(struct vitro_vcpu *vcpu, u64 value)
{
	if (value > 15)
		return 1;
	if (vcpu->lapic)
		vitro_lapic_set_tpr(vcpu, value << 4);
	else
		vcpu->cr8 = value;
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}

u64 vitro_read_cr8(struct vitro_vcpu *vcpu)
{
	return vcpu->lapic ? vitro_lapic_get_tpr(vcpu) >> 4 : vcpu->cr8;
}

int vitro_write_efer(struct vitro_vcpu *vcpu, u64 value)
{
	if (value & vcpu->efer_reserved)
		return 1;
	/* LME cannot change while paging is on; LMA is the processor's. */
	if (vcpu_cr0(vcpu) & X86_CR0_PG && (value ^ vcpu->efer) & EFER_LME)
		return 1;
	value = (value & ~(u64)EFER_LMA) | (vcpu->efer & EFER_LMA);
	if ((value ^ vcpu->efer) & EFER_NX)
		static_call(vitro_flush_guest_tlb)(vcpu);
	static_call(vitro_set_efer)(vcpu, value);
	return 0;
}

static int write_cr(struct vitro_vcpu *vcpu, unsigned int cr, u64 value)
{
	switch (cr) {
	case 0:
		return vitro_write_cr0(vcpu, value);
	case 3:
		return vitro_write_cr3(vcpu, value);
	case 4:
		return vitro_write_cr4(vcpu, value);
	case 8:
		return vitro_write_cr8(vcpu, value);
	default:
		return -1;
	}
}

static u64 read_cr(struct vitro_vcpu *vcpu, unsigned int cr)
{
	switch (cr) {
	case 0:
		return vcpu_cr0(vcpu);
	case 2:
		return vcpu->cr2;
	case 3:
		return vcpu_cr3(vcpu);
	case 4:
		return vcpu_cr4(vcpu);
	default:
		return vitro_read_cr8(vcpu);
	}
}

/* A 64-bit operand in 64-bit mode, 32 bits otherwise. */
static u64 operand_mask(struct vitro_vcpu *vcpu)
{
	return static_call(vitro_cs_long)(vcpu) ? ~0ULL : U32_MAX;
}

static int set_cr_as_asked(struct vitro_vcpu *vcpu, const struct vitro_exit *exit)
{
	u64 cr0 = vcpu_cr0(vcpu);

	switch (exit->cr.op) {
	case VITRO_CR_CLTS:
		return vitro_write_cr0(vcpu, cr0 & ~(u64)X86_CR0_TS);
	case VITRO_CR_LMSW:
		/* LMSW can set PE but not clear it. */
		return vitro_write_cr0(vcpu, (cr0 & ~0xeULL) | (exit->cr.value & 0xf));
	default:
		return write_cr(vcpu, exit->cr.cr,
				vcpu_gpr(vcpu, exit->cr.gpr) & operand_mask(vcpu));
	}
}

/**
 * vitro_exit_cr() - an access to a control register
 * @vcpu: the vCPU
 *
 * Return: 1 to go on, 0 or -errno to return to user space.
 */
int vitro_exit_cr(struct vitro_vcpu *vcpu)
{
	struct vitro_exit *exit = &vcpu->exit;
	u8 tpr_before;
	int r;

	if (exit->cr.op == VITRO_CR_READ) {
		vcpu_write_gpr(vcpu, exit->cr.gpr,
			       read_cr(vcpu, exit->cr.cr) & operand_mask(vcpu));
		return vitro_skip_insn(vcpu);
	}

	tpr_before = vitro_read_cr8(vcpu);
	r = set_cr_as_asked(vcpu, exit);
	if (r < 0) {
		vitro_queue_exception(vcpu, X86_TRAP_UD);
		return 1;
	}
	if (r) {
		vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return 1;
	}
	vitro_skip_insn(vcpu);
	if (exit->cr.cr != 8 || vcpu->lapic)
		return 1;
	/* A lowered TPR concerns an interrupt controller in user space. */
	if (tpr_before <= vitro_read_cr8(vcpu))
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}

/**
 * vitro_exit_dr() - an access to a debug register
 * @vcpu: the vCPU
 *
 * The guest's debug registers are in the processor only while one of its
 * breakpoints is enabled, so every access exits.
 *
 * Return: 1 to go on, 0 or -errno to return to user space.
 */
int vitro_exit_dr(struct vitro_vcpu *vcpu)
{
	struct vitro_exit *exit = &vcpu->exit;
	unsigned int dr;
	u64 value;

	dr = exit->dr.dr;
	/*
	 * DR4 and DR5 are other names of DR6 and DR7 unless CR4.DE says no; then there
	 * is no such instruction, whoever executes it.
	 */
	if ((dr == 4 || dr == 5) && vcpu_cr4(vcpu) & X86_CR4_DE) {
		vitro_queue_exception(vcpu, X86_TRAP_UD);
		return 1;
	}
	if (static_call(vitro_cpl)(vcpu)) {
		vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return 1;
	}
	if (dr == 4 || dr == 5)
		dr += 2;
	if (vcpu->active_dr7 & DR7_GD) {
		if (vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP))
			return vitro_debug_exit(vcpu, X86_TRAP_DB, DR6_BD);
		vitro_queue_db(vcpu, DR6_BD);
		return 1;
	}

	if (!exit->dr.write) {
		value = dr == 6 ? vcpu->dr6 : dr == 7 ? vcpu->dr7 : vcpu->dr[dr & 3];
		vcpu_write_gpr(vcpu, exit->dr.gpr, value & operand_mask(vcpu));
		return vitro_skip_insn(vcpu);
	}

	value = vcpu_gpr(vcpu, exit->dr.gpr) & operand_mask(vcpu);
	if (dr >= 6 && value >> 32) {
		vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
		return 1;
	}
	if (dr == 6) {
		vcpu->dr6 = (value & DR6_WRITABLE) | DR6_FIXED_ONES;
	} else if (dr == 7) {
		vcpu->dr7 = (value & DR7_WRITABLE) | DR7_FIXED_1;
		vitro_update_dr7(vcpu);
	} else {
		vcpu->dr[dr & 3] = value;
	}
	return vitro_skip_insn(vcpu);
}
