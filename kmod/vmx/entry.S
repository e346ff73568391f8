/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMX world switch.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "vmx.h"

/* Offsets in struct vitro_vcpu, which begins with gpr[]; RSP is the VMCS's. */
#define GPR_RAX		0x00
#define GPR_RCX		0x08
#define GPR_RDX		0x10
#define GPR_RBX		0x18
#define GPR_RBP		0x28
#define GPR_RSI		0x30
#define GPR_RDI		0x38
#define GPR_R8		0x40
#define GPR_R9		0x48
#define GPR_R10		0x50
#define GPR_R11		0x58
#define GPR_R12		0x60
#define GPR_R13		0x68
#define GPR_R14		0x70
#define GPR_R15		0x78

#define AFTER_EXIT	((1 << VMX_ENTER_SPEC_CTRL_BIT) | (1 << VMX_ENTER_CLEAR_BHB_BIT))

	.section .rodata, "a", @progbits
	.balign 2
SYM_DATA_LOCAL(verw_selector, .word __KERNEL_DS)

	.section .text

/*
 * unsigned long vmx_switch(struct vitro_vcpu *vcpu, struct vmx_entry *entry)
 *
 * Enters the guest of the current VMCS and returns after the VM exit.
 *
 * In:		RDI: vcpu, RSI: entry. IRQs are off. The VMCS is complete but
 *		for HOST_RSP, which is written here when it differs from
 *		entry->host_rsp; its HOST_RIP is vmx_exit_point.
 * Out:		RAX: 0 after a VM exit, vcpu->gpr[] holds the guest's
 *		registers but RSP; 1 when VMRESUME and VMLAUNCH failed, gpr[]
 *		is unchanged. IRQs are off; NMIs are blocked if an NMI caused the exit.
 * Clobbers:	what a C function may.
 *
 * VMRESUME comes first: it is right but for the first entry after VMCLEAR, and
 * then it fails and VMLAUNCH follows. So nobody needs to remember which is due.
 */
SYM_FUNC_START(vmx_switch)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rsi
	push	%rdi

	cmp	%rsp, VMX_ENTRY_HOST_RSP(%rsi)
	jne	.Lwrite_host_rsp
.Lhost_rsp_written:

	btl	$VMX_ENTER_SPEC_CTRL_BIT, VMX_ENTRY_FLAGS(%rsi)
	jnc	.Lspec_ctrl_done
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	VMX_ENTRY_GUEST_SPEC_CTRL(%rsi), %eax
	mov	4 + VMX_ENTRY_GUEST_SPEC_CTRL(%rsi), %edx
.Lwrite_guest_spec_ctrl:
	wrmsr
.Lspec_ctrl_done:

	/* The carry flag survives the moves until VERW is due. */
	btl	$VMX_ENTER_VERW_BIT, VMX_ENTRY_FLAGS(%rsi)

	mov	GPR_RAX(%rdi), %rax
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

	/* The hint lets objtool see the same stack at vmx_exit_point. */
	UNWIND_HINT_SAVE

	jnc	.Lresume
	verw	verw_selector(%rip)
.Lresume:
	vmresume
	jc	.Lfailed

	/* Not launched yet? Any other error must not be hidden by VMLAUNCH's. */
	mov	$VMX_FIELD_INSN_ERROR, %eax
.Lread_error:
	vmread	%rax, %rax
	cmp	$VMX_ERROR_NOT_LAUNCHED, %eax
	jne	.Lfailed
	mov	(%rsp), %rax
	mov	GPR_RAX(%rax), %rax
.Llaunch:
	vmlaunch

.Lfailed:
	mov	$1, %eax
	jmp	.Lscrub

.Lwrite_host_rsp:
	mov	$VMX_FIELD_HOST_RSP, %eax
.Lwrite:
	vmwrite	%rsp, %rax
	jna	.Lfailed
	mov	%rsp, VMX_ENTRY_HOST_RSP(%rsi)
	jmp	.Lhost_rsp_written

	/*
	 * A guest may have been promised a bit that this processor lacks: it
	 * goes without, and the host keeps its own value.
	 */
	_ASM_EXTABLE(.Lwrite_guest_spec_ctrl, .Lspec_ctrl_done)
	_ASM_EXTABLE(.Lwrite_host_spec_ctrl, .Lhost_spec_ctrl_done)
	_ASM_EXTABLE(.Lresume, .Lfailed)
	_ASM_EXTABLE(.Lread_error, .Lfailed)
	_ASM_EXTABLE(.Llaunch, .Lfailed)
	_ASM_EXTABLE(.Lwrite, .Lfailed)

SYM_INNER_LABEL(vmx_exit_point, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	push	%rax
	mov	8(%rsp), %rax
	pop	GPR_RAX(%rax)
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
	xor	%eax, %eax

.Lscrub:
	/*
	 * The guest's values must not steer what the host does speculatively.
	 * RSI, RDI and the callee-saved registers are reloaded below, but a
	 * load may be speculated around.
	 */
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

	/* Before the first RET and the first indirect branch. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE

	pop	%rdi
	pop	%rsi
	testl	$AFTER_EXIT, VMX_ENTRY_FLAGS(%rsi)
	jnz	.Lafter_exit
.Lhost_safe:
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lafter_exit:
	mov	%rax, %r8
	btl	$VMX_ENTER_SPEC_CTRL_BIT, VMX_ENTRY_FLAGS(%rsi)
	jnc	.Lhost_spec_ctrl_done
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	VMX_ENTRY_HOST_SPEC_CTRL(%rsi), %eax
	mov	4 + VMX_ENTRY_HOST_SPEC_CTRL(%rsi), %edx
.Lwrite_host_spec_ctrl:
	wrmsr
	/* Nor may the host run ahead with the guest's setting. */
	lfence
.Lhost_spec_ctrl_done:
	btl	$VMX_ENTER_CLEAR_BHB_BIT, VMX_ENTRY_FLAGS(%rsi)
	jnc	.Lbhb_done
	call	clear_branch_history
.Lbhb_done:
	mov	%r8, %rax
	jmp	.Lhost_safe
SYM_FUNC_END(vmx_switch)

/*
 * Fills the branch history with branches of our own: 5 times 5 taken jumps
 * in nested calls, as Intel's guidance "Branch History Injection and
 * Intra-mode Branch Target Injection" asks for.
 *
 * Clobbers RAX, RCX, flags.
 */
SYM_FUNC_START_LOCAL(clear_branch_history)
	mov	$5, %ecx
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Louter
	jmp	.Lend
.Louter:
	ANNOTATE_INTRA_FUNCTION_CALL
	call	.Linner
	RET
.Linner:
	mov	$5, %eax
.Ljump:
	jmp	.Lnext
	nop
.Lnext:
	sub	$1, %eax
	jnz	.Ljump
	sub	$1, %ecx
	jnz	.Louter
	RET
.Lend:
	lfence
	RET
SYM_FUNC_END(clear_branch_history)
STACK_FRAME_NON_STANDARD clear_branch_history
