// SPDX-License-Identifier: GPL-2.0-only
/* fuzz-guest: anything as a guest. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tcg.h"

/* How long a guest may go on by itself, and the pause between signals from then on. */
#define RUN_NS		(6 * 1000000L)
#define AGAIN_NS	(3 * 1000000L)
#define MAX_EXITS	48
/* Of the machine's time: where a guest keeps interrupts away, each exit may take 20 ms. */
#define GUEST_SECONDS	0.1
#define HEALTH_PORT	0x99
#define HEALTH_VALUE	0x5a

static struct machine machine;
static struct stream events;
static __thread timer_t timer;

static void nothing(int signal_number)
{
}

static void arm_timer(long first, long again)
{
	struct itimerspec when = { .it_value.tv_nsec = first, .it_interval.tv_nsec = again };

	timer_settime(timer, 0, &when, NULL);
}

static void thread_begin(unsigned int i)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGUSR1,
		._sigev_un._tid = gettid(),
	};

	timer_create(CLOCK_MONOTONIC, &event, &timer);
	fuzz_cover(i);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A vCPU's thread: runs it, answers, disturbs. Each has its own decisions. */
static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct stream s = events;
	unsigned int i = vcpu - machine.vcpu, exits, shutdowns = 0;
	double end = now() + GUEST_SECONDS;
	long ret;

	if (i)
		thread_begin(i);
	s.rng.state += i;
	for (exits = 0; exits < MAX_EXITS && now() < end; exits++) {
		event_happens(&machine, vcpu, &s);
		arm_timer(RUN_NS, AGAIN_NS);
		ret = host_run(vcpu->fd);
		arm_timer(0, 0);
		vcpu->run->immediate_exit = 0;
		if (ret == -EINTR)
			exits += MAX_EXITS / 6;
		else if (ret < 0)
			machine_start(&machine, i);
		else if (vcpu->run->exit_reason == KVM_EXIT_IO ||
			 vcpu->run->exit_reason == KVM_EXIT_MMIO)
			exit_answer(vcpu, &s);
		else if (shutdowns++ < 3)
			machine_start(&machine, i);
		else
			break;
	}
	return NULL;
}

/* What a vCPU can always be asked. */
static void check_answers(struct vcpu *vcpu)
{
	static const struct {
		unsigned long request;
		const char *name;
		bool apic;
	} calls[] = {
		{ KVM_GET_REGS, "KVM_GET_REGS", false },
		{ KVM_GET_SREGS, "KVM_GET_SREGS", false },
		{ KVM_GET_FPU, "KVM_GET_FPU", false },
		{ KVM_GET_XSAVE, "KVM_GET_XSAVE", false },
		{ KVM_GET_XCRS, "KVM_GET_XCRS", false },
		{ KVM_GET_MP_STATE, "KVM_GET_MP_STATE", false },
		{ KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", false },
		{ KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS", false },
		{ KVM_GET_LAPIC, "KVM_GET_LAPIC", true },
	};
	static uint8_t buffer[8192];
	unsigned int i;
	long ret;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].apic && !machine.irqchip)
			continue;
		ret = call(vcpu->fd, calls[i].request, buffer);
		if (ret < 0)
			fuzz_fail("%s after the guest: %s", calls[i].name, strerror(-ret));
	}
}

/* A vCPU in the state of another, new one, with the code that check_runs() expects. */
static void make_healthy(struct vcpu *vcpu, const struct kvm_sregs *fresh)
{
	struct kvm_vcpu_events none = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
	};
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = 0, .rflags = 2, .rax = HEALTH_VALUE };
	struct kvm_debugregs dr = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_sregs sregs = *fresh;
	struct kvm_sregs now;
	long ret;

	sregs.cs.base = HEALTH;
	sregs.cs.selector = HEALTH >> 4;
	if (!call(vcpu->fd, KVM_GET_SREGS, &now))
		sregs.apic_base = now.apic_base;
	call(vcpu->fd, KVM_SET_MP_STATE, &mp);
	call(vcpu->fd, KVM_SET_DEBUGREGS, &dr);
	spare_tcg(&sregs);
	ret = call(vcpu->fd, KVM_SET_SREGS, &sregs);
	if (ret < 0)
		fuzz_fail("KVM_SET_SREGS of a new vCPU's state after the guest: %s", strerror(-ret));
	call(vcpu->fd, KVM_SET_REGS, &regs);
	call(vcpu->fd, KVM_SET_VCPU_EVENTS, &none);
}

