// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's life on SVM: its VMCB and what that intercepts, loading it on a
 * host CPU, ASIDs, and entering the guest.
 */
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/traps.h>

#include "../irqchip/irqchip.h"
#include "../vm.h"
#include "../cpuid.h"
#include "svm.h"

/* What entry.S knows by number. */
static_assert(offsetof(struct svm_vcpu, vcpu.gpr) == 0);
static_assert(offsetof(struct svm_vcpu, vmcb) - offsetof(struct svm_vcpu, entry) == SVM_ENTRY_VMCB);
static_assert(offsetof(struct svm_entry, vmcb_pa) == SVM_ENTRY_VMCB_PA);
static_assert(offsetof(struct svm_entry, host_pa) == SVM_ENTRY_HOST_PA);
static_assert(offsetof(struct svm_entry, guest_spec) == SVM_ENTRY_GUEST_SPEC);
static_assert(offsetof(struct svm_entry, host_spec) == SVM_ENTRY_HOST_SPEC);
static_assert(offsetof(struct vmcb, save.rflags) == SVM_VMCB_RFLAGS);

/* Taken at load; where they are off, they cost entries nothing. */
static DEFINE_STATIC_KEY_FALSE(clear_xss);
static DEFINE_STATIC_KEY_FALSE(has_clean);

/* PAUSEs in a row, and cycles between them, that look like a lost spin. */
#define SVM_PAUSE_COUNT		3000
#define SVM_PAUSE_THRESHOLD	128

/* Intercepted always, whatever the guest. */
static const u8 svm_intercepts_always[] = {
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT,
	INTERCEPT_SHUTDOWN, INTERCEPT_TASK_SWITCH,
	INTERCEPT_CR0_WRITE, INTERCEPT_CR4_WRITE,
	INTERCEPT_DR0_READ, INTERCEPT_DR1_READ, INTERCEPT_DR2_READ, INTERCEPT_DR3_READ,
	INTERCEPT_DR4_READ, INTERCEPT_DR5_READ, INTERCEPT_DR6_READ, INTERCEPT_DR7_READ,
	INTERCEPT_DR0_WRITE, INTERCEPT_DR1_WRITE, INTERCEPT_DR2_WRITE, INTERCEPT_DR3_WRITE,
	INTERCEPT_DR4_WRITE, INTERCEPT_DR5_WRITE, INTERCEPT_DR6_WRITE, INTERCEPT_DR7_WRITE,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_DB,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_UD,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_AC,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_MC,
	INTERCEPT_CPUID, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT,
	INTERCEPT_RDPMC, INTERCEPT_INVD, INTERCEPT_WBINVD,
	INTERCEPT_VMRUN, INTERCEPT_VMMCALL, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE,
	INTERCEPT_STGI, INTERCEPT_CLGI, INTERCEPT_SKINIT, INTERCEPT_INVLPGA,
	/* QEMU's TCG ignores this one; common code reads XCR0 back. */
	INTERCEPT_XSETBV,
};

static atomic64_t svm_last_vcpu_id;

/**
 * svm_vcpu_setup() - find out what entries need on this processor
 *
 * There is no control over XSAVES in guests, so IA32_XSS is zero while
 * one runs: else XSAVES would hand out the host's supervisor state.
 */
void svm_vcpu_setup(void)
{
	if (vitro_caps.xss_host)
		static_branch_enable(&clear_xss);
	if (svm_caps.vmcb_clean)
		static_branch_enable(&has_clean);
}

/**
 * svm_vcpu_create() - allocate the VMCB
 * @vcpu: the vCPU, zeroed; not loaded
 *
 * Return: 0 or -ENOMEM.
 */
int svm_vcpu_create(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb = (struct vmcb *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb)
		return -ENOMEM;
	svm->entry.vmcb_pa = __pa(svm->vmcb);
	svm->id = atomic64_inc_return(&svm_last_vcpu_id);
	svm->asid_cpu = -1;
	return 0;
}

/**
 * svm_vcpu_destroy() - free the VMCB
 * @vcpu: the vCPU, not loaded
 */
