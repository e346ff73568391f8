// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots: KVM_SET_USER_MEMORY_REGION, look-up and the dirty log.
 *
 * A set of slots is immutable once published. A reader (vm->srcu) works with
 * the set that it has found until it leaves its read-side section; a writer
 * publishes a new set and waits for the readers of the old one. From then on
 * no page fault is under way that knows the old set, so what a writer zaps or
 * watches after the wait stays so.
 */
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/processor.h>

#include "compat.h"
#include "dirty_ring.h"
#include "tdp_internal.h"

/* As KVM: a page number of a slot fits an int. */
#define MAX_SLOT_PAGES		((1UL << 31) - 1)

/* Of words of a log without a mark, between looks whether somebody wants the CPU. */
#define CLEAN_BATCH		256

static struct vitro_memslots *slots_for_writer(struct vitro_vm *vm)
{
	return rcu_dereference_protected(vm->memslots, lockdep_is_held(&vm->slots_lock));
}

static struct vitro_memslot *slot_by_id(struct vitro_memslots *slots, u16 id)
{
	int i;

	for (i = 0; i < slots->nr; i++)
		if (slots->slots[i].id == id)
			return &slots->slots[i];
	return NULL;
}

/* What is not a slot's in a set of @nr. */
static void finish_slots(struct vitro_memslots *slots)
{
	slots->last = slots->slots;
	slots->slots[slots->nr].base_gfn = U64_MAX;
}

/**
 * vitro_memslots_init() - give a new VM its empty set of slots
 * @vm: the VM, not yet visible to anybody
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int vitro_memslots_init(struct vitro_vm *vm)
{
	struct vitro_memslots *slots;

	slots = kvzalloc(struct_size(slots, slots, 1), GFP_KERNEL_ACCOUNT);
	if (!slots)
		return -ENOMEM;
	finish_slots(slots);
	RCU_INIT_POINTER(vm->memslots, slots);
	return 0;
}

/**
 * vitro_memslots_free() - free a dying VM's slots
 * @vm: the VM; nobody else uses it any more
 *
 * Context: process context.
 */
void vitro_memslots_free(struct vitro_vm *vm)
{
	struct vitro_memslots *slots = rcu_dereference_protected(vm->memslots, true);
	int i;

	RCU_INIT_POINTER(vm->memslots, NULL);
	for (i = 0; i < slots->nr; i++)
		vfree(slots->slots[i].dirty);
	kvfree(slots);
}

