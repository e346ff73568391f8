// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's life: its VMCS, loading and putting, entering the guest, and
 * dropping translations.
 */
#include <linux/build_bug.h>
#include <linux/cpu.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/idr.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/special_insns.h>
#include <asm/traps.h>

#include "../irqchip/irqchip.h"
#include "../vm.h"
#include "vmx.h"

/* What entry.S knows by number. */
static_assert(offsetof(struct vitro_vmx, vcpu.gpr) == 0);
static_assert(VITRO_RAX == 0 && VITRO_RCX == 1 && VITRO_RDX == 2 && VITRO_RBX == 3 &&
	      VITRO_RSP == 4 && VITRO_RBP == 5 && VITRO_RSI == 6 && VITRO_RDI == 7 &&
	      VITRO_R8 == 8 && VITRO_R15 == 15);
static_assert(offsetof(struct vmx_entry, flags) == VMX_ENTRY_FLAGS);
static_assert(offsetof(struct vmx_entry, host_rsp) == VMX_ENTRY_HOST_RSP);
static_assert(offsetof(struct vmx_entry, guest_spec_ctrl) == VMX_ENTRY_GUEST_SPEC_CTRL);
static_assert(offsetof(struct vmx_entry, host_spec_ctrl) == VMX_ENTRY_HOST_SPEC_CTRL);
static_assert(VMX_FIELD_HOST_RSP == HOST_RSP);
static_assert(VMX_FIELD_INSN_ERROR == VM_INSTRUCTION_ERROR);
static_assert(VMX_ERROR_NOT_LAUNCHED == VMXERR_VMRESUME_NONLAUNCHED_VMCS);

#define L1D_FLUSH_CMD	BIT(0)		/* of IA32_FLUSH_CMD */

static DEFINE_IDA(vpids);
static u64 entry_flags __read_mostly;	/* of every vCPU's struct vmx_entry */

/* Taken at load; each costs nothing where it is off. */
static DEFINE_STATIC_KEY_FALSE(use_spec_ctrl);
static DEFINE_STATIC_KEY_FALSE(flush_l1d);
static DEFINE_STATIC_KEY_FALSE(has_pebs);

static bool needs_verw(void)
{
	return (boot_cpu_has_bug(X86_BUG_MDS) || boot_cpu_has_bug(X86_BUG_TAA) ||
		boot_cpu_has_bug(X86_BUG_MMIO_STALE_DATA) ||
		boot_cpu_has_bug(X86_BUG_RFDS)) && !cpu_mitigations_off();
}

static bool needs_bhb_clearing(void)
{
	return boot_cpu_has_bug(X86_BUG_BHI) && !boot_cpu_has(X86_FEATURE_CLEAR_BHB_HW) &&
	       !cpu_mitigations_off();
}

static bool needs_l1d_flush(void)
{
	u64 arch_cap = 0;

	if (!boot_cpu_has_bug(X86_BUG_L1TF) || cpu_mitigations_off() ||
	    !boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		return false;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, arch_cap);
	return !(arch_cap & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH);
}

/**
 * vmx_vcpu_setup() - find out which defences entries and exits need
 *
 * Return: 0.
 */
int vmx_vcpu_setup(void)
{
	entry_flags = 0;
	if (needs_verw())
		entry_flags |= BIT(VMX_ENTER_VERW_BIT);
	if (needs_bhb_clearing())
		entry_flags |= BIT(VMX_ENTER_CLEAR_BHB_BIT);
	if (boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL))
		static_branch_enable(&use_spec_ctrl);
	if (needs_l1d_flush())
		static_branch_enable(&flush_l1d);
	if (boot_cpu_has(X86_FEATURE_PEBS))
		static_branch_enable(&has_pebs);
	return 0;
}

/**
 * vmx_vcpu_teardown() - undo vmx_vcpu_setup()
 */
void vmx_vcpu_teardown(void)
{
	ida_destroy(&vpids);
}

