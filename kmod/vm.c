// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM file descriptor: creation, lifetime, and the calls that concern a
 * VM as a whole.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../uapi/vitro.h"
#include "backend.h"
#include "clock.h"
#include "coalesced.h"
#include "dev.h"
#include "dirty_ring.h"
#include "ioctl.h"
#include "irqchip/irqchip.h"
#include "msr_filter.h"
#include "run.h"
#include "tsc.h"
#include "vm.h"

/* The fewest that KVM_SET_NR_MMU_PAGES takes, as with KVM. */
#define MIN_MMU_PAGES	64

/* Classes of lock in the table of VM calls. */
enum {
	LOCK_NONE,		/* the call takes what it needs */
	LOCK_VM,		/* vm->lock */
	LOCK_ANY_MM,		/* none, and other processes may call */
};

static void free_vm(struct vitro_vm *vm)
{
	int i;

	/* From here on no notifier callback runs, and no vCPU is in RUN. */
	vitro_tdp_release(vm);
	/* Timers and irqfds send to vCPUs, so they go first. */
	vitro_irqchip_destroy(vm);
	for (i = 0; i < vm->nr_vcpus; i++)
		vitro_vcpu_destroy(vm->vcpus[i]);
	vitro_iobus_destroy(vm);
	vitro_coalesced_free(vm);
	vitro_free_msr_filter(vm);
	vitro_memslots_free(vm);
	vitro_tdp_destroy(vm);
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
	kvfree(vm);
}

void vitro_vm_get(struct vitro_vm *vm)
{
	refcount_inc(&vm->users);
}

void vitro_vm_put(struct vitro_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		free_vm(vm);
}

static struct vitro_vm *alloc_vm(void)
{
	struct vitro_vm *vm;
	int err;

	vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);

	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->irq_lock);
	rwlock_init(&vm->mmu_lock);
	vitro_clock_init(vm);
	snprintf(vm->stats_id, sizeof(vm->stats_id), "kvm-%d", task_tgid_nr(current));
	vm->mm = current->mm;
	mmgrab(vm->mm);

	err = init_srcu_struct(&vm->srcu);
	if (err)
		goto free;
	err = vitro_memslots_init(vm);
	if (err)
		goto srcu;
	err = vitro_coalesced_init(vm);
	if (err)
		goto memslots;
	err = vitro_tdp_create(vm);
	if (err)
		goto coalesced;
	return vm;

coalesced:
	vitro_coalesced_free(vm);
memslots:
	vitro_memslots_free(vm);
srcu:
	cleanup_srcu_struct(&vm->srcu);
free:
	mmdrop(vm->mm);
	kvfree(vm);
	return ERR_PTR(err);
}

static long vm_create_vcpu(void *obj, void *data, unsigned long arg)
{
	if (arg >= VITRO_MAX_VCPUS)
		return -EINVAL;
	return vitro_vcpu_create(obj, arg);
}

static long vm_set_user_memory_region(void *obj, void *data, unsigned long arg)
{
	return vitro_set_memslot(obj, data);
}

static long vm_get_dirty_log(void *obj, void *data, unsigned long arg)
{
	return vitro_get_dirty_log(obj, data);
}

/*
 * Real mode runs natively here (unrestricted guest, SVM), so the pages that
 * these two calls set aside are not used. The address is checked as KVM does.
 */
static long vm_set_tss_addr(void *obj, void *data, unsigned long arg)
{
	return arg > 0xffffffffUL - 3 * PAGE_SIZE ? -EINVAL : 0;
}

static long vm_set_identity_map_addr(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	return vm->nr_vcpus ? -EINVAL : 0;
}

static long vm_set_boot_cpu_id(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	if (vm->nr_vcpus)
		return -EBUSY;
	vm->bsp_id = arg;
	return 0;
}

static long vm_create_irqchip(void *obj, void *data, unsigned long arg)
{
	return vitro_irqchip_create(obj);
}

static long vm_clear_dirty_log(void *obj, void *data, unsigned long arg)
{
	return vitro_clear_dirty_log(obj, data);
}

