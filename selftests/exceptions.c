// SPDX-License-Identifier: GPL-2.0-only
/* Exceptions raised and handled in the guest. */
#include <string.h>

#include "vm.h"

enum {
	DE = 0, DB = 1, BP = 3, OF = 4, UD = 6, NM = 7, DF = 8, NP = 11,
	SS = 12, GP = 13, PF = 14, MF = 16, AC = 17, XM = 19,
};

static uint64_t seen_dr6;
static uint64_t seen_rip;
static uint64_t seen_error;

static void basic_guest(uint64_t is_tcg)
{
	uint64_t rdx = 0, rax = 1;
	int vector;

	vector = GUEST_TRY("divq %2", : "+a"(rax), "+d"(rdx) : "r"(0ULL));
	G_CHECK_EQ(vector, DE);
	vector = GUEST_TRY("ud2", : : : "memory");
	G_CHECK_EQ(vector, UD);
	/* Non-canonical: #GP through DS, #SS through the stack. */
	vector = GUEST_TRY("movq (%0), %%rax", : : "S"(0x8000000000000000)
			   : "rax", "memory");
	G_CHECK_EQ(vector, GP);
	G_CHECK_EQ(guest_cpu()->error, 0);
	vector = GUEST_TRY("movq (%%rsp, %0, 1), %%rax",
			   : : "S"(0x8000000000000000) : "rax", "memory");
	G_CHECK_EQ(vector, is_tcg ? GP : SS);
	/* A selector beyond the GDT: the error code names it. */
	vector = GUEST_TRY("movl %0, %%es", : : "r"(0x1000) : "memory");
	G_CHECK_EQ(vector, GP);
	G_CHECK_EQ(guest_cpu()->error, 0x1000);
	vector = GUEST_TRY("ltr %w0", : : "r"(GUEST_SEL_DATA) : "memory");
	G_CHECK_EQ(vector, GP);
}

static void fpu_guest(uint64_t is_tcg)
{
	int vector;

	write_cr0(read_cr0() | 1 << 3);		/* TS */
	vector = GUEST_TRY("fninit", : : : "memory");
	G_CHECK_EQ(vector, NM);
	vector = GUEST_TRY("movups (%%rsp), %%xmm0", : : : "memory");
	G_CHECK_EQ(vector, NM);
	asm volatile("clts");
	/* 1/0 with the x87 exception unmasked is reported by the next wait. */
	asm volatile("fninit; fldcw %0; fldz; fld1; fdivp"
		     : : "m"((uint16_t){ 0x37b }));
	vector = GUEST_TRY("fwait", : : : "memory");
	G_CHECK_EQ(vector, MF);
	asm volatile("fninit");
	asm volatile("ldmxcsr %0; pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1"
		     : : "m"((uint32_t){ 0x1f00 }));
	vector = GUEST_TRY("divss %%xmm0, %%xmm1", : : : "memory");
	/* TCG has no unmasked SSE exceptions. */
	G_CHECK(vector == XM || (is_tcg && vector == GUEST_NO_TRAP));
	asm volatile("ldmxcsr %0" : : "m"((uint32_t){ 0x1f80 }));
}

static void note(struct guest_regs *regs)
{
	seen_rip = regs->rip;
	seen_error = regs->error;
	seen_dr6 = read_dr6();
	regs->rflags &= ~0x100ULL;
}

