// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSRs of the guest: those that live in the VMCS, and those that are switched
 * with the vCPU because only user mode of the host sees them.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/kvm.h>
#include <linux/preempt.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fsgsbase.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/segment.h>

#include "../msr_filter.h"
#include "vmx.h"

static const u32 user_msrs[VMX_NR_USER_MSRS] = {
	[VMX_MSR_STAR]   = MSR_STAR,
	[VMX_MSR_LSTAR]  = MSR_LSTAR,
	[VMX_MSR_CSTAR]  = MSR_CSTAR,
	[VMX_MSR_SFMASK] = MSR_SYSCALL_MASK,
};

/*
 * MSRs that the guest accesses without an exit. The values of the
 * first group are switched with the guest by the VMCS or by load and put; of the
 * second, only reading is free: writing exits, so that put need not read them.
 */
static const struct vmx_passed_msr {
	u32 msr;
	bool write;
} passed_msrs[] = {
	{ MSR_FS_BASE, true },
	{ MSR_GS_BASE, true },
	{ MSR_KERNEL_GS_BASE, true },
	{ MSR_IA32_SYSENTER_CS, true },
	{ MSR_IA32_SYSENTER_ESP, true },
	{ MSR_IA32_SYSENTER_EIP, true },
	{ MSR_STAR, false },
	{ MSR_LSTAR, false },
	{ MSR_CSTAR, false },
	{ MSR_SYSCALL_MASK, false },
};

/* How long the core has been in C-states: for reading, with KVM_X86_DISABLE_EXITS_CSTATE. */
static const struct vmx_passed_msr cstate_msrs[] = {
	{ MSR_CORE_C1_RES, false },
	{ MSR_CORE_C3_RESIDENCY, false },
	{ MSR_CORE_C6_RESIDENCY, false },
	{ MSR_CORE_C7_RESIDENCY, false },
};

/*
 * Shared by vCPUs. One passes nothing, for guests of which a filter forbids an MSR that
 * would pass otherwise.
 */
enum { BITMAP_PASSED, BITMAP_PASSED_CSTATE, BITMAP_FILTERED, NR_BITMAPS };

static unsigned long *msr_bitmaps[NR_BITMAPS];

/* Parts of the bitmap, in bytes (SDM, "MSR-Bitmap Address"). */
#define BITMAP_READ_LOW		0x000
#define BITMAP_READ_HIGH	0x400
#define BITMAP_WRITE_LOW	0x800
#define BITMAP_WRITE_HIGH	0xc00
#define BITMAP_FIRST_HIGH	0xc0000000

static void pass(unsigned long *bitmap, const struct vmx_passed_msr *p)
{
	bool high = p->msr >= BITMAP_FIRST_HIGH;
	unsigned int bit = p->msr & 0x1fff;

	clear_bit(8 * (high ? BITMAP_READ_HIGH : BITMAP_READ_LOW) + bit, bitmap);
	if (p->write)
		clear_bit(8 * (high ? BITMAP_WRITE_HIGH : BITMAP_WRITE_LOW) + bit, bitmap);
}

/**
 * vmx_has_cstate_msrs() - has this CPU any of the C-states' MSRs?
 */
bool vmx_has_cstate_msrs(void)
{
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(cstate_msrs); i++)
		if (!rdmsrq_safe(cstate_msrs[i].msr, &value))
			return true;
	return false;
}

/**
 * vmx_msr_setup() - allocate the MSR bitmaps
 *
 * Return: 0 or -ENOMEM.
 */
