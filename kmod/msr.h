/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Model-specific registers: which there are, and what accesses do.
 */
#ifndef VITRO_MSR_H
#define VITRO_MSR_H

#include <linux/compiler.h>
#include <linux/types.h>

struct kvm_msrs;
struct vitro_vcpu;

/* 0, or enum vitro_msr_fault: #GP. @host: by user space, which may set read-only ones. The vCPU's thread, loaded. */
int vitro_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value, bool host);
int vitro_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value, bool host);

/* Can writing it sleep? */
bool vitro_msr_write_sleeps(u32 msr);

u64 vitro_arch_capabilities(void);

/* Power-up values. */
void vitro_msr_reset(struct vitro_vcpu *vcpu);

/* Ioctls. Number of MSRs done, 0, or -errno. */
long vitro_get_msrs(struct vitro_vcpu *vcpu, const struct kvm_msrs *head, void __user *entries);
long vitro_set_msrs(struct vitro_vcpu *vcpu, const struct kvm_msrs *head, void __user *entries);
long vitro_get_feature_msrs(const struct kvm_msrs *head, void __user *entries);
long vitro_get_msr_index_list(void *head, unsigned long arg);
long vitro_get_msr_feature_index_list(void *head, unsigned long arg);

#endif /* VITRO_MSR_H */