static void traps_guest(uint64_t arg)
{
	uint64_t after;

	(void)arg;
	guest_handlers[BP] = note;
	guest_handlers[DB] = note;
	guest_handlers[0x77] = note;
	/* Traps: RIP is that of the next instruction. */
	asm volatile("leaq 1f(%%rip), %0; int3; 1:" : "=r"(after) : : "memory");
	G_CHECK_EQ(guest_cpu()->taken[BP], 1);
	G_CHECK_EQ(seen_rip, after);
	asm volatile("leaq 1f(%%rip), %0; int $0x77; 1:" : "=r"(after)
		     : : "memory");
	G_CHECK_EQ(guest_cpu()->taken[0x77], 1);
	G_CHECK_EQ(seen_rip, after);
	/* Single step over one instruction. */
	asm volatile("leaq 1f(%%rip), %0; pushfq; orl $0x100, (%%rsp); popfq;"
		     "nop; 1: nop" : "=r"(after) : : "memory", "cc");
	G_CHECK_EQ(guest_cpu()->taken[DB], 1);
	G_CHECK_EQ(seen_rip, after);
	G_CHECK_EQ(seen_dr6 & 0x4000, 0x4000);
	/* And over one that the hypervisor may have to skip. */
	write_dr6(0);
	asm volatile("leaq 1f(%%rip), %0; xorl %%eax, %%eax; pushfq;"
		     "orl $0x100, (%%rsp); popfq; cpuid; 1: nop"
		     : "=r"(after) : : "rax", "rbx", "rcx", "rdx", "memory",
		     "cc");
	G_CHECK_EQ(guest_cpu()->taken[DB], 2);
	G_CHECK_EQ(seen_rip, after);
}

static void icebp_guest(uint64_t arg)
{
	uint64_t after;

	(void)arg;
	guest_handlers[DB] = note;
	asm volatile("leaq 1f(%%rip), %0; .byte 0xf1; 1: nop" : "=r"(after)
		     : : "memory");
	G_CHECK_EQ(guest_cpu()->taken[DB], 1);
	G_CHECK_EQ(seen_rip, after);
}

TEST(basic)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, basic_guest);

	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_DONE(vcpu);
}

TEST(fpu)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, fpu_guest);

	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_DONE(vcpu);
}

TEST(traps)
{
	EXPECT_DONE(vcpu_new(vm_new(0), 0, traps_guest));
}

TEST(icebp)
{
	if (host_is_tcg())
		test_skip("QEMU's TCG has no ICEBP");
	EXPECT_DONE(vcpu_new(vm_new(0), 0, icebp_guest));
}

static void breakpoint_guest(uint64_t is_tcg)
{
	guest_handlers[DB] = note;
	/* Data write of 4 bytes by DR0. */
	write_dr6(0);
	write_dr0(GPA_FREE);
	write_dr7(0x000d0402);
	G_CHECK_EQ(read_dr0(), GPA_FREE);
	mmio_write32(GPA_FREE + 4, 1);
	G_CHECK_EQ(guest_cpu()->taken[DB], 0);
	mmio_write32(GPA_FREE, 1);
	if (is_tcg && !guest_cpu()->taken[DB])
		guest_sync(9, 0);
	G_CHECK_EQ(guest_cpu()->taken[DB], 1);
	G_CHECK_EQ(seen_dr6 & 0xf, 1);
	/* It stays armed across an exit to user space. */
	guest_sync(1, 0);
	write_dr6(0);
	mmio_write32(GPA_FREE, 2);
	G_CHECK_EQ(guest_cpu()->taken[DB], 2);
	write_dr7(0x400);
	mmio_write32(GPA_FREE, 3);
	G_CHECK_EQ(guest_cpu()->taken[DB], 2);
}

TEST(breakpoints)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, breakpoint_guest);

	vcpu_arg(vcpu, host_is_tcg());
	REQUIRE(vcpu_run(vcpu) == EVENT_SYNC, "no sync");
	if (vcpu->call.a == 9)
		test_skip("QEMU's TCG arms nothing when VMRUN loads DR7");
	REQUIRE_EQ(vcpu->call.a, 1);
	EXPECT_DONE(vcpu);
}

#define GVA_NONE	0x20000000ULL
#define GVA_READ_ONLY	0x20001000ULL
#define GVA_NO_EXEC	0x20002000ULL
#define GVA_RESERVED	0x20003000ULL
#define GVA_SUPERVISOR	0x20004000ULL

static uint64_t user_read(void)
{
	return GUEST_TRY("movb (%0), %%al", : : "r"(GVA_SUPERVISOR)
			 : "rax", "memory");
}

