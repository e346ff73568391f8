// SPDX-License-Identifier: GPL-2.0-only
/*
 * From EXITCODE and EXITINFO to struct vitro_exit.
 */
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "svm.h"

/* EXITINFO1 of IOIO, CR and nested-page-fault intercepts beyond <asm/svm.h> */
#define IOIO_PORT_SHIFT		16
#define CR_INFO_MOV		BIT_ULL(63)	/* MOV: register number is valid */
#define NPF_PRESENT		BIT_ULL(0)
#define NPF_WRITE		BIT_ULL(1)
#define NPF_FETCH		BIT_ULL(4)
#define NPF_TABLE_WALK		BIT_ULL(33)

/* Common code decodes the instruction to find the register. */
#define GPR_UNKNOWN		0xff

static void svm_decode_cr(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	bool write = exit->hw_reason >= SVM_EXIT_WRITE_CR0;

	exit->cr.cr = exit->hw_reason & 0xf;
	exit->cr.op = write ? VITRO_CR_WRITE : VITRO_CR_READ;
	exit->cr.value = 0;
	if (svm_caps.decode_assists && exit->hw_info & CR_INFO_MOV) {
		exit->cr.gpr = exit->hw_info & SVM_EXITINFO_REG_MASK;
		return;
	}
	/* Or it is CLTS, LMSW or SMSW, which the processor reports alike. */
	exit->cr.gpr = GPR_UNKNOWN;
	exit->insn_len = 0;
}

static void svm_decode_dr(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	exit->dr.dr = exit->hw_reason & 7;
	exit->dr.write = exit->hw_reason >= SVM_EXIT_WRITE_DR0;
	if (svm_caps.decode_assists) {
		exit->dr.gpr = exit->hw_info & SVM_EXITINFO_REG_MASK;
		return;
	}
	exit->dr.gpr = GPR_UNKNOWN;
	exit->insn_len = 0;
}

/* Exceptions that come with an error code, in EXITINFO1. */
#define ERROR_CODE_VECTORS	(BIT(X86_TRAP_DF) | BIT(X86_TRAP_TS) |	\
				 BIT(X86_TRAP_NP) | BIT(X86_TRAP_SS) |	\
				 BIT(X86_TRAP_GP) | BIT(X86_TRAP_PF) | BIT(X86_TRAP_AC))

static void svm_decode_exception(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	exit->exception.vector = exit->hw_reason - SVM_EXIT_EXCP_BASE;
	exit->exception.has_error_code = BIT(exit->exception.vector) & ERROR_CODE_VECTORS;
	exit->exception.error_code = exit->exception.has_error_code ? exit->hw_info : 0;
	exit->exception.payload = 0;
}

/*
 * The processor has merged what happened into DR6 (APM, #DB intercept).
 * The guest never sees the VMCB's DR6, so it is kept quiet between events and
 * what differs is new.
 */
static void svm_decode_db(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	svm_decode_exception(svm, exit);
	exit->exception.payload = svm->vmcb->save.dr6 ^ SVM_DR6_QUIET;
	svm->vmcb->save.dr6 = SVM_DR6_QUIET;
	svm_dirty(svm->vmcb, SVM_CLEAN_DR);
}

static void svm_decode_pf(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	svm_decode_exception(svm, exit);
	exit->exception.payload = svm->vmcb->control.exit_info_2;
}

/*
 * Unlike an NMI, an intercepted machine check is not pending in the host
 * afterwards: its handler has to be called. IRQs are off, GIF is set.
 */
static void svm_decode_mce(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	asm volatile("int $18");
}

static void svm_decode_irq_window(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	svm_close_irq_window(svm);
}

static void svm_decode_iret(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	/* If no NMI waits, the end of the handler need not be noticed now. */
	exit->reason = svm_iret_starts(svm) ? VITRO_EXIT_NMI_WINDOW : VITRO_EXIT_RESUME;
	exit->insn_len = 0;
}

