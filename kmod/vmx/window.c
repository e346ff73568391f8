// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: being in VMX operation, or making use of another's, only for as long
 * as IRQs are off.
 *
 * Where CPUs are not resident (see operation.c), a vCPU's VMCS is current and
 * active inside a window only. Opening one takes the CPU as it is:
 *
 *	shared		somebody else is in VMX operation: his current VMCS is noted,
 *			ours made current. Closing brings his back.
 *	transient	nobody is: CR4.VMXE, VMXON. Closing undoes both.
 *
 * His code cannot run on this CPU meanwhile, except in an NMI, where hypervisors
 * have no business with a VMCS. Closing always clears our VMCS, for he may leave
 * VMX operation at any time afterwards, and on no CPU may one be active then.
 *
 * Outside windows, the guest-state fields are read and written in memory
 * (struct vitro_vmx, fields): what has been written goes to the VMCS when the next
 * window opens. Whatever else is wanted outside opens a window for itself.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <asm/io.h>
#include <asm/special_insns.h>

#include "../compat.h"
#include "vmx.h"

DEFINE_STATIC_KEY_FALSE(vmx_windowed);

#define NO_VMCS		(~0ULL)		/* what VMPTRST stores if none is current */

/* Guest-state fields by width (16, 64, 32 bits, natural): the first's index. */
static const u8 first_index[] = { 0, 8, 18, 42, VMX_NR_CACHED };

#define FIELD_WIDTH(field)	((field) >> 13 & 3)
#define FIELD_TYPE(field)	((field) >> 10 & 3)
#define FIELD_INDEX(field)	((field) >> 1 & 0x1ff)
#define TYPE_GUEST		2

static_assert(FIELD_INDEX(GUEST_TR_SELECTOR) < 8);
static_assert(FIELD_INDEX(GUEST_PDPTR3) < 18 - 8);
static_assert(FIELD_INDEX(GUEST_SYSENTER_CS) < 42 - 18);
static_assert(FIELD_INDEX(GUEST_SYSENTER_EIP) < VMX_NR_CACHED - 42);

/*
 * Segments and tables: selectors; limits and access rights; bases. Who asks for one
 * of them outside a window usually asks for all.
 */
#define SEGMENT_FIELDS	(GENMASK_ULL(7, 0) | GENMASK_ULL(18 + 17, 18) | \
			 GENMASK_ULL(42 + 12, 42 + 3))

static_assert(FIELD_INDEX(GUEST_ES_LIMIT) == 0 && FIELD_INDEX(GUEST_TR_AR_BYTES) == 17);
static_assert(FIELD_INDEX(GUEST_ES_BASE) == 3 && FIELD_INDEX(GUEST_IDTR_BASE) == 12);

/* Where a field is kept, or -1 if it is not. */
static int cache_index(enum vmcs_field field)
{
	unsigned int width = FIELD_WIDTH(field);
	unsigned int i = first_index[width] + FIELD_INDEX(field);

	if (FIELD_TYPE(field) != TYPE_GUEST || field & 1 || i >= first_index[width + 1])
		return -1;
	return i;
}

static enum vmcs_field cached_field(unsigned int i)
{
	unsigned int width = 3;

	while (i < first_index[width])
		width--;
	return width << 13 | TYPE_GUEST << 10 | (i - first_index[width]) << 1;
}

static void write_cr4(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
}

/*
 * CR4 is written past the kernel, which keeps a copy of it: with IRQs off nobody
 * sees the difference. If VMXE is set, its owner has not executed VMXON yet, or
 * has executed VMXOFF already: it stays.
 */
static int vmxon(struct vmx_cpu *c, unsigned long cr4)
{
	int err;

	vitro_pt_handle_vmx(1);
	c->window_cr4 = cr4;
	write_cr4(cr4 | X86_CR4_VMXE);
	err = vmx_vmxon(virt_to_phys(c->vmxon_page));
	if (err) {
		write_cr4(cr4);
		vitro_pt_handle_vmx(0);
	}
	return err;
}

static void vmxoff(struct vmx_cpu *c)
{
	vmx_vmxoff();
	write_cr4(c->window_cr4);
	vitro_pt_handle_vmx(0);
}