int vmx_msr_setup(void)
{
	int i;

	for (i = 0; i < NR_BITMAPS; i++) {
		msr_bitmaps[i] = (unsigned long *)__get_free_page(GFP_KERNEL);
		if (!msr_bitmaps[i]) {
			vmx_msr_teardown();
			return -ENOMEM;
		}
		memset(msr_bitmaps[i], 0xff, PAGE_SIZE);
	}
	for (i = 0; i < ARRAY_SIZE(passed_msrs); i++) {
		pass(msr_bitmaps[BITMAP_PASSED], &passed_msrs[i]);
		pass(msr_bitmaps[BITMAP_PASSED_CSTATE], &passed_msrs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(cstate_msrs); i++)
		pass(msr_bitmaps[BITMAP_PASSED_CSTATE], &cstate_msrs[i]);
	return 0;
}

/**
 * vmx_msr_teardown() - free the MSR bitmaps
 */
void vmx_msr_teardown(void)
{
	int i;

	for (i = 0; i < NR_BITMAPS; i++) {
		free_page((unsigned long)msr_bitmaps[i]);
		msr_bitmaps[i] = NULL;
	}
}

/*
 * vmx_msr_filter_changed() - see struct vitro_backend
 *
 * If the filter forbids one of those that pass otherwise, all of them exit.
 */
void vmx_msr_filter_changed(struct vitro_vcpu *vcpu)
{
	bool cstate = vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_CSTATE);
	int which = cstate ? BITMAP_PASSED_CSTATE : BITMAP_PASSED;
	u32 msrs[ARRAY_SIZE(passed_msrs) + ARRAY_SIZE(cstate_msrs)];
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(passed_msrs); i++)
		msrs[nr++] = passed_msrs[i].msr;
	for (i = 0; cstate && i < ARRAY_SIZE(cstate_msrs); i++)
		msrs[nr++] = cstate_msrs[i].msr;
	if (!vitro_msrs_allowed(vcpu->vm, msrs, nr))
		which = BITMAP_FILTERED;
	vmx_write(to_vmx(vcpu), MSR_BITMAP, virt_to_phys(msr_bitmaps[which]));
}

static void read_user_msrs(struct vmx_cpu *c)
{
	int i;

	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		rdmsrq(user_msrs[i], c->user_msrs[i]);
	c->tsc_aux = 0;
	if (vitro_caps.has_rdtscp)
		rdmsrq(MSR_TSC_AUX, c->tsc_aux);
}

/**
 * vmx_read_host_msrs() - remember the host's constant MSRs of this CPU
 * @c: this CPU's structure
 *
 * Context: IRQs off, no guest loaded.
 */
void vmx_read_host_msrs(struct vmx_cpu *c)
{
	read_user_msrs(c);
	rdmsrq(MSR_IA32_SYSENTER_ESP, c->sysenter_esp);
	rdmsrq(MSR_GS_BASE, c->gs_base);
}

/* Inline: for a vCPU's every stay outside user mode. */
static __always_inline void load_user_msrs(struct vmx_cpu *c, struct vitro_vmx *vmx)
{
	int i;

	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		if (vmx->user_msrs[i] != c->user_msrs[i])
			wrmsrq(user_msrs[i], vmx->user_msrs[i]);
	vmx->tsc_aux = c->tsc_aux;
	vmx->user_msrs_loaded = true;
}

static __always_inline void restore_user_msrs(struct vmx_cpu *c, struct vitro_vmx *vmx)
{
	int i;

	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		if (vmx->user_msrs[i] != c->user_msrs[i])
			wrmsrq(user_msrs[i], c->user_msrs[i]);
	if (vmx->tsc_aux != c->tsc_aux)
		wrmsrq(MSR_TSC_AUX, c->tsc_aux);
	vmx->user_msrs_loaded = false;
}

/**
 * vmx_exchange_user_msrs() - load the guest's MSRs that only user mode sees, in a window
 * @vmx: the vCPU
 *
 * What they replace is what is there. That may be a guest's of the other hypervisor: KVM
 * keeps them loaded until the CPU returns to user mode and relies on them,
 * but writes the host's back at any time, by an IPI, when its last VM dies. Hence they
 * are exchanged, with IRQs off, for no longer than the window. Where CPUs are
 * resident, it is the host's values, which never change.
 *
 * Context: IRQs off.
 */
void vmx_exchange_user_msrs(struct vitro_vmx *vmx)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	read_user_msrs(c);
	load_user_msrs(c, vmx);
}

/**
 * vmx_restore_user_msrs() - undo vmx_exchange_user_msrs()
 * @vmx: the vCPU, user_msrs_loaded
 *
 * Context: IRQs off.
 */
void vmx_restore_user_msrs(struct vitro_vmx *vmx)
{
	restore_user_msrs(this_cpu_ptr(&vmx_cpu), vmx);
}

