/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MSR accesses that user space forbids or wants for itself.
 */
#ifndef VITRO_MSR_FILTER_H
#define VITRO_MSR_FILTER_H

#include <linux/kvm.h>
#include <linux/types.h>

struct vitro_vcpu;
struct vitro_vm;

/* What is wrong with an access; 0: nothing. */
enum vitro_msr_fault {
	VITRO_MSR_INVALID = 1,		/* there is such an MSR, but not so */
	VITRO_MSR_UNKNOWN,		/* there is no such MSR */
	VITRO_MSR_FILTERED,		/* the filter forbids it */
};

#define VITRO_MSR_USER_REASONS						\
	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER)

/**
 * struct vitro_msr_filter - a VM's filter; immutable once published
 * @deny:	what no range has is forbidden
 * @nr:		number of @ranges
 * @ranges:	the first that has the MSR and the kind of access decides
 */
struct vitro_msr_filter {
	bool deny;
	int nr;
	struct vitro_msr_range {
		u32 base;
		u32 nr;				/* MSRs, not 0 */
		u32 access;			/* KVM_MSR_FILTER_READ, _WRITE */
		unsigned long *allowed;		/* a bit each */
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
};

/* @access: KVM_MSR_FILTER_READ or _WRITE. vm->srcu or vm->slots_lock held. */
bool vitro_msr_allowed(const struct vitro_msr_filter *filter, u32 msr, u32 access);
/* Are all of @msrs allowed in both ways? NULL allows all. */
bool vitro_msrs_allowed(struct vitro_vm *vm, const u32 *msrs, unsigned int nr);

/* KVM_X86_SET_MSR_FILTER */
int vitro_set_msr_filter(struct vitro_vm *vm, const struct kvm_msr_filter *args);
void vitro_free_msr_filter(struct vitro_vm *vm);

/* Does user space want accesses with this fault? */
bool vitro_msr_is_users(struct vitro_vm *vm, int fault);
/* #GP or an exit to user space: as a handler of exit.c. */
int vitro_msr_refused(struct vitro_vcpu *vcpu, u32 msr, bool write, u64 value, int fault);

#endif /* VITRO_MSR_FILTER_H */
