// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's own page tables, walked as the processor would: SDM, "Paging"
 * and "Access Rights"; APM, "Page Translation and Protection". Protection keys
 * are not among them: guests are not offered PKU.
 */
#include <linux/kvm.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/processor-flags.h>
#include <asm/trap_pf.h>

#include "tdp_internal.h"

#define PTE_PRESENT	BIT_ULL(0)
#define PTE_WRITE	BIT_ULL(1)
#define PTE_USER	BIT_ULL(2)
#define PTE_ACCESSED	BIT_ULL(5)
#define PTE_DIRTY	BIT_ULL(6)
#define PTE_LARGE	BIT_ULL(7)
#define PTE_NX		BIT_ULL(63)

/* Lost races for an accessed or dirty bit after which the guest's entry is left alone. */
#define MAX_RACES	8

/* What a walk depends on besides the tables. No two bits are in the same place. */
#define MODE_CR0	(X86_CR0_PG | X86_CR0_WP)
#define MODE_CR4	(X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP | X86_CR4_SMAP)
#define MODE_EFER	(EFER_LMA | EFER_NX)
#define MODE_RFLAGS	X86_EFLAGS_AC
static_assert(MODE_CR0 + MODE_CR4 + MODE_EFER + MODE_RFLAGS ==
	      (MODE_CR0 | MODE_CR4 | MODE_EFER | MODE_RFLAGS));

/**
 * struct walker - a walk under way
 * @vcpu:	whose tables
 * @gva:	linear address
 * @access:	VITRO_ACC_*
 * @mode:	as paging_mode() says
 * @generation:	of the slots: those that the walk has found are of this set or a newer one
 * @levels:	4, 3 (PAE) or 2; also the level of the root table
 * @size:	bytes of an entry
 * @level:	where the walk ended: 1, or higher for a large page
 * @final:	accessed and dirty bits are set as the access demands
 * @entry:	what is in the tables, by level - 1
 * @gpa:	where
 * @from:	the same as user addresses
 */
struct walker {
	struct vitro_vcpu *vcpu;
	u64 gva;
	u32 access;
	u64 mode;
	u64 generation;
	int levels;
	unsigned int size;
	int level;
	bool final;
	u64 entry[VITRO_WALK_LEVELS];
	u64 gpa[VITRO_WALK_LEVELS];
	const void __user *from[VITRO_WALK_LEVELS];
};

/* Bits of the linear address that an entry of @level leaves untranslated. */
static unsigned int level_shift(const struct walker *w, int level)
{
	return PAGE_SHIFT + (level - 1) * (w->size == sizeof(u64) ? 9 : 10);
}

/* The page-directory pointers of PAE paging have no access rights and no accessed bit. */
static bool is_pdpte(const struct walker *w, int level)
{
	return w->levels == 3 && level == 3;
}

static bool is_large(const struct walker *w, int level, u64 entry)
{
	if (level == 1 || level == 4 || is_pdpte(w, level) || !(entry & PTE_LARGE))
		return false;
	return w->levels > 2 || (w->mode & X86_CR4_PSE);
}

/* Bits [low, high], none if @low is above @high. */
static u64 bits(unsigned int high, unsigned int low)
{
	return low > high ? 0 : GENMASK_ULL(high, low);
}

static u64 reserved_32bit(const struct walker *w, int level, u64 entry)
{
	unsigned int extra;

	if (!is_large(w, level, entry))
		return 0;
	/* PSE-36: bits 13 and up hold the address bits from 32, as many as there are. */
	extra = clamp_t(int, w->vcpu->maxphyaddr - 32, 0, 8);
	return bits(21, 13 + extra);
}

/* Reserved bits of an 8-byte entry. */
static u64 reserved_64bit(const struct walker *w, int level, u64 entry)
{
	unsigned int maxphyaddr = w->vcpu->maxphyaddr;
	u64 reserved;

	/* Bit 5 is reserved too, but QEMU's TCG sets it as if it were an accessed bit. */
	if (is_pdpte(w, level))
		return bits(63, maxphyaddr) | bits(8, 6) | bits(2, 1);

	/* 4-level paging ignores bits 52 to 62, PAE paging reserves them. */
	reserved = bits(w->levels == 4 ? 51 : 62, maxphyaddr);
	if (!(w->mode & EFER_NX))
		reserved |= PTE_NX;
	if (level == 4)
		reserved |= PTE_LARGE;
	if (level == 3 && !vcpu_has(w->vcpu, VITRO_GF_GBPAGES))
		reserved |= PTE_LARGE;
	if (is_large(w, level, entry))
		reserved |= bits(level_shift(w, level) - 1, 13);
	return reserved;
}

