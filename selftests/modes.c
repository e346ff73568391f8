// SPDX-License-Identifier: GPL-2.0-only
/* Real, protected, virtual-8086 and compatibility mode, and task switches. */
#include <string.h>

#include "vm.h"

/* Results of a payload: words that it writes from here on. */
#define GPA_RESULT	0x7000ULL

/* A VM without 64-bit tables, and a vCPU in real mode at 0x8000. */
static struct vcpu *real_vcpu(const char *code, size_t size)
{
	struct vm *vm = vm_new(0);

	vm_copy(vm, GPA_BLOB, code, size);
	memset(vm_ptr(vm, GPA_RESULT), 0, PAGE_SIZE);
	return vcpu_real_mode(vm, 0);
}

#define REAL_VCPU(name)							\
	real_vcpu(blob_##name, blob_##name##_end - blob_##name)

static uint32_t result(struct vcpu *vcpu, unsigned int i)
{
	return ((uint32_t *)vm_ptr(vcpu->vm, GPA_RESULT))[i];
}

BLOB(real_arithmetic,
     ".code16\n"
     "movw $0x1000, %ax\n"
     "movw %ax, %ss\n"
     "movw $0x100, %sp\n"
     "movl $0x12345678, %eax\n"
     "pushl %eax\n"
     "popw %bx\n"
     "popw %cx\n"
     "movw %bx, 0x7000\n"
     "movw %cx, 0x7002\n"
     "movw $300, %ax\n"
     "movw $500, %bx\n"
     "mulw %bx\n"
     "movw %ax, 0x7004\n"
     "movw %dx, 0x7006\n"
     "call 1f\n"
     "movw $0xffff, %ax\n"
     "movw %ax, %es\n"
     "movb $0x5a, %es:0x7010\n"		/* 1 MiB + 0x7000 */
     "movl $0x87654321, 0x700c\n"
     "hlt\n"
     "1: movw $0xbeef, 0x7008\n"
     "ret\n");

TEST(real_mode)
{
	struct vcpu *vcpu = REAL_VCPU(real_arithmetic);
	struct kvm_sregs sregs;

	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0x12345678);
	CHECK_EQ(result(vcpu, 1), 150000);
	CHECK_EQ(result(vcpu, 2), 0xbeef);
	CHECK_EQ(result(vcpu, 3), 0x87654321);
	CHECK_EQ(*(uint8_t *)vm_ptr(vcpu->vm, 0xffff0 + 0x7010), 0x5a);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.ss.base, 0x10000);
	CHECK_EQ(sregs.ss.selector, 0x1000);
	CHECK_EQ(sregs.es.base, 0xffff0);
	CHECK_EQ(sregs.cr0 & 1, 0);
}

BLOB(real_interrupts,
     ".code16\n"
     "movw $0x8000 + 1f - blob_real_interrupts, 4 * 0x21\n"
     "movw $0, 4 * 0x21 + 2\n"
     "movw $0x8000 + 2f - blob_real_interrupts, 4 * 0\n"
     "movw $0, 4 * 0 + 2\n"
     "movw $0x8000 + 3f - blob_real_interrupts, 4 * 0x30\n"
     "movw $0, 4 * 0x30 + 2\n"
     "movw $0x1234, %ax\n"
     "int $0x21\n"
     "movw %ax, 0x7000\n"
     "xorw %bx, %bx\n"
     "movw $1, %ax\n"
     "xorw %dx, %dx\n"
     "divw %bx\n"
     "movw %bx, 0x7004\n"
     "sti\n"
     "hlt\n"
     "cli\n"
     "hlt\n"
     "1: notw %ax\n"
     "pushfw\n"
     "popw 0x7002\n"			/* IF and TF are clear here */
     "iretw\n"
     "2: movw $5, %bx\n"
     "iretw\n"
     "3: incw 0x7008\n"
     "iretw\n");