/*
 * Cheaper than RDMSR. In one piece: the kernel's own data is out of reach in between. IRQs are
 * off; an NMI, #MC or #DB there finds its own way to the kernel's base with FSGSBASE, whatever
 * the base is, but INT3 does not: hence no kprobes. FRED has no SWAPGS, and vitro is not loaded
 * where it is in use.
 */
static __always_inline u64 read_kernel_gs_base(void)
{
	u64 base;

	if (!boot_cpu_has(X86_FEATURE_FSGSBASE)) {
		rdmsrq(MSR_KERNEL_GS_BASE, base);
		return base;
	}
	asm volatile("swapgs\n\t"
		     "rdgsbase %0\n\t"
		     "swapgs"
		     : "=r" (base));
	return base;
}

/**
 * vmx_switch_to_guest() - save host state that exits destroy, load the guest's
 * @vmx: the vCPU
 *
 * Context: IRQs off, before the first entry after load().
 */
void vmx_switch_to_guest(struct vitro_vmx *vmx)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	struct vmx_host *host = &vmx->host;

	/* VM exits null these selectors and LDTR. */
	savesegment(ds, host->ds);
	savesegment(es, host->es);
	savesegment(fs, host->fs);
	savesegment(gs, host->gs);
	store_ldt(host->ldt);

	/* The thread's own FS base: user mode may have changed it unseen. */
	host->fs_base = x86_fsbase_read_cpu();
	if (host->fs_base != vmx->host_fs_base) {
		vmcs_write(HOST_FS_BASE, host->fs_base);
		vmx->host_fs_base = host->fs_base;
	}

	host->kernel_gs_base = read_kernel_gs_base();
	wrmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	if (likely(!vmx->user_msrs_loaded))
		load_user_msrs(c, vmx);
	vmx->guest_loaded = true;
}
NOKPROBE_SYMBOL(vmx_switch_to_guest);

/**
 * vmx_switch_to_host() - undo vmx_switch_to_guest()
 * @vmx: the vCPU, guest_loaded
 *
 * Context: preemption off, on the CPU of vmx_switch_to_guest().
 */
void vmx_switch_to_host(struct vitro_vmx *vmx)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	const struct vmx_host *host = &vmx->host;
	unsigned long flags;

	local_irq_save(flags);
	rdmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	if (likely(vmx->user_msrs_loaded))
		restore_user_msrs(c, vmx);

	if (unlikely(host->ldt))
		asm volatile("lldt %0" : : "m" (host->ldt));
	if (unlikely(host->ds | host->es)) {
		loadsegment(ds, host->ds);
		loadsegment(es, host->es);
	}
	/* Loading a selector changes the base: that comes after. */
	if (unlikely(host->fs)) {
		loadsegment(fs, host->fs);
		wrmsrq(MSR_FS_BASE, host->fs_base);
	}
	if (unlikely(host->gs))
		load_gs_index(host->gs);
	wrmsrq(MSR_KERNEL_GS_BASE, host->kernel_gs_base);

	/* Exits set the limits of GDTR to 64 KiB and of the TSS to its minimum. */
	load_fixmap_gdt(raw_smp_processor_id());
	invalidate_tss_limit();
	vmx->guest_loaded = false;
	local_irq_restore(flags);
}

/**
 * vmx_sync_msrs() - write MSRs that common code keeps and may have changed
 * @vmx: the vCPU, guest_loaded
 *
 * Context: IRQs off.
 */
void vmx_sync_msrs(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;

	if (vcpu->msrs.pat != vmx->pat) {
		vmx->pat = vcpu->msrs.pat;
		vmcs_write(GUEST_IA32_PAT, vmx->pat);
	}
	/* Without the instructions that read it, the host's may as well stay. */
	if (vcpu->msrs.tsc_aux != vmx->tsc_aux && vitro_caps.has_rdtscp &&
	    vcpu_has(vcpu, VITRO_GF_RDTSCP | VITRO_GF_RDPID)) {
		vmx->tsc_aux = vcpu->msrs.tsc_aux;
		wrmsrq(MSR_TSC_AUX, vmx->tsc_aux);
	}
}

/* Guests have four-level paging: 48 bits, sign-extended. */
static bool canonical(u64 address)
{
	return sign_extend64(address, 47) == address;
}

/* Index in user_msrs, or -1. */
static int user_msr_index(u32 msr)
{
	int i;

	for (i = 0; i < VMX_NR_USER_MSRS; i++)
		if (user_msrs[i] == msr)
			return i;
	return -1;
}