static bool has_reserved_bits(const struct walker *w, int level)
{
	u64 entry = w->entry[level - 1];

	if (w->size == sizeof(u64))
		return entry & reserved_64bit(w, level, entry);
	return entry & reserved_32bit(w, level, entry);
}

static u64 table_address(const struct walker *w, u64 entry)
{
	return entry & (w->size == sizeof(u64) ? GENMASK_ULL(51, 12) : GENMASK_ULL(31, 12));
}

/* Where the last entry leads. */
static u64 page_address_of(const struct walker *w)
{
	u64 offset = BIT_ULL(level_shift(w, w->level)) - 1;
	u64 entry = w->entry[w->level - 1];
	u64 base = table_address(w, entry) & ~offset;

	/* PSE-36: bits 13 to 20 are the address bits 32 to 39. */
	if (w->size == sizeof(u32) && w->level == 2)
		base |= (entry & GENMASK_ULL(20, 13)) << 19;
	return base | (w->gva & offset);
}

/* The page-fault error code of this access, with @code's bits. */
static u32 fault_code(const struct walker *w, u32 code)
{
	if (w->access & VITRO_ACC_WRITE)
		code |= X86_PF_WRITE;
	if (w->access & VITRO_ACC_USER)
		code |= X86_PF_USER;
	if ((w->access & VITRO_ACC_EXEC) &&
	    ((w->mode & X86_CR4_SMEP) || ((w->mode & X86_CR4_PAE) && (w->mode & EFER_NX))))
		code |= X86_PF_INSTR;
	return code;
}

/*
 * Root table of the current paging mode. PAE paging keeps its four top entries
 * in registers since the last write of CR3; they are read from memory here,
 * which differs only for a guest that changes them without telling the
 * processor.
 */
static u64 begin_walk(struct walker *w)
{
	u64 cr3 = vcpu_cr3(w->vcpu);

	if (!(w->mode & X86_CR4_PAE)) {
		w->levels = 2;
		w->size = sizeof(u32);
		return cr3 & GENMASK_ULL(31, 12);
	}
	w->size = sizeof(u64);
	if (!(w->mode & EFER_LMA)) {
		w->levels = 3;
		return cr3 & GENMASK_ULL(31, 5);
	}
	w->levels = 4;
	return cr3 & bits(min_t(unsigned int, w->vcpu->maxphyaddr, 52) - 1, 12);
}

/* Read the entries from the root to the page. As vitro_walk_gva(). */
static int read_entries(struct walker *w, u64 table, u32 *error_code)
{
	unsigned int index_bits = w->size == sizeof(u64) ? 9 : 10;
	unsigned int index;
	u64 *entry;
	int r, i;

	for (w->level = w->levels;; w->level--) {
		i = w->level - 1;
		entry = &w->entry[i];
		index = (w->gva >> level_shift(w, w->level)) & (BIT(index_bits) - 1);
		w->gpa[i] = table + index * w->size;
		r = vitro_guest_read_entry(w->vcpu->vm, w->gpa[i], w->size, entry, &w->from[i]);
		if (r)
			return r == -ENXIO ? r : -EAGAIN;
		if (!(*entry & PTE_PRESENT)) {
			*error_code = fault_code(w, 0);
			return -EFAULT;
		}
		if (has_reserved_bits(w, w->level)) {
			*error_code = fault_code(w, X86_PF_PROT | X86_PF_RSVD);
			return -EFAULT;
		}
		if (w->level == 1 || is_large(w, w->level, *entry))
			return 0;
		table = table_address(w, *entry);
	}
}

/* May supervisor mode touch a user page? SDM, "Determination of Access Rights". */
static bool supervisor_denied(const struct walker *w)
{
	if (w->access & VITRO_ACC_EXEC)
		return w->mode & X86_CR4_SMEP;
	return (w->mode & X86_CR4_SMAP) && !(w->mode & X86_EFLAGS_AC);
}

/* Do the entries permit the access? */
static bool permitted(const struct walker *w)
{
	bool user = w->access & VITRO_ACC_USER;
	bool page_user = true, page_write = true, page_nx = false;
	u64 entry;
	int level;

	for (level = w->levels; level >= w->level; level--) {
		if (is_pdpte(w, level))
			continue;
		entry = w->entry[level - 1];
		page_user &= !!(entry & PTE_USER);
		page_write &= !!(entry & PTE_WRITE);
		page_nx |= w->size == sizeof(u64) && (entry & PTE_NX);
	}

	if (user && !page_user)
		return false;
	if (!user && page_user && supervisor_denied(w))
		return false;
	if ((w->access & VITRO_ACC_EXEC) && page_nx)
		return false;
	return !(w->access & VITRO_ACC_WRITE) || page_write ||
	       !(user || (w->mode & X86_CR0_WP));
}

