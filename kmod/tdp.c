// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nested page tables as a whole: making and freeing them, and taking
 * mappings away. tdp_map.c puts mappings in.
 *
 * Whoever takes mappings away holds mmu_lock for writing from the first
 * removed entry to the end of the flush. A second one who finds nothing left
 * to remove may then conclude that no processor uses it either. Tables are
 * unlinked with all that is below them by one store to the entry that led to
 * them, flushed, and freed after the lock is dropped: the time under the lock
 * does not depend on how much is mapped.
 */
#include <linux/gfp.h>
#include <linux/sched.h>
#include <asm/pgtable.h>

#include "tdp_internal.h"

/* Pages mapped that are watched in one go under mmu_lock: some 100 microseconds. */
#define PROTECT_BATCH	(32 * TDP_ENTRIES)

static u64 *alloc_table(struct vitro_vm *vm)
{
	u64 *table = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (table)
		atomic_long_inc(&vm->tdp.nr_tables);
	return table;
}

/**
 * vitro_tdp_create() - make a VM's nested page tables
 * @vm: the new VM; vm->mm is set, memslots are initialised
 *
 * Registers the MMU notifier too: from here on the host's changes are followed.
 *
 * Context: process context, current->mm is vm->mm.
 * Return: 0, -ENOMEM, or -EINTR when killed while waiting.
 */
int vitro_tdp_create(struct vitro_vm *vm)
{
	struct vitro_tdp *tdp = &vm->tdp;
	int err;

	tdp->root = alloc_table(vm);
	if (!tdp->root)
		return -ENOMEM;
	tdp->root_hpa = __sme_set(__pa(tdp->root));

	/* Only the lowest of the fifth level's entries is used: 48 bits suffice. */
	if (tdp_format()->host_levels && pgtable_l5_enabled()) {
		tdp->top = alloc_table(vm);
		if (!tdp->top) {
			err = -ENOMEM;
			goto free;
		}
		tdp->top[0] = tdp_link(tdp->root);
		tdp->root_hpa = __sme_set(__pa(tdp->top));
	}

	vm->mmu_notifier.ops = &vitro_mmu_notifier_ops;
	err = mmu_notifier_register(&vm->mmu_notifier, vm->mm);
	if (err)
		goto free;
	return 0;

free:
	free_page((unsigned long)tdp->top);
	free_page((unsigned long)tdp->root);
	return err;
}

/**
 * vitro_tdp_release() - stop following the host's page tables
 * @vm: the dying VM; no vCPU runs any more, none will
 *
 * Context: process context; waits for notifier callbacks in progress.
 */
void vitro_tdp_release(struct vitro_vm *vm)
{
	int i;

	mmu_notifier_unregister(&vm->mmu_notifier, vm->mm);
	for (i = 0; i < vm->nr_vcpus; i++)
		tdp_cache_free(vm->vcpus[i]);
}

/* Free @table and all below it, which no processor uses any more. */
static void free_table(struct vitro_vm *vm, u64 *table, int level, bool may_sleep)
{
	long leaves = 0;
	int i;

	for (i = 0; i < TDP_ENTRIES; i++) {
		if (!table[i])
			continue;
		if (tdp_is_leaf(table[i], level))
			leaves++;
		else
			free_table(vm, tdp_table(table[i]), level - 1, may_sleep);
	}
	if (leaves) {
		tdp_count(vm, level, -leaves);
		atomic64_add(leaves, (atomic64_t *)&vm->stats.tdp_zaps);
	}
	free_page((unsigned long)table);
	atomic_long_dec(&vm->tdp.nr_tables);
	if (may_sleep)
		cond_resched();
}

/**
 * vitro_tdp_destroy() - free a VM's nested page tables
 * @vm: the dying VM, after vitro_tdp_release()
 *
 * Context: process context.
 */
void vitro_tdp_destroy(struct vitro_vm *vm)
{
	struct vitro_tdp *tdp = &vm->tdp;

	free_page((unsigned long)tdp->top);
	free_table(vm, tdp->root, TDP_LEVELS, true);
	tdp->top = NULL;
	tdp->root = NULL;
}

static void zap_leaf(struct vitro_vm *vm, u64 *entry, int level)
{
	/* Atomic: the processor may be setting its accessed bit. */
	xchg(entry, 0);
	tdp_count(vm, level, -1);
	atomic64_inc((atomic64_t *)&vm->stats.tdp_zaps);
}

/* Zap [start, end) below @table, whose first entry is for @base. */
static void zap_table(struct vitro_vm *vm, u64 *table, int level, u64 base, u64 start, u64 end,
		      struct tdp_gather *gather)
{
	u64 size = tdp_pages(level);
	u64 gfn = max(start, base);
	u64 limit = min(end, base + TDP_ENTRIES * size);
	u64 entry, low;
	u64 *p;