/* Gets this CPU into VMX operation, or finds it there. */
static int enter(struct vmx_cpu *c)
{
	unsigned long cr4 = __read_cr4();
	u64 theirs = NO_VMCS;

	c->shared = cr4 & X86_CR4_VMXE && !vmx_vmptrst(&theirs);
	c->their_vmcs = theirs;
	return c->shared ? 0 : vmxon(c, cr4);
}

static void leave(struct vmx_cpu *c)
{
	if (!c->shared)
		vmxoff(c);
	else if (c->their_vmcs != NO_VMCS)
		vmx_vmptrld(c->their_vmcs);
}

/**
 * vmx_try_window() - could a window be opened on this CPU?
 * @c: this CPU's structure
 *
 * Context: IRQs off.
 * Return: 0 or -EIO.
 */
int vmx_try_window(struct vmx_cpu *c)
{
	int err = enter(c);

	if (!err)
		leave(c);
	return err;
}

static void write_cached(struct vitro_vmx *vmx)
{
	unsigned int i;

	for_each_set_bit(i, (unsigned long *)&vmx->fields_dirty, VMX_NR_CACHED)
		vmcs_write(cached_field(i), vmx->fields[i]);
	vmx->fields_dirty = 0;
}

/**
 * vmx_window_open() - make a vCPU's VMCS current for a moment
 * @vmx: the vCPU
 *
 * Until vmx_window_close(), vmcs_read() and vmcs_write() may be used, and the copies
 * outside the VMCS do not count.
 *
 * Context: IRQs off.
 * Return: true; false if nothing was opened: there is a window already, the CPU is
 * resident, or there can be none (then vmx_current() is false, too).
 */
bool vmx_window_open(struct vitro_vmx *vmx)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (vmx->in_window || c->resident || !c->enabled || enter(c))
		return false;
	/* Its first use, and the only one that expects nothing in it. */
	if (!vmx->vmcs_ready)
		vmx_vmclear(vmx->vmcs_pa);
	if (vmx_vmptrld(vmx->vmcs_pa)) {
		vmx_insn_failed("VMPTRLD", vmx->vmcs_pa, 0);
		leave(c);
		return false;
	}
	vmx->in_window = true;
	if (vmx->fields_dirty)
		write_cached(vmx);
	return true;
}

/**
 * vmx_window_close() - leave the CPU as vmx_window_open() found it
 * @vmx: the vCPU, in a window
 *
 * Context: IRQs off since it was opened.
 */
void vmx_window_close(struct vitro_vmx *vmx)
{
	vmx->in_window = false;
	vmx_vmclear(vmx->vmcs_pa);
	leave(this_cpu_ptr(&vmx_cpu));
}

/**
 * vmx_current() - is a vCPU's VMCS current?
 * @vmx: the vCPU, loaded
 *
 * Context: preemption off, or the answer may be old.
 */
bool vmx_current(const struct vitro_vmx *vmx)
{
	return vmx->in_window || this_cpu_read(vmx_cpu.resident);
}

/**
 * vmx_write_back() - write what has been kept outside the VMCS
 * @vmx: the vCPU, its VMCS current
 */
void vmx_write_back(struct vitro_vmx *vmx)
{
	write_cached(vmx);
	vmx->fields_valid = 0;
}

static u64 read_in_window(struct vitro_vmx *vmx, enum vmcs_field field)
{
	unsigned long flags;
	u64 value = 0;

	local_irq_save(flags);
	if (vmx_window_open(vmx)) {
		value = vmcs_read(field);
		vmx_window_close(vmx);
	}
	local_irq_restore(flags);
	return value;
}

/* Reads the fields @wanted into their copies, but those that have one. */
static void fetch(struct vitro_vmx *vmx, u64 wanted)
{
	unsigned long missing = wanted & ~vmx->fields_valid;
	unsigned int i;

	for_each_set_bit(i, &missing, VMX_NR_CACHED)
		vmx->fields[i] = vmcs_read(cached_field(i));
	vmx->fields_valid |= missing;
}

