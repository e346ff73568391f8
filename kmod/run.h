/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The run loop's interface to the rest of the module; kicks and remote
 * flushes are declared in vcpu.h and tdp.h.
 */
#ifndef VITRO_RUN_H
#define VITRO_RUN_H

#include <linux/types.h>

struct vitro_vcpu;

int vitro_run_init(void);
void vitro_run_exit(void);

/* exit.c: decides about vcpu->exit. */

/* Inner loop, IRQs off: true if dealt with; else vitro_handle_exit() is due. */
bool vitro_handle_exit_fast(struct vitro_vcpu *vcpu);

/* IRQs on, vm->srcu held: 1: go on; 0: kvm_run is filled; -errno. */
int vitro_handle_exit(struct vitro_vcpu *vcpu);

#endif /* VITRO_RUN_H */