void svm_vcpu_destroy(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	free_page((unsigned long)svm->vmcb);
	svm->vmcb = NULL;
}

/*
 * The instructions with which a guest waits. An interrupt that ends a HLT or MWAIT of the
 * guest's finds RIP behind it: entered again, the guest goes on as after any wake-up.
 */
static void svm_intercept_waiting(struct svm_vcpu *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	const struct vitro_vcpu *vcpu = &svm->vcpu;
	bool mwait = !vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_MWAIT);

	svm_intercept(svm->vmcb, INTERCEPT_HLT,
		      !vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_HLT));
	svm_intercept(svm->vmcb, INTERCEPT_MONITOR, mwait);
	svm_intercept(svm->vmcb, INTERCEPT_MWAIT, mwait);
	svm_intercept(svm->vmcb, INTERCEPT_MWAIT_COND, mwait);

	/* Unfiltered, every PAUSE would exit. */
	if (!svm_caps.pause_filter || vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_PAUSE))
		return;
	svm_intercept(svm->vmcb, INTERCEPT_PAUSE, true);
	control->pause_filter_count = SVM_PAUSE_COUNT;
	if (svm_caps.pause_threshold)
		control->pause_filter_thresh = SVM_PAUSE_THRESHOLD;
}

static void svm_init_control(struct svm_vcpu *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;
	int i;

	memset(control, 0, sizeof(*control));
	for (i = 0; i < ARRAY_SIZE(svm_intercepts_always); i++)
		svm_intercept(svm->vmcb, svm_intercepts_always[i], true);

	svm_intercept_waiting(svm);
	/* Reserved on processors without the instruction. */
	if (svm_caps.rdpru)
		svm_intercept(svm->vmcb, INTERCEPT_RDPRU, true);
	if (svm_caps.mcommit)
		svm_intercept(svm->vmcb, INTERCEPT_MCOMMIT, true);
	if (svm_caps.invlpgb) {
		svm_intercept(svm->vmcb, INTERCEPT_INVLPGB, true);
		svm_intercept(svm->vmcb, INTERCEPT_INVLPGB_ILLEGAL, true);
		svm_intercept(svm->vmcb, INTERCEPT_TLBSYNC, true);
	}
	/* With the APIC in user space, that has to see TPR fall. */
	svm_intercept(svm->vmcb, INTERCEPT_CR8_WRITE, !svm->vcpu.vm->irqchip_in_kernel);

	control->iopm_base_pa = svm_iopm_pa;
	svm_msr_filter_changed(&svm->vcpu);
	control->int_ctl = V_INTR_MASKING_MASK;
	control->tsc_offset = svm->vcpu.tsc_offset;
	vitro_vmcb_misc_ctl(control) = SVM_MISC_ENABLE_NP;
	svm_set_root(&svm->vcpu, svm->vcpu.vm->tdp.root_hpa);
}

/**
 * svm_vcpu_reset() - VMCB as after RESET or INIT
 * @vcpu: the vCPU, loaded
 * @init: INIT, which keeps MSRs
 */
void svm_vcpu_reset(struct vitro_vcpu *vcpu, bool init)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm_init_control(svm);
	svm_reset_state(svm);
	svm_reset_events(svm);
	if (!init)
		svm_reset_msrs(svm);
	svm->asid_cpu = -1;
	svm_update_exceptions(vcpu);
	svm_cpuid_changed(vcpu);
}

/**
 * svm_shutdown_reset() - make a VMCB fit for use again after a shutdown exit
 * @svm: the vCPU
 *
 * After a shutdown intercept the VMCB's state save area is undefined (APM,
 * Shutdown Intercept). User space is told about the triple fault and
 * may look at registers or run on: it finds what INIT leaves.
 */
void svm_shutdown_reset(struct svm_vcpu *svm)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;

	svm_vcpu_reset(vcpu, true);
	svm_reset_msrs(svm);
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[VITRO_RDX] = vitro_cpuid_signature(vcpu);
	vcpu_write_rip(vcpu, 0xfff0);
	vcpu_write_rflags(vcpu, X86_EFLAGS_FIXED);
	svm_set_efer(vcpu, 0);
	svm_set_cr4(vcpu, 0);
	svm_set_cr3(vcpu, 0);
	svm_set_cr0(vcpu, X86_CR0_ET | X86_CR0_CD | X86_CR0_NW);
}