	for (; gfn < limit; gfn = low + size) {
		low = gfn & ~(size - 1);
		p = &table[tdp_index(gfn, level)];
		entry = READ_ONCE(*p);
		if (!entry)
			continue;
		if (tdp_is_leaf(entry, level)) {
			zap_leaf(vm, p, level);
			gather->flush = true;
		} else if (start <= low && low + size <= end) {
			struct page *page = virt_to_page(tdp_table(entry));

			xchg(p, 0);
			set_page_private(page, level - 1);
			list_add(&page->lru, &gather->tables);
			gather->flush = true;
		} else {
			zap_table(vm, tdp_table(entry), level - 1, low, start, end, gather);
		}
	}
}

/**
 * tdp_zap_locked() - take all mappings of a range of guest frames out of the tree
 * @vm:     the VM
 * @start:  first guest frame
 * @end:    frame after the last; a large leaf that covers only some of the
 *	    range goes as a whole
 * @gather: collects what was removed
 *
 * Context: vm->mmu_lock held for writing. Does not sleep. The caller calls
 *	    tdp_gather_flush() before it drops the lock, then tdp_gather_free().
 */
void tdp_zap_locked(struct vitro_vm *vm, u64 start, u64 end, struct tdp_gather *gather)
{
	lockdep_assert_held_write(&vm->mmu_lock);
	zap_table(vm, vm->tdp.root, TDP_LEVELS, 0, start, min(end, TDP_MAX_GFN), gather);
}

/**
 * tdp_gather_flush() - make all processors forget what a zap has removed
 * @vm:     the VM
 * @gather: the zap's
 *
 * Context: vm->mmu_lock held for writing, IRQs on. Does not sleep.
 */
void tdp_gather_flush(struct vitro_vm *vm, struct tdp_gather *gather)
{
	if (gather->flush)
		vitro_flush_remote_tlbs(vm);
	gather->flush = false;
}

/**
 * tdp_gather_free() - free the tables that a zap has removed
 * @vm:        the VM
 * @gather:    the zap's, flushed
 * @may_sleep: the caller is in a context that may sleep
 *
 * Context: any but with vm->mmu_lock held.
 */
void tdp_gather_free(struct vitro_vm *vm, struct tdp_gather *gather, bool may_sleep)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &gather->tables, lru) {
		int level = page_private(page);

		list_del(&page->lru);
		set_page_private(page, 0);
		free_table(vm, page_address(page), level, may_sleep);
	}
}

/**
 * vitro_tdp_zap_gfns() - unmap a range of guest frames
 * @vm:        the VM
 * @start_gfn: first frame
 * @end_gfn:   frame after the last
 *
 * When it returns no vCPU has access through the old mappings. That faults do
 * not bring them back is the caller's business.
 *
 * Context: process context; takes mmu_lock.
 */
void vitro_tdp_zap_gfns(struct vitro_vm *vm, u64 start_gfn, u64 end_gfn)
{
	DEFINE_TDP_GATHER(gather);

	write_lock(&vm->mmu_lock);
	tdp_zap_locked(vm, start_gfn, end_gfn, &gather);
	tdp_gather_flush(vm, &gather);
	write_unlock(&vm->mmu_lock);
	tdp_gather_free(vm, &gather, true);
}

/**
 * vitro_tdp_zap_all() - unmap all guest memory
 * @vm: the VM
 *
 * Context: process context; takes mmu_lock.
 */
void vitro_tdp_zap_all(struct vitro_vm *vm)
{
	vitro_tdp_zap_gfns(vm, 0, TDP_MAX_GFN);
}

/**
 * tdp_relax() - let others run in the middle of a long job
 * @vm:    the VM
 * @flush: whether entries have been changed since the last flush
 *
 * The lock is not dropped with a flush outstanding.
 *
 * Context: process context; vm->mmu_lock held for writing, dropped and taken
 *	    again if the CPU is wanted.
 */
void tdp_relax(struct vitro_vm *vm, bool *flush)
{
	if (!need_resched())
		return;
	if (*flush)
		vitro_flush_remote_tlbs(vm);
	*flush = false;
	write_unlock(&vm->mmu_lock);
	cond_resched();
	write_lock(&vm->mmu_lock);
}

/* Take @bits from a leaf. True if the processors must be flushed. mmu_lock held for writing. */
static bool watch(struct vitro_vm *vm, u64 *p, int level, u64 bits)
{
	u64 entry = READ_ONCE(*p);

	if (!entry)
		return false;
	/* The log is kept by 4 KiB pages: the next fault maps so. */
	if (level > 1) {
		zap_leaf(vm, p, level);
		return true;
	}
	do {
		if (!(entry & bits))
			return false;
	} while (!try_cmpxchg64(p, &entry, entry & ~bits));
	return true;
}

/**
 * vitro_tdp_watch_slot() - have each page's next write enter the log
 * @vm:   the VM
 * @slot: a slot that has just begun to log; no fault is in progress that knows
 *	  it without the log
 *
 * Large mappings are removed.
 *
 * Context: process context, vm->slots_lock held; takes mmu_lock.
 */
