// SPDX-License-Identifier: GPL-2.0-only
/* User space's side of a guest: what exits, what it is answered, what is injected. */
#include <asm/processor-flags.h>
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "result.h"

#define MAX_EXITS	400
#define MAX_TRAPS	120
#define MAX_STEPS	12
/*
 * For guests that stop exiting, which few do. Bochs' time is that of its instructions, of
 * which it does as little as a million a second in a loop of IRETs; QEMU's is that of a
 * computer which may be busy.
 */
#define TIME_LIMIT_INTEL_MS	200
#define TIME_LIMIT_AMD_MS	10000
/* Vectors that push an error code outside of real mode. */
#define ERROR_CODES	0x00227d00U

static void put(struct vm *vm, enum item_key key, uint64_t value)
{
	result_put(vm->result, key, 0, value);
}

/* Offset of the guest's own code segment in the code. */
static uint64_t code_offset(const struct vm *vm, uint64_t ip)
{
	return ip - (CODE_BASE - vm->guest->sregs.cs.base);
}

static bool in_slots(const struct vm *vm, uint64_t offset)
{
	return offset < vm->guest->nr_slots * SLOT_SIZE;
}

static void note_slot(struct vm *vm, uint64_t ip)
{
	uint64_t offset = code_offset(vm, ip);

	if (in_slots(vm, offset))
		vm->result->slot = offset / SLOT_SIZE;
}

/* The frame on the handler's stack, NULL if it is somewhere else. */
static uint8_t *frame(struct vm *vm, const struct kvm_regs *regs)
{
	struct kvm_sregs sregs;
	uint64_t sp = regs->rsp;

	if (call(vm->vcpu, KVM_GET_SREGS, &sregs))
		return NULL;
	if (!(sregs.efer & 0x400)) {
		sp = (sregs.ss.db ? (uint32_t)sp : (uint16_t)sp) + sregs.ss.base;
		sp = (uint32_t)sp;
	}
	return sp < CODE_BASE - 64 ? vm->machine->mem + sp : NULL;
}

static uint64_t pop(const struct vm *vm, uint8_t **at)
{
	uint64_t value = 0;

	memcpy(&value, *at, vm->guest->gate_size);
	*at += vm->guest->gate_size;
	return value;
}

static void poke(const struct vm *vm, uint8_t *at, uint64_t value)
{
	memcpy(at, &value, vm->guest->gate_size);
}

/* A guest that single-steps does so for some steps only. */
static void stop_stepping(struct vm *vm, uint8_t *flags_at, uint64_t flags)
{
	if (++vm->steps > MAX_STEPS)
		poke(vm, flags_at, flags & ~(uint64_t)X86_EFLAGS_TF);
}

static bool has_error_code(const struct vm *vm, unsigned int vector)
{
	return vector < 32 && ERROR_CODES >> vector & 1 && vm->guest->mode != MODE_REAL;
}

static void record_frame(struct vm *vm, unsigned int vector, uint8_t *at)
{
	uint64_t ip, flags, offset;
	uint8_t *ip_at, *flags_at;

	if (has_error_code(vm, vector))
		put(vm, ITEM_TRAP_ERROR, pop(vm, &at));
	ip_at = at;
	ip = pop(vm, &at);
	put(vm, ITEM_TRAP_IP, ip);
	put(vm, ITEM_TRAP_CS, pop(vm, &at));
	flags_at = at;
	flags = pop(vm, &at);
	/* TCG pushes RF clear, unless a hypervisor has intercepted the exception. */
	if (guest_on_amd(vm->guest) && vm->guest->gate_size > 2) {
		flags &= ~(uint64_t)X86_EFLAGS_RF;
		poke(vm, flags_at, flags);
	}
	put(vm, ITEM_TRAP_FLAGS, flags);

	offset = code_offset(vm, ip);
	if (vector == 1) {
		stop_stepping(vm, flags_at, flags);
		return;
	}
	if (vector == 2 || vector >= 32)
		return;
	/* The instruction is over: the next slot. */
	if (!in_slots(vm, offset)) {
		vm->done = true;
		return;
	}
	poke(vm, ip_at, ip - offset % SLOT_SIZE + SLOT_SIZE);
}

