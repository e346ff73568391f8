// SPDX-License-Identifier: GPL-2.0-only
/* KVM_SET_GUEST_DEBUG: single steps, breakpoints and injections of a debugger outside. */
#include <errno.h>
#include <string.h>

#include "apic.h"
#include "vm.h"

#define DB		1
#define BP		3
#define UD		6
#define PF		14
#define IRQ		0x51
#define FLAG_TF		0x100
#define DR6_QUIET	0xffff0ff0ULL
#define DR6_BS		0x4000ULL
#define DR6_BD		0x2000ULL
#define DR7_QUIET	0x400ULL
#define DR7_GD		0x2000ULL
#define GVA_NONE	0x20000000ULL
#define STEP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)

/* Addresses in the guests below. */
extern const char plain_0[], plain_1[], plain_2[], plain_3[], plain_4[], plain_5[], plain_6[],
	plain_7[], plain_8[], plain_9[];
extern const char popf_0[], popf_1[];
extern const char flags_0[], flags_1[], flags_2[], ud_0[], ud_1[], pf_0[], pf_1[], int_0[], int_1[];
extern const char bp_0[], bp_1[], hw_0[], hw_1[], hw_2[], gd_0[], irq_0[], irq_1[], irq_2[];

static uint64_t seen_rflags, seen_dr6;

static void note(struct guest_regs *regs)
{
	seen_rflags = regs->rflags;
}

static void clear_tf(struct guest_regs *regs)
{
	note(regs);
	regs->rflags &= ~(uint64_t)FLAG_TF;
}

static void skip_two(struct guest_regs *regs)
{
	note(regs);
	regs->rip += 2;
}

static long debug(struct vcpu *vcpu, uint32_t control)
{
	struct kvm_guest_debug debug = { .control = control };

	return sys_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

static long breakpoints(struct vcpu *vcpu, uint32_t control, uint64_t dr0, uint64_t dr7)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP | control,
		.arch.debugreg = { [0] = dr0, [7] = dr7 },
	};

	return sys_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

/* The exit is a debugger's, at @pc. */
#define EXPECT_DEBUG(vcpu, vector, where)					\
	do {									\
		EXPECT_EXIT(vcpu, KVM_EXIT_DEBUG);				\
		CHECK_EQ((vcpu)->run->debug.arch.exception, vector);		\
		CHECK_EQ((vcpu)->run->debug.arch.pc, (uintptr_t)(where));	\
	} while (0)

#define EXPECT_STEP(vcpu, where)						\
	do {									\
		REQUIRE_OK(debug(vcpu, STEP));					\
		EXPECT_DEBUG(vcpu, DB, where);					\
		CHECK_EQ((vcpu)->run->debug.arch.dr6, DR6_QUIET | DR6_BS);	\
		check_flags(vcpu);						\
	} while (0)

/* The debugger's trap flag is not the guest's. */
static void check_flags(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rflags & FLAG_TF, 0);
}

/* Steps from guest_sync(), where the guest is, to @pc. */
static void step_to(struct vcpu *vcpu, const char *pc)
{
	int i;

	REQUIRE_OK(debug(vcpu, STEP));
	for (i = 0; i < 200; i++) {
		EXPECT_EXIT(vcpu, KVM_EXIT_DEBUG);
		if (vcpu->run->debug.arch.pc == (uintptr_t)pc)
			return;
		REQUIRE_OK(debug(vcpu, STEP));
	}
	REQUIRE(false, "the guest has not come to %p", pc);
}

/* Steps the handler of an exception to its IRET, and over it. */
static void step_back(struct vcpu *vcpu, const char *pc)
{
	int i;

	for (i = 0; i < 400 && vcpu->run->debug.arch.pc != (uintptr_t)pc; i++) {
		REQUIRE_OK(debug(vcpu, STEP));
		EXPECT_EXIT(vcpu, KVM_EXIT_DEBUG);
	}
	CHECK_EQ(vcpu->run->debug.arch.pc, (uintptr_t)pc);
}

static uint64_t stub(int vector)
{
	return (uintptr_t)guest_trap_stubs + 16 * vector;
}

