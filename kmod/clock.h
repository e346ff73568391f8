/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest time: the TSC and the kvmclock pages.
 */
#ifndef VITRO_CLOCK_H
#define VITRO_CLOCK_H

#include <linux/types.h>

#include "vcpu.h"

struct kvm_clock_data;
struct vitro_vm;

void vitro_clock_init(struct vitro_vm *vm);

/* KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL. 0 or -EINVAL. */
int vitro_get_clock(struct vitro_vm *vm, struct kvm_clock_data *data);
int vitro_set_clock(struct vitro_vm *vm, const struct kvm_clock_data *data);
int vitro_clock_paused(struct vitro_vcpu *vcpu);
void vitro_clock_vcpu_added(struct vitro_vcpu *vcpu);

/* MSR_KVM_WALL_CLOCK and MSR_KVM_SYSTEM_TIME; may sleep. 0, or 1: #GP. */
int vitro_write_wall_clock(struct vitro_vcpu *vcpu, u64 value);
int vitro_set_system_time(struct vitro_vcpu *vcpu, u64 value);

/* VITRO_REQ_CLOCK: write the vCPU's page anew; may sleep; vm->srcu held. */
void vitro_clock_update(struct vitro_vcpu *vcpu);

/* The vCPU is loaded, preemption is off: ask for what vitro_clock_update() could not do. */
static inline void vitro_clock_load(struct vitro_vcpu *vcpu)
{
	if (vcpu->clock.stale)
		vitro_request(vcpu, VITRO_REQ_CLOCK);
}

/* IA32_TSC and IA32_TSC_ADJUST; @host: by user space. The vCPU's thread. */
void vitro_tsc_reset(struct vitro_vcpu *vcpu);
void vitro_tsc_write(struct vitro_vcpu *vcpu, u64 value, bool host);
int vitro_tsc_set_khz(struct vitro_vcpu *vcpu, unsigned long khz);
/* KVM_VCPU_TSC_OFFSET */
void vitro_tsc_set_offset(struct vitro_vcpu *vcpu, u64 offset);
void vitro_tsc_adjust(struct vitro_vcpu *vcpu, u64 value, bool host);

#endif /* VITRO_CLOCK_H */
