/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The "hot" level of the run loop: preemption is off and the guest's XSAVE
 * state, XCR0 and enabled breakpoints are in the registers.
 */
#ifndef VITRO_HOT_H
#define VITRO_HOT_H

struct vitro_vcpu;

void vitro_hot_begin(struct vitro_vcpu *vcpu);
void vitro_hot_end(struct vitro_vcpu *vcpu);
void vitro_hot_debug_load(struct vitro_vcpu *vcpu);
void vitro_hot_debug_restore(struct vitro_vcpu *vcpu);
void vitro_hot_xcr0(struct vitro_vcpu *vcpu);

#endif /* VITRO_HOT_H */
