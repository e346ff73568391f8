// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page faults: finding the host's page for a guest frame and mapping it.
 *
 * No page is kept pinned. A mapping is valid as long as the host maps the page
 * at the same user address, and an MMU notifier tells when that ends:
 *
 *	fault				host changes its page tables
 *	-----				----------------------------
 *	seq = invalidate_seq		invalidate_range_start: count++, zap, flush
 *	page of the user address	... page tables change ...
 *	mmu_lock for reading		invalidate_range_end: seq++, count--
 *	seq and count unchanged?
 *	  install : start over
 *
 * Both callbacks hold mmu_lock for writing. A fault that has checked under the
 * lock is thus either before the callback, which then finds the new entry, or
 * begins again with the host's new page.
 *
 * With IRQs off the lock is held from before the page is looked up: no callback
 * begins meanwhile, so if none is in progress the host's entry can be read, and
 * its page be touched, without a reference. See map_present().
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "tdp_internal.h"

/**
 * struct tdp_fault - a nested page fault on its way
 * @vm:		whose
 * @vcpu:	whose
 * @slot:	covers @gfn
 * @gfn:	guest frame of the page
 * @hva:	its user address
 * @access:	VITRO_ACC_*
 * @fast:	IRQs are off
 * @writable:	the host maps @page writable
 * @page:	the host's page; a reference or mmu_lock is held
 * @host_level:	the level at which the host maps it; 0: not known yet
 * @seq:	vm->tdp.invalidate_seq before @page was looked up
 * @goal:	the largest leaf level that hardware, slot and host allow
 * @at:		the entry where the VM's tables end, or the leaf, as long as mmu_lock is held
 * @at_level:	its level
 */
struct tdp_fault {
	struct vitro_vm *vm;
	struct vitro_vcpu *vcpu;
	struct vitro_memslot *slot;
	u64 gfn;
	unsigned long hva;
	u8 access;
	bool fast;
	bool writable;
	struct page *page;
	int host_level;
	unsigned long seq;
	int goal;
	u64 *at;
	int at_level;
};

enum map_result {
	MAP_DONE,	/* mapped, or somebody else was faster: enter again */
	MAP_RACED,	/* the host is changing this address: start over */
	MAP_SLOW,	/* not possible with IRQs off */
	MAP_CONFLICT,	/* what is mapped now has to be zapped first */
};

/* Tables for the whole depth below the root, so that a fault needs none under the lock. */
static bool fill_cache(struct vitro_vcpu *vcpu)
{
	struct vitro_tdp_cache *cache = &vcpu->tdp_cache;

	while (cache->nr < ARRAY_SIZE(cache->tables)) {
		u64 *table = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!table)
			return false;
		cache->tables[cache->nr++] = table;
	}
	return true;
}

/**
 * tdp_cache_free() - free the tables that a vCPU keeps in store
 * @vcpu: a vCPU that does not run any more
 *
 * Context: process context.
 */
void tdp_cache_free(struct vitro_vcpu *vcpu)
{
	struct vitro_tdp_cache *cache = &vcpu->tdp_cache;

	while (cache->nr)
		free_page((unsigned long)cache->tables[--cache->nr]);
}

static bool permits(u64 entry, u8 access)
{
	const struct vitro_tdp_format *fmt = tdp_format();

	if (!entry)
		return false;
	if ((access & VITRO_ACC_WRITE) && !(entry & fmt->write))
		return false;
	if (!(access & VITRO_ACC_EXEC))
		return true;
	return (entry & fmt->exec) == fmt->exec && !(entry & fmt->no_exec);
}

/*
 * Processors with this bug machine-check when the guest changes the size of a
 * page that it executes from: large leaves are not executable there.
 */
static bool large_pages_not_executable(void)
{
	return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
}

/* Is @gfn between the slot of index @i and the next one? */
static bool in_gap(const struct vitro_memslots *slots, int i, u64 gfn)
{
	const struct vitro_memslot *slot = &slots->slots[i];

	return i < slots->nr && gfn < slot[1].base_gfn && gfn >= slot->base_gfn + slot->npages;
}

/*
 * Accesses to devices are faults without a slot, and often one after another in the same gap
 * between slots. Each vCPU remembers its own: no line of the cache is passed around.
 */
static struct vitro_memslot *slot_of(const struct tdp_fault *fault)
{
	struct vitro_memslots *slots = vitro_memslots(fault->vm);
	struct vitro_memslot *slot = vitro_last_slot(slots, fault->gfn);

