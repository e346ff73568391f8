// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host tells about its page tables: a range of user addresses is
 * about to change, has changed, or its use is to be sampled. tdp_map.c has
 * the other half of the protocol.
 */
#include <linux/mmu_notifier.h>

#include "compat.h"
#include "tdp_internal.h"

/*
 * The frames of @slot whose user memory overlaps [start, end). False if none.
 */
static bool frames_of(const struct vitro_memslot *slot, unsigned long start, unsigned long end,
		      u64 *first, u64 *last)
{
	start = max(start, slot->hva);
	end = min(end, slot->hva + (slot->npages << PAGE_SHIFT));
	if (start >= end)
		return false;
	*first = slot->base_gfn + ((start - slot->hva) >> PAGE_SHIFT);
	*last = slot->base_gfn + ((end - 1 - slot->hva) >> PAGE_SHIFT);
	return true;
}

/* Zap what maps [start, end). vm->srcu and, for writing, mmu_lock held. */
static void zap_range(struct vitro_vm *vm, unsigned long start, unsigned long end,
		      struct tdp_gather *gather)
{
	struct vitro_memslots *slots = srcu_dereference(vm->memslots, &vm->srcu);
	u64 first, last;
	int i;

	for (i = 0; i < slots->nr; i++)
		if (frames_of(&slots->slots[i], start, end, &first, &last))
			tdp_zap_locked(vm, first, last + 1, gather);
}

/*
 * The bookkeeping is done for every range, whether or not a slot covers it:
 * slots can come and go between start and end.
 */
static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct vitro_vm *vm = container_of(notifier, struct vitro_vm, mmu_notifier);
	struct vitro_tdp *tdp = &vm->tdp;
	int srcu = srcu_read_lock(&vm->srcu);
	DEFINE_TDP_GATHER(gather);

	write_lock(&vm->mmu_lock);
	if (!tdp->invalidate_count++) {
		tdp->invalidate_start = range->start;
		tdp->invalidate_end = range->end;
	} else {
		tdp->invalidate_start = min(tdp->invalidate_start, range->start);
		tdp->invalidate_end = max(tdp->invalidate_end, range->end);
	}
	zap_range(vm, range->start, range->end, &gather);
	tdp_gather_flush(vm, &gather);
	write_unlock(&vm->mmu_lock);
	srcu_read_unlock(&vm->srcu, srcu);

	tdp_gather_free(vm, &gather, mmu_notifier_range_blockable(range));
	/* Nothing above sleeps: a caller that must not block is served as well. */
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct vitro_vm *vm = container_of(notifier, struct vitro_vm, mmu_notifier);

	write_lock(&vm->mmu_lock);
	vm->tdp.invalidate_seq++;
	vm->tdp.invalidate_count--;
	write_unlock(&vm->mmu_lock);
}

/* The process is gone: from here on it takes its pages away without saying so. */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	vitro_tdp_zap_all(container_of(notifier, struct vitro_vm, mmu_notifier));
}

/*
 * Accessed since the last call? Called under the host's page-table lock: must
 * not sleep.
 */
static bool age_range(struct vitro_vm *vm, unsigned long start, unsigned long end, bool clear)
{
	struct vitro_memslots *slots = srcu_dereference(vm->memslots, &vm->srcu);
	bool young = false;
	u64 first, last;
	int i;

	for (i = 0; i < slots->nr; i++)
		if (frames_of(&slots->slots[i], start, end, &first, &last))
			young |= tdp_age(vm, first, last + 1, clear);
	return young;
}

/*
 * Without accessed bits a mapping itself is the mark: it is removed, and comes
 * back with the next access. Otherwise a page would look used forever and never
 * be swapped out.
 */
static bool age_by_zapping(struct vitro_vm *vm, unsigned long start, unsigned long end)
{
	DEFINE_TDP_GATHER(gather);
	bool young;

	write_lock(&vm->mmu_lock);
	zap_range(vm, start, end, &gather);
	young = gather.flush;
	tdp_gather_flush(vm, &gather);
	write_unlock(&vm->mmu_lock);
	tdp_gather_free(vm, &gather, false);
	return young;
}

static vitro_young_t clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				 unsigned long start, unsigned long end)
{
	struct vitro_vm *vm = container_of(notifier, struct vitro_vm, mmu_notifier);
	int srcu = srcu_read_lock(&vm->srcu);
	bool young;

	if (tdp_format()->accessed)
		young = age_range(vm, start, end, true);
	else
		young = age_by_zapping(vm, start, end);
	srcu_read_unlock(&vm->srcu, srcu);
	return young;
}

static vitro_young_t test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
				unsigned long address)
{
	struct vitro_vm *vm = container_of(notifier, struct vitro_vm, mmu_notifier);
	int srcu = srcu_read_lock(&vm->srcu);
	bool young = age_range(vm, address, address + 1, false);

	srcu_read_unlock(&vm->srcu, srcu);
	return young;
}

/*
 * No change_pte: it is called between start and end, when the old mapping has
 * already been zapped; the next fault finds the new page.
 */
const struct mmu_notifier_ops vitro_mmu_notifier_ops = {
	.invalidate_range_start	= invalidate_range_start,
	.invalidate_range_end	= invalidate_range_end,
	.release		= release,
	.clear_flush_young	= clear_young,	/* see tdp_age() why it need not flush */
	.clear_young		= clear_young,
	.test_young		= test_young,
};
