/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Port I/O, between the exit, in-kernel devices and user space.
 */
#ifndef VITRO_PIO_H
#define VITRO_PIO_H

#include <linux/types.h>

struct vitro_vcpu;

/* For the emulator's INS and OUTS: enum emul_result. */
int vitro_string_in(struct vitro_vcpu *vcpu, u16 port, unsigned int size, void *buf,
		    unsigned int count);
int vitro_string_out(struct vitro_vcpu *vcpu, u16 port, unsigned int size, const void *buf,
		     unsigned int count);

/* Fills kvm_run with KVM_EXIT_IO for vcpu->io.pio. */
void vitro_fill_io_exit(struct vitro_vcpu *vcpu);

#endif /* VITRO_PIO_H */