static void free_buffers(struct vitro_vmx *vmx)
{
	kfree(vmx->fields);
	free_page((unsigned long)vmx->log);
	free_page((unsigned long)vmx->vapic);
	free_page((unsigned long)vmx->vmcs);
}

/*
 * vmx_vcpu_create() - see struct vitro_backend
 */
int vmx_vcpu_create(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	int vpid;

	vmx->vmcs_cpu = -1;
	vmx->host_cpu = -1;
	vmx->entry.flags = entry_flags;
	vmx->vmcs = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vmx->vapic = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	vmx->fields = kcalloc(VMX_NR_CACHED, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!vmx->vmcs || !vmx->vapic || !vmx->fields) {
		free_buffers(vmx);
		return -ENOMEM;
	}
	*(u32 *)vmx->vmcs = vmx_config.revision;
	vmx->vmcs_pa = virt_to_phys(vmx->vmcs);

	/* Without one, entries and exits drop all translations: slow, but right. */
	if (vmx_can(VMX_CPU2, SECONDARY_EXEC_ENABLE_VPID)) {
		vpid = ida_alloc_range(&vpids, 1, U16_MAX, GFP_KERNEL);
		vmx->vpid = vpid > 0 ? vpid : 0;
	}
	return 0;
}

/*
 * vmx_vcpu_destroy() - see struct vitro_backend
 *
 * Stale translations of the VPID may remain on CPUs: its next owner flushes
 * when it is loaded for the first time on each.
 */
void vmx_vcpu_destroy(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_vmcs_forget(vmx);
	if (vmx->vpid)
		ida_free(&vpids, vmx->vpid);
	free_buffers(vmx);
}

/*
 * vmx_set_root() - see struct vitro_backend
 */
void vmx_set_root(struct vitro_vcpu *vcpu, u64 root_hpa)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx->eptp = root_hpa | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	if (vmx_config.ept_vpid & VMX_EPT_AD_BIT)
		vmx->eptp |= VMX_EPTP_AD_ENABLE_BIT;
	vmx_write(vmx, EPT_POINTER, vmx->eptp);
	/* Another VM's tables may have had the same address. */
	vmx_pend(vmx, VMX_PENDING_FLUSH_EPT);
}

/* Host state that is the same on every CPU and for every thread. */
static void write_host_constants(struct vitro_vmx *vmx)
{
	struct desc_ptr idt;
	u64 value;

	store_idt(&idt);
	vmcs_write(HOST_IDTR_BASE, idt.address);
	vmcs_write(HOST_CR0, read_cr0());
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	/* The host's may be user selectors, which VM entry refuses: see put. */
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_FS_SELECTOR, 0);
	vmcs_write(HOST_GS_SELECTOR, 0);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit_point);
	rdmsrq(MSR_IA32_SYSENTER_CS, value);
	vmcs_write(HOST_IA32_SYSENTER_CS, value);
	rdmsrq(MSR_IA32_SYSENTER_EIP, value);
	vmcs_write(HOST_IA32_SYSENTER_EIP, value);
	rdmsrq(MSR_EFER, value);
	vmcs_write(HOST_IA32_EFER, value);
	rdmsrq(MSR_IA32_CR_PAT, value);
	vmcs_write(HOST_IA32_PAT, value);
	vmx->host_cr3 = 0;
	vmcs_write(HOST_CR3, 0);
	vmx->host_cr4 = 0;
	vmcs_write(HOST_CR4, 0);
	vmx->host_fs_base = 0;
	vmcs_write(HOST_FS_BASE, 0);
	vmx->entry.host_rsp = 0;
}

/* Host state of this CPU. */
static void write_host_cpu(struct vmx_cpu *c, int cpu)
{
	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	vmcs_write(HOST_GS_BASE, c->gs_base);
	vmcs_write(HOST_IA32_SYSENTER_ESP, c->sysenter_esp);
}

