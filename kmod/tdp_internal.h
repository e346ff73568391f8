/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files that implement guest memory (memslot.c, guestmem.c,
 * walk.c, tdp*.c, mmu_notifier.c), and by nobody else.
 *
 * The nested tree. Level 4 is the root, level 1 holds 4 KiB leaves. An absent
 * entry is zero as a whole. A table entry never has the format's large bit. A
 * table stays linked until a writer of mmu_lock unlinks it, so who holds
 * mmu_lock for reading may follow entries without further care.
 */
#ifndef VITRO_TDP_INTERNAL_H
#define VITRO_TDP_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/list.h>
#include <linux/mem_encrypt.h>
#include <linux/mm.h>
#include <linux/nospec.h>

#include "backend.h"
#include "vm.h"

#define TDP_LEVELS		4
#define TDP_INDEX_BITS		9
#define TDP_ENTRIES		BIT(TDP_INDEX_BITS)
#define TDP_GPA_BITS		48
#define TDP_MAX_GFN		BIT_ULL(TDP_GPA_BITS - PAGE_SHIFT)
#define TDP_ADDRESS		GENMASK_ULL(51, PAGE_SHIFT)

/*
 * Ignored by EPT and NPT alike. In a leaf: the host maps the page writable, so
 * that a leaf which was write-protected for the dirty log can be made writable
 * again without asking the host.
 */
#define TDP_HOST_WRITABLE	BIT_ULL(52)

static inline const struct vitro_tdp_format *tdp_format(void)
{
	return &vitro_backend->tdp;
}

/*
 * A watched page is one whose next write enters the dirty log. Its leaf lacks these: it is
 * write-protected, or the processor logs the page when it sets the dirty bit. A leaf that has them
 * in a slot that logs belongs to a page that is marked, or that a processor has logged.
 */
static inline u64 tdp_watched_bits(void)
{
	const struct vitro_tdp_format *fmt = tdp_format();

	return vitro_caps.tdp_log ? fmt->dirty : fmt->write | fmt->dirty;
}

/* 4 KiB frames that an entry of @level covers. */
static inline u64 tdp_pages(int level)
{
	return 1ULL << (TDP_INDEX_BITS * (level - 1));
}

static inline unsigned int tdp_index(u64 gfn, int level)
{
	return (gfn >> (TDP_INDEX_BITS * (level - 1))) & (TDP_ENTRIES - 1);
}

static inline u64 *tdp_table(u64 entry)
{
	return __va(__sme_clr(entry & TDP_ADDRESS));
}

static inline u64 tdp_pfn(u64 entry)
{
	return __sme_clr(entry & TDP_ADDRESS) >> PAGE_SHIFT;
}

static inline bool tdp_is_leaf(u64 entry, int level)
{
	return level == 1 || (entry & tdp_format()->large);
}

/* An entry that links to @table. Accessed beforehand: saves the processor's write. */
static inline u64 tdp_link(const u64 *table)
{
	const struct vitro_tdp_format *fmt = tdp_format();

	return __sme_set(__pa(table)) | fmt->present | fmt->user | fmt->accessed;
}

/*
 * The entry that decides about @gfn: a leaf or an absent one. mmu_lock held.
 */
static inline u64 *tdp_find(struct vitro_vm *vm, u64 gfn, int *level)
{
	u64 *table = vm->tdp.root;
	u64 *p, entry;
	int l;

	for (l = TDP_LEVELS;; l--) {
		p = &table[tdp_index(gfn, l)];
		entry = READ_ONCE(*p);
		if (!entry || tdp_is_leaf(entry, l))
			break;
		table = tdp_table(entry);
	}
	*level = l;
	return p;
}

/* A walk over the leaves of [gfn, end); mmu_lock held from init to the last next. */
struct tdp_iter {
	struct vitro_vm *vm;
	u64 gfn;		/* where to look next */
	u64 end;
	u64 *entry;		/* the present leaf's entry */
	int level;
};

static inline bool tdp_iter_next(struct tdp_iter *it)
{
	while (it->gfn < it->end) {
		it->entry = tdp_find(it->vm, it->gfn, &it->level);
		it->gfn = (it->gfn | (tdp_pages(it->level) - 1)) + 1;
		if (READ_ONCE(*it->entry))
			return true;
	}
	return false;
}

/* Count @n leaves of @level more (or less). Faults do so concurrently. */
static inline void tdp_count(struct vitro_vm *vm, int level, s64 n)
{
	u64 *counter = level == 3 ? &vm->stats.tdp_pages_1g :
		       level == 2 ? &vm->stats.tdp_pages_2m : &vm->stats.tdp_pages_4k;

	atomic64_add(n, (atomic64_t *)counter);
}

/*
 * User address of @gfn, which @slot covers. The guest chooses @gfn: bounded
 * under speculation too.
 */
static inline unsigned long vitro_slot_hva(const struct vitro_memslot *slot, u64 gfn)
{
	return slot->hva + (array_index_nospec(gfn - slot->base_gfn, slot->npages) << PAGE_SHIFT);
}

/**
 * struct tdp_gather - what one zap has taken out of the tree
 * @tables: unlinked tables (struct page lru; private: level), with all below them
 * @flush:  processors may still use what was removed
 */
struct tdp_gather {
	struct list_head tables;
	bool flush;
};

#define DEFINE_TDP_GATHER(name) struct tdp_gather name = { .tables = LIST_HEAD_INIT(name.tables) }

/* tdp.c */
void tdp_zap_locked(struct vitro_vm *vm, u64 start, u64 end, struct tdp_gather *gather);
void tdp_gather_flush(struct vitro_vm *vm, struct tdp_gather *gather);
void tdp_gather_free(struct vitro_vm *vm, struct tdp_gather *gather, bool may_sleep);
void tdp_relax(struct vitro_vm *vm, bool *flush);
bool tdp_age(struct vitro_vm *vm, u64 start, u64 end, bool clear);

/* tdp_map.c */
void tdp_cache_free(struct vitro_vcpu *vcpu);
bool tdp_could_be_large(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 gfn);

/* mmu_notifier.c */
extern const struct mmu_notifier_ops vitro_mmu_notifier_ops;

/* guestmem.c */
int vitro_guest_read_entry(struct vitro_vm *vm, u64 gpa, size_t size, u64 *entry,
			   const void __user **from);

#endif /* VITRO_TDP_INTERNAL_H */
