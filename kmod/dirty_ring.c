// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty rings. A page that becomes dirty is entered into the ring of the vCPU
 * that wrote to it; user space reads the ring in the vCPU's mmap, marks what it has
 * taken, and KVM_RESET_DIRTY_RINGS makes these pages clean and the entries free.
 *
 * The slots' bitmaps stay: a page whose bit is set is in a ring already.
 *
 * User space can write to a ring at any time. What is read from it decides which page
 * is made clean, of those that the slots have, and when; both are user space's business. How many
 * entries are in use is known from two counters that are not in the ring.
 *
 * Where the processor logs (vm->cpu_log), its log is emptied into the ring before anything else
 * is entered. It has no more room than the ring then has, so pages of the log always find some:
 * since it was emptied last, one page at most has been entered that the processor has not logged.
 */
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "dirty_ring.h"
#include "tdp_internal.h"
#include "vcpu.h"
#include "vm.h"

/* What an instruction, and what goes with an entry, may dirty after the ring counts as full. */
#define RESERVED	64

static struct kvm_dirty_gfn *entry_at(const struct vitro_dirty_ring *ring, u32 i)
{
	return &ring->entries[i & (ring->nr - 1)];
}

/**
 * vitro_dirty_ring_enable() - KVM_CAP_DIRTY_LOG_RING
 * @vm:    the VM, vm->lock held
 * @bytes: size of each vCPU's ring
 *
 * Return: 0; -EINVAL: not a size, there are vCPUs, or it is on; -E2BIG.
 */
int vitro_dirty_ring_enable(struct vitro_vm *vm, u64 bytes)
{
	u64 nr = bytes / sizeof(struct kvm_dirty_gfn);

	if (!is_power_of_2(bytes) || nr < VITRO_DIRTY_RING_MIN)
		return -EINVAL;
	if (nr > VITRO_DIRTY_RING_MAX)
		return -E2BIG;
	if (vm->nr_vcpus || vm->dirty_ring_nr)
		return -EINVAL;
	WRITE_ONCE(vm->dirty_ring_nr, nr);
	return 0;
}

/**
 * vitro_dirty_ring_alloc() - give a new vCPU its ring, if its VM has them
 * @vcpu: the vCPU
 *
 * Context: process context. Return: 0 or -ENOMEM.
 */
int vitro_dirty_ring_alloc(struct vitro_vcpu *vcpu)
{
	struct vitro_dirty_ring *ring = &vcpu->dirty_ring;
	u32 nr = READ_ONCE(vcpu->vm->dirty_ring_nr);

	if (!nr)
		return 0;
	/* User space chooses the size: too much of it is no news for the log. */
	ring->entries = __vmalloc(array_size(nr, sizeof(*ring->entries)),
				  GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN);
	if (!ring->entries)
		return -ENOMEM;
	ring->nr = nr;
	return 0;
}

/**
 * vitro_dirty_ring_free() - undo vitro_dirty_ring_alloc()
 * @vcpu: the vCPU
 */
void vitro_dirty_ring_free(struct vitro_vcpu *vcpu)
{
	vfree(vcpu->dirty_ring.entries);
}

/**
 * vitro_dirty_ring_page() - a page of a ring, for mmap
 * @vcpu: the vCPU
 * @i:    which
 *
 * Return: the page, or NULL beyond the end.
 */
struct page *vitro_dirty_ring_page(struct vitro_vcpu *vcpu, unsigned long i)
{
	const struct vitro_dirty_ring *ring = &vcpu->dirty_ring;
	unsigned long pages = ring->nr * sizeof(*ring->entries) / PAGE_SIZE;

	if (i >= pages)
		return NULL;
	return vmalloc_to_page((void *)ring->entries + array_index_nospec(i, pages) * PAGE_SIZE);
}

static u32 in_use(const struct vitro_dirty_ring *ring)
{
	return READ_ONCE(ring->next) - READ_ONCE(ring->first);
}

/**
 * vitro_dirty_ring_room() - how many pages may a vCPU dirty until its ring counts as full?
 * @vcpu: the vCPU
 *
 * Context: any.
 * Return: the number; U32_MAX without a ring.
 */
u32 vitro_dirty_ring_room(const struct vitro_vcpu *vcpu)
{
	const struct vitro_dirty_ring *ring = &vcpu->dirty_ring;
	u32 used;

	if (!ring->nr)
		return U32_MAX;
	used = in_use(ring);
	return used < ring->nr - RESERVED ? ring->nr - RESERVED - used : 0;
}

/**
 * vitro_dirty_ring_full() - does a vCPU have to stop until its ring has been emptied?
 * @vcpu: the vCPU
 *
 * Context: any.
 */
bool vitro_dirty_ring_full(const struct vitro_vcpu *vcpu)
{
	return !vitro_dirty_ring_room(vcpu);
}

