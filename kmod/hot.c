// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entering and leaving the hot level: FPU and XCR0, then debug registers.
 *
 * kernel_fpu_begin() saves what user space had in the registers and keeps
 * interrupt handlers from using the FPU until kernel_fpu_end(); between them
 * the registers are the guest's. XSAVE and XRSTOR run under the host's XCR0.
 */
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>

#include "debug.h"
#include "hot.h"
#include "insn.h"
#include "vcpu.h"
#include "xstate.h"

static void load_xcr0(struct vitro_vcpu *vcpu)
{
	if (vcpu->xcr0 != vitro_host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
}

/**
 * vitro_hot_xcr0() - learn the guest's XCR0
 * @vcpu: the vCPU, hot
 *
 * Some emulated processors do not honour the XSETBV intercept (QEMU's TCG),
 * so what is in XCR0 is read where it matters, not assumed.
 */
void vitro_hot_xcr0(struct vitro_vcpu *vcpu)
{
	if (vitro_host_xcr0)
		vcpu->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
}

static void restore_xcr0(struct vitro_vcpu *vcpu)
{
	vitro_hot_xcr0(vcpu);
	if (vcpu->xcr0 != vitro_host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vitro_host_xcr0);
}

/**
 * vitro_hot_debug_load() - put the guest's, or its debugger's, enabled breakpoints into the processor
 * @vcpu: the vCPU
 *
 * The kernel's own are turned off before the addresses change: they would
 * fire at addresses that the guest has chosen, in the kernel. VM entry loads
 * the guest's DR7, VM exit disables it. DR6 is not switched: accesses to it and #DB
 * exit.
 *
 * Context: IRQs off until vitro_hot_debug_restore(), as an interrupt may change
 *	    the kernel's.
 */
void vitro_hot_debug_load(struct vitro_vcpu *vcpu)
{
	const u64 *dr;

	if (likely(!(vcpu->active_dr7 & DR7_ENABLED)))
		return;
	dr = vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP) ? vcpu->debug_dr : vcpu->dr;
	if (hw_breakpoint_active())
		set_debugreg(0, 7);
	get_debugreg(vcpu->host_dr[0], 0);
	get_debugreg(vcpu->host_dr[1], 1);
	get_debugreg(vcpu->host_dr[2], 2);
	get_debugreg(vcpu->host_dr[3], 3);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
	vcpu->dr_loaded = true;
}

/**
 * vitro_hot_debug_restore() - give the kernel its breakpoints back
 * @vcpu: the vCPU, after its last exit
 *
 * Context: IRQs off.
 */
void vitro_hot_debug_restore(struct vitro_vcpu *vcpu)
{
	if (vcpu->dr_loaded) {
		vcpu->dr_loaded = false;
		/* VM exit has disabled DR7, but for QEMU's TCG. */
		set_debugreg(0, 7);
		set_debugreg(vcpu->host_dr[0], 0);
		set_debugreg(vcpu->host_dr[1], 1);
		set_debugreg(vcpu->host_dr[2], 2);
		set_debugreg(vcpu->host_dr[3], 3);
	}
	if (hw_breakpoint_active()) {
		/* The guest's debug exceptions may have left their bits. */
		set_debugreg(DR6_RESERVED, 6);
		set_debugreg(__this_cpu_read(cpu_dr7), 7);
	}
}

/**
 * vitro_hot_begin() - put the guest's state into the registers
 * @vcpu: the vCPU, loaded
 *
 * Context: preemption off, IRQs on.
 */
void vitro_hot_begin(struct vitro_vcpu *vcpu)
{
	kernel_fpu_begin_mask(0);
	vitro_xstate_load(vcpu);
	load_xcr0(vcpu);
	vcpu->hot = true;
}

/**
 * vitro_hot_end() - put the guest's state back into memory
 * @vcpu: the vCPU
 *
 * Context: preemption off, IRQs on, as for vitro_hot_begin().
 */
void vitro_hot_end(struct vitro_vcpu *vcpu)
{
	vcpu->hot = false;
	restore_xcr0(vcpu);
	vitro_xstate_save(vcpu);
	kernel_fpu_end();
}