	if (slot || in_gap(slots, fault->vcpu->gap_hint, fault->gfn))
		return slot;
	return vitro_search_slot(slots, fault->gfn, &fault->vcpu->gap_hint);
}

/* Slot of the fault, or who else is to deal with it. */
static enum vitro_tdp_result begin_fault(struct tdp_fault *fault)
{
	struct vitro_memslot *slot = slot_of(fault);

	if (!slot)
		return VITRO_TDP_MMIO;
	if ((fault->access & VITRO_ACC_WRITE) && (slot->flags & KVM_MEM_READONLY))
		return VITRO_TDP_MMIO;
	fault->slot = slot;
	fault->hva = vitro_slot_hva(slot, fault->gfn);
	return VITRO_TDP_DONE;
}

/* mmu_lock held for reading. */
static void find_entry(struct tdp_fault *fault)
{
	fault->at = tdp_find(fault->vm, fault->gfn, &fault->at_level);
}

/*
 * Can the fault be settled with the entry that is there? Either another vCPU
 * has mapped the page meanwhile, or the page has been write-protected for the
 * dirty log. After find_entry(), mmu_lock still held.
 */
static bool settle(const struct tdp_fault *fault)
{
	const struct vitro_tdp_format *fmt = tdp_format();
	u64 *p = fault->at;
	u64 entry = READ_ONCE(*p);

	if (permits(entry, fault->access))
		return true;
	if (!(fault->access & VITRO_ACC_WRITE) || !(entry & TDP_HOST_WRITABLE) ||
	    !permits(entry, fault->access & ~VITRO_ACC_WRITE))
		return false;
	/* If this fails the entry has changed: the access is tried again anyway. */
	if (try_cmpxchg64(p, &entry, entry | fmt->write | fmt->dirty))
		vitro_mark_dirty(fault->vm, fault->slot, fault->gfn);
	return true;
}

/**
 * struct host_entry - what the host's page tables say about a user address
 * @level:	of the leaf, 1 to 3; 0: nothing is mapped
 * @pfn:	the page
 * @read:	user space may read it
 * @write:	user space may write it
 */
struct host_entry {
	int level;
	unsigned long pfn;
	bool read;
	bool write;
};

/* Page tables are not freed while IRQs are off: freeing waits for an IPI or for RCU. */
static struct host_entry host_entry(struct mm_struct *mm, unsigned long hva)
{
	struct host_entry e = {};
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	lockdep_assert_irqs_disabled();
	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (!pgd_present(pgd))
		return e;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!p4d_present(p4d))
		return e;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!pud_present(pud))
		return e;
	if (pud_leaf(pud)) {
		e.pfn = pud_pfn(pud) + ((hva & ~PUD_MASK) >> PAGE_SHIFT);
		e.level = 3;
		return e;
	}
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (!pmd_present(pmd))
		return e;
	if (pmd_leaf(pmd)) {
		e.pfn = pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT);
		e.read = pmd_access_permitted(pmd, false) && !vitro_pmd_special(pmd);
		e.write = e.read && pmd_access_permitted(pmd, true);
		e.level = 2;
		return e;
	}
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	if (!pte_present(pte))
		return e;
	e.pfn = pte_pfn(pte);
	e.read = pte_access_permitted(pte, false) && !pte_special(pte);
	e.write = e.read && pte_access_permitted(pte, true);
	e.level = 1;
	return e;
}

/*
 * Level at which the host's own page tables map the page. The page's order is
 * no substitute: a part of a huge page can be mapped by small entries, beside
 * other pages.
 */
static int host_level(const struct tdp_fault *fault)
{
	struct host_entry e;
	unsigned long flags;

	if (fault->host_level)
		return fault->host_level;
	local_irq_save(flags);
	e = host_entry(fault->vm->mm, fault->hva);
	local_irq_restore(flags);
	return e.level && e.pfn == page_to_pfn(fault->page) ? e.level : 1;
}

/* The largest leaf that hardware and slot allow. */
static int slot_level(const struct vitro_memslot *slot, u64 gfn)
{
	u64 shift = (slot->hva >> PAGE_SHIFT) - slot->base_gfn;
	int level = vitro_caps.tdp_1g ? 3 : vitro_caps.tdp_2m ? 2 : 1;

	for (; level > 1; level--) {
		u64 pages = tdp_pages(level);
		u64 base = gfn & ~(pages - 1);

		if (!(shift & (pages - 1)) && base >= slot->base_gfn &&
		    base + pages <= slot->base_gfn + slot->npages)
			break;
	}
	return level;
}

