/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The neutral form of a VM exit. A backend decodes the hardware's report into
 * it; exit.c decides without knowing which vendor the report came from.
 */
#ifndef VITRO_EXIT_H
#define VITRO_EXIT_H

#include <linux/types.h>

/*
 * X(enumerator, name): the name is what statistics and trace events show.
 * INTR comes first: it is the most frequent exit of an idle host.
 */
#define VITRO_EXIT_REASONS(X)		\
	X(INTR,		intr)		\
	X(NMI,		nmi)		\
	X(EXCEPTION,	exception)	\
	X(CPUID,	cpuid)		\
	X(HLT,		hlt)		\
	X(IO,		io)		\
	X(RDMSR,	rdmsr)		\
	X(WRMSR,	wrmsr)		\
	X(HYPERCALL,	hypercall)	\
	X(CR,		cr)		\
	X(DR,		dr)		\
	X(TDP_FAULT,	tdp_fault)	\
	X(IRQ_WINDOW,	irq_window)	\
	X(NMI_WINDOW,	nmi_window)	\
	X(TPR,		tpr)		\
	X(XSETBV,	xsetbv)		\
	X(CACHE,	cache)		\
	X(INVLPG,	invlpg)		\
	X(RDPMC,	rdpmc)		\
	X(PAUSE,	pause)		\
	X(MWAIT,	mwait)		\
	X(UD_INSN,	ud_insn)	\
	X(TRIPLE_FAULT,	triple_fault)	\
	X(TASK_SWITCH,	task_switch)	\
	X(MCE,		mce)		\
	X(ENTRY_FAILED,	entry_failed)	\
	X(RESUME,	resume)		\
	X(STEP,		step)		\
	X(SOFT_INT,	soft_int)	\
	X(LOG_FULL,	log_full)	\
	X(UNKNOWN,	unknown)

enum vitro_exit_reason {
#define X(sym, name) VITRO_EXIT_##sym,
	VITRO_EXIT_REASONS(X)
#undef X
	VITRO_NR_EXITS
};

/* access bits of struct vitro_exit.fault and of page-table walks */
#define VITRO_ACC_READ		0x1
#define VITRO_ACC_WRITE		0x2
#define VITRO_ACC_EXEC		0x4
#define VITRO_ACC_USER		0x8

/*
 * struct vitro_exit - why the guest stopped, without the vendor's spelling
 * @reason:	VITRO_EXIT_*. RESUME: the backend has dealt with it wholly, enter
 *		again. UD_INSN: an instruction that vitro does not offer (VMX,
 *		SVM, ...), to be answered with #UD. CACHE: INVD or WBINVD.
 *		MWAIT: MONITOR or MWAIT. STEP: the single step that a debugger wants
 *		has ended; exception.payload has the other DR6 bits. SOFT_INT: INT n or INT3.
 *		LOG_FULL: the processor's log of dirty pages has no room left.
 * @insn_len:	bytes of the instruction that caused the exit; 0 where the
 *		processor does not tell (the common code then decodes it)
 * @cs_key:	where @insn_len is 0 in the inner loop: of equal keys, hardware reason, code segment and
 *		privilege level are equal, so that instructions are fetched alike; bit 31 is set
 * @hw_reason:	the hardware's own code, for messages and for user space
 * @hw_info:	the hardware's qualification (VMX exit qualification, SVM
 *		EXITINFO1), for messages and trace events
 *
 * The union holds what belongs to @reason:
 * @io.port, @io.size: port and operand bytes (1, 2, 4)
 * @io.in, @io.string, @io.rep: direction; INS/OUTS; with a REP prefix
 * @exception.vector, .error_code, .has_error_code: an intercepted exception
 * @exception.pushed_flags: STEP: RFLAGS have been pushed with the trap flag that made the step
 * @exception.payload: CR2 of a #PF, new DR6 bits of a #DB, otherwise 0
 * @cr.cr: control register number; @cr.gpr: general register number
 * @cr.op: one of VITRO_CR_*; @cr.value: operand of LMSW
 * @dr.dr, @dr.gpr, @dr.write: debug-register access
 * @fault.gpa: guest-physical address; @fault.access: VITRO_ACC_READ/WRITE/EXEC
 * @fault.present: a translation existed but did not permit the access
 * @fault.walk: the access was the processor's own to a guest page table
 * @task.selector, .reason, .has_error_code, .error_code: a task switch;
 *		reason is one of VITRO_TASK_*
 * @fail.code:	ENTRY_FAILED: value for kvm_run.fail_entry
 */
struct vitro_exit {
	u32 reason;
	u8 insn_len;
	u64 cs_key;
	u64 hw_reason;
	u64 hw_info;
	union {
		struct {
			u16 port;
			u8 size;
			bool in;
			bool string;
			bool rep;
		} io;
		struct {
			u8 vector;
			bool has_error_code;
			bool pushed_flags;
			u32 error_code;
			u64 payload;
		} exception;
		struct {
			u8 cr;
			u8 op;
			u8 gpr;
			u16 value;
		} cr;
		struct {
			u8 dr;
			u8 gpr;
			bool write;
		} dr;
		struct {
			u64 gpa;
			u8 access;
			bool present;
			bool walk;
		} fault;
		struct {
			u16 selector;
			u8 reason;
			bool has_error_code;
			u32 error_code;
		} task;
		struct {
			u64 code;
		} fail;
	};
};

#define VITRO_CR_WRITE		0
#define VITRO_CR_READ		1
#define VITRO_CR_CLTS		2
#define VITRO_CR_LMSW		3

#define VITRO_TASK_CALL		0
#define VITRO_TASK_IRET		1
#define VITRO_TASK_JMP		2
#define VITRO_TASK_GATE		3

#endif /* VITRO_EXIT_H */
