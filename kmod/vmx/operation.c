// SPDX-License-Identifier: GPL-2.0-only
/*
 * Being in VMX operation, and which VMCS is active and current where.
 *
 * A CPU is in one of two ways, which ways.c chooses:
 *
 *	resident	in VMX operation from cpu_enable() to cpu_disable(), as here.
 *			The fastest, but no other hypervisor can start meanwhile.
 *	windowed	in VMX operation, or making use of another's, only while IRQs
 *			are off: see window.c.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/smp.h>
#include <linux/topology.h>
#include <asm/io.h>
#include <asm/msr.h>
#include <asm/special_insns.h>

#include "vmx.h"

DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);

static void free_vmxon_pages(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		free_page((unsigned long)per_cpu(vmx_cpu, cpu).vmxon_page);
		per_cpu(vmx_cpu, cpu).vmxon_page = NULL;
	}
}

static int alloc_vmxon_pages(void)
{
	struct vmx_cpu *c;
	struct page *page;
	int cpu;

	for_each_possible_cpu(cpu) {
		c = &per_cpu(vmx_cpu, cpu);
		INIT_LIST_HEAD(&c->active);
		c->current_vmx = NULL;
		c->enabled = false;
		c->resident = false;
		c->shared = false;
		page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 0);
		if (!page) {
			free_vmxon_pages();
			return -ENOMEM;
		}
		c->vmxon_page = page_address(page);
		*(u32 *)c->vmxon_page = vmx_config.revision;
	}
	return 0;
}

/*
 * vmx_setup() - see struct vitro_backend
 */
int vmx_setup(void)
{
	int err;

	err = alloc_vmxon_pages();
	if (err)
		return err;
	err = vmx_msr_setup();
	if (err)
		goto free_vmxon;
	err = vmx_vcpu_setup();
	if (err)
		goto free_msr;
	err = vmx_choose_way();
	if (err)
		goto teardown_vcpu;
	return 0;

teardown_vcpu:
	vmx_vcpu_teardown();
free_msr:
	vmx_msr_teardown();
free_vmxon:
	free_vmxon_pages();
	return err;
}

/*
 * vmx_teardown() - see struct vitro_backend
 */
void vmx_teardown(void)
{
	vmx_forget_way();
	vmx_vcpu_teardown();
	vmx_msr_teardown();
	free_vmxon_pages();
}

/* Makes VMXON possible where firmware has left the choice to us. */
static int unlock_vmxon(void)
{
	u64 value;

	/* A processor or a hypervisor without the MSR does not lock. */
	if (rdmsrq_safe(MSR_IA32_FEAT_CTL, &value))
		return 0;
	if (!(value & FEAT_CTL_LOCKED)) {
		value |= FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
		if (wrmsrq_safe(MSR_IA32_FEAT_CTL, value))
			return -EIO;
	}
	return value & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX ? 0 : -EOPNOTSUPP;
}

static int enter_operation(struct vmx_cpu *c)
{
	int err;

	vitro_pt_handle_vmx(1);
	vitro_cr4_set_vmxe();
	err = vmx_vmxon(virt_to_phys(c->vmxon_page));
	if (err) {
		vitro_cr4_clear_vmxe();
		vitro_pt_handle_vmx(0);
		return err;
	}
	c->resident = true;
	return 0;
}

static void leave_operation(struct vmx_cpu *c)
{
	c->resident = false;
	vmx_vmxoff();
	vitro_cr4_clear_vmxe();
	vitro_pt_handle_vmx(0);
}

/**
 * vmx_reside() - enter VMX operation to stay in it
 * @c: this CPU's structure; windowed or not enabled
 *
 * Context: IRQs off, no vCPU loaded on this CPU.
 * Return: 0; -EBUSY when another hypervisor is in VMX operation; -EIO when VMXON
 * failed.
 */
int vmx_reside(struct vmx_cpu *c)
{
	int err;

	if (!VITRO_CAN_KEEP_VMXE)
		return -EIO;
	if (__read_cr4() & X86_CR4_VMXE)
		return -EBUSY;
	vmx_read_host_msrs(c);
	err = enter_operation(c);
	if (err)
		return err;
	c->shared = false;
	c->current_vmx = NULL;
	/* Whoever was in VMX operation before may have left translations. */
	vmx_invept(VMX_EPT_EXTENT_GLOBAL, 0);
	if (vmx_can(VMX_CPU2, SECONDARY_EXEC_ENABLE_VPID))
		vmx_invvpid(VMX_VPID_EXTENT_ALL_CONTEXT, 0);
	return 0;
}