TEST(arguments)
{
	struct vcpu *vcpu = vcpu_bare(vm_bare(), 0);
	long valid;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	valid = kvm_has(KVM_CAP_SET_GUEST_DEBUG2);
	CHECK_EQ(valid & 3, 3);
	CHECK_EQ(valid, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
		 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		 KVM_GUESTDBG_BLOCKIRQ);
	/* Those are other architectures'. */
	CHECK_EQ(kvm_has(KVM_CAP_GUEST_DEBUG_HW_BPS), 0);
	CHECK_EQ(kvm_has(KVM_CAP_GUEST_DEBUG_HW_WPS), 0);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, BAD_PTR), EFAULT);
	if (!kvm_is_stock()) {
		CHECK_ERR(debug(vcpu, KVM_GUESTDBG_ENABLE | 1u << 31), EINVAL);
		CHECK_ERR(debug(vcpu, KVM_GUESTDBG_ENABLE | 4), EINVAL);
	}
	CHECK_OK(debug(vcpu, valid & ~(KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)));
	CHECK_OK(debug(vcpu, 0));
	CHECK_OK(debug(vcpu, KVM_GUESTDBG_INJECT_DB));
	CHECK_ERR(debug(vcpu, KVM_GUESTDBG_INJECT_BP), EBUSY);
}

/* Instructions that the processor executes, that vitro skips, emulates, and hands out. */
static void plain_guest(uint64_t arg)
{
	(void)arg;
	guest_sync(1, 0);
	asm volatile("plain_0: movl $1, %%ecx\n"
		     "plain_1: xorl %%eax, %%eax\n"
		     "plain_2: cpuid\n"
		     "plain_3: movl $0x1b, %%ecx\n"
		     "plain_4: rdmsr\n"
		     "plain_5: outb %%al, $0x80\n"
		     "plain_6: movl %%eax, (%0)\n"
		     "plain_7: movl (%0), %%eax\n"
		     "plain_8: jmp plain_9\n"
		     "nop\n"
		     "plain_9: nop\n"
		     : : "D"(GPA_MMIO) : "rax", "rbx", "rcx", "rdx", "memory");
}

TEST(steps)
{
	static const char * const at[] = {
		plain_1, plain_2, plain_3, plain_4, plain_5,
	};
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, plain_guest);
	struct kvm_regs regs;
	unsigned int i;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	EXPECT_SYNC(vcpu, 1);
	step_to(vcpu, plain_0);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		EXPECT_STEP(vcpu, at[i]);
	/* First what the instruction does, then its end. */
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	if (!kvm_is_stock())
		EXPECT_DEBUG(vcpu, DB, plain_6);
	step_back(vcpu, plain_6);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.is_write, 1);
	EXPECT_DEBUG(vcpu, DB, plain_7);
	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(vcpu->run->mmio.is_write, 0);
	memset(vcpu->run->mmio.data, 0x5a, 8);
	EXPECT_DEBUG(vcpu, DB, plain_8);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rax, 0x5a5a5a5a);
	EXPECT_STEP(vcpu, plain_9);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}

static void flags_guest(uint64_t arg)
{
	uint64_t flags;

	(void)arg;
	guest_sync(1, 0);
	asm volatile("flags_0: pushfq\n"
		     "flags_1: popq %0\n"
		     "flags_2: nop\n"
		     : "=r"(flags) : : "memory");
	G_CHECK_EQ(flags & FLAG_TF, 0);
	guest_sync(2, 0);
	/* The guest's own trap flag stays. */
	guest_handlers[DB] = clear_tf;
	asm volatile("pushfq; orl $0x100, (%%rsp)\n"
		     "popf_0: popfq\n"
		     "popf_1: nop" : : : "memory", "cc");
	G_CHECK_EQ(guest_cpu()->taken[DB], 1);
	G_CHECK_EQ(seen_rflags & FLAG_TF, FLAG_TF);
}

TEST(flags_of_guest)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, flags_guest);

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	if (kvm_is_stock())
		test_skip("stock KVM's trap flag is seen by the guest");
	EXPECT_SYNC(vcpu, 1);
	step_to(vcpu, flags_0);
	EXPECT_STEP(vcpu, flags_1);
	EXPECT_STEP(vcpu, flags_2);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_SYNC(vcpu, 2);
	step_to(vcpu, popf_0);
	REQUIRE_OK(debug(vcpu, STEP));
	EXPECT_DEBUG(vcpu, DB, popf_1);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}