/* One of the guest's handlers has begun. */
static void record_trap(struct vm *vm, unsigned int vector, const struct kvm_regs *regs)
{
	uint8_t *at = frame(vm, regs);
	struct kvm_debugregs debug;
	struct kvm_sregs sregs;

	if (at) {
		uint8_t *ip_at = at + (has_error_code(vm, vector) ? vm->guest->gate_size : 0);

		note_slot(vm, pop(vm, &ip_at));
	}
	put(vm, ITEM_TRAP, vector);
	vm->on_ist = regs->rsp < IST_STACK && regs->rsp >= IST_STACK - 64;
	if (++vm->traps > MAX_TRAPS)
		vm->done = true;
	if (vector == 14 && !call(vm->vcpu, KVM_GET_SREGS, &sregs))
		put(vm, ITEM_TRAP_CR2, sregs.cr2);
	if (vector == 1 && !call(vm->vcpu, KVM_GET_DEBUGREGS, &debug))
		put(vm, ITEM_TRAP_DR6, debug.dr6);
	if (at)
		record_frame(vm, vector, at);
}

static void record_io(struct vm *vm, const struct kvm_regs *regs)
{
	struct kvm_run *run = vm->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int port = run->io.port, size = run->io.size, i;
	uint64_t value;

	if (port == DONE_PORT)
		vm->done = true;
	if (run->io.direction == KVM_EXIT_IO_OUT && size == 1 && port >= TRAP_PORT &&
	    port < TRAP_PORT + NR_VECTORS) {
		record_trap(vm, port - TRAP_PORT, regs);
		return;
	}
	for (i = 0; i < run->io.count; i++, data += size) {
		put(vm, ITEM_IO, (uint64_t)run->io.direction << 32 | size << 16 | port);
		if (run->io.direction == KVM_EXIT_IO_IN) {
			value = rng_value(&vm->rng);
			memcpy(data, &value, size);
		}
		value = 0;
		memcpy(&value, data, size);
		put(vm, ITEM_IO_DATA, value);
	}
}

/*
 * Within a string instruction the hypervisors may be between different iterations: one
 * of them has moved several items where the other one does it one by one.
 */
static bool in_string(const struct vm *vm)
{
	uint16_t slot = vm->result->slot;

	return slot != NO_SLOT && (vm->guest->steps[slot].kind == STEP_STRING ||
				   vm->guest->steps[slot].kind == STEP_STRING_PORT);
}

static void record_mmio(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	uint64_t value = 0;

	put(vm, ITEM_MMIO, run->mmio.phys_addr);
	put(vm, ITEM_MMIO_KIND, (uint64_t)run->mmio.is_write << 32 | run->mmio.len);
	if (!run->mmio.is_write) {
		value = rng_value(&vm->rng);
		memcpy(run->mmio.data, &value, 8);
		return;
	}
	memcpy(&value, run->mmio.data, run->mmio.len > 8 ? 8 : run->mmio.len);
	put(vm, ITEM_MMIO_DATA, value);
}

