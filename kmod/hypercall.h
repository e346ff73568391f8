/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls. All are "exit" functions of insn.h.
 */
#ifndef VITRO_HYPERCALL_H
#define VITRO_HYPERCALL_H

struct vitro_vcpu;

/* The processor's own hypercall instruction; vcpu->exit.insn_len is known. */
int vitro_exit_hypercall(struct vitro_vcpu *vcpu);

/* An instruction raises #UD. */
int vitro_exit_ud(struct vitro_vcpu *vcpu);

#endif /* VITRO_HYPERCALL_H */
