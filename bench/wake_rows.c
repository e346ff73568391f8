// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it takes to wake a vCPU that sleeps in HLT: by another vCPU, by its timer, by
 * an irqfd. The machines that count exactly have one processor, so that two threads
 * take turns: each wake-up is a switch of threads by the host's scheduler.
 */
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apic.h"
#include "bench.h"

#define VECTOR_PING	0x40
#define VECTOR_PONG	0x41
#define VECTOR_TIMER	0x42
#define VECTOR_MSI	0x43
#define ANSWER_PORT	0x600
#define MSI_GSI		24

/* The guest's copies count. */
static uint64_t ticks[BATCHES];
static volatile uint64_t deadline, late;
static volatile uint32_t asked, answered, heard;
static volatile bool ready, spins, stop;

static void x2apic_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
}

static void send(uint64_t dest, uint32_t vector)
{
	wrmsr(MSR_X2APIC(APIC_ICR), dest << 32 | APIC_ICR_ASSERT | vector);
}

static void eoi(struct guest_regs *regs)
{
	(void)regs;
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
}

/* Once for each question: TCG may take an interrupt twice, see docs/machines.md. */
static void answer_ipi(struct guest_regs *regs)
{
	eoi(regs);
	if (answered == asked)
		return;
	answered = asked;
	send(0, VECTOR_PONG);
}

static void answered_ipi(struct guest_regs *regs)
{
	eoi(regs);
	heard = answered;
}

static void answer_host(struct guest_regs *regs)
{
	eoi(regs);
	outb(ANSWER_PORT, 0);
}

static void timer_expired(struct guest_regs *regs)
{
	late = rdtsc() - deadline;
	eoi(regs);
}

/* A vCPU that only handles interrupts. */
static void sleeper(uint64_t arg)
{
	(void)arg;
	x2apic_enable();
	ready = true;
	while (!stop) {
		sti_hlt();
		cli();
	}
}

static void pinger(uint64_t arg)
{
	int i, j;

	(void)arg;
	x2apic_enable();
	guest_handlers[VECTOR_PING] = answer_ipi;
	guest_handlers[VECTOR_PONG] = answered_ipi;
	for (i = 0; i < BATCHES; i++) {
		uint64_t start = rdtsc();

		if (i == BATCHES - 1)
			TRACE_MARK();
		for (j = 0; j < ROUNDS; j++) {
			MARK_ROUND();
			asked++;
			send(1, VECTOR_PING);
			while (heard != asked) {
				if (spins)
					take_interrupts();
				else
					sti_hlt();
				cli();
			}
		}
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] = rdtsc() - start;
	}
	stop = true;
	send(1, VECTOR_PING);
}

static void timed_sleeper(uint64_t delay)
{
	int i;

	x2apic_enable();
	wrmsr(MSR_X2APIC(APIC_LVTT), APIC_LVT_DEADLINE | VECTOR_TIMER);
	guest_handlers[VECTOR_TIMER] = timer_expired;
	for (i = 0; i < BATCHES; i++) {
		cli();
		if (i == BATCHES - 1) {
			TRACE_MARK();
			MARK_ROUND();
		}
		deadline = rdtsc() + delay;
		wrmsr(MSR_TSC_DEADLINE, deadline);
		sti_hlt();
		if (i == BATCHES - 1)
			TRACE_MARK();
		ticks[i] = late;
	}
}

static void print_guest_ticks(struct vm *vm, const char *name, int rounds)
{
	memcpy(ticks, (void *)&GUEST_VAR(vm, ticks), sizeof(ticks));
	bench_print("ticks", name, bench_median(ticks, BATCHES, rounds));
}

static void wait_ready(struct vm *vm)
{
	while (!GUEST_VAR(vm, ready))
		usleep(1000);
}

/*
 * Who wakes a thread then goes on until it sleeps. By the ordinary policy it would
 * depend on what was before whether the other one gets the processor at once.
 */
static void take_turns(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	REQUIRE(!sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO: %s", strerror(errno));
}

static void ipi_row(const char *name, const void *arg)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *first = vcpu_new(vm, 0, pinger);
	struct vcpu *second = vcpu_new(vm, 1, sleeper);

	GUEST_VAR(vm, spins) = arg;
	/* Who is woken by one that spins has to go first, or it would wait for a tick. */
	take_turns(arg ? 2 : 1);
	vcpu_runnable(second);
	vcpu_start(second);
	wait_ready(vm);
	take_turns(1);
	EXPECT_DONE(first);
	vcpu_join(second);
	print_guest_ticks(vm, name, ROUNDS);
}

static void timer_row(const char *name, const void *arg)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, timed_sleeper);
	long khz = REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_GET_TSC_KHZ, 0));

	(void)arg;
	/* 2 ms: longer than stock KVM polls before it sleeps. */
	vcpu_arg(vcpu, 2 * khz);
	EXPECT_DONE(vcpu);
	print_guest_ticks(vm, name, 1);
}

/* MSI_GSI is an MSI to vCPU 0. */
static void route_msi(struct vm *vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = {
			.gsi = MSI_GSI,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = APIC_BASE, .data = VECTOR_MSI },
		},
	};

	REQUIRE_OK(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing));
}

/* The thread of the vCPU sleeps when an answer comes: each round wakes two threads. */
static void irqfd_row(const char *name, const void *arg)
{
	struct kvm_ioeventfd io = { .addr = ANSWER_PORT, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct kvm_irqfd irq = { .gsi = MSI_GSI };
	uint64_t times[BATCHES], value = 1;
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu;
	int i, j;

	(void)arg;
	take_turns(1);
	route_msi(vm);
	irq.fd = REQUIRE_OK(eventfd(0, EFD_CLOEXEC));
	io.fd = REQUIRE_OK(eventfd(0, EFD_CLOEXEC));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IRQFD, &irq));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_IOEVENTFD, &io));
	vcpu = vcpu_new(vm, 0, sleeper);
	GUEST_VAR(vm, guest_handlers)[VECTOR_MSI] = answer_host;
	vcpu_start(vcpu);
	wait_ready(vm);
	for (i = 0; i < BATCHES; i++) {
		times[i] = -rdtsc();
		if (i == BATCHES - 1)
			TRACE_MARK();
		for (j = 0; j < ROUNDS; j++) {
			MARK_ROUND();
			REQUIRE(write(irq.fd, &value, sizeof(value)) == sizeof(value), "irqfd");
			REQUIRE(read(io.fd, &value, sizeof(value)) == sizeof(value), "ioeventfd");
		}
		if (i == BATCHES - 1)
			TRACE_MARK();
		times[i] += rdtsc();
	}
	GUEST_VAR(vm, stop) = true;
	REQUIRE(write(irq.fd, &value, sizeof(value)) == sizeof(value), "irqfd");
	vcpu_join(vcpu);
	bench_print("ticks", name, bench_median(times, BATCHES, ROUNDS));
}

void wake_rows(void)
{
	bench_row("IPI that wakes another vCPU, and one back", ipi_row, NULL);
	bench_row("IPI that wakes another vCPU, and one back to a running one", ipi_row, "spins");
	bench_row("HLT, from the timer's deadline to the guest's handler", timer_row, NULL);
	bench_row("HLT, from irqfd to the guest's handler, and back by ioeventfd", irqfd_row, NULL);
}
