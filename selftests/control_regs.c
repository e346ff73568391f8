// SPDX-License-Identifier: GPL-2.0-only
/* Control and debug registers: what sticks, what faults, what the host sees. */
#include <string.h>

#include "vm.h"

#define UD	6
#define GP	13

#define CR0_MP	(1ULL << 1)
#define CR0_EM	(1ULL << 2)
#define CR0_TS	(1ULL << 3)
#define CR0_NE	(1ULL << 5)
#define CR0_WP	(1ULL << 16)
#define CR0_AM	(1ULL << 18)
#define CR0_NW	(1ULL << 29)
#define CR0_CD	(1ULL << 30)
#define CR0_PG	(1ULL << 31)
#define CR4_TSD	(1ULL << 2)
#define CR4_DE	(1ULL << 3)
#define CR4_PAE	(1ULL << 5)
#define CR4_PGE	(1ULL << 7)
#define CR4_PCE	(1ULL << 8)
#define CR4_VMXE (1ULL << 13)
#define CR4_PCIDE (1ULL << 17)

#define WRITE_TRY(reg, value)						\
	GUEST_TRY("movq %0, %%" #reg, : : "r"((uint64_t)(value)) : "memory")

/* Checks that the machine at hand cannot show: see lenient(). */
enum { UPPER_HALF = 1, NOT_INTERCEPTED = 2 };

/*
 * Stock KVM drops upper halves: in the instruction emulator, which it uses for
 * these on AMD processors that do not decode, and for CR8 on Intel. TCG checks
 * little of what it writes, so nobody does where the hypervisor leaves a
 * register to the guest.
 */
static uint64_t lenient(void)
{
	return (kvm_is_stock() ? UPPER_HALF : 0) |
	       (host_is_tcg() ? NOT_INTERCEPTED : 0);
}

static void cr0_guest(uint64_t lenient)
{
	static const uint64_t bits[] = {
		CR0_TS, CR0_MP, CR0_EM, CR0_NE, CR0_WP, CR0_AM, CR0_CD,
	};
	uint64_t cr0 = read_cr0();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		write_cr0(cr0 ^ bits[i]);
		G_CHECK_EQ(read_cr0(), cr0 ^ bits[i]);
		guest_sync(i, cr0 ^ bits[i]);
		G_CHECK_EQ(read_cr0(), cr0 ^ bits[i]);
		write_cr0(cr0);
		G_CHECK_EQ(read_cr0(), cr0);
	}
	/* LMSW sets PE, MP, EM and TS, and cannot clear PE. */
	asm volatile("lmsw %w0" : : "r"(0x8) : "memory");
	G_CHECK_EQ(read_cr0(), (cr0 & ~0xfULL) | 9);
	asm volatile("clts" : : : "memory");
	G_CHECK_EQ(read_cr0(), (cr0 & ~0xfULL) | 1);
	write_cr0(cr0);
	guest_sync(100, cr0);
	/* Bad ones. */
	if (!lenient)
		G_CHECK_EQ(WRITE_TRY(cr0, cr0 | 1ULL << 40), GP);
	G_CHECK_EQ(WRITE_TRY(cr0, cr0 & ~1ULL), GP);	/* PG without PE */
	G_CHECK_EQ(WRITE_TRY(cr0, (cr0 | CR0_NW) & ~CR0_CD), GP);
	G_CHECK_EQ(read_cr0(), cr0);
}

TEST(cr0)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, cr0_guest);
	struct kvm_sregs sregs;
	int i;

	vcpu_arg(vcpu, lenient());
	for (i = 0; i < 7; i++) {
		EXPECT_SYNC(vcpu, i);
		vcpu_get_sregs(vcpu, &sregs);
		CHECK_EQ(sregs.cr0, vcpu->call.b);
	}
	EXPECT_SYNC(vcpu, 100);
	EXPECT_DONE(vcpu);
}

static void cr4_guest(uint64_t lenient)
{
	static const uint64_t bits[] = { CR4_TSD, CR4_DE, CR4_PGE, CR4_PCE };
	uint64_t cr4 = read_cr4();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		write_cr4(cr4 ^ bits[i]);
		G_CHECK_EQ(read_cr4(), cr4 ^ bits[i]);
		guest_sync(i, cr4 ^ bits[i]);
		G_CHECK_EQ(read_cr4(), cr4 ^ bits[i]);
		write_cr4(cr4);
	}
	if (!(lenient & UPPER_HALF))
		G_CHECK_EQ(WRITE_TRY(cr4, cr4 | 1ULL << 32), GP);
	G_CHECK_EQ(WRITE_TRY(cr4, cr4 | 1ULL << 30), GP);
	G_CHECK_EQ(WRITE_TRY(cr4, cr4 & ~CR4_PAE), GP);	/* in long mode */
	G_CHECK_EQ(WRITE_TRY(cr4, cr4 | CR4_VMXE), GP);	/* not in CPUID */
	G_CHECK_EQ(read_cr4(), cr4);
}

