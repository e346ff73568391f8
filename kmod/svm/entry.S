/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch of the SVM backend: everything between the host's C code
 * and the guest's instructions.
 */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/processor-flags.h>
#include <asm/segment.h>

#include "svm.h"

/* gpr[] of struct vitro_vcpu, its first member, in the encoding's order */
#define GPR_RCX		(1 * 8)
#define GPR_RDX		(2 * 8)
#define GPR_RBX		(3 * 8)
#define GPR_RBP		(5 * 8)
#define GPR_RSI		(6 * 8)
#define GPR_RDI		(7 * 8)
#define GPR_R8		(8 * 8)
#define GPR_R9		(9 * 8)
#define GPR_R10		(10 * 8)
#define GPR_R11		(11 * 8)
#define GPR_R12		(12 * 8)
#define GPR_R13		(13 * 8)
#define GPR_R14		(14 * 8)
#define GPR_R15		(15 * 8)

/* What the guest's stay leaves of the arguments: they are on the stack. */
#define ARG_ENTRY	(0 * 8)
#define ARG_VCPU	(1 * 8)

	.section .rodata
	.balign 2
/* VERW's operand; the kernel's own is not for modules on all versions. */
SYM_DATA_LOCAL(vitro_svm_verw_selector, .word __KERNEL_DS)

	.text

/*
 * int vitro_svm_switch(vcpu, entry)
 *
 * In:	RDI  struct vitro_vcpu: gpr[] but RAX and RSP, which the VMCB holds
 *	RSI  struct svm_entry
 *	Interrupts disabled (IF=0), EFER.SVME set on this CPU
 * Out:	EAX  0: the guest has exited (or VMRUN has refused its state):
 *	     gpr[] and the VMCB hold its registers
 *	     1: SVM had been turned off on this CPU (emergency restart), nothing
 *	     has been touched
 *	IF=0, GIF=1: NMIs that ended the guest's run have been handled,
 *	interrupts that did are still pending
 * Clobbers what a C function may. GS base, TR and the MSRs that VMLOAD covers
 * are the host's again when it returns.
 *
 * From CLGI to STGI nothing interrupts: an NMI with the guest's TR or GS base
 * loaded would be fatal. V_INTR_MASKING makes the host's IF at VMRUN
 * decide whether interrupts end the guest's run; it must be 1, and with GIF=0
 * nothing happens in the host (APM, Virtualizing INTR).
 *
 * Two exception-table entries: someone who turned SVM off under us did so
 * in an NMI or by an interrupt, so before CLGI; CLGI (or VMLOAD, if the host is
 * virtualised and its hypervisor lets CLGI pass) is then the instruction that
 * raises #UD. From the guest's VMLOAD to the host's, an exception could not be
 * survived anyway: its handler would run with the guest's GS base.
 *
 * The host's VMLOAD stands alone, so it can move to where the inner loop is
 * left, once C code between exits does without per-CPU data; it must be
 * between CLGI and STGI there, too.
 */
SYM_FUNC_START(vitro_svm_switch)
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15

	push	%rdi
	push	%rsi

	mov	SVM_ENTRY_VMCB_PA(%rsi), %rax
.Lclgi:	clgi
.Lload:	vmload	%rax

	/*
	 * The usual place is right before VMRUN, but QEMU's TCG carries the shadow of that STI
	 * into the guest, where it ends that of an STI that is the guest's first instruction.
	 */
	sti

	mov	SVM_ENTRY_GUEST_SPEC(%rsi), %r8d
	cmp	SVM_ENTRY_HOST_SPEC(%rsi), %r8d
	je	.Lguest_spec_done
	mov	%r8d, %eax
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
	mov	SVM_ENTRY_VMCB_PA(%rsi), %rax