/**
 * svm_cpuid_changed() - intercept the instructions that the guest must not know
 * @vcpu: the vCPU
 *
 * RDPID cannot be intercepted: a guest without it may execute it all the same,
 * and gets its own TSC_AUX (svm_sync_tsc_aux()).
 */
void svm_cpuid_changed(struct vitro_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	svm_intercept(vmcb, INTERCEPT_RDTSCP,
		      vitro_caps.has_rdtscp && !vcpu_has(vcpu, VITRO_GF_RDTSCP));
	svm_intercept(vmcb, INTERCEPT_INVPCID,
		      vitro_caps.has_invpcid && !vcpu_has(vcpu, VITRO_GF_INVPCID));
}

/**
 * svm_set_root() - nested page-table root
 * @vcpu:	the vCPU
 * @root_hpa:	host-physical address of the top-level table
 */
void svm_set_root(struct vitro_vcpu *vcpu, u64 root_hpa)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.nested_cr3 = root_hpa;
	svm_dirty(svm->vmcb, SVM_CLEAN_NP);
	svm_want_flush(svm);
}

/**
 * svm_write_tsc_offset() - vcpu->tsc_offset has changed
 * @vcpu: the vCPU
 */
void svm_write_tsc_offset(struct vitro_vcpu *vcpu)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.tsc_offset = vcpu->tsc_offset;
	svm_dirty(vmcb, SVM_CLEAN_INTERCEPTS);
}

/*
 * The host's own TSC does not depend on it, but another hypervisor that is loaded later may
 * take for granted that it holds the default: a vCPU that wants more has it while it is loaded.
 * Preemption is off.
 */
static void svm_sync_tsc_ratio(struct svm_vcpu *svm, u64 ratio)
{
	if (svm->tsc_ratio == ratio)
		return;
	wrmsrq(MSR_AMD64_TSC_RATIO, svm_tsc_ratio_msr(ratio));
	svm->tsc_ratio = ratio;
}

/**
 * svm_write_tsc_ratio() - vcpu->tsc_ratio has changed
 * @vcpu: the vCPU, loaded
 */
void svm_write_tsc_ratio(struct vitro_vcpu *vcpu)
{
	preempt_disable();
	svm_sync_tsc_ratio(to_svm(vcpu), vcpu->tsc_ratio);
	preempt_enable();
}

/**
 * svm_flush_tlb() - drop the vCPU's translations before its next entry
 * @vcpu: the vCPU
 *
 * Guest-physical and combined translations carry the ASID alike, so
 * this serves for flush_tlb and flush_guest_tlb.
 */
void svm_flush_tlb(struct vitro_vcpu *vcpu)
{
	svm_want_flush(to_svm(vcpu));
}

/*
 * Gives the vCPU an ASID that no translation on this CPU carries. When
 * they are used up, a new generation begins with a flush of the whole TLB,
 * and every vCPU of the old one needs a new ASID (APM, TLB Control).
 */
static void svm_new_asid(struct svm_vcpu *svm, struct svm_cpu *c)
{
	if (c->next_asid >= svm_caps.nr_asids) {
		c->asid_generation++;
		c->next_asid = 1;
		c->flush_all = true;
	}
	svm->vmcb->control.asid = c->next_asid++;
	svm->asid_generation = c->asid_generation;
	svm->asid_cpu = svm->vcpu.cpu;
	svm_dirty(svm->vmcb, SVM_CLEAN_ASID);
}