/*
 * The fetch of an instruction depends on CS's attributes, its base outside of
 * 64-bit mode (32 bits there), CPL and RFLAGS.VM. With the exit's reason; never 0.
 */
static __always_inline u64 svm_cs_key(const struct svm_vcpu *svm, u8 reason)
{
	const struct vmcb_save_area *save = &svm->vmcb->save;
	u32 low = save->cs.attrib | reason << 12 | save->cpl << 24 |
		  (save->rflags & X86_EFLAGS_VM) << 9 | BIT(31);

	BUILD_BUG_ON(VITRO_NR_EXITS > 32);
	return save->cs.base << 32 | low;
}

/* The length of the instruction if the processor tells the next RIP, or what to find it by. */
static __always_inline void svm_set_len(struct svm_vcpu *svm, struct vitro_exit *exit, u64 next)
{
	u64 len = next - svm->vmcb->save.rip;

	exit->insn_len = len;
	if (unlikely(!len || len > 15)) {
		exit->insn_len = 0;
		exit->cs_key = svm_cs_key(svm, exit->reason);
	}
}

static void svm_decode_io(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	/* EXITINFO2 is the next RIP, NRIP save or not. */
	svm_set_len(svm, exit, svm->vmcb->control.exit_info_2);
	exit->io.port = exit->hw_info >> IOIO_PORT_SHIFT;
	exit->io.size = (exit->hw_info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT;
	exit->io.in = exit->hw_info & SVM_IOIO_TYPE_MASK;
	exit->io.string = exit->hw_info & SVM_IOIO_STR_MASK;
	exit->io.rep = exit->hw_info & SVM_IOIO_REP_MASK;
}

static void svm_decode_msr(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	exit->reason = exit->hw_info ? VITRO_EXIT_WRMSR : VITRO_EXIT_RDMSR;
}

static void svm_decode_task_switch(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	u64 info2 = svm->vmcb->control.exit_info_2;

	exit->task.selector = exit->hw_info;
	exit->task.has_error_code = info2 & BIT_ULL(SVM_EXITINFOSHIFT_TS_HAS_ERROR_CODE);
	exit->task.error_code = info2;
	if (info2 & BIT_ULL(SVM_EXITINFOSHIFT_TS_REASON_IRET))
		exit->task.reason = VITRO_TASK_IRET;
	else if (info2 & BIT_ULL(SVM_EXITINFOSHIFT_TS_REASON_JMP))
		exit->task.reason = VITRO_TASK_JMP;
	else if (svm->vmcb->control.exit_int_info & SVM_EXITINTINFO_VALID)
		exit->task.reason = VITRO_TASK_GATE;
	else
		exit->task.reason = VITRO_TASK_CALL;
}

static void svm_decode_shutdown(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	svm_shutdown_reset(svm);
}

static void svm_decode_npf(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	exit->reason = VITRO_EXIT_TDP_FAULT;
	exit->fault.gpa = svm->vmcb->control.exit_info_2;
	exit->fault.access = exit->hw_info & NPF_FETCH ? VITRO_ACC_EXEC :
			     exit->hw_info & NPF_WRITE ? VITRO_ACC_WRITE : VITRO_ACC_READ;
	exit->fault.present = exit->hw_info & NPF_PRESENT;
	exit->fault.walk = exit->hw_info & NPF_TABLE_WALK;
}

/**
 * struct svm_code - what to make of an EXITCODE
 * @reason:	VITRO_EXIT_*
 * @flags:	as below; 0: unknown
 * @decode:	fills in the rest
 */
struct svm_code {
	u8 reason;
	u8 flags;
	void (*decode)(struct svm_vcpu *svm, struct vitro_exit *exit);
};

#define KNOWN		BIT(0)	/* one that we intercept */
#define BY_INSN		BIT(1)	/* an instruction caused it: NRIP save gives its length */
#define DECODE		BIT(2)	/* has @decode */

#define EVENT(why)	  { VITRO_EXIT_##why, KNOWN }
#define EVENT_FN(why, fn) { VITRO_EXIT_##why, KNOWN | DECODE, svm_decode_##fn }
#define INSN(why)	  { VITRO_EXIT_##why, KNOWN | BY_INSN }
#define INSN_FN(why, fn)  { VITRO_EXIT_##why, KNOWN | BY_INSN | DECODE, svm_decode_##fn }

static const struct svm_code svm_codes[SVM_NR_CODES] = {
	[SVM_EXIT_READ_CR0]	= INSN_FN(CR, cr),
	[SVM_EXIT_READ_CR4]	= INSN_FN(CR, cr),
	[SVM_EXIT_WRITE_CR0]	= INSN_FN(CR, cr),
	[SVM_EXIT_WRITE_CR4]	= INSN_FN(CR, cr),
	[SVM_EXIT_WRITE_CR8]	= INSN_FN(CR, cr),
	[SVM_EXIT_READ_DR0 ... SVM_EXIT_READ_DR7]   = INSN_FN(DR, dr),
	[SVM_EXIT_WRITE_DR0 ... SVM_EXIT_WRITE_DR7] = INSN_FN(DR, dr),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_DB] = EVENT_FN(EXCEPTION, db),
	/* Those but #AC only while a debugger steps; see step.c. */
	[SVM_EXIT_EXCP_BASE + X86_TRAP_DE] = EVENT_FN(EXCEPTION, exception),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_BP ... SVM_EXIT_EXCP_BASE + X86_TRAP_DF] =
		EVENT_FN(EXCEPTION, exception),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_TS ... SVM_EXIT_EXCP_BASE + X86_TRAP_GP] =
		EVENT_FN(EXCEPTION, exception),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_PF] = EVENT_FN(EXCEPTION, pf),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_MF ... SVM_EXIT_EXCP_BASE + X86_TRAP_AC] =
		EVENT_FN(EXCEPTION, exception),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_XF] = EVENT_FN(EXCEPTION, exception),
	[SVM_EXIT_EXCP_BASE + X86_TRAP_MC] = EVENT_FN(MCE, mce),
	[SVM_EXIT_INTR]		= EVENT(INTR),
	[SVM_EXIT_NMI]		= EVENT(NMI),
	/* Both were pending in the host and have been taken at STGI. */
	[SVM_EXIT_SMI]		= EVENT(RESUME),
	[SVM_EXIT_INIT]		= EVENT(RESUME),
	[SVM_EXIT_VINTR]	= EVENT_FN(IRQ_WINDOW, irq_window),
	[SVM_EXIT_RDPMC]	= INSN(RDPMC),
	[SVM_EXIT_CPUID]	= INSN(CPUID),
	[SVM_EXIT_IRET]		= EVENT_FN(RESUME, iret),
	[SVM_EXIT_SWINT]	= EVENT(SOFT_INT),
	[SVM_EXIT_INVD]		= INSN(CACHE),
	[SVM_EXIT_PAUSE]	= INSN(PAUSE),
	[SVM_EXIT_HLT]		= INSN(HLT),
	[SVM_EXIT_INVLPGA]	= INSN(UD_INSN),
	[SVM_EXIT_IOIO]		= EVENT_FN(IO, io),
	[SVM_EXIT_MSR]		= INSN_FN(RDMSR, msr),
	[SVM_EXIT_TASK_SWITCH]	= EVENT_FN(TASK_SWITCH, task_switch),
	[SVM_EXIT_SHUTDOWN]	= EVENT_FN(TRIPLE_FAULT, shutdown),
	[SVM_EXIT_VMRUN]	= INSN(UD_INSN),
	[SVM_EXIT_VMMCALL]	= INSN(HYPERCALL),
	[SVM_EXIT_VMLOAD]	= INSN(UD_INSN),
	[SVM_EXIT_VMSAVE]	= INSN(UD_INSN),
	[SVM_EXIT_STGI]		= INSN(UD_INSN),
	[SVM_EXIT_CLGI]		= INSN(UD_INSN),
	[SVM_EXIT_SKINIT]	= INSN(UD_INSN),
	[SVM_EXIT_RDTSCP]	= INSN(UD_INSN),
	[SVM_EXIT_WBINVD]	= INSN(CACHE),
	[SVM_EXIT_MONITOR]	= INSN(MWAIT),
	[SVM_EXIT_MWAIT]	= INSN(MWAIT),
	[SVM_EXIT_MWAIT_COND]	= INSN(MWAIT),
	[SVM_EXIT_XSETBV]	= INSN(XSETBV),
	[SVM_EXIT_RDPRU]	= INSN(UD_INSN),
	[SVM_CODE_INVLPGB]	= INSN(UD_INSN),
	[SVM_CODE_INVLPGB_BAD]	= INSN(UD_INSN),
	[SVM_EXIT_INVPCID]	= INSN(UD_INSN),
	[SVM_CODE_MCOMMIT]	= INSN(UD_INSN),
	[SVM_CODE_TLBSYNC]	= INSN(UD_INSN),
};

