// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions, interrupts and NMIs on their way to the guest.
 *
 * An event is queued (pending), handed to the processor by
 * vitro_inject_events(), and forgotten: if its delivery does not complete,
 * the backend finds it in the exit and hands it back by vitro_requeue_*().
 */
#include <linux/kvm.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "compat.h"
#include "debug.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "trace.h"
#include "vm.h"

/* SDM, "Interrupt 8: Double Fault Exception", classes of exceptions. */
enum exception_class {
	BENIGN,
	CONTRIBUTORY,
	PAGE_FAULT,
	DOUBLE_FAULT,
};

static enum exception_class exception_class(u8 vector)
{
	switch (vector) {
	case X86_TRAP_DE:
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
		return CONTRIBUTORY;
	case X86_TRAP_PF:
		return PAGE_FAULT;
	case X86_TRAP_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

static void set_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error,
			  u32 error_code, bool has_payload, u64 payload)
{
	vcpu->events.exception.vector = vector;
	/* Real mode pushes no error codes. */
	vcpu->events.exception.has_error_code = has_error && vcpu_cr0(vcpu) & X86_CR0_PE;
	vcpu->events.exception.error_code = error_code;
	vcpu->events.exception.has_payload = has_payload;
	vcpu->events.exception.payload = payload;
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

static void queue(struct vitro_vcpu *vcpu, u8 vector, bool has_error,
		  u32 error_code, bool has_payload, u64 payload)
{
	enum exception_class first, second = exception_class(vector);

	if (!vcpu->events.exception.pending && !vcpu->events.exception.injected) {
		vcpu->events.exception.pending = true;
		set_exception(vcpu, vector, has_error, error_code, has_payload, payload);
		return;
	}

	/* Raised while the first one was being delivered. */
	first = exception_class(vcpu->events.exception.vector);
	if (first == DOUBLE_FAULT) {
		vcpu->events.exception.pending = false;
		vcpu->events.exception.injected = false;
		vitro_request(vcpu, VITRO_REQ_TRIPLE_FAULT);
		return;
	}
	vcpu->events.exception.pending = true;
	vcpu->events.exception.injected = false;
	if ((first == CONTRIBUTORY && second == CONTRIBUTORY) ||
	    (first == PAGE_FAULT && second != BENIGN))
		set_exception(vcpu, X86_TRAP_DF, true, 0, false, 0);
	else
		set_exception(vcpu, vector, has_error, error_code, has_payload, payload);
}

/**
 * vitro_queue_exception() - raise an exception that has no error code
 * @vcpu:   the vCPU, current thread's
 * @vector: 0 to 31
 */
void vitro_queue_exception(struct vitro_vcpu *vcpu, u8 vector)
{
	queue(vcpu, vector, false, 0, false, 0);
}

/**
 * vitro_queue_exception_error() - raise an exception that has an error code
 * @vcpu:       the vCPU, current thread's
 * @vector:     0 to 31
 * @error_code: pushed on the guest's stack, except in real mode
 */
void vitro_queue_exception_error(struct vitro_vcpu *vcpu, u8 vector, u32 error_code)
{
	queue(vcpu, vector, true, error_code, false, 0);
}

/**
 * vitro_queue_page_fault() - raise #PF
 * @vcpu:       the vCPU, current thread's
 * @address:    guest-linear address, for CR2
 * @error_code: see SDM, "Page-Fault Exceptions"
 */
void vitro_queue_page_fault(struct vitro_vcpu *vcpu, u64 address, u32 error_code)
{
	queue(vcpu, X86_TRAP_PF, true, error_code, true, address);
}

/**
 * vitro_queue_db() - raise #DB
 * @vcpu:     the vCPU, current thread's
 * @dr6_bits: to be set in DR6 on delivery
 */
void vitro_queue_db(struct vitro_vcpu *vcpu, u64 dr6_bits)
{
	queue(vcpu, X86_TRAP_DB, false, 0, true, dr6_bits);
}

/**
 * vitro_requeue_exception() - an exception's delivery did not complete
 * @vcpu:      the vCPU
 * @vector:    0 to 31
 * @has_error: @error is valid
 * @error:     error code
 *
 * Context: backend, from its enter operation.
 */
void vitro_requeue_exception(struct vitro_vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	vcpu->events.exception.pending = false;
	vcpu->events.exception.injected = true;
	vcpu->events.exception.vector = vector & 31;
	vcpu->events.exception.has_error_code = has_error;
	vcpu->events.exception.error_code = error;
	vcpu->events.exception.has_payload = false;
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

/**
 * vitro_requeue_irq() - an interrupt's delivery did not complete
 * @vcpu:     the vCPU
 * @vector:   0 to 255
 * @soft:     raised by INT n, not by an interrupt controller
 * @insn_len: of INT n, in bytes
 *
 * Context: backend, from its enter operation.
 */
void vitro_requeue_irq(struct vitro_vcpu *vcpu, u8 vector, bool soft, u8 insn_len)
{
	vcpu->events.irq.injected = true;
	vcpu->events.irq.vector = vector;
	vcpu->events.irq.soft = soft;
	vcpu->events.irq.insn_len = insn_len;
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

/**
 * vitro_requeue_nmi() - an NMI's delivery did not complete
 * @vcpu: the vCPU
 *
 * Context: backend, from its enter operation.
 */
void vitro_requeue_nmi(struct vitro_vcpu *vcpu)
{
	vcpu->events.nmi.injected = true;
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

/**
 * vitro_deliver_nmi() - send an NMI to a vCPU
 * @vcpu: the target
 *
 * Context: any.
 */
void vitro_deliver_nmi(struct vitro_vcpu *vcpu)
{
	atomic_inc(&vcpu->nmi_queued);
	vitro_request(vcpu, VITRO_REQ_NMI);
	vitro_vcpu_kick(vcpu);
}

/**
 * vitro_deliver_init() - send an INIT to a vCPU
 * @vcpu: the target
 *
 * Context: any.
 */
void vitro_deliver_init(struct vitro_vcpu *vcpu)
{
	/* An INIT cancels a start-up IPI that nobody has seen. */
	clear_bit(VITRO_SIPI_PENDING, &vcpu->init_sipi);
	smp_mb__after_atomic();	/* a SIPI sent after this INIT must stay */
	set_bit(VITRO_INIT_PENDING, &vcpu->init_sipi);
	vitro_request(vcpu, VITRO_REQ_INIT_SIPI);
	vitro_vcpu_kick(vcpu);
}

/**
 * vitro_deliver_sipi() - send a start-up IPI to a vCPU
 * @vcpu:   the target
 * @vector: page number of the real-mode entry point
 *
 * Context: any.
 */
void vitro_deliver_sipi(struct vitro_vcpu *vcpu, u8 vector)
{
	WRITE_ONCE(vcpu->sipi_vector, vector);
	smp_mb__before_atomic();	/* the vector, before who sees the bit reads it */
	set_bit(VITRO_SIPI_PENDING, &vcpu->init_sipi);
	vitro_request(vcpu, VITRO_REQ_INIT_SIPI);
	vitro_vcpu_kick(vcpu);
}

static void collect_nmis(struct vitro_vcpu *vcpu)
{
	/* One in service and one latched are all that a processor can hold. */
	unsigned int limit = static_call(vitro_get_nmi_mask)(vcpu) ||
			     vcpu->events.nmi.injected ? 1 : 2;

	vcpu->events.nmi.pending = min_t(unsigned int, limit, vcpu->events.nmi.pending +
					 atomic_xchg(&vcpu->nmi_queued, 0));
}

/**
 * vitro_deliver_payload() - side effects that come with the delivery of an exception
 * @vcpu: the vCPU, loaded
 */
void vitro_deliver_payload(struct vitro_vcpu *vcpu)
{
	u64 payload = vcpu->events.exception.payload;

	if (!vcpu->events.exception.has_payload)
		return;
	vcpu->events.exception.has_payload = false;
	if (vcpu->events.exception.vector == X86_TRAP_PF) {
		vcpu->cr2 = payload;
	} else if (vcpu->events.exception.vector == X86_TRAP_DB) {
		/* B0..B3 are renewed, BD, BS and BT stay until cleared. */
		vcpu->dr6 = (vcpu->dr6 & ~0xfULL) | (payload & DR6_WRITABLE);
		vcpu->dr7 &= ~DR7_GD;
		vitro_update_dr7(vcpu);
	}
}

static void inject_exception(struct vitro_vcpu *vcpu, bool again)
{
	u8 vector = vcpu->events.exception.vector;

	trace_vitro_inject_exception(vcpu->id, vector,
				     vcpu->events.exception.has_error_code,
				     vcpu->events.exception.error_code, again);
	if (!again) {
		vitro_deliver_payload(vcpu);
		/* Faults push RF set; SDM, "Instruction-Breakpoint Exceptions". */
		if (vector != X86_TRAP_DB && vector != X86_TRAP_BP && vector != X86_TRAP_OF)
			vcpu_write_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
	}
	vcpu->stats.exception_injections++;
	static_call(vitro_inject_exception)(vcpu, vector,
					    vcpu->events.exception.has_error_code,
					    vcpu->events.exception.error_code);
	vcpu->events.exception.pending = false;
	vcpu->events.exception.injected = false;
}

static void inject_nmi(struct vitro_vcpu *vcpu, bool again)
{
	trace_vitro_inject_nmi(vcpu->id, again);
	vcpu->stats.nmi_injections++;
	vcpu->events.nmi.injected = false;
	static_call(vitro_inject_nmi)(vcpu);
}

static void inject_irq(struct vitro_vcpu *vcpu, u8 vector, bool again)
{
	bool soft = again && vcpu->events.irq.soft;

	trace_vitro_inject_irq(vcpu->id, vector, soft, again);
	vcpu->stats.irq_injections++;
	vcpu->events.irq.injected = false;
	static_call(vitro_inject_irq)(vcpu, vector, soft, vcpu->events.irq.insn_len);
}

/* An event whose delivery has begun goes before all others. */
static bool inject_again(struct vitro_vcpu *vcpu)
{
	if (vcpu->events.exception.injected)
		inject_exception(vcpu, true);
	else if (vcpu->events.nmi.injected)
		inject_nmi(vcpu, true);
	else if (vcpu->events.irq.injected)
		inject_irq(vcpu, vcpu->events.irq.vector, true);
	else
		return false;
	return true;
}

static bool irq_waiting(struct vitro_vcpu *vcpu)
{
	return vcpu->lapic ? vitro_next_vector(vcpu) >= 0 :
			     vcpu->events.user_irq != VITRO_NO_VECTOR;
}

/* Does user space want to know when the guest takes a PIC's interrupt? */
static bool window_wanted(const struct vitro_vcpu *vcpu)
{
	return !vcpu->vm->pic_in_kernel && READ_ONCE(vcpu->run->request_interrupt_window) &&
	       (!vcpu->lapic || vitro_lapic_takes_extint(vcpu->lapic));
}

static void inject_waiting_irq(struct vitro_vcpu *vcpu)
{
	int vector;

	if (vcpu->lapic) {
		vector = vitro_ack_vector(vcpu);
	} else {
		vector = vcpu->events.user_irq;
		vcpu->events.user_irq = VITRO_NO_VECTOR;
	}
	if (vector >= 0)
		inject_irq(vcpu, vector, false);
}

/* NMIs and interrupts, unless something else is on its way at this entry (@busy). */
static void inject_interrupts(struct vitro_vcpu *vcpu, bool busy)
{
	if (vcpu->events.nmi.pending) {
		if (!busy && static_call(vitro_nmi_allowed)(vcpu)) {
			vcpu->events.nmi.pending--;
			inject_nmi(vcpu, false);
			busy = true;
		}
		if (vcpu->events.nmi.pending)
			static_call(vitro_request_nmi_window)(vcpu);
	}

	if (irq_waiting(vcpu)) {
		if (!busy && static_call(vitro_irq_allowed)(vcpu))
			inject_waiting_irq(vcpu);
		if (irq_waiting(vcpu))
			static_call(vitro_request_irq_window)(vcpu);
	} else if (window_wanted(vcpu)) {
		static_call(vitro_request_irq_window)(vcpu);
	}
}

/**
 * vitro_inject_events() - hand the most urgent event to the processor
 * @vcpu: the vCPU, hot
 *
 * What has to wait gets a window: an exit as soon as the guest can take it.
 *
 * Context: inner loop, IRQs off, right before the entry.
 */
void vitro_inject_events(struct vitro_vcpu *vcpu)
{
	bool busy = inject_again(vcpu);

	if (vcpu->events.exception.pending) {
		if (busy) {
			/* Exit right after the first has been delivered. */
			vitro_request(vcpu, VITRO_REQ_EVENT);
			smp_send_reschedule(smp_processor_id());
		} else {
			inject_exception(vcpu, false);
			busy = true;
		}
	}

	collect_nmis(vcpu);
	/* A debugger may want to see one thread of execution only. */
	if (likely(!vitro_debugged(vcpu, KVM_GUESTDBG_BLOCKIRQ)))
		inject_interrupts(vcpu, busy);

	if (vcpu->lapic)
		static_call(vitro_update_tpr)(vcpu, vitro_lapic_get_tpr(vcpu),
					      vitro_lapic_irr_class(vcpu));
	else
		static_call(vitro_update_tpr)(vcpu, vcpu->cr8 << 4, -1);
}