/* The largest leaf that hardware, slot and host allow. */
static int leaf_level(const struct tdp_fault *fault)
{
	int level;

	if (fault->slot->dirty)
		return 1;
	if ((fault->access & VITRO_ACC_EXEC) && large_pages_not_executable())
		return 1;
	level = slot_level(fault->slot, fault->gfn);
	return level > 1 ? min(level, host_level(fault)) : 1;
}

/**
 * tdp_could_be_large() - would a page be mapped large, did it fault now?
 * @vm:   the VM
 * @slot: covers @gfn, and does not log
 * @gfn:  guest frame
 *
 * The host can change its mind at any time: for estimates only.
 *
 * Context: current->mm is vm->mm.
 */
bool tdp_could_be_large(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 gfn)
{
	struct host_entry e;
	unsigned long flags;

	if (slot_level(slot, gfn) == 1)
		return false;
	local_irq_save(flags);
	e = host_entry(vm->mm, vitro_slot_hva(slot, gfn));
	local_irq_restore(flags);
	return e.level > 1;
}

/* Does an invalidation overlap the leaf that is to be installed, or has one ended? */
static bool invalidated(const struct tdp_fault *fault, int level)
{
	const struct vitro_tdp *tdp = &fault->vm->tdp;
	unsigned long size = tdp_pages(level) << PAGE_SHIFT;
	unsigned long start = fault->hva & ~(size - 1);

	if (tdp->invalidate_seq != fault->seq)
		return true;
	return tdp->invalidate_count && start < tdp->invalidate_end &&
	       tdp->invalidate_start < start + size;
}

static u64 make_leaf(const struct tdp_fault *fault, int level)
{
	const struct vitro_tdp_format *fmt = tdp_format();
	u64 pfn = page_to_pfn(fault->page) & ~(tdp_pages(level) - 1);
	u64 leaf = __sme_set(pfn << PAGE_SHIFT) | fmt->leaf | fmt->read | fmt->user;

	/* Set beforehand what the processor would have to write. */
	leaf |= fmt->accessed;
	if (level > 1)
		leaf |= fmt->large;
	if (level > 1 && large_pages_not_executable())
		leaf |= fmt->no_exec;
	else
		leaf |= fmt->exec;

	if (fault->writable) {
		leaf |= TDP_HOST_WRITABLE | fmt->write | fmt->dirty;
		/* With a log, all but what is being written is watched. */
		if (fault->slot->dirty && !(fault->access & VITRO_ACC_WRITE))
			leaf &= ~tdp_watched_bits();
	}
	return leaf;
}

/*
 * Marking a page dirty can take a filesystem's locks, which is out of the
 * question with IRQs off. For memory without a filesystem it is one bit.
 */
static bool may_dirty_page(const struct tdp_fault *fault)
{
	struct folio *folio = page_folio(fault->page);

	return !fault->writable || !fault->fast || folio_test_dirty(folio) ||
	       (folio_test_swapbacked(folio) && !folio_test_swapcache(folio));
}

/* Install a leaf in place of @old. */
static enum map_result set_leaf(const struct tdp_fault *fault, u64 *p, u64 old, int level)
{
	u64 leaf;

	if (permits(old, fault->access))
		return MAP_DONE;
	if (level > fault->goal)
		return MAP_CONFLICT;
	leaf = make_leaf(fault, level);
	if (old && tdp_pfn(old) != tdp_pfn(leaf))
		return MAP_CONFLICT;
	if (!may_dirty_page(fault))
		return MAP_SLOW;

	if (!try_cmpxchg64(p, &old, leaf))
		return MAP_DONE;
	if (!old)
		tdp_count(fault->vm, level, 1);

	/*
	 * From now on the guest can write without the host's page table showing
	 * it, so the page counts as written. Nobody cleans it without removing
	 * or write-protecting the host's entry, which the notifier reports.
	 * That it has been accessed, whoever found the page has noted.
	 */
	if (fault->writable && !folio_test_dirty(page_folio(fault->page)))
		folio_mark_dirty(page_folio(fault->page));
	if (fault->access & VITRO_ACC_WRITE)
		vitro_mark_dirty(fault->vm, fault->slot, fault->gfn);
	return MAP_DONE;
}

