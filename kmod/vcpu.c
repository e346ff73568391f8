// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vCPU file descriptor: creation, lifetime, and its calls.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "../uapi/vitro.h"
#include "backend.h"
#include "clock.h"
#include "cpuid.h"
#include "cr.h"
#include "dev.h"
#include "hot.h"
#include "insn.h"
#include "ioctl.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "run.h"
#include "vcpu_state.h"
#include "vm.h"
#include "xstate.h"

/* Classes of lock in the table of vCPU calls. */
enum {
	LOCK_LOADED,		/* vcpu->mutex, vCPU loaded on this CPU */
	LOCK_MUTEX,		/* vcpu->mutex */
	LOCK_NONE,
	LOCK_ANY_MM,		/* none, and other processes may call */
};

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
	vitro_backend->set_efer(vcpu, 0);
	vitro_backend->set_cr4(vcpu, 0);
	vitro_backend->set_cr3(vcpu, 0);
	vitro_backend->set_cr0(vcpu, X86_CR0_ET |
			       (init ? old_cr0 & (X86_CR0_CD | X86_CR0_NW) :
				       X86_CR0_CD | X86_CR0_NW));
	vitro_backend->set_dr7(vcpu, vcpu->dr7);
	vitro_backend->flush_guest_tlb(vcpu);
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
	vitro_backend->load(vcpu, cpu);
	if (cpu != vcpu->last_cpu && vcpu->lapic)
		vitro_lapic_timer_migrate(vcpu);
	vcpu->last_cpu = cpu;
	vitro_clock_load(vcpu);
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct vitro_vcpu *vcpu = container_of(notifier, struct vitro_vcpu, preempt_notifier);

	vcpu->stats.preemptions++;
	vitro_backend->put(vcpu);
	WRITE_ONCE(vcpu->cpu, -1);
}

static struct preempt_ops vitro_preempt_ops = {
	.sched_in  = sched_in,
	.sched_out = sched_out,
};

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
	vitro_backend->load(vcpu, cpu);
	vcpu->last_cpu = cpu;
	vitro_clock_load(vcpu);
	put_cpu();
}

/**
 * vitro_vcpu_put() - undo vitro_vcpu_load()
 * @vcpu: the vCPU; its mutex is held
 */
void vitro_vcpu_put(struct vitro_vcpu *vcpu)
{
	preempt_disable();
	vitro_backend->put(vcpu);
	WRITE_ONCE(vcpu->cpu, -1);
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
	vitro_emul_free(vcpu);
	vitro_xstate_free(vcpu);
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
	vcpu->mp_state = id == vm->bsp_id ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt_notifier, &vitro_preempt_ops);

	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run || !vcpu->pio_data)
		goto run;
	err = vitro_xstate_alloc(vcpu);
	if (err)
		goto run;
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
run:
	free_run_pages(vcpu);
	kfree(vcpu);
	return ERR_PTR(err);
}

static long run_ioctl(void *obj, void *data, unsigned long arg)
{
	return arg ? -EINVAL : vitro_vcpu_run(obj);
}

static long get_regs(void *obj, void *data, unsigned long arg)
{
	vitro_get_regs(obj, data);
	return 0;
}

static long set_regs(void *obj, void *data, unsigned long arg)
{
	vitro_set_regs(obj, data);
	return 0;
}

static long get_sregs(void *obj, void *data, unsigned long arg)
{
	vitro_get_sregs(obj, data);
	return 0;
}

static long set_sregs(void *obj, void *data, unsigned long arg)
{
	return vitro_set_sregs(obj, data);
}

static long get_msrs(void *obj, void *data, unsigned long arg)
{
	return vitro_get_msrs(obj, data, vitro_user_tail(arg, struct kvm_msrs, entries));
}

static long set_msrs(void *obj, void *data, unsigned long arg)
{
	return vitro_set_msrs(obj, data, vitro_user_tail(arg, struct kvm_msrs, entries));
}

static long get_cpuid2(void *obj, void *data, unsigned long arg)
{
	struct kvm_cpuid2 *head = data;
	int r = vitro_get_cpuid(obj, head, vitro_user_tail(arg, struct kvm_cpuid2, entries));

	/* With E2BIG the caller wants to know how many there are. */
	if (r == -E2BIG && put_user(head->nent, &((struct kvm_cpuid2 __user *)arg)->nent))
		return -EFAULT;
	return r;
}

static long set_cpuid2(void *obj, void *data, unsigned long arg)
{
	return vitro_set_cpuid(obj, data, vitro_user_tail(arg, struct kvm_cpuid2, entries));
}

static long get_fpu(void *obj, void *data, unsigned long arg)
{
	vitro_get_fpu(obj, data);
	return 0;
}

static long set_fpu(void *obj, void *data, unsigned long arg)
{
	return vitro_set_fpu(obj, data);
}

static long get_xsave(void *obj, void *data, unsigned long arg)
{
	vitro_get_xsave(obj, data);
	return 0;
}

