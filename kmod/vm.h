/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct vitro_vm, the virtual machine: memory, processors, interrupt
 * controllers. One per VM file descriptor.
 */
#ifndef VITRO_VM_H
#define VITRO_VM_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/rwlock.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>

#include "iobus.h"
#include "memslot.h"
#include "stats.h"
#include "tdp.h"
#include "vcpu.h"

struct vitro_irqchip;

/* Of KVM_CAP_DISABLE_QUIRKS2: those that vitro has. */
#define VITRO_QUIRKS							\
	(KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | \
	 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)

/* Of KVM_CAP_X2APIC_API: all that there are. */
#define VITRO_X2APIC_API						\
	(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)

#define VITRO_MAX_VCPUS		256	/* xAPIC and x2APIC ids below 256 */

/*
 * struct vitro_vm - a virtual machine
 *
 * Lock order: vcpu->mutex -> vm->lock -> vm->slots_lock -> vm->irq_lock ->
 * mmu_lock (rwlock) -> interrupt-controller spinlocks. vm->srcu may be held
 * for reading around any of them but slots_lock and irq_lock, whose holders
 * wait for its readers.
 */
struct vitro_vm {
	struct mm_struct *mm;		/* constant: the creator's, mm_count held */
	refcount_t users;		/* fds: VM's own, one per vCPU */
	struct mutex lock;		/* creation of vCPUs and devices */

	struct mutex slots_lock;	/* writers of memory slots, I/O buses, MSR filter */
	struct srcu_struct srcu;	/* readers of slots, buses, filter and GSI routes */
	struct vitro_memslots __rcu *memslots;
	u32 dirty_log_options;		/* KVM_DIRTY_LOG_*; written under lock */
	u32 dirty_ring_nr;		/* lock: entries of each vCPU's ring; 0: bitmaps */
	bool cpu_log;			/* set once under lock: processors log what vCPUs dirty */
	struct vitro_msr_filter __rcu *msr_filter; /* NULL: all is allowed */
	u32 user_msr_reasons;		/* KVM_MSR_EXIT_REASON_*; written under lock */
	struct vitro_iobus __rcu *buses[VITRO_NR_BUSES];
	struct {
		spinlock_t lock;	/* who writes to the ring */
		struct kvm_coalesced_mmio_ring *ring;	/* constant; shared with user space */
	} coalesced;

	rwlock_t mmu_lock;		/* nested page tables; see tdp.h */
	struct vitro_tdp tdp;
	struct mmu_notifier mmu_notifier;

	struct vitro_vcpu *vcpus[VITRO_MAX_VCPUS]; /* lock to add */
	int nr_vcpus;			/* publishes them (release); vitro_nr_vcpus() reads */
	u32 bsp_id;			/* lock: KVM_SET_BOOT_CPU_ID */

	struct mutex irq_lock;		/* GSI routes, irqfds */
	struct vitro_irqchip *irqchip;	/* set once under lock (release) */
	bool irqchip_in_kernel;		/* same, for the hot path: vCPUs have local APICs */
	bool pic_in_kernel;		/* set before it; false: the PIC is user space's */

	bool timing;			/* VITRO_SET_TIMING */
	bool hide_platform_info;	/* KVM_CAP_MSR_PLATFORM_INFO; written under lock */
	u32 disabled_quirks;		/* KVM_X86_QUIRK_*; written under lock */
	u32 nr_mmu_pages;		/* KVM_SET_NR_MMU_PAGES; written under lock */
	u32 max_vcpu_id;		/* lock: KVM_CAP_MAX_VCPU_ID, plus 1; 0: not set */
	u32 halt_poll_ns;		/* KVM_CAP_HALT_POLL; written under lock */
	u32 disabled_exits;		/* KVM_X86_DISABLE_EXITS_*; written under lock */
	u32 x2apic_api;			/* KVM_X2APIC_API_*; written under lock */
	/* KVM_ENABLE_CAP; written under lock */
	bool exception_payload;		/* KVM_CAP_EXCEPTION_PAYLOAD */
	bool triple_fault_event;	/* KVM_CAP_X86_TRIPLE_FAULT_EVENT */
	bool exit_on_emulation_failure;	/* KVM_CAP_EXIT_ON_EMULATION_FAILURE */

