// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine checks as a guest sees them: the banks of error-reporting registers, and errors
 * that user space reports. The host's own machine checks never come here.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/mce.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "mce.h"
#include "vcpu.h"

/* Nothing beyond the count of banks that would need the processor's help. */
#define MCE_CAP_SUPPORTED	(MCG_CTL_P | MCG_SER_P)
#define MCE_CAP_SETTABLE	(MCE_CAP_SUPPORTED | MCG_BANKCNT_MASK | MCG_EXT_CNT_MASK)

/* Registers of a bank, in the order of their MSRs. */
enum { BANK_CTL, BANK_STATUS, BANK_ADDR, BANK_MISC, BANK_REGS };

static unsigned int nr_banks(const struct vitro_vcpu *vcpu)
{
	return vcpu->mce.cap & MCG_BANKCNT_MASK;
}

/* Where a bank's register is kept, NULL if the vCPU has no such bank. */
static u64 *bank_register(struct vitro_vcpu *vcpu, u32 msr)
{
	u32 index = msr - MSR_IA32_MC0_CTL, nr = nr_banks(vcpu) * BANK_REGS;

	if (index >= nr)
		return NULL;
	return &vcpu->mce.banks[array_index_nospec(index, nr)];
}

/**
 * vitro_mce_get_msr() - read a register of the machine-check architecture
 * @vcpu:  the vCPU
 * @msr:   MCG_CAP, MCG_STATUS, MCG_CTL or one of the range of the banks' registers
 * @value: where to put its value
 * @host:  for user space, not the guest
 *
 * Return: 0, or 1: #GP.
 */
int vitro_mce_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host)
{
	u64 *reg;

	switch (msr) {
	case MSR_IA32_MCG_CAP:
		*value = vcpu->mce.cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*value = vcpu->mce.status;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!host && !(vcpu->mce.cap & MCG_CTL_P))
			return 1;
		*value = vcpu->mce.ctl;
		return 0;
	default:
		reg = bank_register(vcpu, msr);
		if (!reg)
			return 1;
		*value = *reg;
		return 0;
	}
}

/*
 * SDM, "Error-Reporting Register Banks": software writes all ones or zero to the control
 * registers, and zero to the others. Systems leave out a bit of a control register that is
 * known to report what is no error, so any value is kept.
 */
static int set_bank(u64 *reg, u32 msr, u64 value, bool host)
{
	if (!reg)
		return 1;
	if (!host && (msr - MSR_IA32_MC0_CTL) % BANK_REGS == BANK_STATUS && value)
		return 1;
	*reg = value;
	return 0;
}

/**
 * vitro_mce_set_msr() - write a register of the machine-check architecture
 * @vcpu:  the vCPU
 * @msr:   as for vitro_mce_get_msr()
 * @value: its value
 * @host:  by user space, which restores what was saved
 *
 * Return: 0, or 1: #GP.
 */
int vitro_mce_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host)
{
	switch (msr) {
	case MSR_IA32_MCG_CAP:
		return 1;
	case MSR_IA32_MCG_STATUS:
		if (value && !host)
			return 1;
		vcpu->mce.status = value;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->mce.cap & MCG_CTL_P) && (value || !host))
			return 1;
		/* SDM, IA32_MCG_CTL: all ones or zero. */
		if (value && value != ~0ULL)
			return 1;
		vcpu->mce.ctl = value;
		return 0;
	default:
		return set_bank(bank_register(vcpu, msr), msr, value, host);
	}
}

/**
 * vitro_mce_get_supported() - KVM_X86_GET_MCE_CAP_SUPPORTED
 *
 * Return: bits that MCG_CAP may have; the number of banks comes in addition.
 */
u64 vitro_mce_get_supported(void)
{
	return MCE_CAP_SUPPORTED;
}