static long set_xsave(void *obj, void *data, unsigned long arg)
{
	return vitro_set_xsave(obj, data);
}

static long get_xcrs(void *obj, void *data, unsigned long arg)
{
	return vitro_get_xcrs(obj, data);
}

static long set_xcrs(void *obj, void *data, unsigned long arg)
{
	return vitro_set_xcrs(obj, data);
}

static long get_lapic(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;

	return vcpu->lapic ? vitro_lapic_get_state(vcpu, data) : -EINVAL;
}

static long set_lapic(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;

	return vcpu->lapic ? vitro_lapic_set_state(vcpu, data) : -EINVAL;
}

static long get_mp_state(void *obj, void *data, unsigned long arg)
{
	return vitro_get_mp_state(obj, data);
}

static long set_mp_state(void *obj, void *data, unsigned long arg)
{
	return vitro_set_mp_state(obj, data);
}

static long get_events(void *obj, void *data, unsigned long arg)
{
	vitro_get_events(obj, data);
	return 0;
}

static long set_events(void *obj, void *data, unsigned long arg)
{
	return vitro_set_events(obj, data);
}

static long get_debugregs(void *obj, void *data, unsigned long arg)
{
	vitro_get_debugregs(obj, data);
	return 0;
}

static long set_debugregs(void *obj, void *data, unsigned long arg)
{
	return vitro_set_debugregs(obj, data);
}

/* KVM_INTERRUPT: the vector that a user-space interrupt controller chose. */
static long interrupt(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;
	u32 vector = ((struct kvm_interrupt *)data)->irq;

	if (vector > 255)
		return -EINVAL;
	if (vcpu->lapic)
		return -ENXIO;
	if (vcpu->events.user_irq != VITRO_NO_VECTOR)
		return -EEXIST;
	vcpu->events.user_irq = vector;
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}

static long nmi(void *obj, void *data, unsigned long arg)
{
	vitro_deliver_nmi(obj);
	return 0;
}

static long set_signal_mask(void *obj, void *data, unsigned long arg)
{
	struct kvm_signal_mask *head = data;
	struct vitro_vcpu *vcpu = obj;
	sigset_t sigset;

	if (!arg) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(head, (void __user *)arg, sizeof(*head)))
		return -EFAULT;
	if (head->len != sizeof(sigset))
		return -EINVAL;
	if (copy_from_user(&sigset, vitro_user_tail(arg, struct kvm_signal_mask, sigset),
			   sizeof(sigset)))
		return -EFAULT;
	sigdelsetmask(&sigset, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = sigset;
	vcpu->sigset_active = true;
	return 0;
}

static long get_tsc_khz(void *obj, void *data, unsigned long arg)
{
	return tsc_khz;
}

/* Without TSC scaling the guest's TSC runs at the host's rate, give or take
 * what a clock's user would not notice.
 */
static long set_tsc_khz(void *obj, void *data, unsigned long arg)
{
	unsigned long tolerance = tsc_khz / 4000;	/* 250 ppm */

	if (!arg || (arg >= tsc_khz - tolerance && arg <= tsc_khz + tolerance))
		return 0;
	return -EINVAL;
}

static long get_stats_fd(void *obj, void *data, unsigned long arg)
{
	return vitro_vcpu_stats_fd(obj);
}

static long kvmclock_ctrl(void *obj, void *data, unsigned long arg)
{
	return vitro_clock_paused(obj);
}

static long explain_entry(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;

	if (!vcpu->explain)
		return -ENOENT;
	memcpy(data, vcpu->explain, sizeof(*vcpu->explain));
	return 0;
}

