/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two-dimensional paging: the nested page tables (EPT or NPT) of a VM, one
 * tree of four levels shared by all its vCPUs.
 *
 * vm->mmu_lock: faults hold it for reading and install entries by
 * compare-and-exchange; whoever removes or watches entries holds it
 * for writing and flushes before the pages they led to can be reused.
 */
#ifndef VITRO_TDP_H
#define VITRO_TDP_H

#include <linux/atomic.h>
#include <linux/types.h>

struct vitro_vm;
struct vitro_vcpu;
struct vitro_memslot;

/**
 * struct vitro_tdp - a VM's nested page tables
 * @root:	the top-level table
 * @root_hpa:	its host-physical address, for EPTP or nCR3
 * @top:	a fifth level above @root, where the format's host_levels demands it
 * @nr_tables:	pages used for tables
 * @invalidate_seq: grows when an invalidation ends (mmu_lock for writing)
 * @invalidate_count: invalidations in progress (mmu_lock for writing)
 * @invalidate_start: first user address that they cover
 * @invalidate_end: end of it
 */
struct vitro_tdp {
	u64 *root;
	u64 root_hpa;
	u64 *top;
	atomic_long_t nr_tables;
	unsigned long invalidate_seq;
	int invalidate_count;
	unsigned long invalidate_start;
	unsigned long invalidate_end;
};

/**
 * struct vitro_tdp_cache - zeroed tables that a vCPU keeps in store for its faults
 * @nr:		how many
 * @tables:	enough for one fault: a table for each level below the root
 */
struct vitro_tdp_cache {
	int nr;
	u64 *tables[3];
};

enum vitro_tdp_result {
	VITRO_TDP_DONE,		/* mapped (or spurious): enter again */
	VITRO_TDP_MMIO,		/* no slot, or a write to a read-only slot */
	VITRO_TDP_SLOW,		/* fast path only: needs sleep, use vitro_tdp_fault() */
	VITRO_TDP_ERROR,	/* user memory not accessible: -EFAULT to user space */
};

int vitro_tdp_create(struct vitro_vm *vm);	/* also registers the mmu_notifier */
void vitro_tdp_release(struct vitro_vm *vm);	/* unregisters; no vCPU runs any more */
void vitro_tdp_destroy(struct vitro_vm *vm);

/* hot, IRQs off; never sleeps; vm->srcu held */
enum vitro_tdp_result vitro_tdp_fault_fast(struct vitro_vcpu *vcpu, u64 gpa, u8 access);
/* process context, IRQs on, vm->srcu held. VITRO_TDP_ERROR: *err is -errno */
enum vitro_tdp_result vitro_tdp_fault(struct vitro_vcpu *vcpu, u64 gpa, u8 access, int *err);

/* process context; they take mmu_lock and flush */
void vitro_tdp_zap_gfns(struct vitro_vm *vm, u64 start_gfn, u64 end_gfn);
void vitro_tdp_zap_all(struct vitro_vm *vm);
void vitro_tdp_watch_slot(struct vitro_vm *vm, const struct vitro_memslot *slot);
void vitro_tdp_end_log(struct vitro_vm *vm, const struct vitro_memslot *slot);
/*
 * watch the pages of a 64-page chunk whose bits are in @mask; mmu_lock held for
 * writing, caller flushes. Returns true if a flush is needed.
 */
bool vitro_tdp_watch_mask(struct vitro_vm *vm, u64 base_gfn, unsigned long mask);

/* run.c: all vCPUs of the VM drop their nested translations; returns when none uses old ones */
void vitro_flush_remote_tlbs(struct vitro_vm *vm);

#endif /* VITRO_TDP_H */
