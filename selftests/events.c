// SPDX-License-Identifier: GPL-2.0-only
/* Events that user space injects: interrupts, NMIs and exceptions. */
#include <string.h>

#include "vm.h"

#define NMI	2
#define UD	6
#define GP	13
#define PF	14

static uint64_t seen_error, seen_cr2, seen_rip;

static void note(struct guest_regs *regs)
{
	seen_error = regs->error;
	seen_rip = regs->rip;
	seen_cr2 = read_cr2();
}

static void irq_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[0x40] = note;
	guest_handlers[0x41] = note;
	guest_sync(1, 0);
	G_CHECK_EQ(guest_cpu()->taken[0x40], 0);
	sti();
	asm volatile("nop; nop; nop");
	G_CHECK_EQ(guest_cpu()->taken[0x40], 1);
	guest_sync(2, 0);
	/* Interrupts are on: taken at once. */
	G_CHECK_EQ(guest_cpu()->taken[0x41], 1);
	cli();
}

static long give(struct vcpu *vcpu, uint32_t vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return sys_ioctl(vcpu->fd, KVM_INTERRUPT, &irq);
}

TEST(interrupt)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, irq_guest);
	struct kvm_run *run = vcpu->run;

	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(run->if_flag, 0);
	CHECK_EQ(run->ready_for_interrupt_injection, 0);
	/* Wait until the guest could take it. */
	run->request_interrupt_window = 1;
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	CHECK_EQ(run->if_flag, 1);
	CHECK_EQ(run->ready_for_interrupt_injection, 1);
	run->request_interrupt_window = 0;
	REQUIRE_OK(give(vcpu, 0x40));
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(run->if_flag, 1);
	/* The OUT of the call is not completed: it is, before the interrupt. */
	vcpu_complete(vcpu);
	REQUIRE_OK(give(vcpu, 0x41));
	EXPECT_DONE(vcpu);
}

TEST(interrupt_twice)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, irq_guest);

	EXPECT_SYNC(vcpu, 1);
	vcpu->run->request_interrupt_window = 1;
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	REQUIRE_OK(give(vcpu, 0x40));
	/* One at a time. Stock KVM overwrites the first. */
	if (!kvm_is_stock())
		CHECK_ERR(give(vcpu, 0x41), EEXIST);
}

static volatile bool window_open;

static void window_guest(uint64_t arg)
{
	(void)arg;
	sti();
	window_open = true;
	for (;;)
		cpu_relax();
}

/* A request while the guest has interrupts on comes back at once. */
TEST(window_open_already)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, window_guest);

	alarm_ms(50);
	do {
		REQUIRE_EQ(vcpu_run_raw(vcpu), -EINTR);
	} while (!GUEST_VAR(vcpu->vm, window_open));
	alarm_ms(0);
	CHECK_EQ(vcpu->run->if_flag, 1);
	vcpu->run->request_interrupt_window = 1;
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
	/* And again, until an interrupt was given. */
	EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
}

static void shadow_guest(uint64_t arg)
{
	uint64_t after;

	(void)arg;
	guest_handlers[0x40] = note;
	for (;;) {
		asm volatile("leaq 1f(%%rip), %0; sti; nop; 1: nop; nop; nop; cli" : "=r"(after)
			     : : "memory");
		guest_sync(1, seen_rip - after);
	}
}

TEST(sti_shadow)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, shadow_guest);
	int i;

	/* An interrupt of the host's may delay it on TCG (docs/machines.md), but not each time. */
	for (i = 0; i < 5; i++) {
		vcpu->run->request_interrupt_window = 1;
		EXPECT_EXIT(vcpu, KVM_EXIT_IRQ_WINDOW_OPEN);
		vcpu->run->request_interrupt_window = 0;
		REQUIRE_OK(give(vcpu, 0x40));
		EXPECT_SYNC(vcpu, 1);
		if (vcpu->call.b != 1)
			break;
	}
	/* Not right after STI, but after the next instruction. */
	CHECK_EQ(vcpu->call.b, 0);
}

static void hlt_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[0x40] = note;
	sti_hlt();
	G_CHECK_EQ(guest_cpu()->taken[0x40], 1);
	cli();
}

