// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX controls: what exits, for which guest.
 */
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <asm/io.h>
#include <asm/processor.h>
#include <asm/tsc.h>

#include "../vm.h"
#include "vmx.h"

/* Spinning of more than the window, in PAUSEs at most the gap apart (TSC). */
#define PAUSE_GAP	128
#define PAUSE_WINDOW	4096

/* A guest runs for no longer without an exit. */
#define MAX_GUEST_MS	20

/**
 * vmx_reset_primary() - primary controls after RESET or INIT
 * @vmx: the vCPU, loaded
 */
void vmx_reset_primary(struct vitro_vmx *vmx)
{
	const struct vitro_vcpu *vcpu = &vmx->vcpu;
	u32 ctl = vmx_config.base[VMX_CPU];

	vmx->tpr_shadow = vcpu->lapic;
	if (vmx->tpr_shadow)
		ctl |= CPU_BASED_TPR_SHADOW;
	else
		ctl |= CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	if (vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_HLT))
		ctl &= ~CPU_BASED_HLT_EXITING;
	if (vcpu_exit_disabled(vcpu, KVM_X86_DISABLE_EXITS_MWAIT))
		ctl &= ~(CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING);
	vmx->cpu_ctl = ctl;
	vmx->cpu_ctl_vmcs = ctl;
	vmx_write(vmx, CPU_BASED_VM_EXEC_CONTROL, ctl);
}

/**
 * vmx_update_secondary() - secondary controls: what the guest's CPUID and user space want
 * @vmx: the vCPU, loaded
 */
void vmx_update_secondary(struct vitro_vmx *vmx)
{
	u32 ctl = vmx_config.base[VMX_CPU2];

	if (vmx->vpid)
		ctl |= SECONDARY_EXEC_ENABLE_VPID;
	if (vcpu_has(&vmx->vcpu, VITRO_GF_RDTSCP | VITRO_GF_RDPID))
		ctl |= SECONDARY_EXEC_ENABLE_RDTSCP;
	if (vcpu_has(&vmx->vcpu, VITRO_GF_INVPCID))
		ctl |= SECONDARY_EXEC_ENABLE_INVPCID;
	if (vmx->vcpu.tsc_ratio)
		ctl |= SECONDARY_EXEC_TSC_SCALING;
	if (vmx->at_put & VMX_AT_PUT_LOG)
		ctl |= SECONDARY_EXEC_ENABLE_PML;
	if (vcpu_exit_disabled(&vmx->vcpu, KVM_X86_DISABLE_EXITS_PAUSE))
		ctl &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	vmx_write(vmx, SECONDARY_VM_EXEC_CONTROL, ctl & vmx_config.may[VMX_CPU2]);
}

/**
 * vmx_write_preemption_timer() - let no guest run for longer than this without an exit
 *
 * So that a host CPU
 * without a periodic tick still passes RCU's quiescent states. The processor
 * reloads the timer at each entry: it costs nothing while other exits are
 * more frequent. Bochs 2.7 depends on it: it keeps external interrupts masked
 * while the guest runs with RFLAGS.IF clear.
 *
 * Context: the VMCS is current.
 */
void vmx_write_preemption_timer(void)
{
	u64 ticks = (u64)tsc_khz * MAX_GUEST_MS;

	ticks >>= vmx_misc_preemption_timer_rate(vmx_config.misc);
	vmcs_write(VMX_PREEMPTION_TIMER_VALUE, clamp_t(u64, ticks, 1, U32_MAX));
}

/**
 * vmx_write_controls() - all controls but the primary ones, before the first load
 * @vmx: the vCPU
 *
 * Context: the VMCS is current.
 */
void vmx_write_controls(struct vitro_vmx *vmx)
{
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, vmx_config.base[VMX_PIN]);
	vmcs_write(VM_EXIT_CONTROLS, vmx_config.base[VMX_EXIT]);
	vmcs_write(VM_ENTRY_CONTROLS, vmx_config.base[VMX_ENTRY]);
	vmx_update_secondary(vmx);
	if (vmx->at_put & VMX_AT_PUT_LOG)
		vmx_log_write(vmx);
	vmx_msr_filter_changed(&vmx->vcpu);
	vmcs_write(VIRTUAL_APIC_PAGE_ADDR, virt_to_phys(vmx->vapic));
	vmcs_write(TPR_THRESHOLD, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmcs_write(TSC_OFFSET, vmx->vcpu.tsc_offset);
	if (vmx->vcpu.tsc_ratio)
		vmcs_write(TSC_MULTIPLIER, vmx->vcpu.tsc_ratio);
	vmx_set_root(&vmx->vcpu, vmx->vcpu.vm->tdp.root_hpa);
	vmcs_write(VMCS_LINK_POINTER, ~0ULL);
	if (vmx->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	if (vmx_can(VMX_PIN, PIN_BASED_VMX_PREEMPTION_TIMER))
		vmx_write_preemption_timer();
	if (vmx_can(VMX_CPU2, SECONDARY_EXEC_PAUSE_LOOP_EXITING)) {
		vmcs_write(PLE_GAP, PAUSE_GAP);
		vmcs_write(PLE_WINDOW, PAUSE_WINDOW);
	}
	if (vmx_can(VMX_CPU2, SECONDARY_EXEC_ENCLS_EXITING))
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ULL);
	if (vmx_can(VMX_CPU2, VMX_EXEC_ENCLV))
		vmcs_write(VMX_ENCLV_BITMAP, ~0ULL);
}