TEST(real_mode_interrupts)
{
	struct vcpu *vcpu = REAL_VCPU(real_interrupts);
	struct kvm_interrupt irq = { .irq = 0x30 };

	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0) & 0xffff, 0xedcb);
	CHECK_EQ(result(vcpu, 0) >> 16 & 0x300, 0);
	CHECK_EQ(result(vcpu, 1), 5);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq));
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 2), 1);
}

/* Up to 32-bit protected mode, then with PAE paging, and back. */
BLOB(switching,
     ".code16\n"
     "cli\n"
     "lgdtl 0x8000 + 9f - blob_switching\n"
     "movl %cr0, %eax\n"
     "orb $1, %al\n"
     "movl %eax, %cr0\n"
     "ljmpl $8, $0x8000 + 1f - blob_switching\n"
     ".code32\n"
     "1: movl $0x10, %eax\n"
     "movl %eax, %ds\n"
     "movl %eax, %ss\n"
     "movl %eax, %es\n"
     "movl $0x6000, %esp\n"
     "movl $0x11111111, 0x7000\n"
     "pushl $0x22222222\n"
     "popl 0x7004\n"
     /* PAE: two of the tables that vm_new() built do. */
     "movl $0x3001, 0xa000\n"
     "movl $0, 0xa004\n"
     "movl $0xa000, %eax\n"
     "movl %eax, %cr3\n"
     "movl %cr4, %eax\n"
     "orl $0x20, %eax\n"
     "movl %eax, %cr4\n"
     "movl %cr0, %eax\n"
     "orl $0x80000000, %eax\n"
     "movl %eax, %cr0\n"
     "movl $0x33333333, 0x7008\n"
     "movl 0x800000, %eax\n"
     "movl %eax, 0x700c\n"
     /* Off again, and back to real mode through 16-bit segments. */
     "movl %cr0, %eax\n"
     "andl $0x7fffffff, %eax\n"
     "movl %eax, %cr0\n"
     "ljmp $0x18, $0x8000 + 2f - blob_switching\n"
     ".code16\n"
     "2: movw $0x20, %ax\n"
     "movw %ax, %ds\n"
     "movw %ax, %ss\n"
     "movl %cr0, %eax\n"
     "andb $0xfe, %al\n"
     "movl %eax, %cr0\n"
     "ljmp $0, $0x8000 + 3f - blob_switching\n"
     "3: xorw %ax, %ax\n"
     "movw %ax, %ds\n"
     "movw %ax, %ss\n"
     "movl $0x44444444, 0x7010\n"
     /* ES keeps what it was in protected mode: base 0, 4 GiB. */
     "movl $0x00900000, %ebx\n"
     "movl $0x55555555, %es:(%ebx)\n"
     "hlt\n"
     ".balign 8\n"
     "8: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
     ".quad 0x00009b000000ffff, 0x000093000000ffff\n"
     "9: .word 39\n"
     ".long 0x8000 + 8b - blob_switching\n");

TEST(mode_switches)
{
	struct vcpu *vcpu = REAL_VCPU(switching);

	*(uint32_t *)vm_ptr(vcpu->vm, 0x800000) = 0x66666666;
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0x11111111);
	CHECK_EQ(result(vcpu, 1), 0x22222222);
	CHECK_EQ(result(vcpu, 2), 0x33333333);
	CHECK_EQ(result(vcpu, 3), 0x66666666);
	CHECK_EQ(result(vcpu, 4), 0x44444444);
	CHECK_EQ(*(uint32_t *)vm_ptr(vcpu->vm, 0x900000), 0x55555555);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment) {
		.selector = selector, .type = type, .present = 1, .s = 1,
		.g = 1, .db = 1, .limit = 0xffffffff, .dpl = selector & 3,
	};
}

#define GPA_GDT		0xb000ULL
#define GPA_TSS1	0xc000ULL
#define GPA_TSS2	0xc100ULL
#define GPA_TSS3	0xc200ULL
#define SEL_TSS1	0x18
#define SEL_TSS2	0x20
#define SEL_TSS3	0x28

static uint64_t tss_descriptor(uint64_t base, uint64_t type)
{
	return 0x67 | base << 16 | (0x80 | type) << 40;
}

