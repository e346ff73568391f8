// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each IPI is taken once. Two vCPUs answer each other as fast as they can; each IPI
 * has a number, so that one that is lost and one that is taken twice are told apart,
 * and the host's count of injections tells whose fault that was.
 *
 * $VITRO_IPI_MS: how long each case runs (500).
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "apic.h"
#include "cpus.h"
#include "vm.h"

#define V		0x40
#define POLL_MS		50
#define GIVE_UP_MS	60000
#define LIMIT_S		600

/* How it is done, a case each. */
#define X2APIC		1	/* by MSRs, else by MMIO */
#define SPIN		2	/* wait with interrupts on, else in HLT */
#define SIGNALS		4	/* signals end the vCPUs' runs at random moments */
#define ONE_CPU		8	/* of the host; vCPU 1 has the higher priority, and HLTs */

/* What a vCPU has got, in the guest's memory. */
struct side {
	volatile uint64_t number;	/* of the last IPI taken */
	volatile uint64_t twice, lost;
	volatile uint64_t masked;	/* taken with IF clear before any exit of the handler */
	volatile uint64_t late;		/* the same after one */
	volatile uint64_t shadow;	/* taken between STI and HLT */
	volatile uint32_t exited;
};

static struct side sides[2];
static volatile uint64_t mail[2];	/* numbers on their way */
static volatile uint64_t last = ~0ULL;
static volatile uint64_t delayed;	/* by vCPU 0, after it has woken vCPU 1 */
static volatile bool stop;
static uint64_t mode;

static struct side *me(void)
{
	return &sides[guest_cpu()->id];
}

static void reg_write(uint32_t reg, uint32_t value)
{
	if (mode & X2APIC)
		wrmsr(MSR_X2APIC(reg), value);
	else
		apic_write(reg, value);
}

static void send(uint32_t to, uint64_t number)
{
	mail[to] = number;
	if (mode & X2APIC)
		wrmsr(MSR_X2APIC(APIC_ICR), (uint64_t)to << 32 | APIC_ICR_ASSERT | V);
	else
		apic_icr(to, APIC_ICR_ASSERT | V);
}

extern const char ipi_exits[], ipi_sleeps[];

static void __attribute__((noinline)) sleep_enabled(void)
{
	asm volatile("sti\n"
		     "ipi_sleeps: hlt" : : : "memory");
}

/* Exits, and notes before it does. */
static void __attribute__((noinline)) make_exit(struct side *side)
{
	uint32_t eax = 0, ecx = 0;

	asm volatile("movl $1, %2\n"
		     "ipi_exits: cpuid"
		     : "+a"(eax), "+c"(ecx), "=m"(side->exited) : : "rbx", "rdx", "memory");
}

/*
 * What no processor does, and QEMU's TCG may do (docs/machines.md): take an injected
 * interrupt a second time, with IF clear, until the guest exits; forget the shadow of
 * STI when an exit comes between it and HLT. Then that HLT must not be executed.
 */
static bool is_new(struct side *side, struct guest_regs *regs)
{
	uint64_t number = mail[guest_cpu()->id];

	if (regs->rip == (uintptr_t)ipi_sleeps) {
		side->shadow++;
		regs->rip++;
	}
	if (!(regs->rflags & FLAG_IF)) {
		if (side->exited && regs->rip != (uintptr_t)ipi_exits)
			side->late++;
		else
			side->masked++;
	}
	if (number == side->number) {
		side->twice++;
		return false;
	}
	if (number != side->number + 1)
		side->lost++;
	side->number = number;
	return true;
}

static void ipi_taken(struct guest_regs *regs)
{
	struct side *side = me();
	bool answer = is_new(side, regs) && guest_cpu()->id && side->number > 1;
	uint64_t number = side->number;

	make_exit(side);
	/* Some before and some after the end of the interrupt. */
	if (answer && number & 1)
		send(0, number);
	reg_write(APIC_EOI, 0);
	if (answer && !(number & 1))
		send(0, number);
}

