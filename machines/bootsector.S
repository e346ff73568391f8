/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot sector of the disk that Bochs boots the Intel machine from, for Bochs has no
 * way to start a kernel by itself.
 *
 * Reads the pieces in the table at the end of this sector from the disk to their
 * places in memory, by programmed I/O (the BIOS would need real mode and a bounce
 * buffer for each sector above 1 MiB), then enters the kernel as "Linux/x86 64-bit
 * Boot Protocol" of the kernel's documentation says: long mode, paging on with an
 * identity map (which is one of the pieces), RSI pointing to boot_params.
 *
 * harness/bootdisk.py fills in the table.
 */
	.set	BOOT_DATA, 0x800000		/* page tables come first in it */
	.set	BOOT_PARAMS, BOOT_DATA + 0x8000
	.set	PIECES, 3
	.set	TABLE, 0x7c00 + 510 - 8 - PIECES * 12

	/* selectors of the GDT below; the kernel wants CS 0x10 and DS 0x18 */
	.set	CODE64, 0x10
	.set	DATA, 0x18
	.set	CODE32, 0x20

	/* ATA, primary channel */
	.set	ATA_DATA, 0x1f0
	.set	ATA_COUNT, 0x1f2
	.set	ATA_COMMAND, 0x1f7
	.set	ATA_STATUS, 0x1f7
	.set	ATA_BUSY, 0x80
	.set	ATA_DRQ, 0x08
	.set	ATA_READ, 0x20
	.set	ATA_LBA_MASTER, 0xe0

	.code16
	.globl	_start
_start:
	cli
	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	inb	$0x92, %al			/* A20 on, without a reset (bit 0) */
	andb	$0xfe, %al
	orb	$0x02, %al
	outb	%al, $0x92
	movb	$0xff, %al			/* no interrupts from the PICs */
	outb	%al, $0x21
	outb	%al, $0xa1
	lgdtl	gdtr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$CODE32, $protected

	.code32
protected:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x7c00, %esp
	cld
	movl	$TABLE, %ebp

piece:	movl	0(%ebp), %ebx			/* EBX: first sector, */
	movl	4(%ebp), %edi			/* EDI: where to, */
	movl	8(%ebp), %esi			/* ESI: sectors to read */
command:
	testl	%esi, %esi
	jz	next_piece
	movl	$128, %ecx			/* ECX: sectors of this command */
	cmpl	%ecx, %esi
	jae	1f
	movl	%esi, %ecx
1:	subl	%ecx, %esi
	movw	$ATA_COUNT, %dx
	movb	%cl, %al
	outb	%al, %dx
	movl	%ebx, %eax			/* sector number: 3 ports by 8 bits */
	.rept	3
	incl	%edx
	outb	%al, %dx
	shrl	$8, %eax
	.endr
	orb	$ATA_LBA_MASTER, %al
	incl	%edx
	outb	%al, %dx
	incl	%edx
	movb	$ATA_READ, %al
	outb	%al, %dx
	addl	%ecx, %ebx
sector:	movw	$ATA_STATUS, %dx
1:	inb	%dx, %al
	testb	$ATA_BUSY, %al
	jnz	1b
	testb	$ATA_DRQ, %al
	jz	1b
	pushl	%ecx
	movw	$ATA_DATA, %dx
	movl	$128, %ecx
	rep insl
	popl	%ecx
	loop	sector
	jmp	command
next_piece:
	addl	$12, %ebp
	cmpl	$TABLE + PIECES * 12, %ebp
	jb	piece

	movl	%cr4, %eax
	orb	$0x20, %al			/* PAE */
	movl	%eax, %cr4
	movl	$BOOT_DATA, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orb	$0x01, %ah
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax		/* paging on, */
	andl	$0x9fffffff, %eax		/* caches too */
	movl	%eax, %cr0
	ljmpl	$CODE64, $long_mode

	.code64
long_mode:
	movl	$BOOT_PARAMS, %esi
	jmp	*(TABLE + PIECES * 12)

	.balign	8
gdt:	.quad	0, 0
	.quad	0x00af9b000000ffff		/* CODE64 */
	.quad	0x00cf93000000ffff		/* DATA */
	.quad	0x00cf9b000000ffff		/* CODE32 */
gdtr:	.word	gdtr - gdt - 1
	.long	gdt

	.org	TABLE - 0x7c00
	.fill	PIECES * 12 + 8, 1, 0		/* pieces; the kernel's entry point */
	.word	0xaa55