/* Slots begin with all pages dirty only if user space is who cleans them. */
static long set_dirty_log_options(struct vitro_vm *vm, u64 options)
{
	u64 allowed = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (options & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		allowed |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (options & ~allowed)
		return -EINVAL;
	WRITE_ONCE(vm->dirty_log_options, options);
	return 0;
}

/* May be set once: vCPU ids below are what the VM will have. */
static long set_max_vcpu_id(struct vitro_vm *vm, u64 max)
{
	if (!max || max > VITRO_MAX_VCPUS)
		return -EINVAL;
	if (vm->max_vcpu_id && vm->max_vcpu_id != max)
		return -EINVAL;
	vm->max_vcpu_id = max;
	return 0;
}

/* Once and for all: vCPUs are made with it. */
static long disable_exits(struct vitro_vm *vm, u64 which)
{
	if (which & ~(u64)vitro_disable_exits() || vm->nr_vcpus)
		return -EINVAL;
	WRITE_ONCE(vm->disabled_exits, vm->disabled_exits | which);
	return 0;
}

static long set_halt_poll(struct vitro_vm *vm, u64 ns)
{
	if (ns > U32_MAX)
		return -EINVAL;
	WRITE_ONCE(vm->halt_poll_ns, ns);
	return 0;
}

static long set_user_msr_reasons(struct vitro_vm *vm, u64 reasons)
{
	if (reasons & ~VITRO_MSR_USER_REASONS)
		return -EINVAL;
	WRITE_ONCE(vm->user_msr_reasons, reasons);
	return 0;
}

static long vm_set_msr_filter(void *obj, void *data, unsigned long arg)
{
	return vitro_set_msr_filter(obj, data);
}

/* A capability that is a switch. */
static long set_switch(bool *what, u64 value)
{
	if (value > 1)
		return -EINVAL;
	WRITE_ONCE(*what, value);
	return 0;
}

/* As stock KVM has it, what is on stays on. */
static long set_x2apic_api(struct vitro_vm *vm, u64 flags)
{
	if (flags & ~(u64)VITRO_X2APIC_API)
		return -EINVAL;
	WRITE_ONCE(vm->x2apic_api, vm->x2apic_api | flags);
	return 0;
}

static long vm_enable_cap(void *obj, void *data, unsigned long arg)
{
	const struct kvm_enable_cap *cap = data;
	struct vitro_vm *vm = obj;

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		return vitro_irqchip_create_split(vm, cap->args[0]);
	case KVM_CAP_X2APIC_API:
		return set_x2apic_api(vm, cap->args[0]);
	case KVM_CAP_EXCEPTION_PAYLOAD:
		return set_switch(&vm->exception_payload, cap->args[0]);
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		return set_switch(&vm->triple_fault_event, cap->args[0]);
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		return set_switch(&vm->exit_on_emulation_failure, cap->args[0]);
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return set_dirty_log_options(vm, cap->args[0]);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return vitro_dirty_ring_enable(vm, cap->args[0]);
	case KVM_CAP_DISABLE_QUIRKS2:
		if (cap->args[0] & ~(u64)VITRO_QUIRKS)
			return -EINVAL;
		WRITE_ONCE(vm->disabled_quirks, cap->args[0]);
		return 0;
	case KVM_CAP_MAX_VCPU_ID:
		return set_max_vcpu_id(vm, cap->args[0]);
	case KVM_CAP_HALT_POLL:
		return set_halt_poll(vm, cap->args[0]);
	case KVM_CAP_X86_DISABLE_EXITS:
		return disable_exits(vm, cap->args[0]);
	case KVM_CAP_MSR_PLATFORM_INFO:
		WRITE_ONCE(vm->hide_platform_info, !cap->args[0]);
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		return set_user_msr_reasons(vm, cap->args[0]);
	default:
		return -EINVAL;
	}
}

static long vm_reset_dirty_rings(void *obj, void *data, unsigned long arg)
{
	return arg ? -EINVAL : vitro_dirty_ring_reset(obj);
}

static long vm_get_irqchip(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	return vm->irqchip_in_kernel ? vitro_irqchip_get(vm, data) : -ENXIO;
}

static long vm_set_irqchip(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	return vm->irqchip_in_kernel ? vitro_irqchip_set(vm, data) : -ENXIO;
}

static bool has_irqchip(const struct vitro_vm *vm)
{
	/* Pairs with the release in vitro_irqchip_create(). */
	return smp_load_acquire(&vm->irqchip_in_kernel);
}

static long vm_irq_line(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;
	struct kvm_irq_level *line = data;

	if (!has_irqchip(vm))
		return -ENXIO;
	line->status = vitro_set_irq(vm, line->irq, line->level);
	return 0;
}

static long vm_signal_msi(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	if (!has_irqchip(vm))
		return -EINVAL;
	return vitro_send_msi(vm, data);
}

static long vm_create_pit(void *obj, void *data, unsigned long arg)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	return vitro_pit_create(obj, &config);
}

static long vm_create_pit2(void *obj, void *data, unsigned long arg)
{
	return vitro_pit_create(obj, data);
}

static long vm_get_pit2(void *obj, void *data, unsigned long arg)
{
	return vitro_pit_get(obj, data);
}

static long vm_set_pit2(void *obj, void *data, unsigned long arg)
{
	return vitro_pit_set(obj, data);
}