/* The vCPU must run ordinary code again. An INIT that was under way may cost a try. */
static void check_runs(struct vcpu *vcpu, const struct kvm_sregs *fresh)
{
	static const uint8_t code[] = { 0xe6, HEALTH_PORT, 0xf4 };	/* out %al; hlt */
	unsigned int try;
	long ret = 0;

	vcpu->run->request_interrupt_window = 0;
	vcpu->run->cr8 = 0;
	vcpu->run->immediate_exit = 1;
	host_run(vcpu->fd);		/* completes what the last exit has left */
	vcpu->run->immediate_exit = 0;
	for (try = 0; try < 8; try++) {
		memcpy(machine.ram + HEALTH, code, sizeof(code));
		make_healthy(vcpu, fresh);
		arm_timer(40 * 1000000L, 0);
		ret = host_run(vcpu->fd);
		arm_timer(0, 0);
		if (!ret && vcpu->run->exit_reason == KVM_EXIT_IO &&
		    vcpu->run->io.port == HEALTH_PORT &&
		    ((uint8_t *)vcpu->run)[vcpu->run->io.data_offset] == HEALTH_VALUE)
			return;
	}
	fuzz_fail("the vCPU does not run code any more: KVM_RUN gives %ld, exit reason %u", ret,
		  vcpu->run->exit_reason);
}

static void execute(const struct program *program)
{
	struct stream state = { .at = program->bytes }, code;
	struct sigaction act = { .sa_handler = nothing };
	struct kvm_sregs fresh;
	pthread_t other;
	unsigned int i;

	sigaction(SIGUSR1, &act, NULL);
	for (i = 0; i < program->len; i++)
		state.rng.state = state.rng.state * 0x100000001b3ULL + program->bytes[i];
	events = code = state;
	state.end = state.at + (program->len < STATE_BYTES ? program->len : STATE_BYTES);
	events.at = state.end;
	events.end = program->bytes + (program->len < STATE_BYTES + EVENT_BYTES ? program->len :
				       STATE_BYTES + EVENT_BYTES);
	code.at = events.end;
	code.end = program->bytes + program->len;

	thread_begin(0);
	host_open(one_in(&state, 4));
	if (!machine_make(&machine, &state))
		return;
	fresh = machine.vcpu[0].sregs;
	state_make(&machine, &state);
	code_make(machine.ram + CODE, CODE_SIZE, machine.mode, &code);
	memcpy(machine.rom, machine.ram + CODE, ROM_SIZE);
	for (i = 0; i < machine.nr_vcpus; i++)
		machine_start(&machine, i);
	if (machine.nr_vcpus > 1)
		pthread_create(&other, NULL, vcpu_thread, &machine.vcpu[1]);
	vcpu_thread(&machine.vcpu[0]);
	if (machine.nr_vcpus > 1)
		pthread_join(other, NULL);

	/* Memory as it was, whatever has become of it. */
	set_slot(&machine, 0, 0, 0, 0, NULL);
	if (set_slot(&machine, 0, 0, 0, RAM_SIZE, machine.ram))
		fuzz_fail("guest memory cannot be added again: %s", strerror(errno));
	for (i = 0; i < machine.nr_vcpus; i++) {
		check_answers(&machine.vcpu[i]);
		check_runs(&machine.vcpu[i], &fresh);
	}
	host_check();
}

static void generate(struct rng *rng, struct program *program)
{
	unsigned int i;

	program->len = STATE_BYTES + EVENT_BYTES + rng_below(rng, CODE_BYTES);
	for (i = 0; i < program->len; i++)
		program->bytes[i] = rng_next(rng);
}

static void mutate(struct rng *rng, struct program *program, const struct program *other)
{
	unsigned int n = 1 + rng_below(rng, 8), at, len;

	while (n--) {
		at = rng_below(rng, program->len);
		len = rng_below(rng, 16);
		switch (rng_below(rng, 6)) {
		case 0:
			/* Their bytes at the same place mean the same. */
			len = rng_below(rng, STATE_BYTES);
			if (at + len <= program->len && at + len <= other->len)
				memcpy(program->bytes + at, other->bytes + at, len);
			break;
		case 1:
			for (; len && at < program->len; len--)
				program->bytes[at++] = rng_next(rng);
			break;
		case 2:
			/* Code moves by some bytes. */
			if (at < STATE_BYTES + EVENT_BYTES || program->len + len > GUEST_PROGRAM)
				break;
			memmove(program->bytes + at + len, program->bytes + at, program->len - at);
			program->len += len;
			break;
		case 3:
			program->bytes[at] ^= 1 << rng_below(rng, 8);
			break;
		default:
			program->bytes[at] = rng_next(rng);
		}
	}
}

static void list(void)
{
	puts("modes: real, unreal, 16-bit and 32-bit protected, paged, PAE, virtual-8086, long, compatibility");
}

int main(int argc, char **argv)
{
	static const struct fuzz_target target = {
		.name = "guest",
		.generate = generate,
		.mutate = mutate,
		.execute = execute,
		.list = list,
	};

	return fuzz_main(argc, argv, &target);
}