/**
 * vitro_dirty_ring_enter() - enter a page, as it is
 * @vcpu:   the vCPU
 * @slot:   slot of the page
 * @offset: of the page in it
 *
 * Context: IRQs off, on the CPU where the vCPU is loaded.
 * Return: true; false if there is no room.
 */
bool vitro_dirty_ring_enter(struct vitro_vcpu *vcpu, const struct vitro_memslot *slot, u64 offset)
{
	struct vitro_dirty_ring *ring = &vcpu->dirty_ring;
	bool room = in_use(ring) < ring->nr;
	struct kvm_dirty_gfn *entry;

	if (room) {
		entry = entry_at(ring, ring->next);
		entry->slot = slot->id;
		entry->offset = offset;
		/* User space may read the rest once it sees this. */
		smp_store_release(&entry->flags, KVM_DIRTY_GFN_F_DIRTY);
		WRITE_ONCE(ring->next, ring->next + 1);
	}
	if (vitro_dirty_ring_full(vcpu))
		vitro_request(vcpu, VITRO_REQ_RING_FULL);
	return room;
}

/**
 * vitro_dirty_ring_push() - enter a page that vitro has written, or is about to let the guest write
 * @vm:     the VM
 * @slot:   slot of the page
 * @offset: of the page in it
 *
 * Context: any of a vCPU's thread, loaded.
 * Return: true; false if there is no room: the caller has the page count as clean, and so its
 * next write comes here again. Only user space that goes on setting MSRs that write to guest
 * memory, and takes nothing out, gets there.
 */
bool vitro_dirty_ring_push(struct vitro_vm *vm, const struct vitro_memslot *slot, u64 offset)
{
	struct vitro_vcpu *vcpu = vitro_loaded_vcpu(vm);
	unsigned long flags;
	bool room;

	if (!vcpu)
		return false;
	/* The thread may write to guest memory when it is scheduled out. */
	local_irq_save(flags);
	if (READ_ONCE(vm->cpu_log))
		vitro_backend->log_empty(vcpu);
	room = vitro_dirty_ring_enter(vcpu, slot, offset);
	local_irq_restore(flags);
	return room;
}

/* Makes a page clean that user space has taken; what it names need not exist. */
static bool clean_page(struct vitro_vm *vm, u32 id, u64 offset)
{
	struct vitro_memslot *slot = vitro_logged_slot(vm, id);
	unsigned long word, bit;

	if (IS_ERR(slot) || offset >= slot->npages)
		return false;
	offset = array_index_nospec(offset, slot->npages);
	word = offset / BITS_PER_LONG;
	bit = BIT(offset % BITS_PER_LONG);
	/* First the mark: a write after this faults and sets it again. */
	if (!test_and_clear_bit(offset, slot->dirty))
		return false;
	return vitro_tdp_watch_mask(vm, slot->base_gfn + word * BITS_PER_LONG, bit);
}

static int reset_ring(struct vitro_vm *vm, struct vitro_dirty_ring *ring, bool *flush)
{
	u32 end = READ_ONCE(ring->next);
	struct kvm_dirty_gfn *entry;
	int done = 0;

	/* No further than now: vCPUs may go on filling it, and user space taking out. */
	while (ring->first != end) {
		entry = entry_at(ring, ring->first);
		/* Pairs with user space's release: it has read the rest. */
		if (!(smp_load_acquire(&entry->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		*flush |= clean_page(vm, READ_ONCE(entry->slot), READ_ONCE(entry->offset));
		WRITE_ONCE(entry->flags, 0);
		WRITE_ONCE(ring->first, ring->first + 1);
		done++;
		tdp_relax(vm, flush);
	}
	return done;
}

/**
 * vitro_dirty_ring_reset() - KVM_RESET_DIRTY_RINGS
 * @vm: the VM
 *
 * What processors have logged and is in no ring yet needs no collecting: these pages are not
 * marked, so they are left alone, or they come once more. As with KVM, who wants all in the
 * rings has the vCPUs return to user space first.
 *
 * Context: process context; takes vm->slots_lock and mmu_lock.
 * Return: the number of entries that user space had taken, or -EINVAL if there are no rings.
 */
int vitro_dirty_ring_reset(struct vitro_vm *vm)
{
	struct vitro_vcpu *vcpu;
	bool flush = false;
	int i, done = 0;

	if (!READ_ONCE(vm->dirty_ring_nr))
		return -EINVAL;
	mutex_lock(&vm->slots_lock);
	write_lock(&vm->mmu_lock);
	vitro_for_each_vcpu(i, vcpu, vm)
		done += reset_ring(vm, &vcpu->dirty_ring, &flush);
	if (flush)
		vitro_flush_remote_tlbs(vm);
	write_unlock(&vm->mmu_lock);
	mutex_unlock(&vm->slots_lock);
	return done;
}