	struct vitro_clock {
		spinlock_t lock;
		s64 offset_ns;		/* guest clock = host monotonic raw + offset */
		u64 base_tsc;		/* host TSC when base_ns was taken */
		u64 base_ns;		/* host monotonic raw then, ns */
		u64 created_tsc;	/* constant: host TSC at creation, when guests' were 0 */
		u64 synced_tsc_offset;	/* of the last IA32_TSC that user space set ... */
		u64 synced_tsc_ratio;	/* ... at this ratio */
		bool tsc_synced;	/* ... if it has */
		u32 tsc_khz;		/* of new vCPUs, 0: the host's; written under vm->lock */
		u64 tsc_ratio;		/* and their ratio */
		bool rates_set;		/* vCPUs have been given rates of their own */
	} clock;

	struct vitro_vm_stats stats;
	char stats_id[32];		/* "kvm-<pid>" of the statistics header */
};

/* The number of vCPUs that exist now; so many of vm->vcpus are complete. */
static inline int vitro_nr_vcpus(const struct vitro_vm *vm)
{
	/* Pairs with the release in vcpu.c, when a vCPU is published. */
	return smp_load_acquire(&vm->nr_vcpus);
}

/* Iterate over the vCPUs that exist now; safe against concurrent creation. */
#define vitro_for_each_vcpu(i, vcpu, vm)				\
	for ((i) = 0;							\
	     (i) < vitro_nr_vcpus(vm) &&				\
	     ((vcpu) = (vm)->vcpus[i], true); (i)++)

/**
 * vitro_memslots() - a VM's present set of memory slots
 * @vm: the VM
 *
 * Context: any; vm->srcu or vm->slots_lock held, and as long as the set is used.
 */
static inline struct vitro_memslots *vitro_memslots(struct vitro_vm *vm)
{
	return srcu_dereference_check(vm->memslots, &vm->srcu, lockdep_is_held(&vm->slots_lock));
}

/**
 * vitro_last_slot() - the slot found last, if it covers a guest frame
 * @slots: the VM's slots
 * @gfn:   guest frame number
 *
 * Context: as vitro_find_slot(). Return: the slot, or NULL.
 */
static __always_inline struct vitro_memslot *vitro_last_slot(const struct vitro_memslots *slots,
							     u64 gfn)
{
	struct vitro_memslot *slot = READ_ONCE(slots->last);

	if (likely(gfn - slot->base_gfn < slot->npages && !(slot->flags & VITRO_MEM_INVALID)))
		return slot;
	return NULL;
}

/**
 * vitro_find_slot() - the slot that covers a guest frame
 * @vm:  the VM
 * @gfn: guest frame number
 *
 * The slot found last usually is the one: a guest has few, and works in one.
 *
 * Context: any; vm->srcu or vm->slots_lock held, and as long as the slot is used.
 * Return: the slot, or NULL if there is no memory at @gfn.
 */
static inline struct vitro_memslot *vitro_find_slot(struct vitro_vm *vm, u64 gfn)
{
	struct vitro_memslots *slots = vitro_memslots(vm);
	u16 unused;

	return vitro_last_slot(slots, gfn) ?: vitro_search_slot(slots, gfn, &unused);
}

long vitro_vm_create(unsigned long type);
void vitro_vm_get(struct vitro_vm *vm);
void vitro_vm_put(struct vitro_vm *vm);

/* readers.c: synchronize_srcu() that also makes vCPUs leave their guests */
void vitro_sync_readers(struct vitro_vm *vm);

#endif /* VITRO_VM_H */