TEST(cr4)
{
	struct vcpu *vcpu;
	struct kvm_sregs sregs;
	int i;

	cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx &= ~(1U << 5);
	vcpu = vcpu_new(vm_new(0), 0, cr4_guest);
	vcpu_arg(vcpu, lenient());
	for (i = 0; i < 4; i++) {
		EXPECT_SYNC(vcpu, i);
		vcpu_get_sregs(vcpu, &sregs);
		CHECK_EQ(sregs.cr4, vcpu->call.b);
	}
	EXPECT_DONE(vcpu);
}

/* As KVM has it, user space may set up CR4 first, and IA-32e mode later. */
TEST(pcide_before_long_mode)
{
	struct vm *vm = vm_bare();
	struct vcpu vcpu = { .vm = vm };
	struct kvm_sregs sregs;

	if (!(cpuid_find(kvm_supported_cpuid(), 1, 0)->ecx & 1U << 17))
		test_skip("the processor has no PCID");
	vcpu.fd = sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0);
	REQUIRE_OK(vcpu.fd);
	vcpu_get_sregs(&vcpu, &sregs);
	sregs.cr4 |= CR4_PCIDE;
	CHECK_OK(sys_ioctl(vcpu.fd, KVM_SET_SREGS, &sregs));
	vcpu_get_sregs(&vcpu, &sregs);
	CHECK_EQ(sregs.cr4 & CR4_PCIDE, CR4_PCIDE);
	CHECK_EQ(sregs.efer, 0);
}

static uint64_t user_rdtsc(void)
{
	return GUEST_TRY("rdtsc", : : : "rax", "rdx", "memory");
}

static void tsd_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(guest_user(user_rdtsc, GPA_FREE + 0x1000),
		   (uint64_t)GUEST_NO_TRAP);
	write_cr4(read_cr4() | CR4_TSD);
	G_CHECK_EQ(guest_user(user_rdtsc, GPA_FREE + 0x1000), GP);
	rdtsc();	/* not a matter for CPL 0 */
}

TEST(cr4_tsd)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, tsd_guest));
}

static uint64_t unchecked;

static void cr3_guest(uint64_t other)
{
	volatile uint64_t *p = (void *)0x20000000;
	uint64_t cr3 = read_cr3();

	G_CHECK_EQ(*p, 1);
	write_cr3(other);
	G_CHECK_EQ(*p, 2);
	G_CHECK_EQ(read_cr3(), other);
	write_cr3(cr3);
	G_CHECK_EQ(*p, 1);
	guest_sync(1, cr3);
	write_cr3(other | 0x18);	/* PWT, PCD */
	G_CHECK_EQ(*p, 2);
	guest_sync(2, other | 0x18);
	write_cr3(cr3);
	if (unchecked)
		return;
	G_CHECK_EQ(WRITE_TRY(cr3, cr3 | 1ULL << 52), GP);
	G_CHECK_EQ(read_cr3(), cr3);
}

TEST(cr3)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, cr3_guest);
	uint64_t other = vm_page(vm), pdpt = vm_page(vm), pd = vm_page(vm);
	struct kvm_sregs sregs;

	/* A second set of tables that differs in the page at 0x20000000. */
	memcpy(vm_ptr(vm, other), vm_ptr(vm, GPA_PML4), PAGE_SIZE);
	memcpy(vm_ptr(vm, pdpt), vm_ptr(vm, GPA_PDPT), PAGE_SIZE);
	memcpy(vm_ptr(vm, pd), vm_ptr(vm, GPA_PD), PAGE_SIZE);
	*(uint64_t *)vm_ptr(vm, other) = pdpt | PTE_P | PTE_W | PTE_U;
	*(uint64_t *)vm_ptr(vm, pdpt) = pd | PTE_P | PTE_W | PTE_U;
	((uint64_t *)vm_ptr(vm, pd))[0x100] = 0xa00000 | PTE_P | PTE_PS;
	((uint64_t *)vm_ptr(vm, GPA_PD))[0x100] = 0x800000 | PTE_P | PTE_PS;
	*(uint64_t *)vm_ptr(vm, 0x800000) = 1;
	*(uint64_t *)vm_ptr(vm, 0xa00000) = 2;
	GUEST_VAR(vm, unchecked) = lenient() & NOT_INTERCEPTED;
	vcpu_arg(vcpu, other);
	EXPECT_SYNC(vcpu, 1);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr3, vcpu->call.b);
	EXPECT_SYNC(vcpu, 2);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr3, vcpu->call.b);
	EXPECT_DONE(vcpu);
}

