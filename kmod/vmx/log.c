// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page-modification log: the processor writes down the guest-physical address of each
 * page whose dirty bit it sets (SDM, "Page-Modification Logging"), and exits when it has no room
 * left.
 *
 * It fills the log's page from entry log_first downwards. How far it is, the VMCS tells, which
 * only the CPU can read where that is current. So the log is emptied whenever the vCPU is put,
 * and where CPUs are not resident, at the end of each window. Otherwise it fills up, or another
 * thread asks for it, by an interrupt.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <asm/io.h>

#include "../dirty_ring.h"
#include "../vm.h"
#include "vmx.h"

#define LOG_ENTRIES	((int)(PAGE_SIZE / sizeof(u64)))

/*
 * vmx_log_alloc() - see struct vitro_backend
 */
int vmx_log_alloc(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (!vmx->log)
		vmx->log = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vmx->log ? 0 : -ENOMEM;
}

/*
 * vmx_log_start() - see struct vitro_backend
 *
 * Left to the entry, which cannot be without the VMCS.
 */
void vmx_log_start(struct vitro_vcpu *vcpu)
{
	vmx_pend(to_vmx(vcpu), VMX_PENDING_LOG);
}

/*
 * So many pages as the ring has room for, then an exit. With no room at all, any page to be
 * dirtied is one: the ring is emptied first.
 */
static int choose_first(struct vitro_vcpu *vcpu)
{
	u32 room = vitro_dirty_ring_room(vcpu);

	if (!room)
		vitro_request(vcpu, VITRO_REQ_RING_FULL);
	return (int)min_t(u32, room, LOG_ENTRIES) - 1;
}

/* The VMCS is current. */
static void take(struct vitro_vmx *vmx)
{
	u16 next = vmcs_read(GUEST_PML_INDEX);
	/* Behind the first entry comes 0xffff. */
	int last = next < LOG_ENTRIES ? next + 1 : 0;
	int first = vmx->log_first;

	if (last <= first)
		vitro_log_pages(&vmx->vcpu, vmx->log + last, first - last + 1);
	vmx->log_first = choose_first(&vmx->vcpu);
	if (last <= first || vmx->log_first != first)
		vmcs_write(GUEST_PML_INDEX, (u16)vmx->log_first);
}

/**
 * vmx_log_write() - write the log's fields
 * @vmx: the vCPU, its log empty; the VMCS is current
 */
void vmx_log_write(struct vitro_vmx *vmx)
{
	vmx->log_first = choose_first(&vmx->vcpu);
	vmcs_write(PML_ADDRESS, virt_to_phys(vmx->log));
	vmcs_write(GUEST_PML_INDEX, (u16)vmx->log_first);
}

/**
 * vmx_log_refresh() - VMX_PENDING_LOG: start to log, or look at the ring
 * @vmx: the vCPU, about to enter; the VMCS is current
 */
void vmx_log_refresh(struct vitro_vmx *vmx)
{
	if (vmx->at_put & VMX_AT_PUT_LOG) {
		take(vmx);
		return;
	}
	vmx_log_write(vmx);
	vmx->at_put |= VMX_AT_PUT_LOG;
	vmx_update_secondary(vmx);
}

/*
 * vmx_log_empty() - see struct vitro_backend
 *
 * An interrupt can find the vCPU not yet loaded, or its CPU outside VMX operation: then nothing
 * has been logged since the log was emptied last.
 */
void vmx_log_empty(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct vmx_cpu *c;
	unsigned long flags;

	if (!(vmx->at_put & VMX_AT_PUT_LOG))
		return;
	local_irq_save(flags);
	c = this_cpu_ptr(&vmx_cpu);
	if (vmx->in_window || (c->resident && c->current_vmx == vmx))
		take(vmx);
	else if (vcpu->dirty_ring.nr)
		/* Something is being entered, so there will be less room. */
		vmx_pend(vmx, VMX_PENDING_LOG);
	local_irq_restore(flags);
}
