// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls of a vCPU's file descriptor.
 */
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/uaccess.h>

#include "../uapi/vitro.h"
#include "attr.h"
#include "clock.h"
#include "cpuid.h"
#include "debug.h"
#include "ioctl.h"
#include "irqchip/irqchip.h"
#include "mce.h"
#include "msr.h"
#include "run.h"
#include "tsc.h"
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

static long get_sregs2(void *obj, void *data, unsigned long arg)
{
	vitro_get_sregs2(obj, data);
	return 0;
}

static long set_sregs2(void *obj, void *data, unsigned long arg)
{
	return vitro_set_sregs2(obj, data);
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
	/* KVM_GET_XSAVE2 is the same: there is no component beyond. */
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

/*
 * The page by which guests without a TPR of the processor's own would know their priority.
 * What programs set at reset is that there is none.
 */
static long set_vapic_addr(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;

	return vcpu->lapic && !((struct kvm_vapic_addr *)data)->vapic_addr ? 0 : -EINVAL;
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

/* KVM_INTERRUPT: the vector that an interrupt controller of user space's chose. */
static long interrupt(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;
	u32 vector = ((struct kvm_interrupt *)data)->irq;

	if (vector > 255)
		return -EINVAL;
	if (vcpu->vm->pic_in_kernel)
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
	return vitro_tsc_khz(obj);
}

static long set_tsc_khz(void *obj, void *data, unsigned long arg)
{
	return vitro_tsc_set_khz(obj, arg);
}

static long get_stats_fd(void *obj, void *data, unsigned long arg)
{
	return vitro_vcpu_stats_fd(obj);
}

static long kvmclock_ctrl(void *obj, void *data, unsigned long arg)
{
	return vitro_clock_paused(obj);
}

static long has_attr(void *obj, void *data, unsigned long arg)
{
	return vitro_vcpu_has_attr(data);
}

static long get_attr(void *obj, void *data, unsigned long arg)
{
	return vitro_vcpu_get_attr(obj, data);
}

static long set_attr(void *obj, void *data, unsigned long arg)
{
	return vitro_vcpu_set_attr(obj, data);
}

static long enable_cap(void *obj, void *data, unsigned long arg)
{
	const struct kvm_enable_cap *cap = data;
	struct vitro_vcpu *vcpu = obj;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	vcpu->pv_enforced = cap->args[0];
	return 0;
}

static long setup_mce(void *obj, void *data, unsigned long arg)
{
	return vitro_mce_setup(obj, *(u64 *)data);
}

static long set_mce(void *obj, void *data, unsigned long arg)
{
	return vitro_mce_inject(obj, data);
}

static long explain_entry(void *obj, void *data, unsigned long arg)
{
	struct vitro_vcpu *vcpu = obj;

	if (!vcpu->explain)
		return -ENOENT;
	memcpy(data, vcpu->explain, sizeof(*vcpu->explain));
	return 0;
}

static long set_guest_debug(void *obj, void *data, unsigned long arg)
{
	return vitro_set_guest_debug(obj, data);
}

static long translate(void *obj, void *data, unsigned long arg)
{
	return vitro_translate(obj, data);
}

static const struct vitro_ioctl vcpu_ioctls[VITRO_IOCTL_SLOTS] = {
	VITRO_IOCTL(KVM_RUN, LOCK_LOADED, run_ioctl),
	VITRO_IOCTL(KVM_GET_REGS, LOCK_LOADED, get_regs),
	VITRO_IOCTL(KVM_SET_REGS, LOCK_LOADED, set_regs),
	VITRO_IOCTL(KVM_GET_SREGS, LOCK_LOADED, get_sregs),
	VITRO_IOCTL(KVM_SET_SREGS, LOCK_LOADED, set_sregs),
	VITRO_IOCTL(KVM_GET_SREGS2, LOCK_LOADED, get_sregs2),
	VITRO_IOCTL(KVM_SET_SREGS2, LOCK_LOADED, set_sregs2),
	VITRO_IOCTL(KVM_GET_MSRS, LOCK_LOADED, get_msrs),
	VITRO_IOCTL(KVM_SET_MSRS, LOCK_LOADED, set_msrs),
	VITRO_IOCTL(KVM_GET_CPUID2, LOCK_LOADED, get_cpuid2),
	VITRO_IOCTL(KVM_SET_CPUID2, LOCK_LOADED, set_cpuid2),
	VITRO_IOCTL(KVM_GET_FPU, LOCK_MUTEX, get_fpu),
	VITRO_IOCTL(KVM_SET_FPU, LOCK_MUTEX, set_fpu),
	VITRO_IOCTL(KVM_GET_XSAVE, LOCK_MUTEX, get_xsave),
	VITRO_IOCTL(KVM_SET_XSAVE, LOCK_MUTEX, set_xsave),
	VITRO_IOCTL(KVM_GET_XSAVE2, LOCK_MUTEX, get_xsave),
	VITRO_IOCTL(KVM_GET_XCRS, LOCK_MUTEX, get_xcrs),
	VITRO_IOCTL(KVM_SET_XCRS, LOCK_LOADED, set_xcrs),
	VITRO_IOCTL(KVM_GET_LAPIC, LOCK_LOADED, get_lapic),
	VITRO_IOCTL(KVM_SET_LAPIC, LOCK_LOADED, set_lapic),
	VITRO_IOCTL(KVM_SET_VAPIC_ADDR, LOCK_NONE, set_vapic_addr),
	VITRO_IOCTL(KVM_GET_MP_STATE, LOCK_LOADED, get_mp_state),
	VITRO_IOCTL(KVM_SET_MP_STATE, LOCK_LOADED, set_mp_state),
	VITRO_IOCTL(KVM_GET_VCPU_EVENTS, LOCK_LOADED, get_events),
	VITRO_IOCTL(KVM_SET_VCPU_EVENTS, LOCK_LOADED, set_events),
	VITRO_IOCTL(KVM_GET_DEBUGREGS, LOCK_LOADED, get_debugregs),
	VITRO_IOCTL(KVM_SET_DEBUGREGS, LOCK_LOADED, set_debugregs),
	VITRO_IOCTL(KVM_TRANSLATE, LOCK_LOADED, translate),
	VITRO_IOCTL(KVM_SET_GUEST_DEBUG, LOCK_LOADED, set_guest_debug),
	VITRO_IOCTL(KVM_INTERRUPT, LOCK_MUTEX, interrupt),
	VITRO_IOCTL(KVM_NMI, LOCK_NONE, nmi),
	VITRO_IOCTL(KVM_GET_TSC_KHZ, LOCK_NONE, get_tsc_khz),
	VITRO_IOCTL(KVM_SET_TSC_KHZ, LOCK_LOADED, set_tsc_khz),
	VITRO_IOCTL(KVM_KVMCLOCK_CTRL, LOCK_MUTEX, kvmclock_ctrl),
	VITRO_IOCTL(KVM_GET_STATS_FD, LOCK_ANY_MM, get_stats_fd),
	VITRO_IOCTL(KVM_HAS_DEVICE_ATTR, LOCK_NONE, has_attr),
	VITRO_IOCTL(KVM_GET_DEVICE_ATTR, LOCK_MUTEX, get_attr),
	VITRO_IOCTL(KVM_SET_DEVICE_ATTR, LOCK_LOADED, set_attr),
	VITRO_IOCTL(KVM_ENABLE_CAP, LOCK_MUTEX, enable_cap),
	VITRO_IOCTL(KVM_X86_SETUP_MCE, LOCK_MUTEX, setup_mce),
	VITRO_IOCTL(KVM_X86_SET_MCE, LOCK_LOADED, set_mce),
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
		/* The frequent one directly: a retpoline costs more than the comparison. */
		r = likely(ioctl->call == run_ioctl) ? run_ioctl(vcpu, NULL, arg) :
						       vitro_ioctl_call(ioctl, vcpu, arg);
		vitro_vcpu_put(vcpu);
	} else {
		r = vitro_ioctl_call(ioctl, vcpu, arg);
	}
	mutex_unlock(&vcpu->mutex);
	return r;
}

/*
 * KVM_SET_SIGNAL_MASK may come with a NULL argument, so its structure cannot
 * be copied in by the table. Apart, so that KVM_RUN does without a protected stack.
 */
static noinline long signal_mask_ioctl(struct vitro_vcpu *vcpu, unsigned long arg)
{
	struct kvm_signal_mask head;
	long r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = set_signal_mask(vcpu, &head, arg);
	mutex_unlock(&vcpu->mutex);
	return r;
}

/**
 * vitro_vcpu_ioctl() - a call of a vCPU's file descriptor
 * @file: the descriptor's file
 * @cmd:  number of the call
 * @arg:  its argument
 *
 * Context: process context.
 * Return: what the call returns; -ENOTTY: there is no such call; -EIO: the VM is another
 * process's; -EINTR: killed while another thread is in a call of this vCPU.
 */
long vitro_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
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