/*
 * Set accessed bits along the way and the dirty bit at its end. -EAGAIN when an
 * entry has changed since it was read: walk again. Tables in read-only memory
 * are left as they are, as real ROM would be; what is not present any more,
 * too.
 */
static int update_entries(struct walker *w)
{
	u64 set, old;
	int level, r;

	w->final = true;
	for (level = w->levels; level >= w->level; level--) {
		if (is_pdpte(w, level))
			continue;
		set = PTE_ACCESSED;
		if (level == w->level && (w->access & VITRO_ACC_WRITE))
			set |= PTE_DIRTY;
		old = w->entry[level - 1];
		if ((old & set) == set)
			continue;
		r = vitro_guest_cmpxchg(w->vcpu->vm, w->gpa[level - 1], &old, old | set, w->size);
		if (!r)
			w->entry[level - 1] |= set;
		else
			w->final = false;
		if (r == -EAGAIN)
			return r;
	}
	return 0;
}

static int walk_tables(struct walker *w, struct vitro_walk *walk)
{
	u64 root = begin_walk(w);
	int races, r;

	for (races = 0;; races++) {
		r = read_entries(w, root, &walk->error_code);
		if (r)
			return r;
		if (!permitted(w)) {
			walk->error_code = fault_code(w, X86_PF_PROT);
			return -EFAULT;
		}
		/* A guest that keeps changing its entries gets what was read last. */
		if (!update_entries(w) || races == MAX_RACES)
			break;
	}
	walk->gpa = page_address_of(w);
	return 0;
}

/* The control bits that count for an @access. */
static u64 paging_mode(struct vitro_vcpu *vcpu, u32 access)
{
	u64 mode = (vcpu_cr0(vcpu) & MODE_CR0) | (vcpu_cr4(vcpu) & MODE_CR4) |
		   (vcpu->efer & MODE_EFER);

	/* Accesses to descriptor tables at CPL 3 are implicit: RFLAGS.AC does not help. */
	if ((mode & X86_CR4_SMAP) && !(access & (VITRO_ACC_USER | VITRO_ACC_EXEC)) &&
	    static_call(vitro_cpl)(vcpu) != 3)
		mode |= vcpu_rflags(vcpu) & MODE_RFLAGS;
	return mode;
}

static struct vitro_walk_entry *cache_entry(struct vitro_vcpu *vcpu, u64 gva, u32 access)
{
	return &vcpu->walk_cache[(gva >> PAGE_SHIFT ^ access) % VITRO_WALK_CACHE];
}

static u64 cache_tag(u64 gva, u32 access)
{
	return (gva & PAGE_MASK) | access;
}

/*
 * Do the guest's tables still say so? They lie within slots, which were checked
 * to be user memory. What is not present now counts as changed.
 */
static bool unchanged(const struct vitro_walk_entry *e)
{
	/* Checks of the arrays' bounds, and of the flag, must not call out in between. */
	const void __user *const *from = e->from;
	const u64 *value = e->value;
	int i, wide = e->wide;
	bool same = false;
	u64 now;
	u32 half;

	pagefault_disable();
	if (!user_read_access_begin(from[0], sizeof(now)))
		goto out;
	for (i = 0; i < e->nr; i++) {
		if (wide) {
			unsafe_get_user(now, (u64 __user *)from[i], end);
		} else {
			unsafe_get_user(half, (u32 __user *)from[i], end);
			now = half;
		}
		if (now != value[i])
			goto end;
	}
	same = true;
end:
	user_read_access_end();
out:
	pagefault_enable();
	return same;
}

/* Nothing is kept that another walk would have to write to the tables for. */
static void keep(const struct walker *w, u64 gpa)
{
	struct vitro_walk_entry *e = cache_entry(w->vcpu, w->gva, w->access);
	int i, nr = w->levels - w->level + 1;

	e->tag = cache_tag(w->gva, w->access);
	e->mode = w->mode;
	e->cr3 = vcpu_cr3(w->vcpu);
	e->generation = w->generation;
	e->gpa = gpa & PAGE_MASK;
	e->nr = nr;
	e->wide = w->size == sizeof(u64);
	for (i = 0; i < nr; i++) {
		e->from[i] = w->from[w->level - 1 + i];
		e->value[i] = w->entry[w->level - 1 + i];
	}
}

/**
 * vitro_walk_kept() - what a translation depends on
 * @vcpu:   the vCPU, whose vitro_walk_gva() has just succeeded for the same
 * @gva:    linear address and
 * @access: access
 * @gpa:    what it has found
 *
 * Return: the entry that holds it; NULL: without paging, or it was not kept (and
 * what is in its place is of an older walk).
 */