static uint64_t user_write(void)
{
	return GUEST_TRY("movb %%al, (%0)", : : "r"(GVA_READ_ONLY)
			 : "memory");
}

#define EXPECT_PF(vector, error_code, addr)				\
	do {								\
		G_CHECK_EQ(vector, PF);					\
		G_CHECK_EQ(guest_cpu()->error, error_code);		\
		G_CHECK_EQ(guest_cpu()->cr2, addr);			\
		G_CHECK_EQ(read_cr2(), addr);				\
	} while (0)

static void fetch_fault(struct guest_regs *regs)
{
	seen_rip = regs->rip;
	seen_error = regs->error;
	/* As if the call had returned. */
	regs->rip = *(uint64_t *)regs->rsp;
	regs->rsp += 8;
}

static void page_fault_guest(uint64_t is_tcg)
{
	int vector;

	vector = GUEST_TRY("movb 0x123(%0), %%al", : : "r"(GVA_NONE)
			   : "rax", "memory");
	EXPECT_PF(vector, 0, GVA_NONE + 0x123);
	vector = GUEST_TRY("movb %%al, 0xfff(%0)", : : "r"(GVA_NONE)
			   : "memory");
	EXPECT_PF(vector, 2, GVA_NONE + 0xfff);
	vector = GUEST_TRY("movb %%al, (%0)", : : "r"(GVA_READ_ONLY)
			   : "memory");
	EXPECT_PF(vector, 3, GVA_READ_ONLY);
	vector = GUEST_TRY("movb (%0), %%al", : : "r"(GVA_RESERVED)
			   : "rax", "memory");
	/* TCG forgets the P bit. */
	EXPECT_PF(vector, is_tcg ? 8 : 9, GVA_RESERVED);
	vector = guest_user(user_read, GPA_FREE + 0x1000);
	EXPECT_PF(vector, 5, GVA_SUPERVISOR);
	vector = guest_user(user_write, GPA_FREE + 0x1000);
	EXPECT_PF(vector, 7, GVA_READ_ONLY);

	guest_handlers[PF] = fetch_fault;
	((void (*)(void))GVA_NO_EXEC)();
	G_CHECK_EQ(seen_rip, GVA_NO_EXEC);
	G_CHECK_EQ(seen_error, 0x11);
	((void (*)(void))GVA_NONE)();
	G_CHECK_EQ(seen_error, 0x10);
	G_CHECK_EQ(guest_cpu()->taken[PF], 8);
	/* Without CR0.WP a supervisor may write. */
	guest_handlers[PF] = NULL;
	write_cr0(read_cr0() & ~(1ULL << 16));
	mmio_write32(GVA_READ_ONLY, 0x55aa55aa);
	write_cr0(read_cr0() | 1ULL << 16);
	G_CHECK_EQ(mmio_read32(GVA_READ_ONLY), 0x55aa55aa);
}

static struct vm *page_fault_vm(void)
{
	struct vm *vm = vm_new(0);

	vm_map(vm, GVA_NONE, 0, 0);
	vm_map(vm, GVA_READ_ONLY, GPA_FREE + 0x4000, PTE_P | PTE_U);
	vm_map(vm, GVA_NO_EXEC, GPA_FREE + 0x5000, PTE_P | PTE_W | PTE_NX);
	vm_map(vm, GVA_RESERVED, GPA_FREE + 0x6000,
	       PTE_P | PTE_W | 1ULL << 51);
	vm_map(vm, GVA_SUPERVISOR, GPA_FREE + 0x7000, PTE_P | PTE_W);
	return vm;
}

