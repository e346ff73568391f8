// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deciding about VM exits.
 *
 * Each reason has up to two handlers. The fast one runs in the inner loop
 * with IRQs off and the guest's state in the registers; it must not sleep,
 * and leaves everything as it was when it gives up. The slow one runs with
 * IRQs on.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/indirect_call_wrapper.h>
#include <linux/kvm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <asm/traps.h>

#include "../uapi/vitro.h"
#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "debug.h"
#include "emul/emul.h"
#include "hypercall.h"
#include "insn.h"
#include "insn_mode.h"
#include "irqchip/irqchip.h"
#include "mmio.h"
#include "msr.h"
#include "msr_filter.h"
#include "run.h"
#include "trace.h"
#include "vm.h"
#include "xstate.h"

/**
 * struct exit_handler - what is done about a reason
 * @fast:	true: dealt with, enter again. vitro_handle_exit_fast() calls the
 *		frequent ones by name, which spares an indirect branch
 * @slow:	1: go on; 0: kvm_run is filled, return to user space; -errno
 * @decode:	needs the instruction's length, or operands that not every
 *		processor reports
 */
struct exit_handler {
	bool (*fast)(struct vitro_vcpu *vcpu);
	int (*slow)(struct vitro_vcpu *vcpu);
	bool decode;
};

/* For reasons that are dealt with by leaving the inner loop, or already were. */
static int go_on(struct vitro_vcpu *vcpu)
{
	return 1;
}

static bool enter_again(struct vitro_vcpu *vcpu)
{
	return true;
}

static bool exit_window(struct vitro_vcpu *vcpu)
{
	vitro_request(vcpu, VITRO_REQ_EVENT);
	/* User space may be waiting for the window: run_loop() looks. */
	return vcpu->vm->pic_in_kernel || !READ_ONCE(vcpu->run->request_interrupt_window);
}

static bool exit_tpr(struct vitro_vcpu *vcpu)
{
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return true;
}

/* INT3, before it has executed. */
static int breakpoint(struct vitro_vcpu *vcpu)
{
	if (vitro_debugged(vcpu, KVM_GUESTDBG_USE_SW_BP))
		return vitro_debug_exit(vcpu, X86_TRAP_BP, 0);
	vitro_queue_exception(vcpu, X86_TRAP_BP);
	return 1;
}

static int exit_exception(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;

	switch (exit->exception.vector) {
	case X86_TRAP_DB:
		if (vitro_debugged(vcpu, KVM_GUESTDBG_USE_HW_BP))
			return vitro_debug_exit(vcpu, X86_TRAP_DB, exit->exception.payload);
		vitro_queue_db(vcpu, exit->exception.payload);
		break;
	case X86_TRAP_BP:
		return breakpoint(vcpu);
	case X86_TRAP_PF:
		vitro_queue_page_fault(vcpu, exit->exception.payload,
				       exit->exception.error_code);
		break;
	case X86_TRAP_UD:
		return vitro_exit_ud(vcpu);
	default:
		if (exit->exception.has_error_code)
			vitro_queue_exception_error(vcpu, exit->exception.vector,
						    exit->exception.error_code);
		else
			vitro_queue_exception(vcpu, exit->exception.vector);
	}
	return 1;
}

static __always_inline bool exit_cpuid_fast(struct vitro_vcpu *vcpu)
{
	vitro_cpuid_execute(vcpu);
	return vitro_skip_insn_fast(vcpu);
}

static int exit_cpuid(struct vitro_vcpu *vcpu)
{
	vitro_cpuid_execute(vcpu);
	return vitro_skip_insn(vcpu);
}

static bool exit_hlt_fast(struct vitro_vcpu *vcpu)
{
	if (!vcpu->lapic || !vitro_has_interrupt(vcpu) ||
	    !(vcpu_rflags(vcpu) & X86_EFLAGS_IF))
		return false;
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return vitro_skip_insn_fast(vcpu);
}

