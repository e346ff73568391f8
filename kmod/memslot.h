/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory slots: which guest-physical ranges are backed by which user memory,
 * dirty logging, and access to guest memory through them.
 */
#ifndef VITRO_MEMSLOT_H
#define VITRO_MEMSLOT_H

#include <linux/bits.h>
#include <linux/kvm.h>
#include <linux/types.h>

struct vitro_vm;
struct vitro_vcpu;

#define VITRO_MAX_SLOTS		512

/*
 * In vitro_memslot.flags, above the API's: the slot is about to disappear.
 * Lookups do not find it any more, MMU notifiers still do.
 */
#define VITRO_MEM_INVALID	BIT(16)

/**
 * struct vitro_memslot - one range of guest-physical memory
 * @base_gfn:	first frame of 4 KiB
 * @npages:	number of such frames
 * @hva:	user address of the first byte
 * @flags:	KVM_MEM_*
 * @id:		slot number of the API
 * @dirty:	one bit a page while KVM_MEM_LOG_DIRTY_PAGES is set, or NULL
 * @dirty_shadow: second buffer of the same size, for KVM_GET_DIRTY_LOG to copy from
 */
struct vitro_memslot {
	u64 base_gfn;
	u64 npages;
	unsigned long hva;
	u32 flags;
	u16 id;
	unsigned long *dirty;
	unsigned long *dirty_shadow;
};

/*
 * The set of slots, sorted by base_gfn for a binary search. Never changed once
 * published but for @last: writers (vm->slots_lock) make a copy; readers hold
 * vm->srcu. There is one more behind the @nr slots, which begins above all frames and covers
 * nothing.
 *
 * @last is the slot that a search has found last, a hint: any of this set's is right.
 */
struct vitro_memslots {
	u64 generation;
	struct vitro_memslot *last;
	int nr;
	struct vitro_memslot slots[];
};

/*
 * memslot.c. All lookups: caller holds vm->srcu (vCPU threads inside the run
 * loop do) or vm->slots_lock.
 */
int vitro_memslots_init(struct vitro_vm *vm);
void vitro_memslots_free(struct vitro_vm *vm);
int vitro_set_memslot(struct vitro_vm *vm, const struct kvm_userspace_memory_region *region);
int vitro_get_dirty_log(struct vitro_vm *vm, const struct kvm_dirty_log *log);
struct vitro_memslot *vitro_logged_slot(struct vitro_vm *vm, u32 id);
int vitro_clear_dirty_log(struct vitro_vm *vm, const struct kvm_clear_dirty_log *log);
struct vitro_memslot *vitro_search_slot(struct vitro_memslots *slots, u64 gfn, u16 *gap);
void vitro_log_pages(struct vitro_vcpu *vcpu, const u64 *gpas, unsigned int n);
void vitro_mark_dirty(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 gfn);

/*
 * guestmem.c. Guest-physical access by copying through the slots' user
 * mappings; pages may be crossed. The caller's mm is vm->mm. 0 or -EFAULT
 * (no slot, or user memory not there). Writes mark pages dirty and refuse read-only slots.
 * _atomic, _peek: no sleeping (page faults disabled), failure if the page is not present now.
 * vitro_guest_cmpxchg: naturally aligned 1,2,4,8 (16: -EOPNOTSUPP) byte
 * compare-and-exchange; returns 0, -EAGAIN when *old differed (then updated), -EFAULT.
 */
int vitro_guest_read(struct vitro_vm *vm, u64 gpa, void *buf, size_t len);
int vitro_guest_read_atomic(struct vitro_vm *vm, u64 gpa, void *buf, size_t len);
bool vitro_guest_peek(struct vitro_vm *vm, u64 gpa, u32 *value, const u32 __user **where);
int vitro_guest_write(struct vitro_vm *vm, u64 gpa, const void *buf, size_t len);
int vitro_guest_cmpxchg(struct vitro_vm *vm, u64 gpa, u64 *old, u64 new, size_t len);

#endif /* VITRO_MEMSLOT_H */