static void init_vmcs(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;

	vmx_write_controls(vmx);
	write_host_constants(vmx);
	vcpu->regs_avail |= VMX_LAZY_REGS;
	vmx->intr_state_known = true;
	vmx->intr_state = 0;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	vmx->pat = vcpu->msrs.pat;
	vmcs_write(GUEST_IA32_PAT, vmx->pat);
	vmcs_write(GUEST_CR3, 0);
	vmx_update_cr4_mask(vmx);
	vmx->vmcs_ready = true;
}

/*
 * vmx_vcpu_reset() - see struct vitro_backend
 */
void vmx_vcpu_reset(struct vitro_vcpu *vcpu, bool init)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	vmx_reset_primary(vmx);
	vmx->inject.info = 0;
	vmx->soft_info = 0;
	vmx_reset_state(vmx);
	vmx_update_exceptions(vcpu);
	vmx->debugctl = 0;
	vmx_write(vmx, GUEST_IA32_DEBUGCTL, 0);

	/* INIT leaves these MSRs alone. */
	if (init)
		return;
	vmx_set_msr(vcpu, MSR_STAR, 0);
	vmx_set_msr(vcpu, MSR_LSTAR, 0);
	vmx_set_msr(vcpu, MSR_CSTAR, 0);
	vmx_set_msr(vcpu, MSR_SYSCALL_MASK, 0);
	vmx_set_msr(vcpu, MSR_KERNEL_GS_BASE, 0);
	vmx_set_msr(vcpu, MSR_IA32_SYSENTER_CS, 0);
	vmx_set_msr(vcpu, MSR_IA32_SYSENTER_ESP, 0);
	vmx_set_msr(vcpu, MSR_IA32_SYSENTER_EIP, 0);
}

/**
 * vmx_branch_barrier() - keep one guest's branch training from others' predictions
 */
void vmx_branch_barrier(void)
{
	if (vitro_use_ibpb())
		wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/* The VMCS's fields before the first load. False if there is no VMX operation. */
static bool prepare_vmcs(struct vitro_vmx *vmx)
{
	unsigned long flags;
	bool opened;

	local_irq_save(flags);
	opened = vmx_window_open(vmx);
	if (vmx_current(vmx))
		init_vmcs(vmx);
	if (opened)
		vmx_window_close(vmx);
	local_irq_restore(flags);
	return vmx->vmcs_ready;
}

/*
 * vmx_load() - see struct vitro_backend
 */
void vmx_load(struct vitro_vcpu *vcpu, int cpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (c->current_vmx != vmx)
		vmx_branch_barrier();
	vmx_vmcs_activate(vmx, cpu);
	vmx->just_loaded = true;
	if (unlikely(!vmx->vmcs_ready) && !prepare_vmcs(vmx))
		return;
	/* It has been in windows, but CPUs are resident now. */
	if (unlikely(vmx->fields_valid) && c->resident)
		vmx_write_back(vmx);
	if (vmx->host_cpu != cpu) {
		vmx->host_cpu = cpu;
		/*
		 * While it was elsewhere, neither its own nor its VM's flushes
		 * have reached this CPU; or the VPID and the tables were another's.
		 */
		vmx_pend(vmx, VMX_PENDING_HOST_CPU | VMX_PENDING_FLUSH_EPT |
				VMX_PENDING_FLUSH_VPID);
	}
}

/*
 * User mode may trust no prediction that the guest has trained, nor
 * may a guest of another hypervisor, which does not know of this one.
 */
static noinline void put_more(struct vitro_vmx *vmx)
{
	if (vmx->at_put & VMX_AT_PUT_LOG)
		vmx_log_empty(&vmx->vcpu);
	if (boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER) || vmx->at_put & VMX_AT_PUT_BARRIER)
		vmx_branch_barrier();
	vmx->at_put &= ~VMX_AT_PUT_BARRIER;
}