static int exit_hlt(struct vitro_vcpu *vcpu)
{
	vitro_skip_insn(vcpu);
	if (vcpu->lapic) {
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_HALTED);
		return 1;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static void reject_msr(struct vitro_vcpu *vcpu)
{
	vitro_queue_exception_error(vcpu, X86_TRAP_GP, 0);
}

static __always_inline bool filtered(struct vitro_vcpu *vcpu, u32 access)
{
	const struct vitro_msr_filter *filter;

	filter = srcu_dereference(vcpu->vm->msr_filter, &vcpu->vm->srcu);
	return unlikely(filter) && !vitro_msr_allowed(filter, vcpu->gpr[VITRO_RCX], access);
}

/* In the inner loop: may the guest have its #GP without user space being asked? */
static bool reject_msr_fast(struct vitro_vcpu *vcpu, int fault)
{
	if (vitro_msr_is_users(vcpu->vm, fault))
		return false;
	reject_msr(vcpu);
	return true;
}

/* 0, or enum vitro_msr_fault, and nothing has changed. */
static int read_msr(struct vitro_vcpu *vcpu)
{
	u32 msr = vcpu->gpr[VITRO_RCX];
	u64 value = 0;
	int fault = VITRO_MSR_FILTERED;

	if (!filtered(vcpu, KVM_MSR_FILTER_READ))
		fault = vitro_get_msr(vcpu, msr, &value, false);
	if (trace_vitro_msr_enabled())
		trace_vitro_msr(vcpu->id, false, msr, value, fault);
	if (fault)
		return fault;
	vcpu->gpr[VITRO_RAX] = (u32)value;
	vcpu->gpr[VITRO_RDX] = value >> 32;
	return 0;
}

static int exit_rdmsr(struct vitro_vcpu *vcpu)
{
	int fault = read_msr(vcpu);

	if (fault)
		return vitro_msr_refused(vcpu, vcpu->gpr[VITRO_RCX], false, 0, fault);
	return vitro_skip_insn(vcpu);
}

static bool exit_rdmsr_fast(struct vitro_vcpu *vcpu)
{
	int fault = read_msr(vcpu);

	return unlikely(fault) ? reject_msr_fast(vcpu, fault) : vitro_skip_insn_fast(vcpu);
}

static u64 msr_operand(const struct vitro_vcpu *vcpu)
{
	return (u32)vcpu->gpr[VITRO_RAX] | vcpu->gpr[VITRO_RDX] << 32;
}

/* As read_msr(). */
static int write_msr(struct vitro_vcpu *vcpu)
{
	u32 msr = vcpu->gpr[VITRO_RCX];
	u64 value = msr_operand(vcpu);
	int fault = VITRO_MSR_FILTERED;

	if (!filtered(vcpu, KVM_MSR_FILTER_WRITE))
		fault = vitro_set_msr(vcpu, msr, value, false);
	if (trace_vitro_msr_enabled())
		trace_vitro_msr(vcpu->id, true, msr, value, fault);
	return fault;
}

static int exit_wrmsr(struct vitro_vcpu *vcpu)
{
	int fault = write_msr(vcpu);

	if (fault)
		return vitro_msr_refused(vcpu, vcpu->gpr[VITRO_RCX], true, msr_operand(vcpu), fault);
	return vitro_skip_insn(vcpu);
}

static bool exit_wrmsr_fast(struct vitro_vcpu *vcpu)
{
	int fault;

	if (vitro_msr_write_sleeps(vcpu->gpr[VITRO_RCX]))
		return false;
	fault = write_msr(vcpu);
	return unlikely(fault) ? reject_msr_fast(vcpu, fault) : vitro_skip_insn_fast(vcpu);
}

static bool exit_hypercall_fast(struct vitro_vcpu *vcpu)
{
	return vitro_exit_hypercall(vcpu) == 1;
}

static bool exit_tdp_fault_fast(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;
	enum vitro_tdp_result result;

	vcpu->emul->mov = NULL;
	result = vitro_tdp_fault_fast(vcpu, exit->fault.gpa, exit->fault.access);
	if (trace_vitro_tdp_fault_enabled())
		trace_vitro_tdp_fault(vcpu->id, exit->fault.gpa, exit->fault.access, result, true);
	if (result == VITRO_TDP_MMIO)
		return vitro_mmio_mov_fast(vcpu);
	return result == VITRO_TDP_DONE;
}

/*
 * It is not the instruction at RIP that accesses the device, but the delivery of the
 * event: the guest's tables or its stack are where there is no memory.
 */
static int delivery_failed(struct vitro_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_DELIVERY_EV;
	run->internal.ndata = 2;
	run->internal.data[0] = vcpu->exit.hw_reason;
	run->internal.data[1] = vcpu->exit.fault.gpa;
	return 0;
}

static int exit_tdp_fault(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;
	enum vitro_tdp_result result;
	int err = -EFAULT;

	/* Its first part was done in the inner loop. */
	if (vcpu->emul->mov)
		return vitro_mmio_mov(vcpu);
	result = vitro_tdp_fault(vcpu, exit->fault.gpa, exit->fault.access, &err);
	if (trace_vitro_tdp_fault_enabled())
		trace_vitro_tdp_fault(vcpu->id, exit->fault.gpa, exit->fault.access, result, false);
	switch (result) {
	case VITRO_TDP_MMIO:
		if (vitro_event_on_its_way(vcpu))
			return delivery_failed(vcpu);
		return vitro_emulate_insn(vcpu);
	case VITRO_TDP_ERROR:
		return err;
	default:
		return 1;
	}
}

static int exit_xsetbv(struct vitro_vcpu *vcpu)
{
	u64 value = (u32)vcpu->gpr[VITRO_RAX] | vcpu->gpr[VITRO_RDX] << 32;

	if (static_call(vitro_cpl)(vcpu) ||
	    vitro_write_xcr(vcpu, vcpu->gpr[VITRO_RCX], value)) {
		reject_msr(vcpu);
		return 1;
	}
	return vitro_skip_insn(vcpu);
}

/* The guest spins for what another vCPU may have to give: let that one run. */
static int exit_pause(struct vitro_vcpu *vcpu)
{
	vitro_skip_insn(vcpu);
	yield();
	return 1;
}

/* INVD, WBINVD: guest memory is cached and coherent; there is nothing to do. */
static bool exit_cache_fast(struct vitro_vcpu *vcpu)
{
	return vitro_skip_insn_fast(vcpu);
}

static int exit_skip(struct vitro_vcpu *vcpu)
{
	return vitro_skip_insn(vcpu);
}

/*
 * MONITOR, MWAIT: a guest does not send the processor to sleep. As with KVM they are NOPs, whether
 * or not CPUID offers them, unless user space wants the #UD.
 */
static int exit_mwait(struct vitro_vcpu *vcpu)
{
	u32 disabled = READ_ONCE(vcpu->vm->disabled_quirks);

	if (disabled & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS && !vcpu_has(vcpu, VITRO_GF_MWAIT)) {
		vitro_queue_exception(vcpu, X86_TRAP_UD);
		return 1;
	}
	return vitro_skip_insn(vcpu);
}

static bool exit_rdpmc(struct vitro_vcpu *vcpu)
{
	/* The guest has no performance counters. */
	reject_msr(vcpu);
	return true;
}

static bool exit_ud(struct vitro_vcpu *vcpu)
{
	vitro_queue_exception(vcpu, X86_TRAP_UD);
	return true;
}

static int exit_step(struct vitro_vcpu *vcpu)
{
	if (vcpu->exit.exception.pushed_flags)
		vitro_debug_clear_pushed(vcpu);
	return vitro_debug_step_done(vcpu, vcpu->exit.exception.payload);
}

/* The guest's INT n is to push RFLAGS without the trap flag that steps it. */
static int exit_soft_int(struct vitro_vcpu *vcpu)
{
	u8 bytes[EMUL_MAX_INSN];
	struct emul_insn insn;
	int n, len;

	n = vitro_fetch_insn(vcpu, bytes, sizeof(bytes), false);
	if (n == -EFAULT)
		return 1;
	if (n < 0)
		return vitro_emulation_failed(vcpu, NULL, 0);
	len = emul_insn_length(&insn, vitro_insn_mode(vcpu), bytes, n);
	if (len > 0 && emul_insn_id(&insn) == 0xcc)
		return breakpoint(vcpu);
	/* Anything else: another vCPU has changed the code meanwhile. */
	if (len > 0 && emul_insn_id(&insn) == 0xcd)
		vitro_requeue_irq(vcpu, bytes[len - 1], true, len);
	return 1;
}

/* The instruction that would have dirtied one page more is executed again. */
static bool exit_log_full(struct vitro_vcpu *vcpu)
{
	vitro_backend->log_empty(vcpu);
	return true;
}

static int exit_triple_fault(struct vitro_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int exit_task_switch(struct vitro_vcpu *vcpu)
{
	pr_info_ratelimited("vCPU %u: hardware task switch to selector 0x%x: not supported, see docs/limits.md\n",
			    vcpu->id, vcpu->exit.task.selector);
	return vitro_emulation_failed(vcpu, NULL, 0);
}

/* Keeps, and logs the first line of, what the backend can tell about the failure. */
static void explain_entry(struct vitro_vcpu *vcpu)
{
	struct vitro_explain *explain = vcpu->explain;
	struct seq_buf text;

	if (!explain) {
		explain = kzalloc(sizeof(*explain), GFP_KERNEL_ACCOUNT);
		if (!explain)
			return;
		vcpu->explain = explain;
	}
	memset(explain, 0, sizeof(*explain));
	seq_buf_init(&text, explain->text, sizeof(explain->text) - 1);
	vitro_backend->explain(vcpu, &text);
	explain->code = vcpu->exit.fail.code;
	explain->text_len = strlen(explain->text);

	pr_info_ratelimited("vCPU %u: VM entry failed, code 0x%llx: %.*s\n", vcpu->id,
			    explain->code, (int)strcspn(explain->text, "\n"), explain->text);
}

static int exit_entry_failed(struct vitro_vcpu *vcpu)
{
	explain_entry(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = vcpu->exit.fail.code;
	vcpu->run->fail_entry.cpu = vcpu->last_cpu;
	return 0;
}

static int exit_unknown(struct vitro_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	pr_info_ratelimited("vCPU %u: exit with hardware reason 0x%llx (0x%llx), which vitro does not know\n",
			    vcpu->id, vcpu->exit.hw_reason, vcpu->exit.hw_info);
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON;
	run->internal.ndata = 2;
	run->internal.data[0] = vcpu->exit.hw_reason;
	run->internal.data[1] = vcpu->last_cpu;
	return 0;
}

static const struct exit_handler handlers[VITRO_NR_EXITS] = {
	[VITRO_EXIT_INTR]	  = { NULL, go_on },
	[VITRO_EXIT_NMI]	  = { enter_again, go_on },
	[VITRO_EXIT_EXCEPTION]	  = { NULL, exit_exception },
	[VITRO_EXIT_CPUID]	  = { exit_cpuid_fast, exit_cpuid, true },
	[VITRO_EXIT_HLT]	  = { exit_hlt_fast, exit_hlt, true },
	[VITRO_EXIT_IO]		  = { vitro_exit_io_fast, vitro_exit_io, true },
	[VITRO_EXIT_RDMSR]	  = { exit_rdmsr_fast, exit_rdmsr, true },
	[VITRO_EXIT_WRMSR]	  = { exit_wrmsr_fast, exit_wrmsr, true },
	[VITRO_EXIT_HYPERCALL]	  = { exit_hypercall_fast, vitro_exit_hypercall, true },
	[VITRO_EXIT_CR]		  = { NULL, vitro_exit_cr, true },
	[VITRO_EXIT_DR]		  = { NULL, vitro_exit_dr, true },
	[VITRO_EXIT_TDP_FAULT]	  = { exit_tdp_fault_fast, exit_tdp_fault },
	[VITRO_EXIT_IRQ_WINDOW]	  = { exit_window, go_on },
	[VITRO_EXIT_NMI_WINDOW]	  = { exit_tpr, go_on },
	[VITRO_EXIT_TPR]	  = { exit_tpr, go_on },
	[VITRO_EXIT_XSETBV]	  = { NULL, exit_xsetbv, true },
	[VITRO_EXIT_CACHE]	  = { exit_cache_fast, exit_skip, true },
	[VITRO_EXIT_INVLPG]	  = { NULL, exit_unknown },
	[VITRO_EXIT_RDPMC]	  = { exit_rdpmc, go_on },
	[VITRO_EXIT_PAUSE]	  = { NULL, exit_pause, true },
	[VITRO_EXIT_MWAIT]	  = { NULL, exit_mwait, true },
	[VITRO_EXIT_UD_INSN]	  = { exit_ud, go_on },
	[VITRO_EXIT_TRIPLE_FAULT] = { NULL, exit_triple_fault },
	[VITRO_EXIT_TASK_SWITCH]  = { NULL, exit_task_switch },
	[VITRO_EXIT_MCE]	  = { NULL, go_on },
	[VITRO_EXIT_ENTRY_FAILED] = { NULL, exit_entry_failed },
	[VITRO_EXIT_RESUME]	  = { enter_again, go_on },
	[VITRO_EXIT_STEP]	  = { NULL, exit_step },
	[VITRO_EXIT_SOFT_INT]	  = { NULL, exit_soft_int },
	[VITRO_EXIT_LOG_FULL]	  = { exit_log_full, go_on },
	[VITRO_EXIT_UNKNOWN]	  = { NULL, exit_unknown },
};

static __always_inline bool length_known(struct vitro_vcpu *vcpu)
{
	return vcpu->exit.insn_len || vitro_find_insn_len(vcpu);
}

/**
 * vitro_handle_exit_fast() - deal with an exit in the inner loop, if possible
 * @vcpu: the vCPU, hot
 *
 * Context: IRQs off.
 * Return: true if the guest can be entered again.
 */
bool vitro_handle_exit_fast(struct vitro_vcpu *vcpu)
{
	const struct exit_handler *handler;

	/*
	 * What is frequent, without the table: loads and, where there are
	 * retpolines, an indirect call cost more than the comparisons.
	 */
	switch (vcpu->exit.reason) {
	case VITRO_EXIT_CPUID:
		return length_known(vcpu) && exit_cpuid_fast(vcpu);
	case VITRO_EXIT_IO:
		return length_known(vcpu) && vitro_exit_io_fast(vcpu);
	case VITRO_EXIT_RDMSR:
		return length_known(vcpu) && exit_rdmsr_fast(vcpu);
	case VITRO_EXIT_WRMSR:
		return length_known(vcpu) && exit_wrmsr_fast(vcpu);
	case VITRO_EXIT_HYPERCALL:
		return length_known(vcpu) && exit_hypercall_fast(vcpu);
	case VITRO_EXIT_TDP_FAULT:
		return exit_tdp_fault_fast(vcpu);
	}
	handler = &handlers[vcpu->exit.reason];
	if (!handler->fast || (handler->decode && !length_known(vcpu)))
		return false;
	return INDIRECT_CALL_2(handler->fast, exit_hlt_fast, exit_window, vcpu);
}

/* Apart, so that exits that need no decoding do without a protected stack. */
static noinline int decode_and_handle(struct vitro_vcpu *vcpu, const struct exit_handler *handler)
{
	int r;

	if (!vitro_complete_exit_decode(vcpu, &r))
		return r;
	return handler->slow(vcpu);
}

/**
 * vitro_handle_exit() - deal with an exit
 * @vcpu: the vCPU
 *
 * Context: process context, vm->srcu held for reading.
 * Return: 1: enter the guest again; 0: kvm_run says what user space has to
 * do; -errno.
 */
int vitro_handle_exit(struct vitro_vcpu *vcpu)
{
	const struct exit_handler *handler = &handlers[vcpu->exit.reason];

	if (handler->decode && !vcpu->exit.insn_len)
		return decode_and_handle(vcpu, handler);
	/* What is frequent is called directly: a retpoline costs more than comparisons. */
	return INDIRECT_CALL_4(handler->slow, go_on, vitro_exit_io, exit_tdp_fault, exit_hlt,
			       vcpu);
}