TEST(interrupt_after_hlt)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, hlt_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_HLT);
	CHECK_EQ(vcpu->run->ready_for_interrupt_injection, 1);
	REQUIRE_OK(give(vcpu, 0x40));
	EXPECT_DONE(vcpu);
}

static volatile int nmi_depth, nmi_deepest;

static void nmi_handler(struct guest_regs *regs)
{
	(void)regs;
	if (++nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	if (guest_cpu()->taken[NMI] == 1)
		guest_sync(10, 0);
	nmi_depth--;
}

static void nmi_guest(uint64_t arg)
{
	(void)arg;
	guest_handlers[NMI] = nmi_handler;
	guest_sync(1, 0);
	/* Interrupts are off: an NMI does not ask. */
	G_CHECK_EQ(guest_cpu()->taken[NMI], 2);
	G_CHECK_EQ(nmi_deepest, 1);
	guest_sync(2, 0);
	G_CHECK_EQ(guest_cpu()->taken[NMI], 3);
}

TEST(nmi)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, nmi_guest);
	struct kvm_vcpu_events events;

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	EXPECT_SYNC(vcpu, 10);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.nmi.masked, 1);
	/* One more while in the handler: waits for its IRET. */
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	EXPECT_SYNC(vcpu, 2);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.nmi.masked, 0);
	CHECK_EQ(events.nmi.pending, 0);
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	EXPECT_DONE(vcpu);
}

/* An exit right before the IRET of an NMI's handler, which is that of an interrupt as well. */
#define HANDLER_PORT	0x99

extern const char exit_and_iret[];
asm(".pushsection .text\n"
    "exit_and_iret:\n"
    "	out %al, $0x99\n"
    "	iretq\n"
    ".popsection");

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void set_gate(unsigned int vector, uint64_t handler)
{
	struct table_register idt;
	uint16_t *gate;

	asm volatile("sidt %0" : "=m" (idt));
	gate = (uint16_t *)(idt.base + 16 * vector);
	gate[0] = handler;
	gate[3] = handler >> 16;
	gate[4] = handler >> 32;
	gate[5] = handler >> 48;
}

static void same_iret_guest(uint64_t arg)
{
	(void)arg;
	set_gate(NMI, (uint64_t)exit_and_iret);
	set_gate(0x50, (uint64_t)exit_and_iret);
	guest_sync(1, 0);
	asm volatile("int $0x50" : : : "memory");
}

TEST(nmi_handler_has_ended)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, same_iret_guest);
	struct kvm_vcpu_events events;

	EXPECT_SYNC(vcpu, 1);
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, HANDLER_PORT);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.nmi.masked, 1);
	/* The interrupt's handler: RIP is as it was, but the NMI's has ended. */
	EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, HANDLER_PORT);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.nmi.masked, 0);
	EXPECT_DONE(vcpu);
}

static void exception_guest(uint64_t arg)
{
	uint64_t here;

	(void)arg;
	guest_handlers[GP] = note;
	guest_handlers[UD] = note;
	asm volatile("leaq (%%rip), %0" : "=r"(here));
	guest_sync(1, 0);
	G_CHECK_EQ(guest_cpu()->taken[GP], 1);
	G_CHECK_EQ(seen_error, 0x1238);
	G_CHECK(seen_rip > here - 0x2000 && seen_rip < here + 0x10000);
	guest_sync(2, 0);
	G_CHECK_EQ(guest_cpu()->taken[UD], 1);
	G_CHECK_EQ(seen_error, 0);
	sti();
	guest_sync(3, 0);
	G_CHECK_EQ(guest_cpu()->taken[0x50], 1);
	cli();
	guest_sync(4, 0);
	G_CHECK_EQ(guest_cpu()->taken[NMI], 1);
}

static void inject(struct vcpu *vcpu, struct kvm_vcpu_events *events)
{
	events->flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, events));
}