TEST(page_faults)
{
	struct vm *vm = page_fault_vm();
	uint64_t *pte = vm_pte(vm, GVA_READ_ONLY);
	struct kvm_cpuid_entry2 *entry;
	struct vcpu *vcpu;

	entry = cpuid_find(kvm_supported_cpuid(), 0x80000008, 0);
	if (!entry || (entry->eax & 0xff) > 51)
		test_skip("no reserved bit in a page-table entry");
	vcpu = vcpu_new(vm, 0, page_fault_guest);
	vcpu_arg(vcpu, host_is_tcg());
	EXPECT_DONE(vcpu);
	/* Accessed and dirty are the guest's own. */
	CHECK_EQ(*pte & 0x60, 0x60);
	CHECK_EQ(*vm_pte(vm, GVA_SUPERVISOR) & 0x60, 0);
}

static uint64_t df_stack;

static void double_fault(struct guest_regs *regs)
{
	seen_rip = regs->rip;
	df_stack = (uint64_t)regs;
	guest_sync(1, regs->error);
	guest_done();
}

/* An unusable stack: the #PF cannot be pushed, and #DF has its own stack. */
static void double_fault_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[DF] = double_fault;
	asm volatile("movq %0, %%rsp; pushq $0" : : "r"(GVA_NONE + 0x800)
		     : "memory");
}

TEST(double_fault_stack)
{
	struct vm *vm = page_fault_vm();
	struct vcpu *vcpu = vcpu_new(vm, 0, double_fault_guest);

	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, 0);
	CHECK_EQ(GUEST_VAR(vm, df_stack) & ~0xfffULL, GPA_CPU(0) + 0x1000);
}

static void nested_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[DF] = double_fault;
	/*
	 * TCG reports a delivery that meets a nested page fault as that of the
	 * first exception: have the stack of #DF there.
	 */
	*(volatile uint64_t *)(GPA_CPU(0) + 0x1f00) = 0;
	/* #GP whose gate is not present: #GP, #NP make a double fault. */
	((uint8_t *)GPA_IDT)[GP * 16 + 5] &= 0x7f;
	asm volatile("movq (%0), %%rax" : : "S"(0x8000000000000000)
		     : "rax", "memory");
}

TEST(double_fault_gate)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nested_guest);

	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, 0);
}

static void triple_guest(uint64_t arg)
{
	(void)arg;
	((uint8_t *)GPA_IDT)[GP * 16 + 5] &= 0x7f;
	((uint8_t *)GPA_IDT)[DF * 16 + 5] &= 0x7f;
	asm volatile("movq (%0), %%rax" : : "S"(0x8000000000000000)
		     : "rax", "memory");
}

TEST(triple_fault)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, triple_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_SHUTDOWN);
}

static uint64_t user_misaligned(void)
{
	int vector;

	asm volatile("pushfq; orl $0x40000, (%%rsp); popfq" : : : "memory",
		     "cc");
	vector = GUEST_TRY("movl (%0), %%eax", : : "r"(GPA_FREE + 0x2001)
			   : "rax", "memory");
	asm volatile("pushfq; andl $~0x40000, (%%rsp); popfq" : : : "memory",
		     "cc");
	return vector;
}

static void alignment_guest(uint64_t arg)
{
	(void)arg;
	write_cr0(read_cr0() | 1 << 18);
	guest_sync(1, guest_user(user_misaligned, GPA_FREE + 0x1000));
}

TEST(alignment_check)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, alignment_guest);

	EXPECT_SYNC(vcpu, 1);
	if ((int)vcpu->call.b == GUEST_NO_TRAP && host_is_tcg())
		test_skip("QEMU's TCG has no alignment checks");
	CHECK_EQ(vcpu->call.b, AC);
	EXPECT_DONE(vcpu);
}

/*
 * The stacks of these deliveries are new to the hypervisor: a delivery is
 * interrupted by a nested page fault and must be resumed, as what it was.
 */
static void skip_two(struct guest_regs *regs)
{
	seen_error = regs->error;
	regs->rip += 2;
}

static void skip_three(struct guest_regs *regs)
{
	seen_error = regs->error;
	regs->rip += 3;
}