static void invlpg_guest(uint64_t arg)
{
	volatile uint64_t *p = (void *)0x20000000;
	volatile uint64_t *pte = (void *)arg;

	G_CHECK_EQ(*p, 1);
	*pte = (GPA_FREE + PAGE_SIZE) | PTE_P | PTE_W;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
	G_CHECK_EQ(*p, 2);
	*pte = GPA_FREE | PTE_P | PTE_W;
	write_cr3(read_cr3());
	G_CHECK_EQ(*p, 1);
	/* Global pages survive a CR3 write, but not CR4.PGE. */
	write_cr4(read_cr4() | CR4_PGE);
	*pte = (GPA_FREE + PAGE_SIZE) | PTE_P | PTE_W | 1 << 8;
	asm volatile("invlpg (%0)" : : "r"(p) : "memory");
	G_CHECK_EQ(*p, 2);
	*pte = GPA_FREE | PTE_P | PTE_W;
	write_cr4(read_cr4() & ~CR4_PGE);
	G_CHECK_EQ(*p, 1);
}

TEST(tlb)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, invlpg_guest);
	uint64_t *pte = vm_pte(vm, 0x20000000);

	*pte = GPA_FREE | PTE_P | PTE_W;
	*(uint64_t *)vm_ptr(vm, GPA_FREE) = 1;
	*(uint64_t *)vm_ptr(vm, GPA_FREE + PAGE_SIZE) = 2;
	vcpu_arg(vcpu, (uint8_t *)pte - vm->mem);
	EXPECT_DONE(vcpu);
}

static void cr8_guest(uint64_t lenient)
{
	uint64_t i;

	for (i = 0; i <= 15; i++) {
		write_cr8(i);
		G_CHECK_EQ(read_cr8(), i);
	}
	guest_sync(1, 15);
	G_CHECK_EQ(read_cr8(), 15);
	if (!(lenient & NOT_INTERCEPTED)) {
		G_CHECK_EQ(WRITE_TRY(cr8, 16), GP);
		if (!(lenient & UPPER_HALF))
			G_CHECK_EQ(WRITE_TRY(cr8, 1ULL << 40), GP);
		G_CHECK_EQ(read_cr8(), 15);
	}
	write_cr8(3);
	guest_sync(2, read_cr8());
}

/* Without an APIC in the kernel, CR8 is user space's business too. */
TEST(cr8)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, cr8_guest);
	struct kvm_sregs sregs;

	vcpu_arg(vcpu, lenient() & UPPER_HALF);
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->run->cr8, 15);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr8, 15);
	/* A lower priority may let an interrupt in: user space is told. */
	EXPECT_EXIT(vcpu, KVM_EXIT_SET_TPR);
	CHECK_EQ(vcpu->run->cr8, 3);
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu->call.b, 3);
	EXPECT_DONE(vcpu);
}

TEST(cr8_irqchip)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, cr8_guest);
	struct kvm_lapic_state lapic;
	struct kvm_sregs sregs;

	vcpu_arg(vcpu, lenient());
	EXPECT_SYNC(vcpu, 1);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr8, 15);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_LAPIC, &lapic));
	CHECK_EQ((uint8_t)lapic.regs[0x80], 0xf0);
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu->call.b, 3);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.cr8, 3);
	EXPECT_DONE(vcpu);
}

static uint64_t user_cr0(void)
{
	return GUEST_TRY("movq %%cr0, %%rax", : : : "rax", "memory");
}

static uint64_t user_dr7(void)
{
	return GUEST_TRY("movq %%dr7, %%rax", : : : "rax", "memory");
}

static void user_guest(uint64_t arg)
{
	(void)arg;
	G_CHECK_EQ(guest_user(user_cr0, GPA_FREE + 0x1000), GP);
	G_CHECK_EQ(guest_user(user_dr7, GPA_FREE + 0x1000), GP);
	/* Registers that do not exist. */
	G_CHECK_EQ(GUEST_TRY("movq %%cr1, %%rax", : : : "rax", "memory"), UD);
	G_CHECK_EQ(GUEST_TRY("movq %%cr5, %%rax", : : : "rax", "memory"), UD);
	G_CHECK_EQ(GUEST_TRY("movq %%rax, %%cr9", : : : "memory"), UD);
}

TEST(user_mode_and_unknown)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, user_guest));
}

static uint64_t user_dr4(void)
{
	return GUEST_TRY("movq %%db4, %%rax", : : : "rax", "memory");
}

static uint64_t user_dr0(void)
{
	return GUEST_TRY("movq %%db0, %%rax", : : : "rax", "memory");
}

