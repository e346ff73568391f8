/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between kernel versions, and nothing else.
 */
#ifndef VITRO_COMPAT_H
#define VITRO_COMPAT_H

#include <linux/cpu.h>
#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/perf_event.h>
#include <linux/syscore_ops.h>
#include <linux/version.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/smp.h>
#include <asm/svm.h>
#include <asm/tlbflush.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void vitro_hrtimer_setup(struct hrtimer *timer,
				       enum hrtimer_restart (*fn)(struct hrtimer *),
				       clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
}

static inline void vitro_hrtimer_setup_on_stack(struct hrtimer *timer,
						enum hrtimer_restart (*fn)(struct hrtimer *),
						clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init_on_stack(timer, clock, mode);
	timer->function = fn;
}
#else
#define vitro_hrtimer_setup hrtimer_setup
#define vitro_hrtimer_setup_on_stack hrtimer_setup_on_stack
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
static inline void vitro_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
#else
#define vitro_eventfd_signal eventfd_signal
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <trace/events/ipi.h>
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
#include <asm/processor.h>	/* for cpuid() and its like */
#define rdmsrq(msr, value)	rdmsrl(msr, value)
#define wrmsrq(msr, value)	wrmsrl(msr, value)
#define rdmsrq_safe(msr, value)	rdmsrl_safe(msr, value)
#define wrmsrq_safe(msr, value)	wrmsrl_safe(msr, value)
#else
#include <asm/cpuid/api.h>
#endif

/* What main.c does in suspend and the like; the callbacks have got an argument. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define VITRO_SYSCORE_ARG		void
#define VITRO_DEFINE_SYSCORE(name, suspend_fn, resume_fn, shutdown_fn)	\
	static struct syscore_ops name = {				\
		.suspend = suspend_fn,					\
		.resume = resume_fn,					\
		.shutdown = shutdown_fn,				\
	}
#define vitro_register_syscore		register_syscore_ops
#define vitro_unregister_syscore	unregister_syscore_ops
#else
#define VITRO_SYSCORE_ARG		void *unused
#define VITRO_DEFINE_SYSCORE(name, suspend_fn, resume_fn, shutdown_fn)	\
	static const struct syscore_ops name##_ops = {			\
		.suspend = suspend_fn,					\
		.resume = resume_fn,					\
		.shutdown = shutdown_fn,				\
	};								\
	static struct syscore name = { .ops = &name##_ops }
#define vitro_register_syscore		register_syscore
#define vitro_unregister_syscore	unregister_syscore
#endif

/* For alloc_workqueue(): each CPU its own workers. That was the default, and now warns. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define VITRO_WQ_PERCPU	0
#else
#define VITRO_WQ_PERCPU	WQ_PERCPU
#endif

/* Newer kernels hide the member behind a name that warns: user space may change it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define vitro_immediate_exit(run)	READ_ONCE((run)->immediate_exit__unsafe)
#else
#define vitro_immediate_exit(run)	READ_ONCE((run)->immediate_exit)
#endif

#ifndef X86_CR4_FRED
#define X86_CR4_FRED	BIT_ULL(32)
#endif

/* The bit of DR7 that is always 1; older kernels have no name for it. */
#ifndef DR7_FIXED_1
#define DR7_FIXED_1	0x00000400	/* spelled as in kvm_host.h */
#endif

/* The word of the VMCB that turns nested paging on, and its bit. */
#ifdef SVM_MISC_ENABLE_NP
#define vitro_vmcb_misc_ctl(control)	((control)->misc_ctl)
#else
#define vitro_vmcb_misc_ctl(control)	((control)->nested_ctl)
#define SVM_MISC_ENABLE_NP		SVM_NESTED_CTL_NP_ENABLE
#endif

/*
 * Whether to keep guests from one another's branch predictions. Newer kernels
 * tell that to KVM alone; the processor and the command line are what is left.
 */
static inline bool vitro_use_ibpb(void)
{
#ifdef X86_FEATURE_USE_IBPB
	return boot_cpu_has(X86_FEATURE_USE_IBPB);
#else
	return boot_cpu_has(X86_FEATURE_IBPB) && !cpu_mitigations_off();
#endif
}

/* What the young callbacks of struct mmu_notifier_ops return: int, later bool. */
typedef typeof(((struct mmu_notifier_ops *)0)->test_young(NULL, NULL, 0)) vitro_young_t;

/*
 * Work that is due before a return to user mode or to a guest. 0 or -EINTR.
 * Older kernels also note a signal in KVM's own vCPU: they get a dummy.
 * Only run.c needs this, and KVM's header is not for everyone.
 */
#ifdef VITRO_COMPAT_WORK
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)
#include <linux/entry-virt.h>
static inline int vitro_handle_work(void)
{
	return xfer_to_guest_mode_handle_work();
}
#else
#include <linux/entry-kvm.h>
#include <linux/kvm_host.h>
static inline int vitro_handle_work(void)
{
	static struct kvm_run run;
	static struct kvm_vcpu dummy = { .run = &run };

	return xfer_to_guest_mode_handle_work(&dummy);
}
#endif
#endif /* VITRO_COMPAT_WORK */

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define vitro_rcu_note() rcu_virt_note_context_switch(raw_smp_processor_id())
#else
#define vitro_rcu_note() rcu_virt_note_context_switch()
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
#define vitro_fd_file(f) ((f).file)
#else
#define vitro_fd_file(f) fd_file(f)
#endif

/*
 * Whether CR4.VMXE can stay set while other code of the kernel runs. From 6.19
 * on only modules named kvm may change the kernel's own copy of CR4, and the
 * kernel writes CR4 from that copy, so a bit that is not in it gets lost.
 */
#define VITRO_CAN_KEEP_VMXE (LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0))

#if VITRO_CAN_KEEP_VMXE
/* CR4.VMXE of this CPU, IRQs off, by the kernel's own book-keeping of CR4. */
static inline void vitro_cr4_set_vmxe(void)
{
	cr4_set_bits(X86_CR4_VMXE);
}

static inline void vitro_cr4_clear_vmxe(void)
{
	cr4_clear_bits(X86_CR4_VMXE);
}
#else
/* To be called under "if (VITRO_CAN_KEEP_VMXE)": */
void vitro_cr4_set_vmxe(void) __compiletime_error("CR4.VMXE cannot be kept on this kernel");
void vitro_cr4_clear_vmxe(void) __compiletime_error("CR4.VMXE cannot be kept on this kernel");
#endif

/*
 * Tells the driver of Intel PT that VMXON (1) or VMXOFF (0) comes: on some processors
 * tracing stops in VMX operation. Newer kernels tell KVM only: there the
 * rest of a running trace is lost.
 */
static inline void vitro_pt_handle_vmx(int on)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
	intel_pt_handle_vmx(on);
#endif
}

/* A huge mapping of what is not the VMA's own memory (VM_PFNMAP). Older kernels do not mark it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define vitro_pmd_special(pmd)		false
#else
#define vitro_pmd_special(pmd)		pmd_special(pmd)
#endif

/* A local variable that CONFIG_INIT_STACK_ALL_ZERO need not clear. */
#if __has_attribute(uninitialized)
#define VITRO_UNINITIALIZED		__attribute__((uninitialized))
#else
#define VITRO_UNINITIALIZED
#endif

#endif /* VITRO_COMPAT_H */
