// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vCPU file descriptor: creation and lifetime.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "cr.h"
#include "debug.h"
#include "dev.h"
#include "dirty_ring.h"
#include "hot.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "run.h"
#include "steal.h"
#include "vm.h"
#include "xstate.h"

/**
 * vitro_cache_reg() - make a register's field in struct vitro_vcpu current
 * @vcpu: the vCPU
 * @reg:  the register
 *
 * Context: the vCPU's thread, loaded. For the accessors in vcpu.h only.
 */
void vitro_cache_reg(struct vitro_vcpu *vcpu, enum vitro_reg reg)
{
	static_call(vitro_cache_reg)(vcpu, reg);
	vcpu->regs_avail |= BIT(reg);
}

/**
 * vitro_vcpu_reset() - bring a vCPU to its state after RESET or INIT
 * @vcpu: the vCPU, loaded
 * @init: INIT, else power-up reset
 *
 * SDM, "Processor State After Reset"; APM, "Processor Initialization State".
 */
void vitro_vcpu_reset(struct vitro_vcpu *vcpu, bool init)
{
	u64 old_cr0 = init ? vcpu_cr0(vcpu) : 0;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	/* RDX holds the processor's signature. */
	vcpu->gpr[VITRO_RDX] = vitro_cpuid_signature(vcpu);
	memset(&vcpu->events, 0, sizeof(vcpu->events));
	vcpu->events.user_irq = VITRO_NO_VECTOR;
	atomic_set(&vcpu->nmi_queued, 0);
	WRITE_ONCE(vcpu->unhalted, false);
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_RESERVED;
	vcpu->dr7 = DR7_FIXED_1;
	vcpu->cr2 = 0;
	vcpu->cr8 = 0;

	vitro_backend->vcpu_reset(vcpu, init);

	vcpu_write_rsp(vcpu, 0);
	vcpu_write_rip(vcpu, 0xfff0);
	vcpu_write_rflags(vcpu, X86_EFLAGS_FIXED);
	/* INIT leaves the cache controls alone. */
	static_call(vitro_set_efer)(vcpu, 0);
	static_call(vitro_set_cr4)(vcpu, 0);
	static_call(vitro_set_cr3)(vcpu, 0);
	static_call(vitro_set_cr0)(vcpu, X86_CR0_ET |
			       (init ? old_cr0 & (X86_CR0_CD | X86_CR0_NW) :
				       X86_CR0_CD | X86_CR0_NW));
	vitro_update_dr7(vcpu);
	static_call(vitro_flush_guest_tlb)(vcpu);
	vitro_cpuid_runtime(vcpu);

	vitro_lapic_reset(vcpu, init);
	if (!init) {
		vitro_xstate_reset(vcpu);
		vitro_msr_reset(vcpu);
	}
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

static void sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct vitro_vcpu *vcpu = container_of(notifier, struct vitro_vcpu, preempt_notifier);

	WRITE_ONCE(vcpu->cpu, cpu);
	static_call(vitro_load)(vcpu, cpu);
	if (cpu != vcpu->last_cpu && vcpu->lapic)
		vitro_lapic_timer_migrate(vcpu);
	vcpu->last_cpu = cpu;
	vitro_clock_load(vcpu);
	vitro_steal_load(vcpu);
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct vitro_vcpu *vcpu = container_of(notifier, struct vitro_vcpu, preempt_notifier);

	vcpu->stats.preemptions++;
	vitro_steal_preempted(vcpu);
	static_call(vitro_put)(vcpu);
	/* Pairs with vitro_collect_logs(). */
	smp_store_release(&vcpu->cpu, -1);
}

static struct preempt_ops vitro_preempt_ops = {
	.sched_in  = sched_in,
	.sched_out = sched_out,
};

/**
 * vitro_loaded_vcpu() - the vCPU that the calling thread is in a call of
 * @vm: its VM
 *
 * Looked up where it is needed, which is seldom, rather than noted at each load.
 *
 * Context: any of the thread's.
 * Return: the vCPU; NULL: it has loaded none of @vm's.
 */
struct vitro_vcpu *vitro_loaded_vcpu(struct vitro_vm *vm)
{
	struct preempt_notifier *notifier;
	struct vitro_vcpu *vcpu;

