/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty rings: pages that have been written, vCPU by vCPU, instead of bitmaps.
 */
#ifndef VITRO_DIRTY_RING_H
#define VITRO_DIRTY_RING_H

#include <linux/types.h>

struct page;
struct vitro_memslot;
struct vitro_vcpu;
struct vitro_vm;

/* Entries of struct kvm_dirty_gfn in a ring, at most; a multiple of a page at least. */
#define VITRO_DIRTY_RING_MAX	65536U
#define VITRO_DIRTY_RING_MIN	256U

/* KVM_CAP_DIRTY_LOG_RING: @bytes of each ring. vm->lock held. 0, -EINVAL, -E2BIG. */
int vitro_dirty_ring_enable(struct vitro_vm *vm, u64 bytes);
/* KVM_RESET_DIRTY_RINGS: entries taken back. */
int vitro_dirty_ring_reset(struct vitro_vm *vm);

int vitro_dirty_ring_alloc(struct vitro_vcpu *vcpu);
void vitro_dirty_ring_free(struct vitro_vcpu *vcpu);
/* The page @i of the vCPU's ring, or NULL. */
struct page *vitro_dirty_ring_page(struct vitro_vcpu *vcpu, unsigned long i);
/* Is there room for less than what happens before one looks again? */
bool vitro_dirty_ring_full(const struct vitro_vcpu *vcpu);
/* Pages until it is so; U32_MAX without a ring. */
u32 vitro_dirty_ring_room(const struct vitro_vcpu *vcpu);

/* memslot.c: a page that has not been dirty is now. Any context of a vCPU's thread. */
bool vitro_dirty_ring_push(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 offset);
/* memslot.c: the same, of a page that the processor has logged. */
bool vitro_dirty_ring_enter(struct vitro_vcpu *vcpu, const struct vitro_memslot *slot, u64 offset);

#endif /* VITRO_DIRTY_RING_H */