/*
 * vmx_put() - see struct vitro_backend
 */
void vmx_put(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (!vmx->guest_loaded)
		return;
	vmx_switch_to_host(vmx);
	if (unlikely(vmx->at_put))
		put_more(vmx);
	else if (boot_cpu_has(X86_FEATURE_IBPB_EXIT_TO_USER))
		vmx_branch_barrier();
}

static void flush_ept(struct vitro_vmx *vmx)
{
	if (vmx_config.ept_vpid & VMX_EPT_EXTENT_CONTEXT_BIT)
		vmx_invept(VMX_EPT_EXTENT_CONTEXT, vmx->eptp);
	else
		vmx_invept(VMX_EPT_EXTENT_GLOBAL, 0);
}

/*
 * vmx_flush_tlb() - see struct vitro_backend
 *
 * INVEPT covers guest-physical mappings and, for every VPID, the combined
 * ones. With EPT there are no others (SDM, "Caching Translation Information").
 */
void vmx_flush_tlb(struct vitro_vcpu *vcpu)
{
	vmx_pend(to_vmx(vcpu), VMX_PENDING_FLUSH_EPT);
}

/*
 * vmx_flush_guest_tlb() - see struct vitro_backend
 */
void vmx_flush_guest_tlb(struct vitro_vcpu *vcpu)
{
	vmx_pend(to_vmx(vcpu), VMX_PENDING_FLUSH_VPID);
}

static noinline void do_pending(struct vitro_vmx *vmx)
{
	if (vmx->pending & VMX_PENDING_HOST_CPU)
		write_host_cpu(this_cpu_ptr(&vmx_cpu), vmx->host_cpu);
	if (vmx->pending & VMX_PENDING_CHECK_DEBUG)
		vmx_check_pending_debug(vmx);
	if (vmx->pending & VMX_PENDING_LOG)
		vmx_log_refresh(vmx);
	if (vmx->pending & VMX_PENDING_FLUSH_EPT)
		flush_ept(vmx);
	/* Without a VPID, the entry itself drops them. */
	if (vmx->pending & VMX_PENDING_FLUSH_VPID && vmx->vpid)
		vmx_invvpid(VMX_VPID_EXTENT_SINGLE_CONTEXT, vmx->vpid);
	vmx->pending = 0;
}

static noinline void write_rare_regs(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;

	if (vcpu->regs_dirty & BIT(VITRO_RSP))
		vmcs_write(GUEST_RSP, vcpu->gpr[VITRO_RSP]);
	if (vcpu->regs_dirty & BIT(VITRO_RFLAGS)) {
		vmcs_write(GUEST_RFLAGS, vcpu->rflags);
		vmx_pend(vmx, VMX_PENDING_CHECK_DEBUG);
	}
}

/* RIP is what almost every exit changes. */
static __always_inline void write_dirty_regs(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;
	unsigned long dirty = vcpu->regs_dirty;

	if (!dirty)
		return;
	if (dirty & BIT(VITRO_RIP))
		vmcs_write(GUEST_RIP, vcpu->rip);
	if (unlikely(dirty & ~BIT(VITRO_RIP)))
		write_rare_regs(vmx);
	vcpu->regs_dirty = 0;
}

static noinline void write_injection(const struct vmx_injection *event)
{
	if (event->info & INTR_INFO_DELIVER_CODE_MASK)
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, event->error_code);
	if (event->insn_len)
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, event->insn_len);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, event->info);
}

static void choose_spec_ctrl(struct vitro_vmx *vmx)
{
	struct vmx_entry *entry = &vmx->entry;

	entry->guest_spec_ctrl = vmx->vcpu.msrs.spec_ctrl;
	/* Without enhanced IBRS only a new write protects after an exit. */
	if (entry->guest_spec_ctrl != entry->host_spec_ctrl ||
	    boot_cpu_has(X86_FEATURE_KERNEL_IBRS))
		entry->flags |= BIT(VMX_ENTER_SPEC_CTRL_BIT);
	else
		entry->flags &= ~BIT(VMX_ENTER_SPEC_CTRL_BIT);
}

