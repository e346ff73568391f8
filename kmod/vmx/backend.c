// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMX backend as common code sees it.
 */
#include "../../uapi/vitro.h"
#include "vmx.h"

static void vmx_write_tsc_offset(struct vitro_vcpu *vcpu)
{
	vmx_write(to_vmx(vcpu), TSC_OFFSET, vcpu->tsc_offset);
}

static void vmx_write_tsc_ratio(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (vcpu->tsc_ratio)
		vmx_write(vmx, TSC_MULTIPLIER, vcpu->tsc_ratio);
	vmx_update_secondary(vmx);
}

static void vmx_cpuid_changed(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	/* Before the first load there is no VMCS to adjust; that does it. */
	if (!vmx->vmcs_ready)
		return;
	vmx_update_secondary(vmx);
	vmx_update_cr4_mask(vmx);
}

const struct vitro_backend vitro_vmx_backend = {
	.name		= "VMX",
	.busy		= "KVM or another hypervisor holds it: load vitro without vmx_operation=resident to share it, or unload the other (KVM: modprobe -r kvm_intel)",
	.id		= VITRO_BACKEND_VMX,
	.vcpu_size	= sizeof(struct vitro_vmx),
	.tdp = {
		.present	= VMX_EPT_RWX_MASK,
		/* Write-back whatever the guest's PAT says: it has no devices. */
		.leaf		= VMX_EPTP_MT_WB << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT,
		.read		= VMX_EPT_READABLE_MASK,
		.write		= VMX_EPT_WRITABLE_MASK,
		.exec		= VMX_EPT_EXECUTABLE_MASK,
		.no_exec	= 0,
		.large		= BIT_ULL(7),
		.accessed	= VMX_EPT_ACCESS_BIT,
		.dirty		= VMX_EPT_DIRTY_BIT,
		.user		= 0,
	},

	.probe			= vmx_probe,
	.setup			= vmx_setup,
	.teardown		= vmx_teardown,
	.cpu_enable		= vmx_cpu_enable,
	.cpu_disable		= vmx_cpu_disable,
	.describe_way		= vmx_describe_way,

	.vcpu_create		= vmx_vcpu_create,
	.vcpu_destroy		= vmx_vcpu_destroy,
	.vcpu_reset		= vmx_vcpu_reset,
	.load			= vmx_load,
	.put			= vmx_put,

	.enter			= vmx_enter,
	.skip			= vmx_skip,
	.cache_reg		= vmx_cache_reg,
	.flush_tlb		= vmx_flush_tlb,
	.flush_guest_tlb	= vmx_flush_guest_tlb,

	.irq_allowed		= vmx_irq_allowed,
	.nmi_allowed		= vmx_nmi_allowed,
	.request_irq_window	= vmx_request_irq_window,
	.request_nmi_window	= vmx_request_nmi_window,
	.inject_irq		= vmx_inject_irq,
	.inject_nmi		= vmx_inject_nmi,
	.inject_exception	= vmx_inject_exception,
	.get_shadow		= vmx_get_shadow,
	.set_shadow		= vmx_set_shadow,
	.get_nmi_mask		= vmx_get_nmi_mask,
	.set_nmi_mask		= vmx_set_nmi_mask,
	.update_tpr		= vmx_update_tpr,

	.get_segment		= vmx_get_segment,
	.get_segments		= vmx_get_segments,
	.set_segment		= vmx_set_segment,
	.get_idt		= vmx_get_idt,
	.set_idt		= vmx_set_idt,
	.get_gdt		= vmx_get_gdt,
	.set_gdt		= vmx_set_gdt,
	.set_cr0		= vmx_set_cr0,
	.set_cr3		= vmx_set_cr3,
	.set_cr4		= vmx_set_cr4,
	.set_efer		= vmx_set_efer,
	.set_dr7		= vmx_set_dr7,
	.cpl			= vmx_cpl,
	.cs_long		= vmx_cs_long,
	.get_msr		= vmx_get_msr,
	.set_msr		= vmx_set_msr,
	.write_tsc_offset	= vmx_write_tsc_offset,
	.write_tsc_ratio	= vmx_write_tsc_ratio,
	.update_exceptions	= vmx_update_exceptions,
	.end_step	= vmx_end_step,
	.end_halt		= vmx_end_halt,
	.cpuid_changed		= vmx_cpuid_changed,
	.msr_filter_changed		= vmx_msr_filter_changed,
	.set_root		= vmx_set_root,
	.log_alloc		= vmx_log_alloc,
	.log_start		= vmx_log_start,
	.log_empty		= vmx_log_empty,
	.explain		= vmx_explain,
	.dump			= vmx_dump,
};