static u64 read_cached(struct vitro_vmx *vmx, unsigned int i)
{
	u64 bit = BIT_ULL(i);
	unsigned long flags;

	if (vmx->fields_valid & bit)
		return vmx->fields[i];
	local_irq_save(flags);
	if (vmx_window_open(vmx)) {
		fetch(vmx, bit & SEGMENT_FIELDS ? SEGMENT_FIELDS : bit);
		vmx_window_close(vmx);
	}
	local_irq_restore(flags);
	return vmx->fields_valid & bit ? vmx->fields[i] : 0;
}

/**
 * vmx_read_windowed() - vmx_read() where CPUs are not resident
 * @vmx:   the vCPU, loaded
 * @field: the field
 *
 * Return: its value, 0 if this CPU can no longer enter VMX operation.
 */
u64 vmx_read_windowed(struct vitro_vmx *vmx, enum vmcs_field field)
{
	int i = cache_index(field);
	u64 value;

	preempt_disable_notrace();
	if (vmx_current(vmx))
		value = vmcs_read(field);
	else if (i >= 0)
		value = read_cached(vmx, i);
	else
		value = read_in_window(vmx, field);
	preempt_enable_notrace();
	return value;
}

static void write_in_window(struct vitro_vmx *vmx, enum vmcs_field field, u64 value)
{
	unsigned long flags;

	local_irq_save(flags);
	if (vmx_window_open(vmx)) {
		vmcs_write(field, value);
		vmx_window_close(vmx);
	}
	local_irq_restore(flags);
}

/**
 * vmx_write_windowed() - vmx_write() where CPUs are not resident
 * @vmx:   the vCPU, loaded
 * @field: the field
 * @value: its new value
 */
void vmx_write_windowed(struct vitro_vmx *vmx, enum vmcs_field field, u64 value)
{
	int i = cache_index(field);

	preempt_disable_notrace();
	if (vmx_current(vmx)) {
		vmcs_write(field, value);
	} else if (i >= 0) {
		vmx->fields[i] = value;
		vmx->fields_valid |= BIT_ULL(i);
		vmx->fields_dirty |= BIT_ULL(i);
	} else {
		write_in_window(vmx, field, value);
	}
	preempt_enable_notrace();
}

/**
 * vmx_begin() - see vitro_begin in backend.h
 * @vcpu: the vCPU
 *
 * The other hypervisor takes no notice of us: it puts no barrier between its
 * guest and ours. It may go on with the VMCS that is current without one.
 */
void vmx_begin(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (!vmx_window_open(vmx))
		return;
	vmx->fields_valid = 0;
	if (c->shared && c->their_vmcs != NO_VMCS) {
		vmx->at_put |= VMX_AT_PUT_BARRIER;
		if (vmx->just_loaded)
			vmx_branch_barrier();
	} else {
		vmx->at_put &= ~VMX_AT_PUT_BARRIER;
	}
	vmx->just_loaded = false;
	vmx_exchange_user_msrs(vmx);
}

/* What handling an exit outside the window usually needs. */
static void keep_common_fields(struct vitro_vmx *vmx)
{
	struct vitro_vcpu *vcpu = &vmx->vcpu;
	unsigned long missing = VMX_LAZY_REGS & ~vcpu->regs_avail;
	unsigned int reg;

	for_each_set_bit(reg, &missing, VITRO_NR_REGS)
		vmx_cache_reg(vcpu, reg);
	vmx_intr_state(vmx);
	fetch(vmx, BIT_ULL(first_index[2] + FIELD_INDEX(GUEST_CS_AR_BYTES)) |
		   BIT_ULL(first_index[2] + FIELD_INDEX(GUEST_SS_AR_BYTES)));
}

/**
 * vmx_end() - see vitro_end in backend.h
 * @vcpu: the vCPU
 */
void vmx_end(struct vitro_vcpu *vcpu)
{
	struct vitro_vmx *vmx = to_vmx(vcpu);

	if (!vmx->in_window)
		return;
	keep_common_fields(vmx);
	/* Outside windows there is nothing in it. */
	if (vmx->at_put & VMX_AT_PUT_LOG)
		vmx_log_empty(vcpu);
	vmx_restore_user_msrs(vmx);
	vmx_window_close(vmx);
}