static void wait_for(struct side *side, volatile uint64_t *number)
{
	while (side->number < *number) {
		side->exited = 0;
		if (mode & SPIN && !(mode & ONE_CPU && guest_cpu()->id))
			take_interrupts();
		else
			sleep_enabled();
		cli();
	}
}

/* Enables the APIC and takes one IPI: no delivery meets a page for the first time after it. */
static void begin(void)
{
	uint64_t one = 1;

	if (mode & X2APIC)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	reg_write(APIC_SVR, APIC_SVR_ENABLE | 0xff);
	mail[guest_cpu()->id] = 1;
	reg_write(APIC_ICR, APIC_ICR_SELF | APIC_ICR_ASSERT | V);
	wait_for(me(), &one);
	guest_sync(0, 0);
}

static void sender(uint64_t arg)
{
	uint64_t number;

	(void)arg;
	begin();
	for (number = 2; number != last; number++) {
		if (stop)
			last = number + 1;
		send(1, number);
		if (sides[1].number != number)
			delayed++;
		wait_for(me(), &number);
	}
}

static void answerer(uint64_t arg)
{
	(void)arg;
	begin();
	while (me()->number + 1 != last) {
		uint64_t next = me()->number + 1;

		wait_for(me(), &next);
	}
}

static uint64_t injections(struct vcpu *vcpu)
{
	return vcpu_counter(vcpu, "irq_injections");
}

struct runner {
	struct vcpu *vcpu;
	bool signals, one_cpu;
	uint64_t injected;
	unsigned int seed;
};

/* A signal to this thread within 1 ms. */
static void arm(timer_t timer, unsigned int *seed)
{
	struct itimerspec when = { .it_value.tv_nsec = 20000 + rand_r(seed) % 980000 };

	timer_settime(timer, 0, &when, NULL);
}

static timer_t own_timer(void)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
		._sigev_un._tid = syscall(SYS_gettid),
	};
	timer_t timer;

	REQUIRE(!timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create");
	return timer;
}

