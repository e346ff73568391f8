/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's x87, SSE, AVX and AVX-512 state: an XSAVE image in standard
 * format, moved into the registers while the vCPU is hot.
 */
#ifndef VITRO_XSTATE_H
#define VITRO_XSTATE_H

#include <linux/types.h>
#include <asm/fpu/types.h>

struct kvm_fpu;
struct kvm_xcrs;
struct kvm_xsave;
struct vitro_vcpu;

/* Legacy area and header of an XSAVE image, bytes. */
#define VITRO_XSAVE_LEGACY_SIZE	(sizeof(struct fxregs_state) + sizeof(struct xstate_header))

extern u64 vitro_host_xcr0;	/* 0: the processor has no XSAVE */
extern u64 vitro_guest_xcr0;	/* XCR0 bits that a guest can have */

void vitro_xstate_init(void);
u32 vitro_xstate_size(u64 xcr0);

int vitro_xstate_alloc(struct vitro_vcpu *vcpu);
void vitro_xstate_free(struct vitro_vcpu *vcpu);
void vitro_xstate_reset(struct vitro_vcpu *vcpu);

/* Registers <-> image; between kernel_fpu_begin() and kernel_fpu_end(). */
void vitro_xstate_load(struct vitro_vcpu *vcpu);
void vitro_xstate_save(struct vitro_vcpu *vcpu);

/* Ioctls: vcpu->mutex held. */
void vitro_get_fpu(struct vitro_vcpu *vcpu, struct kvm_fpu *fpu);
int vitro_set_fpu(struct vitro_vcpu *vcpu, const struct kvm_fpu *fpu);
void vitro_get_xsave(struct vitro_vcpu *vcpu, struct kvm_xsave *xsave);
int vitro_set_xsave(struct vitro_vcpu *vcpu, const struct kvm_xsave *xsave);
int vitro_get_xcrs(struct vitro_vcpu *vcpu, struct kvm_xcrs *xcrs);
int vitro_set_xcrs(struct vitro_vcpu *vcpu, const struct kvm_xcrs *xcrs);

/* XSETBV. 0, or 1: #GP. */
int vitro_write_xcr(struct vitro_vcpu *vcpu, u32 index, u64 value);

/* A vector register of the image, for the emulator; not hot. @len 16 or 32 bytes. */
void vitro_xstate_get_vector(struct vitro_vcpu *vcpu, unsigned int reg, void *buf, unsigned int len);
void vitro_xstate_set_vector(struct vitro_vcpu *vcpu, unsigned int reg, const void *buf,
			     unsigned int len, bool zero_upper);

#endif /* VITRO_XSTATE_H */