const struct vitro_walk_entry *vitro_walk_kept(struct vitro_vcpu *vcpu, u64 gva, u32 access,
					       u64 gpa)
{
	const struct vitro_walk_entry *e;

	if (!(vcpu->efer & EFER_LMA))
		gva = (u32)gva;
	e = cache_entry(vcpu, gva, access);
	if (!(vcpu_cr0(vcpu) & X86_CR0_PG) || e->tag != cache_tag(gva, access) ||
	    e->cr3 != vcpu_cr3(vcpu) || e->gpa != (gpa & PAGE_MASK))
		return NULL;
	return e;
}

static noinline int walk_and_keep(struct vitro_vcpu *vcpu, u64 gva, u32 access, u64 mode,
				  bool atomic, struct vitro_walk *walk)
{
	struct walker w = {
		.vcpu = vcpu,
		.gva = gva,
		.access = access,
		.mode = mode,
		.generation = vitro_memslots(vcpu->vm)->generation,
	};
	int r;

	if (atomic)
		pagefault_disable();
	r = walk_tables(&w, walk);
	if (atomic)
		pagefault_enable();
	if (!r && w.final)
		keep(&w, walk->gpa);
	return r == -EAGAIN && !atomic ? -ENXIO : r;
}

/**
 * vitro_walk_gva() - translate a guest's linear address
 * @vcpu:   the vCPU, whose present paging mode applies
 * @gva:    linear address, canonical (the caller has checked)
 * @access: VITRO_ACC_READ, _WRITE or _EXEC, and _USER for user-mode accesses.
 *	    Without _USER at CPL 3 it is an implicit supervisor access
 * @atomic: do not sleep
 * @walk:   the result
 *
 * Honours CR0.WP, SMEP, SMAP with RFLAGS.AC, NX and reserved bits. Sets accessed
 * and dirty bits in the guest's tables.
 *
 * Exits come from few places, so most walks repeat an earlier one: that one's
 * result holds if the same entries hold the same values, in the same mode. The
 * guest's CPUID, which reserved bits depend on too, is fixed once it has run.
 *
 * Context: the vCPU's thread, vm->srcu held; hot or not if @atomic, otherwise
 *	    not hot.
 * Return: 0; -EFAULT: the guest gets a #PF with walk->error_code; -ENXIO: a table
 *	   lies outside guest memory, or in memory that user space has taken away;
 *	   -EAGAIN with @atomic: a table is not present now.
 */
int vitro_walk_gva(struct vitro_vcpu *vcpu, u64 gva, u32 access, bool atomic,
		   struct vitro_walk *walk)
{
	u64 mode = paging_mode(vcpu, access);
	struct vitro_walk_entry *e;

	if (!(mode & EFER_LMA))
		gva = (u32)gva;
	if (!(mode & X86_CR0_PG)) {
		walk->gpa = gva;
		return 0;
	}

	e = cache_entry(vcpu, gva, access);
	if (e->tag == cache_tag(gva, access) && e->mode == mode && e->cr3 == vcpu_cr3(vcpu) &&
	    e->generation == vitro_memslots(vcpu->vm)->generation && unchanged(e)) {
		walk->gpa = e->gpa | offset_in_page(gva);
		return 0;
	}
	return walk_and_keep(vcpu, gva, access, mode, atomic, walk);
}

/**
 * vitro_translate() - KVM_TRANSLATE
 * @vcpu:        the vCPU, whose present paging mode applies
 * @translation: the linear address, and what it leads to
 *
 * What the tables say, whoever may access it; nothing is set in them.
 *
 * Context: the vCPU's thread, not hot; may sleep.
 * Return: 0; without a translation @translation->valid is 0.
 */
int vitro_translate(struct vitro_vcpu *vcpu, struct kvm_translation *translation)
{
	struct walker w = {
		.vcpu = vcpu,
		.gva = translation->linear_address,
		.mode = paging_mode(vcpu, VITRO_ACC_READ),
	};
	u64 all = PTE_WRITE | PTE_USER;
	int srcu, level, r = 0;
	u32 error_code;

	memset(translation, 0, sizeof(*translation));
	translation->linear_address = w.gva;
	if (!(w.mode & EFER_LMA))
		w.gva = (u32)w.gva;
	else if (w.gva != (u64)((s64)(w.gva << 16) >> 16))
		return 0;

	if (w.mode & X86_CR0_PG) {
		srcu = srcu_read_lock(&vcpu->vm->srcu);
		r = read_entries(&w, begin_walk(&w), &error_code);
		srcu_read_unlock(&vcpu->vm->srcu, srcu);
		if (r)
			return 0;
		translation->physical_address = page_address_of(&w);
		for (level = w.levels; level >= w.level; level--)
			all &= is_pdpte(&w, level) ? all : w.entry[level - 1];
	} else {
		translation->physical_address = w.gva;
	}
	translation->valid = 1;
	translation->writeable = !!(all & PTE_WRITE);
	translation->usermode = !!(all & PTE_USER);
	return 0;
}