/*
 * What other code on this CPU may have changed while IRQs were on: all that
 * entries and exits have to know of the host. Once for each stay in the inner
 * loop, not for each entry.
 *
 * Returns false if this CPU cannot be in VMX operation.
 */
static noinline bool look_at_host(struct vitro_vmx *vmx)
{
	u64 cr3 = __read_cr3();
	u64 cr4 = __read_cr4();

	if (static_branch_unlikely(&vmx_windowed) && !vmx_current(vmx))
		return false;
	vmx->vcpu.refresh = VITRO_REFRESH_GUEST;
	if (!vmx->guest_loaded)
		vmx_switch_to_guest(vmx);
	if (cr3 != vmx->host_cr3) {
		vmcs_write(HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (cr4 != vmx->host_cr4) {
		vmcs_write(HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
	rdmsrq(MSR_IA32_DEBUGCTLMSR, vmx->host.debugctl);
	if (static_branch_unlikely(&has_pebs))
		rdmsrq(MSR_IA32_PEBS_ENABLE, vmx->host.pebs);
	if (static_branch_unlikely(&use_spec_ctrl))
		vmx->entry.host_spec_ctrl = spec_ctrl_current();
	/* The fast path brings nothing into the cache that is not the guest's. */
	if (static_branch_unlikely(&flush_l1d))
		wrmsrq(MSR_IA32_FLUSH_CMD, L1D_FLUSH_CMD);
	vmx->host_msrs = vmx->host.debugctl || vmx->host.pebs;
	return true;
}

/*
 * PEBS would write the host's records to linear addresses of the guest. It is
 * stopped here rather than by the VMCS, since it takes a moment to come to rest.
 */
static noinline void stop_host_msrs(struct vitro_vmx *vmx)
{
	if (vmx->host.pebs)
		wrmsrq(MSR_IA32_PEBS_ENABLE, 0);
}

/* Exits clear IA32_DEBUGCTL. */
static noinline void restart_host_msrs(struct vitro_vmx *vmx)
{
	if (vmx->host.debugctl)
		wrmsrq(MSR_IA32_DEBUGCTLMSR, vmx->host.debugctl);
	if (vmx->host.pebs)
		wrmsrq(MSR_IA32_PEBS_ENABLE, vmx->host.pebs);
	/* So that the next entry stops them again. */
	vmx->vcpu.refresh |= VITRO_REFRESH_GUEST;
}

/*
 * What somebody has changed who set VITRO_REFRESH_GUEST, and after a look at the host. The
 * dirty registers are in the VMCS.
 */
static noinline void refresh_guest(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;

	if (vmx->pending)
		do_pending(vmx);
	if (vmx->inject.info)
		write_injection(&vmx->inject);
	if (vmx->cpu_ctl != vmx->cpu_ctl_vmcs) {
		vmcs_write(CPU_BASED_VM_EXEC_CONTROL, vmx->cpu_ctl);
		vmx->cpu_ctl_vmcs = vmx->cpu_ctl;
	}
	vmx_sync_msrs(vmx);
	if (static_branch_unlikely(&use_spec_ctrl))
		choose_spec_ctrl(vmx);
	if (vmx->host_msrs)
		stop_host_msrs(vmx);
	if (vmx->step)
		vmx_start_step(vmx);
	vcpu->refresh = 0;
}

/*
 * What must follow an exit before anything else: an exit by a host NMI leaves
 * NMIs blocked until an IRET, so its handler has to run first. Likewise the host's
 * machine checks. Exception or NMI is reason 0; failed entries have bit 31 set.
 */
static noinstr void handle_at_once(struct vitro_vmx *vmx)
{
	u32 type;

	if (vmx->exit_reason == EXIT_REASON_EXCEPTION_NMI) {
		vmx->exit_intr_info = vmcs_read(VM_EXIT_INTR_INFO);
		type = vmx->exit_intr_info & INTR_INFO_INTR_TYPE_MASK;
		if (type == INTR_TYPE_NMI_INTR) {
			asm volatile("int $2" : : : "memory");
			/* It may be perf's, which programs PEBS. */
			vmx->vcpu.refresh |= VITRO_REFRESH_HOST;
		} else if ((vmx->exit_intr_info & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC) {
			asm volatile("int $18" : : : "memory");
		}
	} else if ((u16)vmx->exit_reason == EXIT_REASON_MCE_DURING_VMENTRY) {
		asm volatile("int $18" : : : "memory");
	}
}

/* The switch. Returns false if the guest has not run. */
static __always_inline bool run_guest(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;
	unsigned long failed;
	u32 reason;

	if (unlikely(native_read_cr2() != vcpu->cr2))
		native_write_cr2(vcpu->cr2);
	failed = vmx_switch(vcpu, &vmx->entry);
	vcpu->cr2 = native_read_cr2();
	if (unlikely(failed)) {
		vmx->exit_reason = 0;
		return false;
	}

	reason = vmcs_read(VM_EXIT_REASON);
	vmx->exit_reason = reason;
	if (unlikely((s32)reason <= 0))
		handle_at_once(vmx);
	return !(reason & VMX_EXIT_REASONS_FAILED_VMENTRY);
}

static noinline void entry_failed(struct vitro_vmx *vmx, bool refused, struct vitro_exit *exit)
{
	exit->reason = VITRO_EXIT_ENTRY_FAILED;
	exit->insn_len = 0;
	if (refused) {
		vmx->exit_reason = 0;
		vmx->insn_error = vmx_read(vmx, VM_INSTRUCTION_ERROR);
		exit->hw_reason = 0;
		exit->hw_info = 0;
		exit->fail.code = vmx->insn_error;
	} else {
		vmx->insn_error = 0;
		exit->hw_reason = vmx->exit_reason;
		exit->hw_info = vmx_read(vmx, EXIT_QUALIFICATION);
		exit->fail.code = vmx->exit_reason;
	}
	vmx->failed = vmx->inject;
	/* The processor has not consumed the event. */
	vmx_write(vmx, VM_ENTRY_INTR_INFO_FIELD, 0);
	vmx_cancel_injection(&vmx->vcpu);
}

/* MOV to CR8 changes the TPR without an exit. */
static __always_inline void read_tpr(struct vitro_vmx *vmx)
{
	u8 tpr = READ_ONCE(vmx->vapic[APIC_TASKPRI]);

	if (likely(tpr == vmx->tpr))
		return;
	vmx->tpr = tpr;
	vitro_lapic_set_tpr(&vmx->vcpu, tpr);
}

/*
 * vmx_enter() - see struct vitro_backend
 *
 * No instrumentation: between an exit by NMI and its handler it could take an
 * exception, whose IRET unblocks NMIs.
 */
noinstr void vmx_enter(struct vitro_vcpu *vcpu, struct vitro_exit *exit)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	bool ran;

	if (unlikely(vcpu->refresh & VITRO_REFRESH_HOST) && unlikely(!look_at_host(vmx))) {
		entry_failed(vmx, true, exit);
		return;
	}
	write_dirty_regs(vmx);
	if (unlikely(vcpu->refresh))
		refresh_guest(vmx);

	ran = run_guest(vmx);

	if (unlikely(vmx->host_msrs))
		restart_host_msrs(vmx);

	vcpu->regs_avail &= ~VMX_LAZY_REGS;
	vmx->intr_state_known = false;
	if (unlikely(!ran)) {
		entry_failed(vmx, !vmx->exit_reason, exit);
		return;
	}
	vmx->inject.info = 0;
	read_tpr(vmx);
	vmx_decode_exit(vmx, exit);
}