#define ON_NEW_STACK(insn, value)					\
	asm volatile("movq %%rsp, %%rbx\n"				\
		     "movq %0, %%rsp\n"				\
		     insn "\n"						\
		     "movq %%rbx, %%rsp\n"				\
		     : "+r"(stack) : "a"(value) : "rbx", "memory")

static void new_stacks_guest(uint64_t count)
{
	uint64_t i, after, stack = GPA_FREE;

	guest_handlers[0x77] = note;
	guest_handlers[DB] = note;
	guest_handlers[UD] = skip_two;
	guest_handlers[GP] = skip_three;
	guest_handlers[PF] = skip_three;
	for (i = 0; i < count; i++) {
		stack += 2 * PAGE_SIZE;
		ON_NEW_STACK("int $0x77", 0);
		G_CHECK_EQ(seen_error, 0);
		stack += 2 * PAGE_SIZE;
		ON_NEW_STACK("ud2", 0);
		G_CHECK_EQ(seen_error, 0);
		stack += 2 * PAGE_SIZE;
		seen_error = 1;
		ON_NEW_STACK(".byte 0x48, 0x8b, 0x00" /* mov (%rax), %rax */,
			     0x8000000000000000);
		G_CHECK_EQ(seen_error, 0);
		stack += 2 * PAGE_SIZE;
		ON_NEW_STACK(".byte 0x48, 0x89, 0x00" /* mov %rax, (%rax) */,
			     GVA_NONE + 0x456);
		G_CHECK_EQ(seen_error, 2);
		G_CHECK_EQ(read_cr2(), GVA_NONE + 0x456);
		/* A trap: unlike a fault it does not come again by itself. */
		stack += 2 * PAGE_SIZE;
		asm volatile("movq %%rsp, %%rbx\n"
			     "pushfq\n"
			     "orl $0x100, (%%rsp)\n"
			     "leaq 1f(%%rip), %0\n"
			     "popfq\n"
			     "movq %1, %%rsp\n"
			     "1: movq %%rbx, %%rsp\n"
			     : "=&r"(after) : "r"(stack)
			     : "rbx", "memory", "cc");
		G_CHECK_EQ(seen_rip, after);
	}
	G_CHECK_EQ(guest_cpu()->taken[DB], count);
	G_CHECK_EQ(guest_cpu()->taken[0x77], count);
	G_CHECK_EQ(guest_cpu()->taken[UD], count);
	G_CHECK_EQ(guest_cpu()->taken[GP], count);
	G_CHECK_EQ(guest_cpu()->taken[PF], count);
}

TEST(delivery_on_new_stack)
{
	struct vcpu *vcpu = vcpu_new(page_fault_vm(), 0, new_stacks_guest);

	vcpu_arg(vcpu, 32);
	EXPECT_DONE(vcpu);
}

static void arrived(struct guest_regs *regs)
{
	guest_sync(regs->vector, 0);
}

static void device_stack_guest(uint64_t arg)
{
	guest_handlers[UD] = arrived;
	asm volatile("movq %0, %%rsp\n"
		     "ud2\n"
		     : : "r"(arg) : "memory");
}

/* A frame cannot be pushed to a device, and there is no instruction to emulate. */
TEST(delivery_to_device)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, device_stack_guest);
	struct kvm_regs before, after;
	int i;

	if (kvm_is_stock())
		test_skip("stock KVM emulates the instruction at RIP");
	vcpu_arg(vcpu, GPA_MMIO + PAGE_SIZE);
	for (i = 0; i < 2; i++) {
		EXPECT_EXIT(vcpu, KVM_EXIT_INTERNAL_ERROR);
		CHECK_EQ(vcpu->run->internal.suberror, KVM_INTERNAL_ERROR_DELIVERY_EV);
		vcpu_get_regs(vcpu, i ? &after : &before);
	}
	CHECK_EQ(after.rip, before.rip);
	/* With a stack the exception arrives. */
	after.rsp = GPA_FREE + PAGE_SIZE;
	vcpu_set_regs(vcpu, &after);
	EXPECT_SYNC(vcpu, UD);
}