/* Returns whether the state may be looked at when the exit is completed. */
static bool record_exit(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	struct kvm_regs regs;

	call(vm->vcpu, KVM_GET_REGS, &regs);
	note_slot(vm, regs.rip);
	vm->stepping = regs.rflags & X86_EFLAGS_TF;
	vm->on_ist = false;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		record_io(vm, &regs);
		return run->io.port < STRING_PORT;
	case KVM_EXIT_MMIO:
		record_mmio(vm);
		return !in_string(vm);
	case KVM_EXIT_HLT:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		run->request_interrupt_window = 0;
		put(vm, ITEM_EXIT, run->exit_reason);
		return true;
	case KVM_EXIT_SET_TPR:
		put(vm, ITEM_EXIT, run->exit_reason);
		return true;
	case KVM_EXIT_FAIL_ENTRY:
		put(vm, ITEM_EXIT, run->exit_reason);
		put(vm, ITEM_DETAIL, run->fail_entry.hardware_entry_failure_reason);
		vm->broken = guest_on_amd(vm->guest);
		vm->done = true;
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		put(vm, ITEM_EXIT, run->exit_reason);
		put(vm, ITEM_DETAIL, run->internal.suberror);
		/* Stock KVM may have emulated an instruction before it gave up. */
		vm->broken = run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV;
		vm->done = true;
		return false;
	default:
		put(vm, ITEM_EXIT, run->exit_reason);
		vm->broken = run->exit_reason == KVM_EXIT_SHUTDOWN && guest_on_amd(vm->guest);
		vm->done = true;
		return false;
	}
}

static void record_registers(struct vm *vm, const struct kvm_regs *regs)
{
	const __u64 *gpr = &regs->rax;
	struct kvm_sregs sregs;
	const __u64 *word = (const __u64 *)&sregs;
	unsigned int i;

	call(vm->vcpu, KVM_GET_SREGS, &sregs);
	normal_sregs(&sregs);
	if (!vm->machine->verbose) {
		result_put(vm->result, ITEM_GPR, ~0, result_hash(0, gpr, 16 * 8));
		result_put(vm->result, ITEM_SPECIAL, ~0,
			   result_hash(0, &sregs, sizeof(sregs)));
		return;
	}
	for (i = 0; i < 16; i++)
		result_put(vm->result, ITEM_GPR, i, gpr[i]);
	for (i = 0; i < sizeof(sregs) / 8; i++)
		result_put(vm->result, ITEM_SPECIAL, i, word[i]);
}

/* Arithmetic flags that the manuals leave undefined are not looked at. */
uint64_t defined_flags(const struct vm *vm, uint64_t flags)
{
	uint16_t slot = vm->result->slot;

	if (slot != NO_SLOT && vm->guest->steps[slot].undefined_flags)
		flags &= ~0x8d5ULL;
	/* TCG clears RF later than after the next instruction. */
	if (guest_on_amd(vm->guest))
		flags &= ~(uint64_t)X86_EFLAGS_RF;
	return flags;
}

/* The exit is completed: the registers are what they are after the instruction. */
static void record_state(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	struct kvm_regs regs;

	call(vm->vcpu, KVM_GET_REGS, &regs);
	put(vm, ITEM_RUN, run->cr8 << 8 | (uint64_t)run->ready_for_interrupt_injection << 1 |
	    run->if_flag);
	put(vm, ITEM_RIP, regs.rip);
	put(vm, ITEM_FLAGS, defined_flags(vm, regs.rflags));
	record_registers(vm, &regs);
}

static void inject_exception(struct vm *vm)
{
	static const uint8_t vectors[] = { 0, 5, 6, 7, 12, 13, 17 };
	struct kvm_vcpu_events events;
	uint8_t vector = PICK(&vm->rng, vectors);

	if (call(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) || events.exception.injected ||
	    events.interrupt.injected || events.nmi.injected)
		return;
	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = ERROR_CODES >> vector & 1 &&
					  vm->guest->mode != MODE_REAL;
	events.exception.error_code = 0;
	put(vm, ITEM_INJECT, 0x10000 | vector);
	put(vm, ITEM_INJECT, call(vm->vcpu, KVM_SET_VCPU_EVENTS, &events));
}