.Lguest_spec_done:

	/* CF, for below: the guest's RFLAGS.IF. Only VERW follows, which keeps CF. */
	ALTERNATIVE "jmp .Lif_known", "", X86_FEATURE_HYPERVISOR
	mov	SVM_ENTRY_VMCB(%rsi), %r8
	btl	$X86_EFLAGS_IF_BIT, SVM_VMCB_RFLAGS(%r8)
.Lif_known:

	mov	GPR_RCX(%rdi), %rcx
	mov	GPR_RDX(%rdi), %rdx
	mov	GPR_RBX(%rdi), %rbx
	mov	GPR_RBP(%rdi), %rbp
	mov	GPR_RSI(%rdi), %rsi
	mov	GPR_R8(%rdi), %r8
	mov	GPR_R9(%rdi), %r9
	mov	GPR_R10(%rdi), %r10
	mov	GPR_R11(%rdi), %r11
	mov	GPR_R12(%rdi), %r12
	mov	GPR_R13(%rdi), %r13
	mov	GPR_R14(%rdi), %r14
	mov	GPR_R15(%rdi), %r15
	mov	GPR_RDI(%rdi), %rdi

	/* Nothing of the host's in store buffers may be sampled (TSA). */
	ALTERNATIVE "jmp .Lverw_done", "", X86_FEATURE_CLEAR_CPU_BUF_VM
	verw	vitro_svm_verw_selector(%rip)
.Lverw_done:

	/*
	 * QEMU's TCG does not take the shadow from the VMCB, but from an STI at this place. One
	 * too many delays what comes by a single instruction.
	 */
	ALTERNATIVE "jmp .Lvmrun", "", X86_FEATURE_HYPERVISOR
	jnc	.Lvmrun
	sti
.Lvmrun:
	vmrun	%rax
	cli

	/* RAX is the host's again: the VMCB's address. RSP, too. */
	vmsave	%rax
	mov	ARG_ENTRY(%rsp), %rax
	mov	SVM_ENTRY_HOST_PA(%rax), %rax
	vmload	%rax

	mov	ARG_VCPU(%rsp), %rax
	mov	%rcx, GPR_RCX(%rax)
	mov	%rdx, GPR_RDX(%rax)
	mov	%rbx, GPR_RBX(%rax)
	mov	%rbp, GPR_RBP(%rax)
	mov	%rsi, GPR_RSI(%rax)
	mov	%rdi, GPR_RDI(%rax)
	mov	%r8, GPR_R8(%rax)
	mov	%r9, GPR_R9(%rax)
	mov	%r10, GPR_R10(%rax)
	mov	%r11, GPR_R11(%rax)
	mov	%r12, GPR_R12(%rax)
	mov	%r13, GPR_R13(%rax)
	mov	%r14, GPR_R14(%rax)
	mov	%r15, GPR_R15(%rax)

	/* The guest's values must not steer the host's speculation. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/* From here to the RET, in this order: no branch prediction of the guest's. */
	ALTERNATIVE_2 "jmp .Libpb_done", "", X86_FEATURE_ENTRY_IBPB, "", X86_FEATURE_IBPB_ON_VMEXIT
	mov	$MSR_IA32_PRED_CMD, %ecx
	mov	$PRED_CMD_IBPB, %eax
	xor	%edx, %edx
	wrmsr
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_BUG_IBPB_NO_RET
.Libpb_done:
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT

	pop	%rsi
	mov	SVM_ENTRY_HOST_SPEC(%rsi), %eax
	cmp	%eax, SVM_ENTRY_GUEST_SPEC(%rsi)
	je	.Lhost_spec_done
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
.Lhost_spec_done:
	CALL_UNTRAIN_RET

	stgi
	xor	%eax, %eax
.Lout:
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	RET

.Loff:
	pop	%rsi
	mov	$1, %eax
	jmp	.Lout

	_ASM_EXTABLE(.Lclgi, .Loff)
	_ASM_EXTABLE(.Lload, .Loff)
SYM_FUNC_END(vitro_svm_switch)