/* A vCPU in 32-bit protected mode without paging, with GDT and a TSS. */
static struct vcpu *protected_vcpu(const char *code, size_t size)
{
	struct vcpu *vcpu = real_vcpu(code, size);
	uint64_t *gdt = vm_ptr(vcpu->vm, GPA_GDT);
	struct kvm_sregs sregs;

	gdt[1] = 0x00cf9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	gdt[3] = tss_descriptor(GPA_TSS1, 0xb);
	gdt[4] = tss_descriptor(GPA_TSS2, 0x9);
	gdt[5] = tss_descriptor(GPA_TSS3, 0x9);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cs = flat(8, 11);
	sregs.ds = flat(16, 3);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment) {
		.selector = SEL_TSS1, .type = 11, .present = 1,
		.base = GPA_TSS1, .limit = 0x67,
	};
	sregs.gdt.base = GPA_GDT;
	sregs.gdt.limit = 6 * 8 - 1;
	sregs.idt.base = 0;
	sregs.idt.limit = 0x3ff;
	sregs.cr0 = 0x31;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	return vcpu;
}

#define PROTECTED_VCPU(name)						\
	protected_vcpu(blob_##name, blob_##name##_end - blob_##name)

BLOB(protected,
     ".code32\n"
     "movl $0x12345678, %eax\n"
     "movl %eax, 0x7000\n"
     "movw $0x80, %dx\n"
     "inl %dx, %eax\n"
     "movl %eax, 0x7004\n"
     "movl $0xd0000000, %ebx\n"
     "movl $0x77, (%ebx)\n"
     "addl $1, (%ebx)\n"
     "hlt\n");

TEST(protected_mode)
{
	struct vcpu *vcpu = PROTECTED_VCPU(protected);
	struct kvm_run *run = vcpu->run;

	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	*(uint32_t *)((char *)run + run->io.data_offset) = 0x99;
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.is_write, 1);
	CHECK_EQ(run->mmio.phys_addr, GPA_MMIO);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.is_write, 0);
	*(uint32_t *)run->mmio.data = 5;
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.is_write, 1);
	CHECK_EQ(*(uint32_t *)run->mmio.data, 6);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0x12345678);
	CHECK_EQ(result(vcpu, 1), 0x99);
}

BLOB(task_switch,
     ".code32\n"
     "movl $0xaaaa, %ebx\n"
     "ljmp $0x20, $0\n"			/* SEL_TSS2 */
     "movl %ebx, 0x7008\n"		/* back again */
     "hlt\n"
     ".skip 0x40 - (. - blob_task_switch), 0x90\n"
     "movl %ebx, 0x7000\n"
     "str 0x7004\n"
     "ljmp $0x18, $0\n"			/* SEL_TSS1 */
     "hlt\n");

static void fill_tss(struct vcpu *vcpu, uint64_t gpa, uint32_t eip)
{
	uint32_t *tss = vm_ptr(vcpu->vm, gpa);
	int i;

	memset(tss, 0, 0x68);
	tss[8] = eip;
	tss[9] = 2;			/* EFLAGS */
	tss[13] = 0xbbbb;		/* EBX */
	tss[14] = 0x6000;		/* ESP */
	for (i = 18; i < 24; i++)
		tss[i] = 0x10;		/* ES CS SS DS FS GS */
	tss[19] = 8;
}

TEST(task_switch)
{
	struct vcpu *vcpu = PROTECTED_VCPU(task_switch);
	uint64_t *gdt = vm_ptr(vcpu->vm, GPA_GDT);
	struct kvm_sregs sregs;
	enum event event;

	fill_tss(vcpu, GPA_TSS2, GPA_BLOB + 0x40);
	event = vcpu_run(vcpu);
	if (event == EVENT_EXIT && !kvm_is_stock() &&
	    vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
		CHECK_EQ(vcpu->run->internal.suberror,
			 KVM_INTERNAL_ERROR_EMULATION);
		test_skip("task switches are not emulated");
	}
	REQUIRE(event == EVENT_EXIT, "event %u", event);
	REQUIRE_EQ(vcpu->run->exit_reason, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0xbbbb);
	CHECK_EQ(result(vcpu, 1) & 0xffff, SEL_TSS2);
	CHECK_EQ(result(vcpu, 2), 0xaaaa);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.tr.selector, SEL_TSS1);
	CHECK_EQ(gdt[3] >> 40 & 0xf, 0xb);
	CHECK_EQ(gdt[4] >> 40 & 0xf, 0x9);
}