	hlist_for_each_entry(notifier, &current->preempt_notifiers, link) {
		if (notifier->ops != &vitro_preempt_ops)
			continue;
		vcpu = container_of(notifier, struct vitro_vcpu, preempt_notifier);
		if (vcpu->vm == vm)
			return vcpu;
	}
	return NULL;
}

/**
 * vitro_vcpu_load() - make a vCPU current on this CPU, and keep it so
 * @vcpu: the vCPU; its mutex is held
 *
 * Until vitro_vcpu_put(), the preempt notifier unloads and loads the vCPU
 * when its thread is scheduled out and in.
 */
void vitro_vcpu_load(struct vitro_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->preempt_notifier);
	WRITE_ONCE(vcpu->cpu, cpu);
	static_call(vitro_load)(vcpu, cpu);
	vcpu->last_cpu = cpu;
	vitro_clock_load(vcpu);
	vitro_steal_load(vcpu);
	put_cpu();
}

/**
 * vitro_vcpu_put() - undo vitro_vcpu_load()
 * @vcpu: the vCPU; its mutex is held
 */
void vitro_vcpu_put(struct vitro_vcpu *vcpu)
{
	preempt_disable();
	static_call(vitro_put)(vcpu);
	smp_store_release(&vcpu->cpu, -1);	/* as in sched_out() */
	preempt_notifier_unregister(&vcpu->preempt_notifier);
	preempt_enable();
}

/* Two pages, not one of order 1: user space's mapping refers to each by itself. */
static void free_run_pages(struct vitro_vcpu *vcpu)
{
	free_page((unsigned long)vcpu->run);
	free_page((unsigned long)vcpu->pio_data);
}

/**
 * vitro_vcpu_destroy() - free a vCPU
 * @vcpu: the vCPU; no fd refers to it, or it has never been published
 */
void vitro_vcpu_destroy(struct vitro_vcpu *vcpu)
{
	vitro_lapic_destroy(vcpu);
	vitro_backend->vcpu_destroy(vcpu);
	kfree(vcpu->explain);
	kvfree(vcpu->cpuid);
	kfree(vcpu->mce.banks);
	vitro_emul_free(vcpu);
	vitro_xstate_free(vcpu);
	vitro_dirty_ring_free(vcpu);
	free_run_pages(vcpu);
	kfree(vcpu);
}

static struct vitro_vcpu *alloc_vcpu(struct vitro_vm *vm, u32 id)
{
	struct vitro_vcpu *vcpu;
	int err = -ENOMEM;

	vcpu = kzalloc(vitro_backend->vcpu_size, GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->last_cpu = -1;
	vcpu->maxphyaddr = 36;
	vcpu->disabled_exits = READ_ONCE(vm->disabled_exits);
	vcpu->tsc_khz = READ_ONCE(vm->clock.tsc_khz);
	vcpu->tsc_ratio = READ_ONCE(vm->clock.tsc_ratio);
	vcpu->mp_state = id == vm->bsp_id ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt_notifier, &vitro_preempt_ops);

	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run || !vcpu->pio_data)
		goto run;
	err = vitro_dirty_ring_alloc(vcpu);
	if (err)
		goto run;
	err = vitro_xstate_alloc(vcpu);
	if (err)
		goto ring;
	err = vitro_emul_alloc(vcpu);
	if (err)
		goto xstate;
	err = vitro_backend->vcpu_create(vcpu);
	if (err)
		goto emul;
	vitro_cpuid_defaults(vcpu);
	if (vm->irqchip_in_kernel) {
		err = vitro_lapic_create(vcpu);
		if (err)
			goto backend;
	} else {
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	}
	return vcpu;

backend:
	vitro_backend->vcpu_destroy(vcpu);
emul:
	vitro_emul_free(vcpu);
xstate:
	vitro_xstate_free(vcpu);
ring:
	vitro_dirty_ring_free(vcpu);
run:
	free_run_pages(vcpu);
	kfree(vcpu);
	return ERR_PTR(err);
}