static long vm_reinject_control(void *obj, void *data, unsigned long arg)
{
	return vitro_pit_reinject(obj, data);
}

static long vm_set_gsi_routing(void *obj, void *data, unsigned long arg)
{
	struct kvm_irq_routing *routing = data;
	struct kvm_irq_routing_entry *entries = NULL;
	struct vitro_vm *vm = obj;
	long r;

	if (!has_irqchip(vm))
		return -EINVAL;
	if (routing->nr > VITRO_MAX_GSIS || routing->flags)
		return -EINVAL;
	if (routing->nr) {
		entries = vmemdup_user(vitro_user_tail(arg, struct kvm_irq_routing, entries),
				       array_size(routing->nr, sizeof(*entries)));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	r = vitro_set_gsi_routing(vm, entries, routing->nr, routing->flags);
	kvfree(entries);
	return r;
}

static long vm_irqfd(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	if (!has_irqchip(vm))
		return -EINVAL;
	return vitro_irqfd(vm, data);
}

static long vm_ioeventfd(void *obj, void *data, unsigned long arg)
{
	return vitro_ioeventfd(obj, data);
}

static long vm_register_coalesced(void *obj, void *data, unsigned long arg)
{
	return vitro_coalesced_register(obj, data);
}

static long vm_unregister_coalesced(void *obj, void *data, unsigned long arg)
{
	return vitro_coalesced_unregister(obj, data);
}

static long vm_get_clock(void *obj, void *data, unsigned long arg)
{
	return vitro_get_clock(obj, data);
}

static long vm_set_clock(void *obj, void *data, unsigned long arg)
{
	return vitro_set_clock(obj, data);
}

static long vm_get_tsc_khz(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	return READ_ONCE(vm->clock.tsc_khz) ?: READ_ONCE(tsc_khz);
}

/* What new vCPUs begin with, so before there are any. */
static long vm_set_tsc_khz(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;
	u64 ratio;

	if (vm->nr_vcpus || vitro_tsc_ratio_for(arg, &ratio))
		return -EINVAL;
	WRITE_ONCE(vm->clock.tsc_khz, arg);
	WRITE_ONCE(vm->clock.tsc_ratio, ratio);
	return 0;
}

static long vm_check_extension(void *obj, void *data, unsigned long arg)
{
	return vitro_check_extension(obj, arg);
}

static long vm_get_stats_fd(void *obj, void *data, unsigned long arg)
{
	return vitro_vm_stats_fd(obj);
}

static long vm_set_timing(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	if (arg > 1)
		return -EINVAL;
	WRITE_ONCE(vm->timing, arg);
	return 0;
}

/*
 * KVM bounds the pages of its shadow page tables by that. There are none here: the number
 * is kept for who asks for it.
 */
static long vm_set_nr_mmu_pages(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	if (arg < MIN_MMU_PAGES)
		return -EINVAL;
	/* KVM_GET_NR_MMU_PAGES returns it as an int. */
	WRITE_ONCE(vm->nr_mmu_pages, min_t(unsigned long, arg, INT_MAX));
	return 0;
}

static long vm_get_nr_mmu_pages(void *obj, void *data, unsigned long arg)
{
	struct vitro_vm *vm = obj;

	return READ_ONCE(vm->nr_mmu_pages);
}

static const struct vitro_ioctl vm_ioctls[VITRO_IOCTL_SLOTS] = {
	VITRO_IOCTL(KVM_CREATE_VCPU, LOCK_NONE, vm_create_vcpu),
	VITRO_IOCTL(KVM_SET_USER_MEMORY_REGION, LOCK_NONE, vm_set_user_memory_region),
	VITRO_IOCTL(KVM_GET_DIRTY_LOG, LOCK_NONE, vm_get_dirty_log),
	VITRO_IOCTL(KVM_CLEAR_DIRTY_LOG, LOCK_NONE, vm_clear_dirty_log),
	VITRO_IOCTL(KVM_RESET_DIRTY_RINGS, LOCK_NONE, vm_reset_dirty_rings),
	VITRO_IOCTL(KVM_SET_TSS_ADDR, LOCK_NONE, vm_set_tss_addr),
	VITRO_IOCTL(KVM_SET_IDENTITY_MAP_ADDR, LOCK_VM, vm_set_identity_map_addr),
	VITRO_IOCTL(KVM_SET_NR_MMU_PAGES, LOCK_VM, vm_set_nr_mmu_pages),
	VITRO_IOCTL(KVM_GET_NR_MMU_PAGES, LOCK_NONE, vm_get_nr_mmu_pages),
	VITRO_IOCTL(KVM_SET_BOOT_CPU_ID, LOCK_VM, vm_set_boot_cpu_id),
	VITRO_IOCTL(KVM_CREATE_IRQCHIP, LOCK_VM, vm_create_irqchip),
	VITRO_IOCTL(KVM_ENABLE_CAP, LOCK_VM, vm_enable_cap),
	VITRO_IOCTL(KVM_X86_SET_MSR_FILTER, LOCK_VM, vm_set_msr_filter),
	VITRO_IOCTL(KVM_GET_IRQCHIP, LOCK_VM, vm_get_irqchip),
	VITRO_IOCTL_DATA(KVM_SET_IRQCHIP, LOCK_VM, vm_set_irqchip,
			 _IOC_WRITE, sizeof(struct kvm_irqchip)),
	VITRO_IOCTL(KVM_IRQ_LINE, LOCK_NONE, vm_irq_line),
	VITRO_IOCTL(KVM_IRQ_LINE_STATUS, LOCK_NONE, vm_irq_line),
	VITRO_IOCTL(KVM_SIGNAL_MSI, LOCK_NONE, vm_signal_msi),
	VITRO_IOCTL(KVM_CREATE_PIT, LOCK_VM, vm_create_pit),
	VITRO_IOCTL(KVM_CREATE_PIT2, LOCK_VM, vm_create_pit2),
	VITRO_IOCTL(KVM_GET_PIT2, LOCK_VM, vm_get_pit2),
	VITRO_IOCTL(KVM_SET_PIT2, LOCK_VM, vm_set_pit2),
	VITRO_IOCTL_DATA(KVM_REINJECT_CONTROL, LOCK_VM, vm_reinject_control,
			 _IOC_WRITE, sizeof(struct kvm_reinject_control)),
	VITRO_IOCTL(KVM_SET_GSI_ROUTING, LOCK_NONE, vm_set_gsi_routing),
	VITRO_IOCTL(KVM_IRQFD, LOCK_NONE, vm_irqfd),
	VITRO_IOCTL(KVM_IOEVENTFD, LOCK_NONE, vm_ioeventfd),
	VITRO_IOCTL(KVM_REGISTER_COALESCED_MMIO, LOCK_NONE, vm_register_coalesced),
	VITRO_IOCTL(KVM_UNREGISTER_COALESCED_MMIO, LOCK_NONE, vm_unregister_coalesced),
	VITRO_IOCTL(KVM_GET_CLOCK, LOCK_NONE, vm_get_clock),
	VITRO_IOCTL(KVM_SET_CLOCK, LOCK_NONE, vm_set_clock),
	VITRO_IOCTL(KVM_GET_TSC_KHZ, LOCK_NONE, vm_get_tsc_khz),
	VITRO_IOCTL(KVM_SET_TSC_KHZ, LOCK_VM, vm_set_tsc_khz),
	VITRO_IOCTL(KVM_CHECK_EXTENSION, LOCK_ANY_MM, vm_check_extension),
	VITRO_IOCTL(KVM_GET_STATS_FD, LOCK_ANY_MM, vm_get_stats_fd),
};

static const struct vitro_ioctl vm_set_timing_ioctl =
	VITRO_IOCTL_EXTENSION(VITRO_SET_TIMING, LOCK_NONE, vm_set_timing);

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vitro_vm *vm = file->private_data;
	const struct vitro_ioctl *ioctl;
	long r;

	ioctl = cmd == VITRO_SET_TIMING ? &vm_set_timing_ioctl :
					  vitro_ioctl_find(vm_ioctls, cmd);
	if (!ioctl)
		return -ENOTTY;
	if (ioctl->lock != LOCK_ANY_MM && vm->mm != current->mm)
		return -EIO;
	if (ioctl->lock != LOCK_VM)
		return vitro_ioctl_call(ioctl, vm, arg);

	mutex_lock(&vm->lock);
	r = vitro_ioctl_call(ioctl, vm, arg);
	mutex_unlock(&vm->lock);
	return r;
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct vitro_vm *vm = file->private_data;

	vitro_irqfd_release(vm);
	vitro_vm_put(vm);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner		= THIS_MODULE,
	.release	= vm_release,
	.unlocked_ioctl	= vm_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

/**
 * vitro_vm_create() - KVM_CREATE_VM
 * @type: must be 0, the only machine type on x86
 *
 * Context: process context.
 * Return: a new file descriptor, -EINVAL, -ENOMEM, -EMFILE ...
 */
long vitro_vm_create(unsigned long type)
{
	struct vitro_vm *vm;
	struct file *file;
	int fd;

	if (type)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	vm = alloc_vm();
	if (IS_ERR(vm)) {
		put_unused_fd(fd);
		return PTR_ERR(vm);
	}

	file = anon_inode_getfile("vitro-vm", &vm_fops, vm, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		vitro_vm_put(vm);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}