/* Index of the first slot that begins above @gfn; the one before it may cover it. */
static int first_above(const struct vitro_memslots *slots, u64 gfn)
{
	int low = 0, high = slots->nr;

	while (low < high) {
		int middle = (low + high) / 2;

		if (slots->slots[middle].base_gfn > gfn)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/**
 * vitro_search_slot() - vitro_find_slot() where the last slot found is not it
 * @slots: the VM's slots
 * @gfn:   guest frame number
 * @gap:   if there is no memory at @gfn, set to the index of the slot before it, if there is one
 *
 * Context: any; vm->srcu or vm->slots_lock held, and as long as the slot is used.
 * Return: the slot, or NULL if there is no memory at @gfn.
 */
struct vitro_memslot *vitro_search_slot(struct vitro_memslots *slots, u64 gfn, u16 *gap)
{
	struct vitro_memslot *slot;
	int low = first_above(slots, gfn);

	if (!low)
		return NULL;
	slot = &slots->slots[low - 1];
	if (gfn - slot->base_gfn >= slot->npages || (slot->flags & VITRO_MEM_INVALID)) {
		*gap = low - 1;
		return NULL;
	}
	WRITE_ONCE(slots->last, slot);
	return slot;
}

/**
 * vitro_mark_dirty() - enter a page that has been written into the dirty log
 * @vm:   the VM
 * @slot: slot that covers @gfn
 * @gfn:  guest frame number
 *
 * To be called after the write, in the same read-side section of vm->srcu: the
 * mark must not be fetched before the data is there. Always a locked
 * operation, not a test first, which could be satisfied before the write is
 * visible.
 *
 * Context: any.
 */
void vitro_mark_dirty(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 gfn)
{
	u64 offset;

	if (!slot->dirty)
		return;
	offset = array_index_nospec(gfn - slot->base_gfn, slot->npages);
	if (likely(!vm->dirty_ring_nr))
		set_bit(offset, slot->dirty);
	else if (!test_and_set_bit(offset, slot->dirty) && !vitro_dirty_ring_push(vm, slot, offset))
		clear_bit(offset, slot->dirty);
}

static void log_page(struct vitro_vcpu *vcpu, const struct vitro_memslot *slot, u64 gfn)
{
	u64 offset = array_index_nospec(gfn - slot->base_gfn, slot->npages);

	if (likely(!vcpu->vm->dirty_ring_nr))
		set_bit(offset, slot->dirty);
	else if (!test_and_set_bit(offset, slot->dirty))
		/* The processor has been given no more room than the ring has. */
		WARN_ON_ONCE(!vitro_dirty_ring_enter(vcpu, slot, offset));
}

/**
 * vitro_log_pages() - enter pages that the processor has logged into the dirty log
 * @vcpu: the vCPU that has written to them
 * @gpas: their guest-physical addresses, the last one written first
 * @n:    how many
 *
 * What no slot covers any more, or one that does not log, is passed over. A slot that is about to
 * move still takes its pages.
 *
 * Context: as log_empty in struct vitro_backend.
 */
void vitro_log_pages(struct vitro_vcpu *vcpu, const u64 *gpas, unsigned int n)
{
	struct vitro_vm *vm = vcpu->vm;
	int i, idx = srcu_read_lock(&vm->srcu);
	struct vitro_memslots *slots = srcu_dereference(vm->memslots, &vm->srcu);
	const struct vitro_memslot *slot = slots->slots;

	while (n--) {
		u64 gfn = gpas[n] >> PAGE_SHIFT;

		/* Mostly it is the last one's. */
		if (gfn - slot->base_gfn >= slot->npages) {
			i = first_above(slots, gfn);
			slot = &slots->slots[max(i - 1, 0)];
		}
		if (gfn - slot->base_gfn < slot->npages && slot->dirty)
			log_page(vcpu, slot, gfn);
	}
	srcu_read_unlock(&vm->srcu, idx);
}

/* Highest guest-physical address that the nested tables and the host's processor allow, plus 1. */
static u64 guest_physical_limit(void)
{
	unsigned int bits = boot_cpu_data.x86_phys_bits;

	/* Memory encryption takes bits from the host's view, not from the guest's. */
	if (boot_cpu_data.extended_cpuid_level >= 0x80000008)
		bits = cpuid_eax(0x80000008) & 0xff;
	return 1ULL << min_t(unsigned int, bits, TDP_GPA_BITS);
}

/* What can be judged without the present slots. */
static int check_region(const struct kvm_userspace_memory_region *region)
{
	u64 size = region->memory_size;
	u64 gpa = region->guest_phys_addr;
	u64 hva = region->userspace_addr;
	u64 limit = guest_physical_limit();

	if (region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	/* The upper half of the number is an address space; there is only 0. */
	if (region->slot >= VITRO_MAX_SLOTS)
		return -EINVAL;
	if (!PAGE_ALIGNED(size) || !PAGE_ALIGNED(gpa) || !PAGE_ALIGNED(hva))
		return -EINVAL;
	if (hva + size < hva || hva + size > TASK_SIZE_MAX ||
	    !access_ok(u64_to_user_ptr(hva), size))
		return -EINVAL;
	if (gpa + size < gpa || (size && gpa + size > limit))
		return -EINVAL;
	if (size >> PAGE_SHIFT > MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

static bool overlaps(struct vitro_memslots *slots, const struct vitro_memslot *new)
{
	const struct vitro_memslot *slot;
	int i;

	for (i = 0; i < slots->nr; i++) {
		slot = &slots->slots[i];
		if (slot->id != new->id && slot->base_gfn < new->base_gfn + new->npages &&
		    new->base_gfn < slot->base_gfn + slot->npages)
			return true;
	}
	return false;
}

/* Does a log begin with all pages in it? With rings, a set bit says that the page is in one. */
static bool begins_dirty(const struct vitro_vm *vm)
{
	return READ_ONCE(vm->dirty_log_options) & KVM_DIRTY_LOG_INITIALLY_SET && !vm->dirty_ring_nr;
}

/* Both buffers in one piece. */
static int alloc_dirty(struct vitro_memslot *slot, bool all_dirty)
{
	size_t longs = BITS_TO_LONGS(slot->npages);

	/* User space chooses the size: too much of it is no news for the log. */
	slot->dirty = __vmalloc(array3_size(2, longs, sizeof(long)),
				GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	if (!slot->dirty)
		return -ENOMEM;
	slot->dirty_shadow = slot->dirty + longs;
	if (all_dirty)
		bitmap_set(slot->dirty, 0, slot->npages);
	return 0;
}

/* A copy of @old without slot @id, and with @add (or NULL) in its place in the order. */
static struct vitro_memslots *build(const struct vitro_memslots *old, u16 id,
				    const struct vitro_memslot *add)
{
	const struct vitro_memslot *slot;
	struct vitro_memslots *slots;
	int i;

	/* One may be added, and there is the one behind the last. */
	slots = kvzalloc(struct_size(slots, slots, old->nr + 2), GFP_KERNEL_ACCOUNT);
	if (!slots)
		return NULL;
	for (i = 0; i < old->nr; i++) {
		slot = &old->slots[i];
		if (slot->id == id)
			continue;
		if (add && add->base_gfn < slot->base_gfn) {
			slots->slots[slots->nr++] = *add;
			add = NULL;
		}
		slots->slots[slots->nr++] = *slot;
	}
	if (add)
		slots->slots[slots->nr++] = *add;
	finish_slots(slots);
	return slots;
}

/* Make @slots the VM's, wait until nobody uses the old ones, free these. */
static void publish(struct vitro_vm *vm, struct vitro_memslots *slots)
{
	struct vitro_memslots *old = slots_for_writer(vm);

	slots->generation = old->generation + 1;
	rcu_assign_pointer(vm->memslots, slots);
	vitro_sync_readers(vm);
	kvfree(old);
}

/*
 * Replace @old by @new, either of which may be NULL. Where mappings have to
 * go, the slot is first hidden from faults but not from MMU notifiers: until
 * its pages are unmapped, the host must still be able to take them away.
 */
static int replace(struct vitro_vm *vm, const struct vitro_memslot *old,
		   const struct vitro_memslot *new)
{
	struct vitro_memslots *slots = slots_for_writer(vm);
	struct vitro_memslots *final, *interim = NULL;
	u16 id = old ? old->id : new->id;

	final = build(slots, id, new);
	if (!final)
		return -ENOMEM;

	if (old && (!new || new->base_gfn != old->base_gfn)) {
		struct vitro_memslot hidden = *old;

		hidden.flags |= VITRO_MEM_INVALID;
		interim = build(slots, id, &hidden);
		if (!interim) {
			kvfree(final);
			return -ENOMEM;
		}
		publish(vm, interim);
		vitro_tdp_zap_gfns(vm, old->base_gfn, old->base_gfn + old->npages);
		/* What has been written at the old place, while that is known. */
		if (old->dirty)
			vitro_collect_logs(vm);
	}
	publish(vm, final);
	return 0;
}

static int delete_slot(struct vitro_vm *vm, const struct vitro_memslot *old)
{
	int err = replace(vm, old, NULL);

	if (!err)
		vfree(old->dirty);
	return err;
}

static int create_slot(struct vitro_vm *vm, struct vitro_memslot *new)
{
	int err;

	if (overlaps(slots_for_writer(vm), new))
		return -EEXIST;
	if (new->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		err = alloc_dirty(new, begins_dirty(vm));
		if (err)
			return err;
	}
	err = replace(vm, NULL, new);
	if (err)
		vfree(new->dirty);
	return err;
}

/* Move, or turn the dirty log on or off. */
static int change_slot(struct vitro_vm *vm, const struct vitro_memslot *old,
		       struct vitro_memslot *new)
{
	bool log = new->flags & KVM_MEM_LOG_DIRTY_PAGES;
	bool move = new->base_gfn != old->base_gfn;
	bool all_dirty = begins_dirty(vm);
	int err;

	if (new->hva != old->hva || new->npages != old->npages ||
	    ((new->flags ^ old->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (!move && new->flags == old->flags)
		return 0;
	if (move && overlaps(slots_for_writer(vm), new))
		return -EEXIST;

	if (log && old->dirty) {
		new->dirty = old->dirty;
		new->dirty_shadow = old->dirty_shadow;
	} else if (log) {
		err = alloc_dirty(new, all_dirty);
		if (err)
			return err;
	}

	err = replace(vm, old, new);
	if (err) {
		if (new->dirty != old->dirty)
			vfree(new->dirty);
		return err;
	}

	if (log && !old->dirty) {
		/* What is in the log already may be written to until it is cleared. */
		if (!all_dirty)
			vitro_tdp_watch_slot(vm, new);
	} else if (!log && old->dirty) {
		vfree(old->dirty);
		vitro_tdp_end_log(vm, new);
	}
	return 0;
}

/*
 * Has the processors log, where they can, before the first page is watched: from now on no vCPU
 * runs without. It stays so. With a failure, what some vCPUs have been given waits for the
 * next attempt.
 */
static int begin_cpu_log(struct vitro_vm *vm)
{
	struct vitro_vcpu *vcpu;
	int i, err = 0;

	if (!vitro_caps.tdp_log)
		return 0;
	mutex_lock(&vm->lock);
	if (vm->cpu_log)
		goto unlock;
	vitro_for_each_vcpu(i, vcpu, vm) {
		err = vitro_backend->log_alloc(vcpu);
		if (err)
			goto unlock;
	}
	WRITE_ONCE(vm->cpu_log, true);
	vitro_kick_all(vm, VITRO_REQ_LOG, true);
unlock:
	mutex_unlock(&vm->lock);
	return err;
}

/**
 * vitro_set_memslot() - KVM_SET_USER_MEMORY_REGION
 * @vm:     the VM
 * @region: the call's argument, already copied from user space
 *
 * Size 0 deletes. An existing slot can be moved (other guest-physical address)
 * or have KVM_MEM_LOG_DIRTY_PAGES changed. When it returns, no vCPU uses what
 * was there before.
 *
 * Context: process context, current->mm is vm->mm; takes vm->lock, then vm->slots_lock,
 *	    and waits for readers of vm->srcu.
 * Return: 0; -EINVAL for a bad argument, deletion of a slot that does not exist
 *	   or a change that is not possible; -EEXIST when it overlaps another
 *	   slot; -ENOMEM.
 */
int vitro_set_memslot(struct vitro_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct vitro_memslot new = {
		.base_gfn = region->guest_phys_addr >> PAGE_SHIFT,
		.npages	= region->memory_size >> PAGE_SHIFT,
		.hva = region->userspace_addr,
		.flags = region->flags,
		.id = region->slot,
	};
	struct vitro_memslot *found, old;
	int err;

	err = check_region(region);
	if (err)
		return err;
	if (new.npages && new.flags & KVM_MEM_LOG_DIRTY_PAGES) {
		err = begin_cpu_log(vm);
		if (err)
			return err;
	}

	mutex_lock(&vm->slots_lock);
	found = slot_by_id(slots_for_writer(vm), new.id);
	if (found)
		old = *found;	/* its set is freed on the way */
	if (!new.npages)
		err = found ? delete_slot(vm, &old) : -EINVAL;
	else if (found)
		err = change_slot(vm, &old, &new);
	else
		err = create_slot(vm, &new);
	mutex_unlock(&vm->slots_lock);
	return err;
}

/**
 * vitro_logged_slot() - the slot of a dirty-log call
 * @vm: the VM, vm->slots_lock held
 * @id: slot number
 *
 * Return: the slot; -EINVAL: no such number; -ENOENT: no such slot, or it does not log.
 */
struct vitro_memslot *vitro_logged_slot(struct vitro_vm *vm, u32 id)
{
	struct vitro_memslot *slot;

	if (id >= VITRO_MAX_SLOTS)
		return ERR_PTR(-EINVAL);
	slot = slot_by_id(slots_for_writer(vm), id);
	if (!slot || !slot->dirty)
		return ERR_PTR(-ENOENT);
	return slot;
}

/*
 * Move the marks into the second buffer and watch the pages, so that
 * their next write is seen. A write through a translation that is not yet
 * flushed comes before user space reads the page whose mark it is given.
 */
static void fetch_dirty(struct vitro_vm *vm, struct vitro_memslot *slot)
{
	size_t i, longs = BITS_TO_LONGS(slot->npages);
	bool flush = false;

	memset(slot->dirty_shadow, 0, longs * sizeof(long));
	write_lock(&vm->mmu_lock);
	for (i = 0; i < longs; i++) {
		if (READ_ONCE(slot->dirty[i])) {
			slot->dirty_shadow[i] = xchg(&slot->dirty[i], 0);
			flush |= vitro_tdp_watch_mask(vm, slot->base_gfn + i * BITS_PER_LONG,
						      slot->dirty_shadow[i]);
		} else if (i % CLEAN_BATCH) {
			continue;
		}
		tdp_relax(vm, &flush);
	}
	if (flush)
		vitro_flush_remote_tlbs(vm);
	write_unlock(&vm->mmu_lock);
}

/**
 * vitro_get_dirty_log() - KVM_GET_DIRTY_LOG
 * @vm:  the VM
 * @log: the call's argument, already copied from user space
 *
 * Gives the pages written since the last call and begins anew, or, with
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, since vitro_clear_dirty_log(). If user space's
 * buffer turns out to be bad, the marks are kept for the next call.
 *
 * Context: process context; takes vm->slots_lock and mmu_lock.
 * Return: 0; -ENXIO with dirty rings; -EINVAL for a slot number out of range; -ENOENT when there is no
 *	   such slot or it does not log; -EFAULT.
 */
int vitro_get_dirty_log(struct vitro_vm *vm, const struct kvm_dirty_log *log)
{
	bool manual = READ_ONCE(vm->dirty_log_options) & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	struct vitro_memslot *slot;
	const unsigned long *marks;
	size_t i, longs;
	int err = 0;

	if (READ_ONCE(vm->dirty_ring_nr))
		return -ENXIO;
	mutex_lock(&vm->slots_lock);
	slot = vitro_logged_slot(vm, log->slot);
	if (IS_ERR(slot)) {
		err = PTR_ERR(slot);
		goto out;
	}
	vitro_collect_logs(vm);
	if (!manual)
		fetch_dirty(vm, slot);
	marks = manual ? slot->dirty : slot->dirty_shadow;
	longs = BITS_TO_LONGS(slot->npages);
	/* To marks that stay until KVM_CLEAR_DIRTY_LOG more may be added meanwhile. */
	if (data_race(copy_to_user(log->dirty_bitmap, marks, longs * sizeof(long)))) {
		for (i = 0; i < longs && !manual; i++)
			atomic_long_or(slot->dirty_shadow[i], (atomic_long_t *)&slot->dirty[i]);
		err = -EFAULT;
	}
out:
	mutex_unlock(&vm->slots_lock);
	return err;
}

/* Whole words of the bitmap, but for the last one of the slot. */
static bool clear_range_valid(const struct vitro_memslot *slot, const struct kvm_clear_dirty_log *log)
{
	if (log->first_page % BITS_PER_LONG || log->first_page > slot->npages ||
	    log->num_pages > slot->npages - log->first_page)
		return false;
	return log->num_pages == slot->npages - log->first_page ||
	       !(log->num_pages % BITS_PER_LONG);
}

/* Take those marks away that are set in the second buffer, from word @first on. */
static void clear_dirty(struct vitro_vm *vm, struct vitro_memslot *slot, size_t first, size_t longs)
{
	unsigned long mask;
	bool flush = false;
	size_t i;

	write_lock(&vm->mmu_lock);
	for (i = 0; i < longs; i++) {
		mask = slot->dirty_shadow[i];
		if (mask)
			mask &= atomic_long_fetch_andnot(mask,
							 (atomic_long_t *)&slot->dirty[first + i]);
		/* What is not marked is watched already, or has been logged by a processor. */
		if (mask)
			flush |= vitro_tdp_watch_mask(vm, slot->base_gfn +
							      (first + i) * BITS_PER_LONG, mask);
		tdp_relax(vm, &flush);
	}
	if (flush)
		vitro_flush_remote_tlbs(vm);
	write_unlock(&vm->mmu_lock);
}

/**
 * vitro_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG
 * @vm:  the VM
 * @log: the call's argument, already copied from user space
 *
 * The pages in user space's bitmap count as clean until they are written again.
 *
 * Context: process context; takes vm->slots_lock and mmu_lock.
 * Return: 0; -ENXIO with dirty rings; -EINVAL for a slot number or a range that is not possible; -ENOENT when there
 *	   is no such slot or it does not log; -EFAULT, and nothing has changed.
 */
int vitro_clear_dirty_log(struct vitro_vm *vm, const struct kvm_clear_dirty_log *log)
{
	struct vitro_memslot *slot;
	size_t first, longs;
	int err = 0;

	if (READ_ONCE(vm->dirty_ring_nr))
		return -ENXIO;
	mutex_lock(&vm->slots_lock);
	slot = vitro_logged_slot(vm, log->slot);
	if (IS_ERR(slot)) {
		err = PTR_ERR(slot);
		goto out;
	}
	if (!clear_range_valid(slot, log)) {
		err = -EINVAL;
		goto out;
	}
	first = array_index_nospec(log->first_page, slot->npages + 1) / BITS_PER_LONG;
	longs = BITS_TO_LONGS(log->num_pages);
	if (copy_from_user(slot->dirty_shadow, log->dirty_bitmap, longs * sizeof(long))) {
		err = -EFAULT;
		goto out;
	}
	vitro_collect_logs(vm);
	clear_dirty(vm, slot, first, longs);
out:
	mutex_unlock(&vm->slots_lock);
	return err;
}