static const struct vitro_ioctl vcpu_ioctls[VITRO_IOCTL_SLOTS] = {
	VITRO_IOCTL(KVM_RUN, LOCK_LOADED, run_ioctl),
	VITRO_IOCTL(KVM_GET_REGS, LOCK_LOADED, get_regs),
	VITRO_IOCTL(KVM_SET_REGS, LOCK_LOADED, set_regs),
	VITRO_IOCTL(KVM_GET_SREGS, LOCK_LOADED, get_sregs),
	VITRO_IOCTL(KVM_SET_SREGS, LOCK_LOADED, set_sregs),
	VITRO_IOCTL(KVM_GET_MSRS, LOCK_LOADED, get_msrs),
	VITRO_IOCTL(KVM_SET_MSRS, LOCK_LOADED, set_msrs),
	VITRO_IOCTL(KVM_GET_CPUID2, LOCK_LOADED, get_cpuid2),
	VITRO_IOCTL(KVM_SET_CPUID2, LOCK_LOADED, set_cpuid2),
	VITRO_IOCTL(KVM_GET_FPU, LOCK_MUTEX, get_fpu),
	VITRO_IOCTL(KVM_SET_FPU, LOCK_MUTEX, set_fpu),
	VITRO_IOCTL(KVM_GET_XSAVE, LOCK_MUTEX, get_xsave),
	VITRO_IOCTL(KVM_SET_XSAVE, LOCK_MUTEX, set_xsave),
	VITRO_IOCTL(KVM_GET_XCRS, LOCK_MUTEX, get_xcrs),
	VITRO_IOCTL(KVM_SET_XCRS, LOCK_LOADED, set_xcrs),
	VITRO_IOCTL(KVM_GET_LAPIC, LOCK_LOADED, get_lapic),
	VITRO_IOCTL(KVM_SET_LAPIC, LOCK_LOADED, set_lapic),
	VITRO_IOCTL(KVM_GET_MP_STATE, LOCK_LOADED, get_mp_state),
	VITRO_IOCTL(KVM_SET_MP_STATE, LOCK_LOADED, set_mp_state),
	VITRO_IOCTL(KVM_GET_VCPU_EVENTS, LOCK_LOADED, get_events),
	VITRO_IOCTL(KVM_SET_VCPU_EVENTS, LOCK_LOADED, set_events),
	VITRO_IOCTL(KVM_GET_DEBUGREGS, LOCK_LOADED, get_debugregs),
	VITRO_IOCTL(KVM_SET_DEBUGREGS, LOCK_LOADED, set_debugregs),
	VITRO_IOCTL(KVM_INTERRUPT, LOCK_MUTEX, interrupt),
	VITRO_IOCTL(KVM_NMI, LOCK_NONE, nmi),
	VITRO_IOCTL(KVM_GET_TSC_KHZ, LOCK_NONE, get_tsc_khz),
	VITRO_IOCTL(KVM_SET_TSC_KHZ, LOCK_NONE, set_tsc_khz),
	VITRO_IOCTL(KVM_KVMCLOCK_CTRL, LOCK_MUTEX, kvmclock_ctrl),
	VITRO_IOCTL(KVM_GET_STATS_FD, LOCK_ANY_MM, get_stats_fd),
};

static const struct vitro_ioctl explain_entry_ioctl =
	VITRO_IOCTL_EXTENSION(VITRO_EXPLAIN_ENTRY, LOCK_MUTEX, explain_entry);

static long vcpu_ioctl_locked(struct vitro_vcpu *vcpu, const struct vitro_ioctl *ioctl,
			      unsigned long arg)
{
	long r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (ioctl->lock == LOCK_LOADED) {
		vitro_vcpu_load(vcpu);
		r = vitro_ioctl_call(ioctl, vcpu, arg);
		vitro_vcpu_put(vcpu);
	} else {
		r = vitro_ioctl_call(ioctl, vcpu, arg);
	}
	mutex_unlock(&vcpu->mutex);
	return r;
}

/*
 * KVM_SET_SIGNAL_MASK may come with a NULL argument, so its structure cannot
 * be copied in by the table.
 */
static long signal_mask_ioctl(struct vitro_vcpu *vcpu, unsigned long arg)
{
	struct kvm_signal_mask head;
	long r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = set_signal_mask(vcpu, &head, arg);
	mutex_unlock(&vcpu->mutex);
	return r;
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vitro_vcpu *vcpu = file->private_data;
	const struct vitro_ioctl *ioctl;

	ioctl = vitro_ioctl_find(vcpu_ioctls, cmd);
	if (unlikely(!ioctl)) {
		if (cmd == KVM_SET_SIGNAL_MASK)
			return vcpu->vm->mm == current->mm ? signal_mask_ioctl(vcpu, arg) : -EIO;
		if (cmd != VITRO_EXPLAIN_ENTRY)
			return -ENOTTY;
		ioctl = &explain_entry_ioctl;
	}
	if (ioctl->lock != LOCK_ANY_MM && vcpu->vm->mm != current->mm)
		return -EIO;
	if (ioctl->lock >= LOCK_NONE)
		return vitro_ioctl_call(ioctl, vcpu, arg);
	return vcpu_ioctl_locked(vcpu, ioctl, arg);
}

static vm_fault_t vcpu_mmap_fault(struct vm_fault *vmf)
{
	struct vitro_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page;

	if (vmf->pgoff >= VITRO_RUN_PAGES)
		return VM_FAULT_SIGBUS;
	page = virt_to_page(vmf->pgoff == VITRO_PIO_PAGE ? vcpu->pio_data : vcpu->run);
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = {
	.fault = vcpu_mmap_fault,
};

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
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
	.unlocked_ioctl	= vcpu_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= vcpu_mmap,
	.llseek		= noop_llseek,
};

/* May @vcpu join @vm? vm->lock is held. */
static int check_new_vcpu(struct vitro_vm *vm, struct vitro_vcpu *vcpu)
{
	int i;

	if (vm->nr_vcpus == VITRO_MAX_VCPUS)
		return -EINVAL;
	/* KVM_CREATE_IRQCHIP may have come in between: the vCPU lacks its APIC. */
	if (vm->irqchip_in_kernel != !!vcpu->lapic)
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
	fd_install(fd, file);
	return fd;
}