static vm_fault_t vcpu_mmap_fault(struct vm_fault *vmf)
{
	struct vitro_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page;
	void *data;

	if (vmf->pgoff >= KVM_DIRTY_LOG_PAGE_OFFSET) {
		page = vitro_dirty_ring_page(vcpu, vmf->pgoff - KVM_DIRTY_LOG_PAGE_OFFSET);
		goto found;
	}
	switch (vmf->pgoff) {
	case 0:
		data = vcpu->run;
		break;
	case VITRO_PIO_PAGE:
		data = vcpu->pio_data;
		break;
	case VITRO_COALESCED_PAGE:
		data = vcpu->vm->coalesced.ring;
		break;
	default:
		return VM_FAULT_SIGBUS;
	}
	page = virt_to_page(data);
found:
	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_mmap_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	/* What is marked in a copy of a ring, the kernel would not see. */
	if (vma->vm_pgoff + vma_pages(vma) > KVM_DIRTY_LOG_PAGE_OFFSET &&
	    (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct vitro_vcpu *vcpu = file->private_data;

	vitro_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner		= THIS_MODULE,
	.release	= vcpu_release,
	.unlocked_ioctl	= vitro_vcpu_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= vcpu_mmap,
	.llseek		= noop_llseek,
};

/* May @vcpu join @vm? vm->lock is held. */
static int check_new_vcpu(struct vitro_vm *vm, struct vitro_vcpu *vcpu)
{
	int i;

	if (vm->nr_vcpus == VITRO_MAX_VCPUS || (vm->max_vcpu_id && vcpu->id >= vm->max_vcpu_id))
		return -EINVAL;
	/* KVM_CREATE_IRQCHIP may have come in between: the vCPU lacks its APIC. */
	if (vm->irqchip_in_kernel != !!vcpu->lapic)
		return -EINVAL;
	/* KVM_CAP_DIRTY_LOG_RING, KVM_CAP_X86_DISABLE_EXITS and KVM_SET_TSC_KHZ as well. */
	if (vm->dirty_ring_nr != vcpu->dirty_ring.nr ||
	    vm->disabled_exits != vcpu->disabled_exits ||
	    vm->clock.tsc_khz != vcpu->tsc_khz || vm->clock.tsc_ratio != vcpu->tsc_ratio)
		return -EINVAL;
	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == vcpu->id)
			return -EEXIST;
	return 0;
}

/* Gives a complete vCPU its file and adds it to its VM. */
static struct file *publish(struct vitro_vm *vm, struct vitro_vcpu *vcpu)
{
	struct file *file;
	char name[24];
	int err;

	snprintf(name, sizeof(name), "vitro-vcpu:%u", vcpu->id);
	mutex_lock(&vm->lock);
	err = check_new_vcpu(vm, vcpu);
	/* A slot may have begun to log. */
	if (!err && vm->cpu_log)
		err = vitro_backend->log_alloc(vcpu);
	if (err) {
		file = ERR_PTR(err);
		goto unlock;
	}
	file = anon_inode_getfile(name, &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file))
		goto unlock;

	vitro_vm_get(vm);
	vcpu->index = vm->nr_vcpus;
	vm->vcpus[vcpu->index] = vcpu;
	/* A filter may have come since the vCPU was made. */
	vitro_request(vcpu, VITRO_REQ_MSR_FILTER);
	if (vm->cpu_log)
		vitro_request(vcpu, VITRO_REQ_LOG);
	smp_store_release(&vm->nr_vcpus, vcpu->index + 1);	/* pairs with vitro_nr_vcpus() */
unlock:
	mutex_unlock(&vm->lock);
	return file;
}

static void power_up(struct vitro_vcpu *vcpu)
{
	mutex_lock(&vcpu->mutex);
	vitro_vcpu_load(vcpu);
	vitro_vcpu_reset(vcpu, false);
	vitro_vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
}

/**
 * vitro_vcpu_create() - KVM_CREATE_VCPU
 * @vm: the VM
 * @id: the vCPU's id, which is also its initial APIC id
 *
 * Context: process context.
 * Return: a new file descriptor, -EEXIST if the id is taken, -ENOMEM ...
 */
int vitro_vcpu_create(struct vitro_vm *vm, u32 id)
{
	struct vitro_vcpu *vcpu;
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = alloc_vcpu(vm, id);
	if (IS_ERR(vcpu)) {
		put_unused_fd(fd);
		return PTR_ERR(vcpu);
	}
	power_up(vcpu);

	file = publish(vm, vcpu);
	if (IS_ERR(file)) {
		vitro_vcpu_destroy(vcpu);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	vitro_clock_vcpu_added(vcpu);
	fd_install(fd, file);
	return fd;
}