TEST(set_vcpu_events)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, exception_guest);
	struct kvm_vcpu_events events;

	EXPECT_SYNC(vcpu, 1);
	vcpu_complete(vcpu);
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.exception.injected, 0);
	CHECK_EQ(events.interrupt.injected, 0);
	events.exception.injected = 1;
	events.exception.nr = GP;
	events.exception.has_error_code = 1;
	events.exception.error_code = 0x1238;
	inject(vcpu, &events);
	EXPECT_SYNC(vcpu, 2);

	vcpu_complete(vcpu);
	memset(&events, 0, sizeof(events));
	events.exception.injected = 1;
	events.exception.nr = UD;
	inject(vcpu, &events);
	EXPECT_SYNC(vcpu, 3);

	/* An interrupt as if its delivery had been cut short. */
	vcpu_complete(vcpu);
	GUEST_VAR(vm, guest_handlers)[0x50] = note;
	GUEST_VAR(vm, guest_handlers)[NMI] = note;
	memset(&events, 0, sizeof(events));
	events.interrupt.injected = 1;
	events.interrupt.nr = 0x50;
	inject(vcpu, &events);
	EXPECT_SYNC(vcpu, 4);

	vcpu_complete(vcpu);
	memset(&events, 0, sizeof(events));
	events.nmi.pending = 1;
	inject(vcpu, &events);
	EXPECT_DONE(vcpu);
}

/* The injected event shows until it is delivered, and travels with the state. */
TEST(get_vcpu_events)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, irq_guest);
	struct kvm_vcpu_events events;

	REQUIRE_OK(give(vcpu, 0x77));
	REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.interrupt.injected, 1);
	CHECK_EQ(events.interrupt.nr, 0x77);
	CHECK_EQ(events.interrupt.soft, 0);
	CHECK_EQ(events.nmi.pending, 1);
	CHECK_EQ(events.nmi.masked, 0);
	events.interrupt.injected = 0;
	events.nmi.pending = 0;
	events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events));
	REQUIRE_OK(sys_ioctl(vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	CHECK_EQ(events.interrupt.injected, 0);
	CHECK_EQ(events.nmi.pending, 0);
	EXPECT_SYNC(vcpu, 1);
}

static void mmio_guest(uint64_t arg)
{
	uint32_t value;

	(void)arg;
	guest_handlers[0x40] = note;
	sti();
	value = mmio_read32(GPA_MMIO);
	asm volatile("nop");
	G_CHECK_EQ(guest_cpu()->taken[0x40], 1);
	G_CHECK_EQ(value, 0x12345678);
	cli();
}

/* An interrupt given while an access waits for its data is taken after it. */
TEST(interrupt_during_mmio)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, mmio_guest);

	EXPECT_EXIT(vcpu, KVM_EXIT_MMIO);
	memcpy(vcpu->run->mmio.data, "\x78\x56\x34\x12", 4);
	REQUIRE_OK(give(vcpu, 0x40));
	EXPECT_DONE(vcpu);
}

/*
 * The guest's stack is a page that the hypervisor has not mapped yet: each
 * delivery is interrupted by a nested page fault, and must not get lost.
 */
static void new_stacks_guest(uint64_t rounds)
{
	uint64_t stack = GPA_FREE, i;

	guest_handlers[0x40] = note;
	guest_handlers[NMI] = note;
	for (i = 0; i < rounds; i++) {
		stack += 2 * PAGE_SIZE;
		asm volatile("movq %%rsp, %%rbx\n"
			     "movq %0, %%rsp\n"
			     "sti\n"
			     "outb %%al, $0x80\n"
			     "nop\n"
			     "nop\n"
			     "cli\n"
			     "movq %%rbx, %%rsp\n"
			     : : "r"(stack) : "rbx", "memory");
	}
	guest_sync(1, guest_cpu()->taken[0x40]);
	guest_sync(2, guest_cpu()->taken[NMI]);
}

TEST(delivery_on_new_stack)
{
	const int rounds = 64;
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, new_stacks_guest);
	int i;

	vcpu_arg(vcpu, rounds);
	for (i = 0; i < rounds; i++) {
		EXPECT_EXIT(vcpu, KVM_EXIT_IO);
		REQUIRE_EQ(vcpu->run->io.port, 0x80);
		vcpu_complete(vcpu);
		if (i % 2)
			REQUIRE_OK(give(vcpu, 0x40));
		else
			REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_NMI, 0));
	}
	EXPECT_SYNC(vcpu, 1);
	CHECK_EQ(vcpu->call.b, rounds / 2);
	EXPECT_SYNC(vcpu, 2);
	CHECK_EQ(vcpu->call.b, rounds / 2);
}