static void exceptions_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[UD] = skip_two;
	guest_handlers[PF] = skip_two;
	guest_handlers[0x77] = note;
	guest_sync(1, 0);
	asm volatile("ud_0: ud2\n"
		     "ud_1: nop");
	G_CHECK_EQ(guest_cpu()->taken[UD], 1);
	G_CHECK_EQ(seen_rflags & FLAG_TF, 0);
	seen_rflags = FLAG_TF;
	guest_sync(2, 0);
	asm volatile("pf_0: movb (%0), %%al\n"
		     "pf_1: nop" : : "D"(GVA_NONE) : "rax", "memory");
	G_CHECK_EQ(guest_cpu()->taken[PF], 1);
	G_CHECK_EQ(read_cr2(), GVA_NONE);
	G_CHECK_EQ(seen_rflags & FLAG_TF, 0);
	seen_rflags = FLAG_TF;
	guest_sync(3, 0);
	asm volatile("int_0: int $0x77\n"
		     "int_1: nop");
	G_CHECK_EQ(guest_cpu()->taken[0x77], 1);
	G_CHECK_EQ(seen_rflags & FLAG_TF, 0);
}

/* A step that raises an exception ends at the handler, which sees no trap flag. */
static void step_into(struct vcpu *vcpu, uint64_t stage, const char *from, int vector,
		      const char *to)
{
	EXPECT_SYNC(vcpu, stage);
	step_to(vcpu, from);
	EXPECT_STEP(vcpu, stub(vector));
	step_back(vcpu, to);
	CHECK_OK(debug(vcpu, 0));
}

TEST(step_into_exceptions)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, exceptions_guest);

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	if (kvm_is_stock())
		test_skip("stock KVM's steps end elsewhere");
	vm_map(vm, GVA_NONE, 0, 0);
	step_into(vcpu, 1, ud_0, UD, ud_1);
	step_into(vcpu, 2, pf_0, PF, pf_1);
	step_into(vcpu, 3, int_0, 0x77, int_1);
	EXPECT_DONE(vcpu);
}

static void bp_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[BP] = note;
	guest_sync(1, 0);
	asm volatile("bp_0: int3\n"
		     "bp_1: nop");
	G_CHECK_EQ(guest_cpu()->taken[BP], 1);
	guest_sync(2, 0);
	asm volatile("int3");
	G_CHECK_EQ(guest_cpu()->taken[BP], 2);
	asm volatile("int $3");
	G_CHECK_EQ(guest_cpu()->taken[BP], 3);
}

TEST(software_breakpoints)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, bp_guest);
	uint32_t control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	if (kvm_is_stock() && host_is_tcg() && host_is_amd())
		test_skip("QEMU's TCG does not honour the intercept of #BP");
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(debug(vcpu, control));
	EXPECT_DEBUG(vcpu, BP, bp_0);
	/* Again, if the debugger does nothing about it. */
	EXPECT_DEBUG(vcpu, BP, bp_0);
	/* Or the guest's own: the debugger hands it over. */
	CHECK_OK(debug(vcpu, control | KVM_GUESTDBG_INJECT_BP));
	EXPECT_SYNC(vcpu, 2);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}

static void hw_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[DB] = note;
	write_dr0(0x1234);
	write_dr7(DR7_QUIET);
	guest_sync(1, 0);
	asm volatile("hw_0: nop\n"
		     "hw_1: movl %%eax, (%0)\n"
		     "hw_2: nop" : : "D"(GPA_FREE) : "memory");
	/* The guest's own are what it has written. */
	G_CHECK_EQ(read_dr0(), 0x1234);
	G_CHECK_EQ(read_dr7(), DR7_QUIET);
	write_dr0(GPA_FREE);
	G_CHECK_EQ(read_dr0(), GPA_FREE);
	G_CHECK_EQ(read_dr6(), DR6_QUIET);
	guest_sync(2, 0);
	G_CHECK_EQ(guest_cpu()->taken[DB], 0);
}