static u64 get_kernel_gs_base(struct vitro_vmx *vmx)
{
	u64 value;

	/* Being scheduled out moves it from the MSR to the field. */
	preempt_disable();
	if (vmx->guest_loaded)
		rdmsrq(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	value = vmx->kernel_gs_base;
	preempt_enable();
	return value;
}

static void set_kernel_gs_base(struct vitro_vmx *vmx, u64 value)
{
	preempt_disable();
	vmx->kernel_gs_base = value;
	if (vmx->guest_loaded)
		wrmsrq(MSR_KERNEL_GS_BASE, value);
	preempt_enable();
}

static int set_user_msr(struct vitro_vmx *vmx, int i, u64 value)
{
	if ((i == VMX_MSR_LSTAR || i == VMX_MSR_CSTAR) && !canonical(value))
		return 1;
	if (i == VMX_MSR_SFMASK && upper_32_bits(value))
		return 1;
	preempt_disable();
	vmx->user_msrs[i] = value;
	if (vmx->user_msrs_loaded)
		wrmsrq(user_msrs[i], value);
	preempt_enable();
	return 0;
}

static int set_debugctl(struct vitro_vmx *vmx, u64 value)
{
	/* Branch records are not offered: the bit that starts them is ignored. */
	if (value & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF))
		return 1;
	vmx->debugctl = value & DEBUGCTLMSR_BTF;
	vmx_write(vmx, GUEST_IA32_DEBUGCTL, vmx->debugctl);
	vmx_pend(vmx, VMX_PENDING_CHECK_DEBUG);
	return 0;
}

/*
 * vmx_get_msr() - see struct vitro_backend
 */
int vmx_get_msr(struct vitro_vcpu *vcpu, u32 msr, u64 *value)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	int i;

	switch (msr) {
	case MSR_FS_BASE:
		*value = vmx_read(vmx, GUEST_FS_BASE);
		return 0;
	case MSR_GS_BASE:
		*value = vmx_read(vmx, GUEST_GS_BASE);
		return 0;
	case MSR_KERNEL_GS_BASE:
		*value = get_kernel_gs_base(vmx);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		*value = vmx_read(vmx, GUEST_SYSENTER_CS);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		*value = vmx_read(vmx, GUEST_SYSENTER_ESP);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		*value = vmx_read(vmx, GUEST_SYSENTER_EIP);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		*value = vmx->debugctl;
		return 0;
	case MSR_CORE_C1_RES:
	case MSR_CORE_C3_RESIDENCY:
	case MSR_CORE_C6_RESIDENCY:
	case MSR_CORE_C7_RESIDENCY:
		/* A filter that forbids another MSR has made it exit. */
		return !vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_CSTATE) ||
		       rdmsrq_safe(msr, value);
	}
	i = user_msr_index(msr);
	if (i < 0)
		return 1;
	*value = vmx->user_msrs[i];
	return 0;
}

/*
 * vmx_set_msr() - see struct vitro_backend
 */
int vmx_set_msr(struct vitro_vcpu *vcpu, u32 msr, u64 value)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	int i;

	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		if (!canonical(value))
			return 1;
		break;
	}

	switch (msr) {
	case MSR_FS_BASE:
		vmx_write(vmx, GUEST_FS_BASE, value);
		return 0;
	case MSR_GS_BASE:
		vmx_write(vmx, GUEST_GS_BASE, value);
		return 0;
	case MSR_KERNEL_GS_BASE:
		set_kernel_gs_base(vmx, value);
		return 0;
	case MSR_IA32_SYSENTER_CS:
		vmx_write(vmx, GUEST_SYSENTER_CS, value);
		return 0;
	case MSR_IA32_SYSENTER_ESP:
		vmx_write(vmx, GUEST_SYSENTER_ESP, value);
		return 0;
	case MSR_IA32_SYSENTER_EIP:
		vmx_write(vmx, GUEST_SYSENTER_EIP, value);
		return 0;
	case MSR_IA32_DEBUGCTLMSR:
		return set_debugctl(vmx, value);
	}
	i = user_msr_index(msr);
	return i < 0 ? VITRO_MSR_UNKNOWN : set_user_msr(vmx, i, value);
}