/* Put a table from the vCPU's store at @p, unless another vCPU does. False: the store is empty. */
static bool link_table(const struct tdp_fault *fault, u64 *p)
{
	struct vitro_tdp_cache *cache = &fault->vcpu->tdp_cache;
	u64 old = 0;

	if (!cache->nr)
		return false;
	if (try_cmpxchg64(p, &old, tdp_link(cache->tables[cache->nr - 1]))) {
		cache->nr--;
		atomic_long_inc(&fault->vm->tdp.nr_tables);
	}
	return true;
}

/* Map fault->page. After find_entry(), mmu_lock still held. */
static enum map_result map_page(struct tdp_fault *fault)
{
	int level = fault->at_level;
	u64 *p = fault->at;
	u64 entry;

	fault->goal = leaf_level(fault);
	if (invalidated(fault, fault->goal))
		return MAP_RACED;
	for (;;) {
		/*
		 * Below tables left over from small mappings. Where large pages are
		 * not executable, small ones beside them are there to stay.
		 */
		if (level < fault->goal && !large_pages_not_executable())
			return MAP_CONFLICT;
		entry = READ_ONCE(*p);
		if (!entry && level > fault->goal) {
			if (!link_table(fault, p))
				return MAP_SLOW;
			continue;
		}
		if (!entry || tdp_is_leaf(entry, level))
			return set_leaf(fault, p, entry, level);
		level--;
		p = &tdp_table(entry)[tdp_index(fault->gfn, level)];
	}
}

/*
 * The page if it is resident; with a reference. A page that the host maps
 * writable is mapped writable for reads too, which saves the fault of the
 * first write.
 */
static bool get_resident_page(struct tdp_fault *fault)
{
	fault->writable = !(fault->slot->flags & KVM_MEM_READONLY) &&
			  get_user_page_fast_only(fault->hva, FOLL_WRITE, &fault->page);
	if (fault->writable)
		return true;
	if (fault->access & VITRO_ACC_WRITE)
		return false;
	return get_user_page_fast_only(fault->hva, 0, &fault->page);
}

/*
 * The page if the host's page tables map it, without a reference: mmu_lock is
 * held, so the host's entry can only be changed by who has already announced
 * it, and map_present() heeds that. As long as the entry is there, the page is
 * mapped by the process, and can be neither freed nor split nor truncated: each
 * has to unmap it first. This saves most of what get_user_pages does, and the
 * second look at the host's tables for the level. Only anonymous and
 * shared memory: other pages may be such as nobody may get hold of (secret
 * memory, devices').
 */
static bool find_mapped_page(struct tdp_fault *fault, struct host_entry e)
{
	struct folio *folio;

	fault->writable = e.write && !(fault->slot->flags & KVM_MEM_READONLY);
	if (!e.read || (fault->access & VITRO_ACC_WRITE && !fault->writable))
		return false;
	if (!pfn_valid(e.pfn))
		return false;
	fault->page = pfn_to_page(e.pfn);
	folio = page_folio(fault->page);
	if (!folio_test_swapbacked(folio))
		return false;
	/* As get_user_pages does. */
	if (!folio_test_referenced(folio))
		folio_set_referenced(folio);
	fault->host_level = e.level;
	return true;
}

/* The page, brought in if need be. 0, or -errno as get_user_pages. May sleep for long. */
static int get_page_sleeping(struct tdp_fault *fault)
{
	bool write = fault->access & VITRO_ACC_WRITE;
	struct host_entry e;
	long r;

	/* Most pages that come here are new: no need to look for them twice. */
	local_irq_disable();
	e = host_entry(fault->vm->mm, fault->hva);
	local_irq_enable();
	if (e.level && get_resident_page(fault))
		return 0;
	r = get_user_pages_unlocked(fault->hva, 1, &fault->page,
				    FOLL_HWPOISON | (write ? FOLL_WRITE : 0));
	if (r != 1)
		return r < 0 ? r : -EFAULT;
	fault->writable = write;
	return 0;
}

/* Maps the page if the host has it; mmu_lock held for reading, IRQs off. */
static bool map_present(struct tdp_fault *fault)
{
	struct host_entry e;
	bool mapped;

	fault->seq = fault->vm->tdp.invalidate_seq;
	if (current->mm != fault->vm->mm)
		return false;
	/* Who has announced a change may be freeing the page now: do not touch it. */
	if (invalidated(fault, 1))
		return false;
	e = host_entry(fault->vm->mm, fault->hva);
	if (!e.level)
		return false;
	if (find_mapped_page(fault, e))
		return map_page(fault) == MAP_DONE;
	if (!get_resident_page(fault))
		return false;
	mapped = map_page(fault) == MAP_DONE;
	put_page(fault->page);
	return mapped;
}

