/* SPDX-License-Identifier: GPL-2.0-only */
/* Machine checks as a guest sees them. */
#ifndef VITRO_MCE_H
#define VITRO_MCE_H

#include <linux/types.h>
#include <asm/msr-index.h>

struct kvm_x86_mce;
struct vitro_vcpu;

#define VITRO_MAX_MCE_BANKS	32

/* MSRs of the banks: whether a vCPU has them depends on its MCG_CAP. */
#define VITRO_MCE_FIRST_MSR	MSR_IA32_MC0_CTL
#define VITRO_MCE_LAST_MSR	(MSR_IA32_MC0_CTL + 4 * VITRO_MAX_MCE_BANKS - 1)

int vitro_mce_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host);
int vitro_mce_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host);
u64 vitro_mce_get_supported(void);
int vitro_mce_setup(struct vitro_vcpu *vcpu, u64 cap);
int vitro_mce_inject(struct vitro_vcpu *vcpu, const struct kvm_x86_mce *mce);

#endif /* VITRO_MCE_H */