/*
 * vmx_cpu_enable() - see struct vitro_backend
 *
 * Return: 0; -EBUSY when another hypervisor is in VMX operation and we are to be
 * resident; -EOPNOTSUPP when firmware forbids it; -ENXIO when this CPU differs
 * from the first; -EIO when VMXON failed.
 */
int vmx_cpu_enable(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	int err;

	err = vmx_check_cpu();
	if (err)
		return err;
	err = unlock_vmxon();
	if (err)
		return err;
	if (vmx_is_resident_way()) {
		err = vmx_reside(c);
	} else {
		vmx_read_host_msrs(c);
		err = vmx_try_window(c);
	}
	c->enabled = !err;
	return err;
}

/* On the CPU where it is active, IRQs off: writes the VMCS back to memory. */
static void clear_vmcs(struct vmx_cpu *c, struct vitro_vmx *vmx)
{
	vmx_vmclear(vmx->vmcs_pa);
	if (c->current_vmx == vmx)
		c->current_vmx = NULL;
	list_del(&vmx->active);
	/* Who finds no CPU there must also find the entry off the list. */
	smp_store_release(&vmx->vmcs_cpu, -1);
}

/**
 * vmx_end_residence() - undo vmx_reside()
 * @c: this CPU's structure
 *
 * Context: IRQs off, or an NMI in an emergency.
 */
void vmx_end_residence(struct vmx_cpu *c)
{
	struct vitro_vmx *vmx, *next;

	if (!VITRO_CAN_KEEP_VMXE || !c->resident)
		return;
	/* An NMI may have interrupted a change of the list; all is lost anyway. */
	if (!in_nmi())
		list_for_each_entry_safe(vmx, next, &c->active, active)
			clear_vmcs(c, vmx);
	leave_operation(c);
}

/*
 * vmx_cpu_disable() - see struct vitro_backend
 */
void vmx_cpu_disable(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	c->enabled = false;
	vmx_end_residence(c);
}

static void clear_vmcs_here(void *data)
{
	struct vitro_vmx *vmx = data;

	/* The CPU may have been disabled, which clears, in the meantime. */
	if (vmx->vmcs_cpu == raw_smp_processor_id())
		clear_vmcs(this_cpu_ptr(&vmx_cpu), vmx);
}

/*
 * Makes a VMCS inactive wherever it is active. IRQs on; the caller keeps it from
 * being activated.
 */
static void deactivate_vmcs(struct vitro_vmx *vmx)
{
	int cpu = smp_load_acquire(&vmx->vmcs_cpu);	/* pairs with clear_vmcs() */

	/* Fails if the CPU has gone offline: then it has cleared the VMCS. */
	if (cpu >= 0)
		smp_call_function_single(cpu, clear_vmcs_here, vmx, 1);
}

/**
 * vmx_vmcs_forget() - let no CPU know a vCPU any more
 * @vmx: the vCPU, about to be freed
 *
 * Context: IRQs on.
 */
void vmx_vmcs_forget(struct vitro_vmx *vmx)
{
	int cpu;

	deactivate_vmcs(vmx);
	for_each_possible_cpu(cpu)
		cmpxchg(&per_cpu(vmx_cpu, cpu).current_vmx, vmx, NULL);
}

/**
 * vmx_vmcs_activate() - make a VMCS current, where CPUs are resident
 * @vmx: the vCPU
 * @cpu: this CPU
 *
 * A VMCS must not be active on two CPUs: it is cleared on the other first
 * (SDM, "Software Use of Virtual-Machine Control Structures"), and before its
 * first use at all.
 *
 * Context: preemption off, IRQs on.
 */
void vmx_vmcs_activate(struct vitro_vmx *vmx, int cpu)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	unsigned long flags;

	if (vmx->vmcs_cpu == cpu && c->current_vmx == vmx)
		return;
	if (vmx->vmcs_cpu != cpu)
		deactivate_vmcs(vmx);

	local_irq_save(flags);
	if (c->resident) {
		if (!vmx->vmcs_ready)
			vmx_vmclear(vmx->vmcs_pa);
		if (vmx->vmcs_cpu != cpu) {
			list_add(&vmx->active, &c->active);
			vmx->vmcs_cpu = cpu;
		}
		if (vmx_vmptrld(vmx->vmcs_pa))
			vmx_insn_failed("VMPTRLD", vmx->vmcs_pa, 0);
	}
	c->current_vmx = vmx;
	local_irq_restore(flags);
}
