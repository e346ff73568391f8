/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID: what can be offered, what a guest has been given, and what follows
 * from it.
 */
#ifndef VITRO_CPUID_H
#define VITRO_CPUID_H

#include <linux/compiler.h>
#include <linux/types.h>

struct kvm_cpuid2;
struct kvm_cpuid_entry2;
struct vitro_vcpu;

/* As many as struct kvm_cpuid2 can have in KVM. */
#define VITRO_MAX_CPUID		256

/* cpuid.c: the host's side. Allocates; *@nent is set. -ENOMEM. */
struct kvm_cpuid_entry2 *vitro_build_supported_cpuid(u32 *nent);
int vitro_get_supported_cpuid(struct kvm_cpuid2 *head, void __user *entries);

/* cpuid_guest.c: the guest's. vcpu->mutex held, loaded. */
void vitro_cpuid_defaults(struct vitro_vcpu *vcpu);
int vitro_set_cpuid(struct vitro_vcpu *vcpu, const struct kvm_cpuid2 *head, void __user *entries);
int vitro_get_cpuid(struct vitro_vcpu *vcpu, struct kvm_cpuid2 *head, void __user *entries);
u32 vitro_cpuid_signature(struct vitro_vcpu *vcpu);
/* CR4.OSXSAVE, XCR0, the APIC base or IA32_MISC_ENABLE have changed: bits of CPUID show them. */
void vitro_cpuid_runtime(struct vitro_vcpu *vcpu);
/* The CPUID instruction, short of advancing RIP. */
void vitro_cpuid_execute(struct vitro_vcpu *vcpu);

#endif /* VITRO_CPUID_H */