/**
 * vitro_mce_setup() - KVM_X86_SETUP_MCE
 * @vcpu: the vCPU, its mutex held
 * @cap:  its MCG_CAP from now on
 *
 * Enables the reporting of all errors, in all banks. Capabilities that processors of this
 * vendor do not know are left out.
 *
 * Return: 0; -EINVAL: no banks, too many, or a capability that is not supported; -ENOMEM.
 */
int vitro_mce_setup(struct vitro_vcpu *vcpu, u64 cap)
{
	unsigned int i, nr = cap & MCG_BANKCNT_MASK;
	u64 *banks = vcpu->mce.banks;

	if (!nr || nr > VITRO_MAX_MCE_BANKS || cap & ~(u64)MCE_CAP_SETTABLE)
		return -EINVAL;
	if (!banks) {
		banks = kcalloc(VITRO_MAX_MCE_BANKS * BANK_REGS, sizeof(*banks),
				GFP_KERNEL_ACCOUNT);
		if (!banks)
			return -ENOMEM;
		vcpu->mce.banks = banks;
	}
	vcpu->mce.cap = cap & ~vitro_caps.mcg_cap_reserved;
	vcpu->mce.ctl = cap & MCG_CTL_P ? ~0ULL : 0;
	for (i = 0; i < nr; i++)
		banks[i * BANK_REGS + BANK_CTL] = ~0ULL;
	return 0;
}

static void fill_bank(u64 *bank, const struct kvm_x86_mce *mce)
{
	bank[BANK_STATUS] = mce->status | (bank[BANK_STATUS] & MCI_STATUS_VAL ?
					   MCI_STATUS_OVER : 0);
	bank[BANK_ADDR] = mce->addr;
	bank[BANK_MISC] = mce->misc;
}

/* An error that the processor could not correct: the guest's handler is called. */
static void raise(struct vitro_vcpu *vcpu, u64 *bank, const struct kvm_x86_mce *mce)
{
	if (vcpu->mce.status & MCG_STATUS_MCIP || !(vcpu_cr4(vcpu) & X86_CR4_MCE)) {
		/* SDM, "Machine-Check Global Status MSR": a second one shuts down. */
		vitro_request(vcpu, VITRO_REQ_TRIPLE_FAULT);
		return;
	}
	fill_bank(bank, mce);
	vcpu->mce.status = mce->mcg_status;
	vitro_queue_exception(vcpu, X86_TRAP_MC);
}

/* SDM, "UCR Error Classification": uncorrected, no action required. It is only logged. */
static bool no_action_required(const struct kvm_x86_mce *mce)
{
	return !mce->mcg_status &&
	       !(mce->status & (MCI_STATUS_PCC | MCI_STATUS_S | MCI_STATUS_AR));
}

/**
 * vitro_mce_inject() - KVM_X86_SET_MCE
 * @vcpu: the vCPU, loaded
 * @mce:  the error
 *
 * An uncorrected error whose reporting the guest has disabled is dropped.
 *
 * Return: 0; -EINVAL: there is no such bank, or the error is not valid.
 */
int vitro_mce_inject(struct vitro_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	u64 *bank = bank_register(vcpu, MSR_IA32_MC0_CTL + mce->bank * BANK_REGS);

	if (!bank || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	if (mce->status & MCI_STATUS_UC && no_action_required(mce)) {
		fill_bank(bank, mce);
	} else if (mce->status & MCI_STATUS_UC) {
		if ((vcpu->mce.cap & MCG_CTL_P && vcpu->mce.ctl != ~0ULL) ||
		    bank[BANK_CTL] != ~0ULL)
			return 0;
		raise(vcpu, bank, mce);
	} else if (!(bank[BANK_STATUS] & MCI_STATUS_VAL) ||
		   !(bank[BANK_STATUS] & MCI_STATUS_UC)) {
		fill_bank(bank, mce);
	} else {
		/* SDM, "Machine Check Overwrite Rules": an uncorrected error stays. */
		bank[BANK_STATUS] |= MCI_STATUS_OVER;
	}
	return 0;
}