/* A valid ASID for this entry, and the flush that is due. IRQs off. */
static void svm_sync_asid(struct svm_vcpu *svm, struct svm_cpu *c)
{
	struct vmcb_control_area *control = &svm->vmcb->control;

	control->tlb_ctl = TLB_CONTROL_DO_NOTHING;
	if (unlikely(svm->asid_cpu != svm->vcpu.cpu ||
		     svm->asid_generation != c->asid_generation)) {
		/* A new generation may also mean that the CPU has been off. */
		control->clean = 0;
		svm_new_asid(svm, c);
	} else if (unlikely(svm->flush)) {
		if (svm_caps.flush_by_asid)
			control->tlb_ctl = TLB_CONTROL_FLUSH_ASID;
		else
			svm_new_asid(svm, c);
	}
	/* Unless the processor is to do it, it is done. */
	svm->flush = control->tlb_ctl == TLB_CONTROL_FLUSH_ASID;
	if (unlikely(c->flush_all))
		control->tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
}

/*
 * The guest's TSC_AUX stays in the register while the vCPU is loaded: the
 * kernel itself does not use RDPID or RDTSCP's third value. Also for guests without
 * RDTSCP, which could still read the host's by RDPID.
 */
static void svm_sync_tsc_aux(struct svm_vcpu *svm)
{
	u64 value = svm->vcpu.msrs.tsc_aux;

	if (svm->tsc_aux == value)
		return;
	wrmsrq(MSR_TSC_AUX, value);
	svm->tsc_aux = value;
}

/**
 * svm_load() - make a vCPU current on this CPU
 * @vcpu:	the vCPU
 * @cpu:	this CPU; preemption is off
 */
void svm_load(struct vitro_vcpu *vcpu, int cpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);

	/* What a CPU has cached of a VMCB is its own (APM, VMCB State Caching). */
	if (vcpu->last_cpu != cpu)
		svm->vmcb->control.clean = 0;

	/* One guest's branch history must not steer another's. */
	if (c->last_id != svm->id) {
		c->last_id = svm->id;
		if (vitro_use_ibpb())
			wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	}
	svm->tsc_aux = c->tsc_aux;
	svm_sync_tsc_ratio(svm, vcpu->tsc_ratio);
	svm->entered = false;
}

/**
 * svm_put() - undo svm_load()
 * @vcpu: the vCPU; preemption is off
 */