/* Through the interrupt controllers in the kernel. */
static void inject_irqchip(struct vm *vm)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000 };
	struct kvm_irq_level line;

	if (one_in(&vm->rng, 2)) {
		msi.data = 32 + rng_below(&vm->rng, 32);
		if (one_in(&vm->rng, 4))
			msi.data |= one_in(&vm->rng, 2) ? 0x400 : 0x100;
		put(vm, ITEM_INJECT, 0x20000 | msi.data);
		put(vm, ITEM_INJECT, call(vm->fd, KVM_SIGNAL_MSI, &msi));
		return;
	}
	/* Pin 2 of the PIC is the other PIC's: no one else drives it. */
	do {
		line.irq = rng_below(&vm->rng, 16);
	} while (line.irq == 2);
	line.level = !one_in(&vm->rng, 3);
	put(vm, ITEM_INJECT, 0x30000 | line.irq << 1 | line.level);
	put(vm, ITEM_INJECT, call(vm->fd, KVM_IRQ_LINE, &line));
}

static void inject_user(struct vm *vm)
{
	struct kvm_interrupt irq = { .irq = 32 + rng_below(&vm->rng, 32) };

	vm->run->request_interrupt_window = 0;
	if (!vm->run->ready_for_interrupt_injection) {
		vm->run->request_interrupt_window = 1;
		return;
	}
	put(vm, ITEM_INJECT, 0x40000 | irq.irq);
	put(vm, ITEM_INJECT, call(vm->vcpu, KVM_INTERRUPT, &irq));
}

/*
 * An event in a handler on the IST's stack is pushed over the handler's own frame, if it
 * has the same stack: that then returns to the handler's IRET, for ever. Bochs keeps
 * external interrupts masked while a guest has IF clear, so nothing would get stock KVM
 * out of it.
 */
static bool would_loop(const struct vm *vm)
{
	return vm->on_ist && !guest_on_amd(vm->guest);
}

/* Something from outside, now and then. @completed: the exit is. */
static void inject(struct vm *vm, bool completed)
{
	uint16_t slot = vm->result->slot;

	if (!vm->guest->inject_one_in || !one_in(&vm->rng, vm->guest->inject_one_in))
		return;
	/* Whether an instruction's trap is pending before it is completed is not laid down. */
	if (!completed && vm->stepping)
		return;
	if (would_loop(vm))
		return;
	/* Undefined flags would get onto the stack. */
	if (slot != NO_SLOT && vm->guest->steps[slot].undefined_flags)
		return;
	switch (rng_below(&vm->rng, 6)) {
	case 0:
		put(vm, ITEM_INJECT, 0x50000);
		put(vm, ITEM_INJECT, call(vm->vcpu, KVM_NMI, NULL));
		break;
	case 1:
		if (completed)
			inject_exception(vm);
		break;
	default:
		if (vm->guest->irqchip)
			inject_irqchip(vm);
		else
			inject_user(vm);
	}
}

static void time_limit(unsigned int ms)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
	};

	/* Again and again: the first may come while no guest runs. */
	timer.it_interval.tv_usec = ms ? 100000 : 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static long run(struct vm *vm, bool immediate)
{
	long ret;

	vm->run->immediate_exit = immediate;
	ret = call(vm->vcpu, KVM_RUN, NULL);
	vm->run->immediate_exit = 0;
	return ret;
}

/* Finish what the last exit began. */
static void complete_last(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < 16 && !run(vm, true); i++)
		record_exit(vm);
}

void vm_exits(struct vm *vm)
{
	bool completing = false, looked = false;
	unsigned int n = 0;
	long ret;

	while (!vm->done && n < MAX_EXITS) {
		time_limit(guest_on_amd(vm->guest) ? TIME_LIMIT_AMD_MS : TIME_LIMIT_INTEL_MS);
		ret = run(vm, completing);
		if (ret == -EINTR && completing) {
			record_state(vm);
			inject(vm, true);
			completing = false;
			continue;
		}
		if (ret) {
			/* Where a guest that loops is interrupted, it may be anywhere. */
			vm->broken = ret == -EINTR;
			put(vm, ITEM_END, ret);
			break;
		}
		looked = record_exit(vm);
		completing = looked && vm->guest->complete;
		n += looked;
		if (looked && !completing)
			inject(vm, false);
	}
	time_limit(0);
	put(vm, ITEM_END, vm->done);
	complete_last(vm);
}
