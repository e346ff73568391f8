/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry points of a 64-bit guest: one stub per vector, 16 bytes each. A stub
 * makes the stack alike for vectors with and without an error code, and the
 * common part completes a struct guest_regs (guest.h) and calls guest_trap().
 */
	.text
	.balign 16
	.globl guest_trap_stubs
guest_trap_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.set with_error, vector == 8 || (vector >= 10 && vector <= 14)
	.set with_error, with_error || vector == 17 || vector == 21
	.set with_error, with_error || vector == 29 || vector == 30
	.if with_error
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	common
	.set vector, vector + 1
	.endr

common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	cld
	call	guest_trap
	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq

/*
 * uint64_t guest_user(uint64_t (*fn)(void), uint64_t stack): IRET to CPL 3.
 * The function returns to guest_user_exit, whose software interrupt makes
 * guest_trap() return to guest_user_return at CPL 0.
 */
	.set	KERNEL_RSP, 8		/* in struct guest_cpu */
	.globl guest_user
guest_user:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %gs:KERNEL_RSP
	subq	$8, %rsi
	movq	$guest_user_exit, (%rsi)
	pushq	$0x1b			/* GUEST_SEL_USER_DATA */
	pushq	%rsi
	pushfq
	pushq	$0x23			/* GUEST_SEL_USER_CODE */
	pushq	%rdi
	iretq
	.globl guest_user_return
guest_user_return:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
guest_user_exit:
	int	$0x81			/* GUEST_USER_VECTOR */

	.section .note.GNU-stack, "", @progbits