static void dr_guest(uint64_t is_tcg)
{
	write_dr0(0x1111222233334444);
	write_dr1(0x5555);
	write_dr2(0xffff800000000000);
	write_dr3(1);
	write_dr6(0);
	G_CHECK_EQ(read_dr6(), 0xffff0ff0);
	write_dr6(0xf);
	G_CHECK_EQ(read_dr6(), 0xffff0fff);
	write_dr7(0);
	G_CHECK_EQ(read_dr7(), 0x400);
	write_dr7(0x2aa);		/* global enables without effect here */
	G_CHECK_EQ(read_dr7(), 0x6aa);
	guest_sync(1, 0);
	G_CHECK_EQ(read_dr0(), 0x1111222233334444);
	G_CHECK_EQ(read_dr1(), 0x5555);
	G_CHECK_EQ(read_dr2(), 0xffff800000000000);
	G_CHECK_EQ(read_dr3(), 1);
	G_CHECK_EQ(read_dr6(), 0xffff0fff);
	G_CHECK_EQ(read_dr7(), 0x6aa);
	write_dr7(0x400);
	/* TCG lets these pass where the hypervisor leaves DR7 to the guest. */
	if (!is_tcg) {
		G_CHECK_EQ(WRITE_TRY(dr7, 1ULL << 32), GP);
		G_CHECK_EQ(WRITE_TRY(dr6, 1ULL << 32), GP);
	}
	/* DR4 and DR5 are DR6 and DR7, unless CR4.DE says they are not. */
	asm volatile("movq %0, %%db4" : : "r"(0x3ULL) : "memory");
	G_CHECK_EQ(read_dr6(), 0xffff0ff3);
	write_cr4(read_cr4() | CR4_DE);
	G_CHECK_EQ(GUEST_TRY("movq %%db4, %%rax", : : : "rax", "memory"), UD);
	/* The same to user mode, to which others are forbidden. TCG looks at the CPL first. */
	if (!is_tcg) {
		G_CHECK_EQ(guest_user(user_dr4, GPA_FREE + 0x1000), UD);
		G_CHECK_EQ(guest_user(user_dr0, GPA_FREE + 0x1000), GP);
	}
}

TEST(debug_registers)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, dr_guest);
	struct kvm_debugregs regs;

	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	CHECK_EQ(regs.db[0], 0x1111222233334444);
	CHECK_EQ(regs.db[1], 0x5555);
	CHECK_EQ(regs.db[2], 0xffff800000000000);
	CHECK_EQ(regs.db[3], 1);
	CHECK_EQ(regs.dr6, 0xffff0fff);
	CHECK_EQ(regs.dr7, 0x6aa);
	EXPECT_DONE(vcpu);
}

static void tables_guest(uint64_t arg)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt, idt;
	uint16_t tr, ldt;

	(void)arg;
	asm volatile("sgdt %0; sidt %1; str %2; sldt %3"
		     : "=m"(gdt), "=m"(idt), "=r"(tr), "=r"(ldt));
	G_CHECK_EQ(gdt.base, GPA_CPU(0) + 0x1000);
	G_CHECK_EQ(gdt.limit, 7 * 8 - 1);
	G_CHECK_EQ(idt.base, GPA_IDT);
	G_CHECK_EQ(idt.limit, 4095);
	G_CHECK_EQ(tr, GUEST_SEL_TSS);
	G_CHECK_EQ(ldt, 0);
	/* Loading it again takes an available TSS. */
	((uint8_t *)gdt.base)[GUEST_SEL_TSS + 5] &= ~2;
	asm volatile("ltr %w0" : : "r"(GUEST_SEL_TSS) : "memory");
	G_CHECK_EQ(((uint8_t *)gdt.base)[GUEST_SEL_TSS + 5] & 2, 2);
	idt.limit = 0x7ff;
	gdt.limit = 0xfff;
	asm volatile("lidt %0; lgdt %1" : : "m"(idt), "m"(gdt) : "memory");
	guest_sync(1, 0);
}

TEST(descriptor_tables)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, tables_guest);
	struct kvm_sregs sregs;

	EXPECT_SYNC(vcpu, 1);
	vcpu_get_sregs(vcpu, &sregs);
	CHECK_EQ(sregs.idt.base, GPA_IDT);
	CHECK_EQ(sregs.idt.limit, 0x7ff);
	CHECK_EQ(sregs.gdt.limit, 0xfff);
	CHECK_EQ(sregs.tr.selector, GUEST_SEL_TSS);
	CHECK_EQ(sregs.tr.base, GPA_CPU(0) + 0x1100);
	EXPECT_DONE(vcpu);
}