/**
 * vitro_tdp_fault_fast() - settle a nested page fault without leaving the inner loop
 * @vcpu:   the vCPU, hot
 * @gpa:    guest-physical address
 * @access: VITRO_ACC_READ, _WRITE, _EXEC
 *
 * Settles what another vCPU has mapped meanwhile, writes to pages that were
 * write-protected for the dirty log, and pages that are resident in the host.
 *
 * Context: IRQs off, vm->srcu held. Does not sleep.
 * Return: VITRO_TDP_DONE, _MMIO or _SLOW.
 */
enum vitro_tdp_result vitro_tdp_fault_fast(struct vitro_vcpu *vcpu, u64 gpa, u8 access)
{
	struct vitro_vm *vm = vcpu->vm;
	struct tdp_fault fault = {
		.vm = vm,
		.vcpu = vcpu,
		.gfn = gpa >> PAGE_SHIFT,
		.access = access,
		.fast = true,
	};
	enum vitro_tdp_result result = begin_fault(&fault);

	if (result != VITRO_TDP_DONE)
		return result;
	/* Its writer may be waiting for this CPU to take an IPI. */
	if (!read_trylock(&vm->mmu_lock))
		return VITRO_TDP_SLOW;

	/*
	 * The lock is held throughout, so no invalidation begins or ends
	 * meanwhile: only one that is in progress has to be heeded.
	 */
	find_entry(&fault);
	if (!settle(&fault) && !map_present(&fault))
		result = VITRO_TDP_SLOW;
	read_unlock(&vm->mmu_lock);
	return result;
}

/**
 * vitro_tdp_fault() - settle a nested page fault
 * @vcpu:   the vCPU, not hot; its thread's mm is vm->mm
 * @gpa:    guest-physical address
 * @access: VITRO_ACC_READ, _WRITE, _EXEC
 * @err:    for VITRO_TDP_ERROR: -EFAULT (no usable user memory there, or
 *	    memory without struct page), -EHWPOISON, -ENOMEM
 *
 * Context: process context, IRQs on, vm->srcu held. Sleeps, for as long as user
 *	    space wants if the memory is registered with userfaultfd.
 * Return: VITRO_TDP_DONE (enter again; also when a race was lost or a signal is
 *	   pending), _MMIO or _ERROR.
 */
enum vitro_tdp_result vitro_tdp_fault(struct vitro_vcpu *vcpu, u64 gpa, u8 access, int *err)
{
	struct vitro_vm *vm = vcpu->vm;
	struct tdp_fault fault = {
		.vm = vm,
		.vcpu = vcpu,
		.gfn = gpa >> PAGE_SHIFT,
		.access = access,
	};
	enum vitro_tdp_result result = begin_fault(&fault);
	enum map_result mapped;
	bool settled;

	if (result != VITRO_TDP_DONE)
		return result;

	read_lock(&vm->mmu_lock);
	find_entry(&fault);
	settled = settle(&fault);
	read_unlock(&vm->mmu_lock);
	if (settled)
		return VITRO_TDP_DONE;

	if (!fill_cache(vcpu)) {
		*err = -ENOMEM;
		return VITRO_TDP_ERROR;
	}

	fault.seq = READ_ONCE(vm->tdp.invalidate_seq);
	/* Pairs with the write_unlock() of the end of an invalidation. */
	smp_rmb();
	*err = get_page_sleeping(&fault);
	if (*err == -EINTR || *err == -EAGAIN || *err == -ERESTARTSYS)
		return VITRO_TDP_DONE;
	if (*err)
		return VITRO_TDP_ERROR;

	read_lock(&vm->mmu_lock);
	find_entry(&fault);
	mapped = map_page(&fault);
	read_unlock(&vm->mmu_lock);
	put_page(fault.page);

	if (mapped == MAP_CONFLICT) {
		u64 pages = tdp_pages(fault.goal);
		u64 base = fault.gfn & ~(pages - 1);

		vitro_tdp_zap_gfns(vm, base, base + pages);
	}
	return VITRO_TDP_DONE;
}
