// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SVM backend as common code sees it.
 */
#include <asm/pgtable_types.h>

#include "../../uapi/vitro.h"
#include "svm.h"

static int svm_setup(void)
{
	int err;

	svm_vcpu_setup();
	err = svm_setup_maps();
	if (err)
		return err;
	err = svm_setup_cpus();
	if (err)
		svm_teardown_maps();
	return err;
}

static void svm_teardown(void)
{
	svm_teardown_cpus();
	svm_teardown_maps();
}

const struct vitro_backend vitro_svm_backend = {
	.name		= "SVM",
	.busy		= "KVM or another hypervisor holds it, and an AMD processor cannot be shared: end its virtual machines and unload it (KVM: modprobe -r kvm_amd)",
	.id		= VITRO_BACKEND_SVM,
	.vcpu_size	= sizeof(struct svm_vcpu),

	/*
	 * Nested tables have the host's format. Nested walks are user accesses;
	 * the memory type is that of the host's PAT, whose entry 0 is WB and
	 * entry 3 (PCD and PWT) is UC, combined with the guest's.
	 */
	.tdp = {
		.present	= _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED,
		.leaf		= _PAGE_PRESENT | _PAGE_USER,
		.read		= _PAGE_PRESENT,
		.write		= _PAGE_RW,
		.exec		= 0,
		.no_exec	= _PAGE_NX,
		.large		= _PAGE_PSE,
		.accessed	= _PAGE_ACCESSED,
		.dirty		= _PAGE_DIRTY,
		.user		= _PAGE_USER,
		.host_levels	= true,
	},

	.probe			= svm_probe,
	.setup			= svm_setup,
	.teardown		= svm_teardown,
	.cpu_enable		= svm_cpu_enable,
	.cpu_disable		= svm_cpu_disable,

	.vcpu_create		= svm_vcpu_create,
	.vcpu_destroy		= svm_vcpu_destroy,
	.vcpu_reset		= svm_vcpu_reset,
	.load			= svm_load,
	.put			= svm_put,

	.enter			= svm_enter,
	.skip			= svm_skip,
	.cache_reg		= svm_cache_reg,
	.flush_tlb		= svm_flush_tlb,
	.flush_guest_tlb	= svm_flush_tlb,

	.irq_allowed		= svm_irq_allowed,
	.nmi_allowed		= svm_nmi_allowed,
	.request_irq_window	= svm_request_irq_window,
	.request_nmi_window	= svm_request_nmi_window,
	.inject_irq		= svm_inject_irq,
	.inject_nmi		= svm_inject_nmi,
	.inject_exception	= svm_inject_exception,
	.get_shadow		= svm_get_shadow,
	.set_shadow		= svm_set_shadow,
	.get_nmi_mask		= svm_get_nmi_mask,
	.set_nmi_mask		= svm_set_nmi_mask,
	.update_tpr		= svm_update_tpr,

	.get_segment		= svm_get_segment,
	.get_segments		= svm_get_segments,
	.set_segment		= svm_set_segment,
	.get_idt		= svm_get_idt,
	.set_idt		= svm_set_idt,
	.get_gdt		= svm_get_gdt,
	.set_gdt		= svm_set_gdt,
	.set_cr0		= svm_set_cr0,
	.set_cr3		= svm_set_cr3,
	.set_cr4		= svm_set_cr4,
	.set_efer		= svm_set_efer,
	.set_dr7		= svm_set_dr7,
	.cpl			= svm_cpl,
	.cs_long		= svm_cs_long,
	.get_msr		= svm_get_msr,
	.set_msr		= svm_set_msr,
	.write_tsc_offset	= svm_write_tsc_offset,
	.write_tsc_ratio	= svm_write_tsc_ratio,
	.update_exceptions	= svm_update_exceptions,
	.end_step	= svm_end_debug_step,
	.cpuid_changed		= svm_cpuid_changed,
	.msr_filter_changed		= svm_msr_filter_changed,
	.set_root		= svm_set_root,
	.explain		= svm_explain,
	.dump			= svm_dump,
};