static void set_priority(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	REQUIRE(!sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO: %s", strerror(errno));
}

/* The calling thread will run before the vCPUs'. */
static void stay_on_one_cpu(void)
{
	cpu_set_t cpus = cpus_one(sched_getcpu());

	REQUIRE(!sched_setaffinity(0, sizeof(cpus), &cpus), "sched_setaffinity");
	set_priority(3);
}

static void *run(void *arg)
{
	struct runner *runner = arg;
	struct vcpu *vcpu = runner->vcpu;
	enum event event;
	timer_t timer;

	if (runner->one_cpu)
		set_priority(1 + vcpu->id);
	if (!runner->signals) {
		EXPECT_DONE(vcpu);
		return NULL;
	}
	timer = own_timer();
	do {
		arm(timer, &runner->seed);
		event = vcpu_run(vcpu);
	} while (event == EVENT_ERROR && errno == EINTR);
	timer_delete(timer);
	CHECK(event == EVENT_DONE, "event %d", event);
	return NULL;
}

static void describe(struct vm *vm, struct vcpu *vcpu[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		volatile struct side *side = &GUEST_VAR(vm, sides)[i];

		test_note("vCPU %d: last IPI %llu, on its way %llu, lost %llu, twice %llu, masked %llu, injections %llu",
			  i, (unsigned long long)side->number,
			  (unsigned long long)GUEST_VAR(vm, mail)[i],
			  (unsigned long long)side->lost, (unsigned long long)side->twice,
			  (unsigned long long)side->masked,
			  (unsigned long long)injections(vcpu[i]));
	}
}

/* Lets them run for some time. False: they are stuck. */
static bool watch(struct vm *vm)
{
	const char *text = getenv("VITRO_IPI_MS");
	int left = text ? atoi(text) : 500, idle = 0;
	uint64_t before = 0, now;

	while (!GUEST_VAR(vm, stop) || GUEST_VAR(vm, sides)[1].number + 1 != GUEST_VAR(vm, last)) {
		usleep(POLL_MS * 1000);
		now = GUEST_VAR(vm, sides)[0].number;
		idle = now == before ? idle + POLL_MS : 0;
		before = now;
		if (idle >= GIVE_UP_MS)
			return false;
		left -= POLL_MS;
		GUEST_VAR(vm, stop) = left <= 0;
	}
	return true;
}

static void check_side(struct vm *vm, struct runner *runner)
{
	const struct side *side = (void *)&GUEST_VAR(vm, sides)[runner->vcpu->id];
	uint64_t injected = injections(runner->vcpu) - runner->injected;

	CHECK_EQ(side->lost, 0);
	CHECK_EQ(side->late, 0);
	/* Stock KVM also counts what it takes back before the entry, for a signal. */
	if (!kvm_is_stock())
		CHECK_EQ(injected, side->number - 1);
	CHECK_EQ(side->twice, side->masked);
	if (!host_is_tcg()) {
		CHECK_EQ(side->masked, 0);
		CHECK_EQ(side->shadow, 0);
	} else if (side->masked || side->shadow) {
		test_note("TCG took %llu of %llu IPIs twice, and %llu in the shadow of STI",
			  (unsigned long long)side->masked, (unsigned long long)side->number,
			  (unsigned long long)side->shadow);
	}
}

static void ping_pong(uint64_t how)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu[2] = { vcpu_new(vm, 0, sender), vcpu_new(vm, 1, answerer) };
	struct runner runner[2];
	int i;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	catch_sigusr1();
	if (how & ONE_CPU)
		stay_on_one_cpu();
	/* A page that moves would be missing in the middle of a delivery. */
	madvise(vm->mem, vm->mem_size, MADV_NOHUGEPAGE);
	GUEST_VAR(vm, mode) = how;
	GUEST_VAR(vm, guest_handlers)[V] = ipi_taken;
	vcpu_runnable(vcpu[1]);
	for (i = 0; i < 2; i++) {
		EXPECT_SYNC(vcpu[i], 0);
		runner[i] = (struct runner){
			.vcpu = vcpu[i], .signals = how & SIGNALS,
			.one_cpu = how & ONE_CPU, .seed = i,
			.injected = injections(vcpu[i]),
		};
	}
	for (i = 0; i < 2; i++)
		pthread_create(&vcpu[i]->thread, NULL, run, &runner[i]);
	if (!watch(vm)) {
		describe(vm, vcpu);
		REQUIRE(false, "no IPI for %d ms", GIVE_UP_MS);
	}
	for (i = 0; i < 2; i++) {
		vcpu_join(vcpu[i]);
		check_side(vm, &runner[i]);
	}
	if (how & ONE_CPU)
		CHECK_EQ(GUEST_VAR(vm, delayed), 0);
	test_note("%llu round trips", (unsigned long long)GUEST_VAR(vm, sides)[0].number);
}

TEST_LIMIT(x2apic_hlt, LIMIT_S)
{
	ping_pong(X2APIC);
}

TEST_LIMIT(x2apic_hlt_signals, LIMIT_S)
{
	ping_pong(X2APIC | SIGNALS);
}

TEST_LIMIT(x2apic_spin, LIMIT_S)
{
	ping_pong(X2APIC | SPIN);
}

TEST_LIMIT(x2apic_spin_signals, LIMIT_S)
{
	ping_pong(X2APIC | SPIN | SIGNALS);
}

/* Who wakes a thread of a higher priority does not go on in the guest. */
TEST_LIMIT(woken_at_once, LIMIT_S)
{
	ping_pong(X2APIC | SPIN | ONE_CPU);
}

TEST_LIMIT(mmio_hlt, LIMIT_S)
{
	ping_pong(0);
}

TEST_LIMIT(mmio_spin_signals, LIMIT_S)
{
	ping_pong(SPIN | SIGNALS);
}