void svm_put(struct vitro_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 tsc_aux = this_cpu_read(svm_cpu.tsc_aux);

	if (svm->tsc_aux != tsc_aux)
		wrmsrq(MSR_TSC_AUX, tsc_aux);
	svm_sync_tsc_ratio(svm, 0);
	/* User space must not run with the guest's branch history (VMSCAPE). */
	if (svm->entered && cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		wrmsrq(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/*
 * Another thread of this process may change the LDT at any time, by an
 * interrupt while we are loaded; restoring LDTR as it was at load would then
 * bring back a pointer to freed memory. Processes with an LDT are rare.
 */
static void svm_sync_host_ldt(struct svm_cpu *c)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	struct mm_struct *mm = current->mm;

	if (unlikely(c->host->save.ldtr.selector || (mm && READ_ONCE(mm->context.ldt))))
		svm_save_host(c);
#endif
}

/*
 * Everything that an entry needs beyond the registers: after IRQs have been on, or
 * when somebody has changed it and set VITRO_REFRESH_GUEST. IRQs off.
 */
static noinline void svm_refresh(struct svm_vcpu *svm)
{
	struct svm_cpu *c = this_cpu_ptr(&svm_cpu);
	struct vitro_vcpu *vcpu = &svm->vcpu;
	struct vmcb *vmcb = svm->vmcb;

	vcpu->refresh = 0;
	if (svm->entered) {
		svm_sync_host_ldt(c);
	} else {
		/* The first time since svm_load(). Most ioctls never get here. */
		svm->entered = true;
		svm_save_host(c);
	}
	if (vmcb->save.g_pat != vcpu->msrs.pat) {
		vmcb->save.g_pat = vcpu->msrs.pat;
		svm_dirty(vmcb, SVM_CLEAN_NP);
	}
	if (!vcpu->lapic && svm->v_tpr != (vcpu->cr8 & V_TPR_MASK))
		svm_update_tpr(vcpu, vcpu->cr8 << 4, -1);
	if (svm_caps.v_spec_ctrl)
		vmcb->save.spec_ctrl = vcpu->msrs.spec_ctrl;
	if (svm_caps.spec_ctrl) {
		svm->entry.host_spec = spec_ctrl_current();
		svm->entry.guest_spec = vcpu->msrs.spec_ctrl;
	}
	if (vitro_caps.has_rdtscp)
		svm_sync_tsc_aux(svm);

	svm_sync_asid(svm, c);
	svm->entry.host_pa = c->host_pa;
	if (svm->step != SVM_STEP_NONE)
		svm_start_step(svm);
}

/* Writes the registers that the VMCB holds. */
static __always_inline void svm_write_regs(struct svm_vcpu *svm)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;
	struct vmcb *vmcb = svm->vmcb;

	vmcb->save.rax = vcpu->gpr[VITRO_RAX];
	vmcb->save.rsp = vcpu->gpr[VITRO_RSP];
	vmcb->save.rip = vcpu->rip;
	vmcb->save.rflags = vcpu->rflags;
	if (unlikely(vmcb->save.cr2 != vcpu->cr2)) {
		vmcb->save.cr2 = vcpu->cr2;
		svm_dirty(vmcb, SVM_CLEAN_CR2);
	}
}

/* Takes over what the guest has left in the VMCB. IRQs off. */
static __always_inline void svm_read_regs(struct svm_vcpu *svm)
{
	struct vitro_vcpu *vcpu = &svm->vcpu;
	struct vmcb *vmcb = svm->vmcb;
	u8 v_tpr;

	vcpu->gpr[VITRO_RAX] = vmcb->save.rax;
	vcpu->gpr[VITRO_RSP] = vmcb->save.rsp;
	vcpu->rip = vmcb->save.rip;
	vcpu->rflags = vmcb->save.rflags;
	vcpu->cr2 = vmcb->save.cr2;
	vcpu->cr3 = vmcb->save.cr3;
	if (static_branch_likely(&has_clean))
		vmcb->control.clean = BIT(SVM_NR_CLEAN) - 1;

	v_tpr = vmcb->control.int_ctl & V_TPR_MASK;
	if (unlikely(v_tpr != svm->v_tpr)) {
		svm->v_tpr = v_tpr;
		if (vcpu->lapic)
			vitro_lapic_set_tpr(vcpu, v_tpr << 4);
		else
			vcpu->cr8 = v_tpr;
	}
}

/* The TLB has been flushed, for this entry and no other. */
static noinline void svm_flushed(struct svm_vcpu *svm)
{
	svm->vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
	svm->flush = false;
	this_cpu_ptr(&svm_cpu)->flush_all = false;
}

/*
 * @off, or refused: nothing has run, and whether the TLB has been flushed is not
 * known. What the VMCB holds now need not be the guest's (in QEMU's TCG
 * it is the host's).
 */
static noinline void svm_entry_failed(struct svm_vcpu *svm, int off, struct vitro_exit *exit)
{
	svm->failed_off = off;
	if (off) {
		svm->failed_cpu = svm->vcpu.cpu;
		svm->vmcb->control.exit_code = SVM_EXIT_ERR;
	}
	svm_decode_exit(svm, exit);
}

/**
 * svm_enter() - run the guest until it exits
 * @vcpu:	the vCPU, loaded; IRQs off
 * @exit:	receives the neutral report
 */
void svm_enter(struct vitro_vcpu *vcpu, struct vitro_exit *exit)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	int off;

	svm_write_regs(svm);
	if (unlikely(vcpu->refresh))
		svm_refresh(svm);
	if (static_branch_unlikely(&clear_xss))
		wrmsrq(MSR_IA32_XSS, 0);

	off = vitro_svm_switch(vcpu, &svm->entry);

	if (static_branch_unlikely(&clear_xss))
		wrmsrq(MSR_IA32_XSS, vitro_caps.xss_host);
	if (unlikely(off || svm_exit_code(svm->vmcb) == (u32)SVM_EXIT_ERR)) {
		svm_entry_failed(svm, off, exit);
		return;
	}
	if (unlikely(svm->vmcb->control.tlb_ctl))
		svm_flushed(svm);
	svm_read_regs(svm);
	svm_decode_exit(svm, exit);
}