BLOB(compat,
     ".code32\n"
     "movl $0x89abcdef, %eax\n"
     "movl %eax, 0x7000\n"
     "movl $0xd0000000, %ebx\n"
     "movl (%ebx), %ecx\n"
     "movl %ecx, 0x7004\n"
     /* 40 is INC EAX here, and a prefix in 64-bit mode. */
     ".byte 0x40\n"
     "movl %eax, 0x7008\n"
     "movw $0x80, %dx\n"
     "outl %eax, %dx\n"
     "ljmp $8, $0x8000 + 1f - blob_compat\n"
     ".code64\n"
     "1: movq $-1, %rax\n"
     "movq %rax, 0x7010\n"
     "hlt\n");

static void nothing(uint64_t arg)
{
	(void)arg;
}

TEST(compatibility_mode)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, nothing);
	struct kvm_run *run = vcpu->run;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_blob(vm, GPA_BLOB, compat);
	vcpu_get_sregs(vcpu, &sregs);
	vcpu_get_regs(vcpu, &regs);
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	sregs.idt.base = 0x6000;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	regs.rip = GPA_BLOB;
	vcpu_set_regs(vcpu, &regs);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.phys_addr, GPA_MMIO);
	*(uint32_t *)run->mmio.data = 0x1357;
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(*(uint32_t *)((char *)run + run->io.data_offset), 0x89abcdf0);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0x89abcdef);
	CHECK_EQ(result(vcpu, 1), 0x1357);
	CHECK_EQ(result(vcpu, 2), 0x89abcdf0);
	CHECK_EQ(((uint64_t *)vm_ptr(vm, GPA_RESULT))[2], ~0ULL);
}

BLOB(lme_in_real_mode,
     ".code16\n"
     "movl $0xc0000080, %ecx\n"
     "rdmsr\n"
     "movl %eax, 0x7000\n"
     "orl $0x100, %eax\n"
     "wrmsr\n"
     "xorl %eax, %eax\n"
     "rdmsr\n"
     "movl %eax, 0x7004\n"
     "hlt\n");

/* Long mode enabled long before there is paging, or CR4.PAE. */
TEST(lme_in_real_mode)
{
	struct vcpu *vcpu;
	struct kvm_sregs sregs;

	if (kvm_is_stock() && host_is_tcg())
		test_skip("TCG forgets the host's CR0");
	vcpu = REAL_VCPU(lme_in_real_mode);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0);
	CHECK_EQ(result(vcpu, 1), 0x100);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.efer, 0x100);
	/* And by user space. */
	vcpu = REAL_VCPU(lme_in_real_mode);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.efer = 0x100;
	REQUIRE_OK(vcpu_set_sregs(vcpu, &sregs));
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(result(vcpu, 0), 0x100);
}

/* The reset vector, with firmware in a read-only slot below 4 GiB. */
TEST(reset_vector)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu;
	uint8_t *rom = vm_ptr(vm, GPA_FREE);
	struct kvm_regs regs;

	NEED_CAP(KVM_CAP_READONLY_MEM);
	/* jmp to 0xf000:0xe000, where: movw $0x1234, %ax; hlt */
	memcpy(rom + 0xfff0, "\xe9\x0d\xe0", 3);
	memcpy(rom + 0xe000, "\xb8\x34\x12\xf4", 4);
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_READONLY, 0xffff0000, 0x10000, rom));
	vcpu = vcpu_bare(vm, 0);
	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rax, 0x1234);
	CHECK_EQ(regs.rip, 0xe004);
}