TEST(hardware_breakpoints)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hw_guest);

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(breakpoints(vcpu, 0, (uintptr_t)hw_0, 0x402));
	if (host_is_tcg() && host_is_amd()) {
		/* TCG arms nothing when VMRUN loads DR7; what the guest sees can be told. */
		EXPECT_SYNC(vcpu, 2);
		CHECK_OK(debug(vcpu, 0));
		EXPECT_DONE(vcpu);
		return;
	}
	EXPECT_DEBUG(vcpu, DB, hw_0);
	CHECK_EQ(vcpu->run->debug.arch.dr6, DR6_QUIET | 1);
	CHECK_EQ(vcpu->run->debug.arch.dr7, 0x402);
	/* A write of four bytes. */
	CHECK_OK(breakpoints(vcpu, 0, GPA_FREE, 0xd0402));
	EXPECT_DEBUG(vcpu, DB, hw_2);
	CHECK_EQ(vcpu->run->debug.arch.dr6, DR6_QUIET | 1);
	EXPECT_SYNC(vcpu, 2);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}

static void gd_guest(uint64_t arg)
{
	uint64_t value;

	(void)arg;
	write_dr7(DR7_QUIET);
	guest_sync(1, 0);
	asm volatile("gd_0: movq %%dr6, %0" : "=r"(value));
	G_CHECK_EQ(value, DR6_QUIET);
	G_CHECK_EQ(read_dr7(), DR7_QUIET);
}

/* The debugger wants to know of the guest's accesses to debug registers. */
TEST(general_detect)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, gd_guest);

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	EXPECT_SYNC(vcpu, 1);
	CHECK_OK(breakpoints(vcpu, 0, 0, DR7_QUIET | DR7_GD));
	EXPECT_DEBUG(vcpu, DB, gd_0);
	CHECK_EQ(vcpu->run->debug.arch.dr6, DR6_QUIET | DR6_BD);
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}

static void db_handler(struct guest_regs *regs)
{
	note(regs);
	seen_dr6 = read_dr6();
}

static void inject_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[DB] = db_handler;
	guest_sync(1, 0);
	G_CHECK_EQ(guest_cpu()->taken[DB], 1);
	G_CHECK_EQ(seen_dr6, DR6_QUIET | DR6_BS);
}

/* A debugger hands over what turns out to be the guest's own debug exception. */
TEST(inject_db)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, inject_guest);
	struct kvm_debugregs regs;

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	EXPECT_SYNC(vcpu, 1);
	CHECK_ERR(vcpu_complete(vcpu), EINTR);
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &regs));
	regs.dr6 |= DR6_BS;
	CHECK_OK(sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &regs));
	CHECK_OK(debug(vcpu, KVM_GUESTDBG_INJECT_DB));
	EXPECT_DONE(vcpu);
}

static void irq_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[IRQ] = guest_eoi;
	apic_enable();
	sti();
	guest_sync(1, 0);
	asm volatile("irq_0: nop\n"
		     "irq_1: nop\n"
		     "irq_2: nop");
	guest_wait(IRQ, 1);
}

static void send_irq(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = IRQ };

	REQUIRE(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) >= 0, "no interrupt");
}

TEST(interrupts)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, irq_guest);

	NEED_CAP(KVM_CAP_SET_GUEST_DEBUG);
	EXPECT_SYNC(vcpu, 1);
	step_to(vcpu, irq_0);
	send_irq(vcpu->vm);
	/* Not while they are blocked. */
	CHECK_OK(debug(vcpu, STEP | KVM_GUESTDBG_BLOCKIRQ));
	EXPECT_DEBUG(vcpu, DB, irq_1);
	CHECK_OK(debug(vcpu, STEP | KVM_GUESTDBG_BLOCKIRQ));
	EXPECT_DEBUG(vcpu, DB, irq_2);
	CHECK_EQ(vcpu_cpu(vcpu)->taken[IRQ], 0);
	if (!kvm_is_stock()) {
		/* Into the handler. */
		EXPECT_STEP(vcpu, stub(IRQ));
		step_back(vcpu, irq_2);
		CHECK_EQ(vcpu_cpu(vcpu)->taken[IRQ], 1);
	}
	CHECK_OK(debug(vcpu, 0));
	EXPECT_DONE(vcpu);
}