void vitro_tdp_watch_slot(struct vitro_vm *vm, const struct vitro_memslot *slot)
{
	u64 end = slot->base_gfn + slot->npages;
	struct tdp_iter it = { .vm = vm, .gfn = slot->base_gfn };
	u64 bits = tdp_watched_bits();
	bool flush = false;

	write_lock(&vm->mmu_lock);
	while (it.gfn < end) {
		it.end = min(it.gfn + PROTECT_BATCH, end);
		while (tdp_iter_next(&it))
			flush |= watch(vm, it.entry, it.level, bits);
		tdp_relax(vm, &flush);
	}
	if (flush)
		vitro_flush_remote_tlbs(vm);
	write_unlock(&vm->mmu_lock);
}

/**
 * vitro_tdp_watch_mask() - have the next write to some pages enter the log
 * @vm:       the VM
 * @base_gfn: the frame that bit 0 of @mask stands for
 * @mask:     frames to watch
 *
 * Context: vm->mmu_lock held for writing; does not sleep.
 * Return: true if the caller must flush.
 */
bool vitro_tdp_watch_mask(struct vitro_vm *vm, u64 base_gfn, unsigned long mask)
{
	u64 bits = tdp_watched_bits();
	bool flush = false;
	unsigned int bit;
	int level;
	u64 *p;

	lockdep_assert_held_write(&vm->mmu_lock);
	for_each_set_bit(bit, &mask, BITS_PER_LONG) {
		p = tdp_find(vm, base_gfn + bit, &level);
		flush |= watch(vm, p, level, bits);
	}
	return flush;
}

/* Give the leaves of [gfn, end) in a table of level 1 back what the log has taken. */
static void unprotect(u64 *p, u64 gfn, u64 end)
{
	const struct vitro_tdp_format *fmt = tdp_format();
	u64 entry;

	for (; gfn < end; gfn++, p++) {
		entry = READ_ONCE(*p);
		/* If it fails, the processor has set the accessed bit: the next write faults. */
		if (entry & TDP_HOST_WRITABLE && !(entry & fmt->write))
			try_cmpxchg64(p, &entry, entry | fmt->write | fmt->dirty);
	}
}

/**
 * vitro_tdp_end_log() - map a slot as one that does not log
 * @vm:   the VM
 * @slot: a slot that has just ceased to log; no fault is in progress that knows it with the log
 *
 * Small pages that the host has in large ones are unmapped, so that the next access maps
 * them large. The others stay, and can be written to: where the processor logs, the next
 * write to a page that is still watched is logged, and passed over.
 *
 * Context: process context, current->mm is vm->mm, vm->slots_lock held; takes mmu_lock.
 */
void vitro_tdp_end_log(struct vitro_vm *vm, const struct vitro_memslot *slot)
{
	u64 end = slot->base_gfn + slot->npages;
	u64 gfn, next, *p;
	DEFINE_TDP_GATHER(gather);
	int level;

	write_lock(&vm->mmu_lock);
	for (gfn = slot->base_gfn; gfn < end; gfn = next) {
		p = tdp_find(vm, gfn, &level);
		/* All of the table of level 1, or of the larger hole or leaf. */
		next = min((gfn | (tdp_pages(max(level, 2)) - 1)) + 1, end);
		if (level == 1 && tdp_could_be_large(vm, slot, gfn))
			tdp_zap_locked(vm, gfn, next, &gather);
		else if (level == 1 && !vitro_caps.tdp_log)
			unprotect(p, gfn, next);
		tdp_relax(vm, &gather.flush);
	}
	tdp_gather_flush(vm, &gather);
	write_unlock(&vm->mmu_lock);
	tdp_gather_free(vm, &gather, true);
}

/**
 * tdp_age() - has the guest used a range of frames lately?
 * @vm:    the VM
 * @start: first guest frame
 * @end:   frame after the last
 * @clear: begin a new period
 *
 * Translations that processors have cached are not flushed: a page in constant
 * use may look idle once, which costs the host a wrong guess and no more.
 * Where the format has no accessed bit, what is mapped counts as used, and
 * @clear must not be asked for.
 *
 * Context: takes mmu_lock for reading; does not sleep.
 * Return: true if a page was accessed since the last call with @clear.
 */
bool tdp_age(struct vitro_vm *vm, u64 start, u64 end, bool clear)
{
	const struct vitro_tdp_format *fmt = tdp_format();
	struct tdp_iter it = { .vm = vm, .gfn = start, .end = min(end, TDP_MAX_GFN) };
	bool young = false;

	read_lock(&vm->mmu_lock);
	while (tdp_iter_next(&it)) {
		u64 entry = READ_ONCE(*it.entry);

		if (fmt->accessed && !(entry & fmt->accessed))
			continue;
		young = true;
		if (!clear)
			break;
		/* If it fails, the page is being used at this moment. */
		try_cmpxchg64(it.entry, &entry, entry & ~fmt->accessed);
	}
	read_unlock(&vm->mmu_lock);
	return young;
}
