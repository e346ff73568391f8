/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vCPU's architectural state as the API reads and writes it. Handlers for
 * the table in vcpu_ioctl.c: vcpu->mutex is held and the vCPU is loaded.
 */
#ifndef VITRO_VCPU_STATE_H
#define VITRO_VCPU_STATE_H

struct kvm_debugregs;
struct kvm_mp_state;
struct kvm_regs;
struct kvm_sregs;
struct kvm_sregs2;
struct kvm_vcpu_events;
struct vitro_vcpu;

void vitro_get_regs(struct vitro_vcpu *vcpu, struct kvm_regs *regs);
void vitro_set_regs(struct vitro_vcpu *vcpu, const struct kvm_regs *regs);
void vitro_get_sregs(struct vitro_vcpu *vcpu, struct kvm_sregs *sregs);
int vitro_set_sregs(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs);
void vitro_get_sregs2(struct vitro_vcpu *vcpu, struct kvm_sregs2 *sregs2);
int vitro_set_sregs2(struct vitro_vcpu *vcpu, const struct kvm_sregs2 *sregs2);
int vitro_get_mp_state(struct vitro_vcpu *vcpu, struct kvm_mp_state *state);
int vitro_set_mp_state(struct vitro_vcpu *vcpu, const struct kvm_mp_state *state);
void vitro_get_events(struct vitro_vcpu *vcpu, struct kvm_vcpu_events *events);
int vitro_set_events(struct vitro_vcpu *vcpu, const struct kvm_vcpu_events *events);
int vitro_regs_from_run(struct vitro_vcpu *vcpu, u64 which, u64 valid);
void vitro_regs_to_run(struct vitro_vcpu *vcpu, u64 which);
void vitro_get_debugregs(struct vitro_vcpu *vcpu, struct kvm_debugregs *regs);
int vitro_set_debugregs(struct vitro_vcpu *vcpu, const struct kvm_debugregs *regs);

#endif /* VITRO_VCPU_STATE_H */