/* What the EXITCODE says. */
static __always_inline void svm_decode_code(struct svm_vcpu *svm, struct vitro_exit *exit,
					    u32 number)
{
	const struct svm_code *code;

	if (unlikely(number >= SVM_NR_CODES)) {
		if (number == SVM_EXIT_NPF)
			svm_decode_npf(svm, exit);
		return;
	}
	code = &svm_codes[array_index_nospec(number, SVM_NR_CODES)];
	if (unlikely(!code->flags))
		return;

	exit->reason = code->reason;
	if (code->flags & BY_INSN) {
		if (svm_caps.nrips)
			svm_set_len(svm, exit, svm->vmcb->control.next_rip);
		else
			exit->cs_key = svm_cs_key(svm, code->reason);
	}
	if (code->flags & DECODE)
		code->decode(svm, exit);
}

/* An exit that means something for what its entry injected or stepped. */
static noinline void svm_decode_more(struct svm_vcpu *svm, struct vitro_exit *exit, u32 code)
{
	if (code == (u32)SVM_EXIT_ERR) {
		exit->reason = VITRO_EXIT_ENTRY_FAILED;
		exit->fail.code = code;
		svm->failed_event = svm->event_inj;
		svm_cancel_injection(&svm->vcpu);
		if (svm->step != SVM_STEP_NONE)
			svm_end_step(svm, exit);
		return;
	}

	if (svm->event_inj || svm->vmcb->control.exit_int_info & SVM_EXITINTINFO_VALID)
		svm_finish_injection(svm);
	svm_decode_code(svm, exit, code);
	if (svm->step != SVM_STEP_NONE)
		svm_end_step(svm, exit);
}

/**
 * svm_decode_exit() - report an exit in neutral form
 * @svm:	the vCPU; IRQs off, GIF set
 * @exit:	receives the report
 *
 * Also settles what the exit means for the event that the entry injected and
 * for a single step on our own behalf.
 */
void svm_decode_exit(struct svm_vcpu *svm, struct vitro_exit *exit)
{
	const struct vmcb_control_area *control = &svm->vmcb->control;
	u32 code = svm_exit_code(svm->vmcb);

	exit->reason = VITRO_EXIT_UNKNOWN;
	exit->insn_len = 0;
	exit->hw_reason = code;
	exit->hw_info = control->exit_info_1;

	if (unlikely(svm->event_inj || control->exit_int_info & SVM_EXITINTINFO_VALID ||
		     svm->step != SVM_STEP_NONE ||
		     (code >= SVM_NR_CODES && code != SVM_EXIT_NPF)))
		svm_decode_more(svm, exit, code);
	else
		svm_decode_code(svm, exit, code);
}
