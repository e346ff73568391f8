/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between kernel versions, and nothing else.
 */
#ifndef VITRO_COMPAT_H
#define VITRO_COMPAT_H

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/mmu_notifier.h>
#include <linux/version.h>
#include <asm/msr.h>
#include <asm/smp.h>
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

#endif /* VITRO_COMPAT_H */
