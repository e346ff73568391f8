// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU's architectural state as the API reads and writes it.
 */
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/nospec.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/traps.h>

#include "backend.h"
#include "cpuid.h"
#include "cr.h"
#include "debug.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "msr.h"
#include "vcpu_state.h"
#include "vm.h"

void vitro_get_regs(struct vitro_vcpu *vcpu, struct kvm_regs *regs)
{
	regs->rax = vcpu->gpr[VITRO_RAX];
	regs->rbx = vcpu->gpr[VITRO_RBX];
	regs->rcx = vcpu->gpr[VITRO_RCX];
	regs->rdx = vcpu->gpr[VITRO_RDX];
	regs->rsi = vcpu->gpr[VITRO_RSI];
	regs->rdi = vcpu->gpr[VITRO_RDI];
	regs->rsp = vcpu_rsp(vcpu);
	regs->rbp = vcpu->gpr[VITRO_RBP];
	regs->r8 = vcpu->gpr[VITRO_R8];
	regs->r9 = vcpu->gpr[VITRO_R9];
	regs->r10 = vcpu->gpr[VITRO_R10];
	regs->r11 = vcpu->gpr[VITRO_R11];
	regs->r12 = vcpu->gpr[VITRO_R12];
	regs->r13 = vcpu->gpr[VITRO_R13];
	regs->r14 = vcpu->gpr[VITRO_R14];
	regs->r15 = vcpu->gpr[VITRO_R15];
	regs->rip = vcpu_rip(vcpu);
	regs->rflags = vcpu_rflags(vcpu);
}

void vitro_set_regs(struct vitro_vcpu *vcpu, const struct kvm_regs *regs)
{
	vcpu->gpr[VITRO_RAX] = regs->rax;
	vcpu->gpr[VITRO_RBX] = regs->rbx;
	vcpu->gpr[VITRO_RCX] = regs->rcx;
	vcpu->gpr[VITRO_RDX] = regs->rdx;
	vcpu->gpr[VITRO_RSI] = regs->rsi;
	vcpu->gpr[VITRO_RDI] = regs->rdi;
	vcpu_write_rsp(vcpu, regs->rsp);
	vcpu->gpr[VITRO_RBP] = regs->rbp;
	vcpu->gpr[VITRO_R8] = regs->r8;
	vcpu->gpr[VITRO_R9] = regs->r9;
	vcpu->gpr[VITRO_R10] = regs->r10;
	vcpu->gpr[VITRO_R11] = regs->r11;
	vcpu->gpr[VITRO_R12] = regs->r12;
	vcpu->gpr[VITRO_R13] = regs->r13;
	vcpu->gpr[VITRO_R14] = regs->r14;
	vcpu->gpr[VITRO_R15] = regs->r15;
	vcpu_write_rip(vcpu, regs->rip);
	vcpu_write_rflags(vcpu, regs->rflags | X86_EFLAGS_FIXED);

	/* The caller put the guest somewhere else: the fault there is moot. */
	vcpu->events.exception.pending = false;
	vcpu->step_begun = false;
	vitro_end_halt(vcpu);
	vitro_request(vcpu, VITRO_REQ_EVENT);
}

static void get_dtables(struct vitro_vcpu *vcpu, struct kvm_sregs *sregs)
{
	struct vitro_dtable table;

	static_call(vitro_get_idt)(vcpu, &table);
	sregs->idt.base = table.base;
	sregs->idt.limit = table.limit;
	static_call(vitro_get_gdt)(vcpu, &table);
	sregs->gdt.base = table.base;
	sregs->gdt.limit = table.limit;
}

/**
 * vitro_get_sregs() - KVM_GET_SREGS
 * @vcpu:  the vCPU, loaded
 * @sregs: filled in; all zero before, as the bitmap of interrupts is only added to
 */
void vitro_get_sregs(struct vitro_vcpu *vcpu, struct kvm_sregs *sregs)
{
	int irq = VITRO_NO_VECTOR;

	static_call(vitro_get_segments)(vcpu, sregs);
	get_dtables(vcpu, sregs);
	sregs->cr0 = vcpu_cr0(vcpu);
	sregs->cr2 = vcpu->cr2;
	sregs->cr3 = vcpu_cr3(vcpu);
	sregs->cr4 = vcpu_cr4(vcpu);
	sregs->cr8 = vitro_read_cr8(vcpu);
	sregs->efer = vcpu->efer;
	sregs->apic_base = vcpu->msrs.apic_base;

	if (vcpu->events.irq.injected && !vcpu->events.irq.soft)
		irq = vcpu->events.irq.vector;
	else if (!vcpu->lapic)
		irq = vcpu->events.user_irq;
	if (irq != VITRO_NO_VECTOR)
		sregs->interrupt_bitmap[irq / 64] |= BIT_ULL(irq % 64);
}

/* The bit set in the bitmap, VITRO_NO_VECTOR if none is. */
static int pending_vector(const struct kvm_sregs *sregs)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sregs->interrupt_bitmap); i++)
		if (sregs->interrupt_bitmap[i])
			return i * 64 + __ffs64(sregs->interrupt_bitmap[i]);
	return VITRO_NO_VECTOR;
}

static void set_dtables(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct vitro_dtable idt = { .base = sregs->idt.base, .limit = sregs->idt.limit };
	struct vitro_dtable gdt = { .base = sregs->gdt.base, .limit = sregs->gdt.limit };

	static_call(vitro_set_idt)(vcpu, &idt);
	static_call(vitro_set_gdt)(vcpu, &gdt);
}

static void set_segments(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	static_call(vitro_set_segment)(vcpu, VITRO_CS, &sregs->cs);
	static_call(vitro_set_segment)(vcpu, VITRO_DS, &sregs->ds);
	static_call(vitro_set_segment)(vcpu, VITRO_ES, &sregs->es);
	static_call(vitro_set_segment)(vcpu, VITRO_FS, &sregs->fs);
	static_call(vitro_set_segment)(vcpu, VITRO_GS, &sregs->gs);
	static_call(vitro_set_segment)(vcpu, VITRO_SS, &sregs->ss);
	static_call(vitro_set_segment)(vcpu, VITRO_TR, &sregs->tr);
	static_call(vitro_set_segment)(vcpu, VITRO_LDTR, &sregs->ldt);
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return cr0 & X86_CR0_PG && cr4 & X86_CR4_PAE && !(efer & EFER_LMA);
}

/*
 * After CR0 and CR4: with PAE paging it loads the PDPTEs, which VM entry judges: from memory unless
 * user space has them (@pdptrs).
 */
static void set_cr3(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs, const u64 *pdptrs)
{
	int srcu;

	if (pdptrs) {
		memcpy(vcpu->pdpte, pdptrs, sizeof(vcpu->pdpte));
	} else if (pae_paging(sregs->cr0, sregs->cr4, sregs->efer)) {
		srcu = srcu_read_lock(&vcpu->vm->srcu);
		vitro_read_pdptes(vcpu, sregs->cr3);
		srcu_read_unlock(&vcpu->vm->srcu, srcu);
	}
	static_call(vitro_set_cr3)(vcpu, sregs->cr3);
}

static int set_sregs(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs, const u64 *pdptrs)
{
	int vector = pending_vector(sregs);

	if (!vitro_crs_valid(vcpu, sregs->cr0, sregs->cr3, sregs->cr4, sregs->efer) ||
	    sregs->cr8 > 15)
		return -EINVAL;
	if (vitro_apic_base_write(vcpu, sregs->apic_base, true))
		return -EINVAL;

	set_dtables(vcpu, sregs);
	vcpu->cr2 = sregs->cr2;
	vitro_write_cr8(vcpu, sregs->cr8);
	static_call(vitro_set_efer)(vcpu, sregs->efer);
	static_call(vitro_set_cr0)(vcpu, sregs->cr0 | X86_CR0_ET);
	static_call(vitro_set_cr4)(vcpu, sregs->cr4);
	set_cr3(vcpu, sregs, pdptrs);
	set_segments(vcpu, sregs);
	static_call(vitro_flush_guest_tlb)(vcpu);
	vitro_cpuid_runtime(vcpu);

	if (vector != VITRO_NO_VECTOR) {
		/* The one that KVM_GET_SREGS has shown, not one more. */
		if (!vcpu->lapic)
			vcpu->events.user_irq = VITRO_NO_VECTOR;
		vcpu->events.irq.injected = true;
		vcpu->events.irq.soft = false;
		vcpu->events.irq.vector = vector;
	}
	/* Older user space starts the boot processor by its reset vector. */
	if (vcpu->lapic && vcpu->id == vcpu->vm->bsp_id &&
	    vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED &&
	    sregs->cs.selector == 0xf000 && vcpu_rip(vcpu) == 0xfff0)
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vitro_end_halt(vcpu);
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}

/**
 * vitro_set_sregs() - KVM_SET_SREGS
 * @vcpu:  the vCPU, loaded
 * @sregs: the new values
 *
 * Return: 0, or -EINVAL if the control registers contradict each other; then
 * nothing has changed.
 */
int vitro_set_sregs(struct vitro_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return set_sregs(vcpu, sregs, NULL);
}

/* What the two structures have in common: all before the bitmap of interrupts. */
#define SREGS_COMMON offsetof(struct kvm_sregs, interrupt_bitmap)
static_assert(SREGS_COMMON == offsetof(struct kvm_sregs2, flags));

/**
 * vitro_get_sregs2() - KVM_GET_SREGS2
 * @vcpu:   the vCPU, loaded
 * @sregs2: filled in; all zero before
 *
 * The PDPTEs are those in memory.
 */
void vitro_get_sregs2(struct vitro_vcpu *vcpu, struct kvm_sregs2 *sregs2)
{
	struct kvm_sregs sregs = {};
	int srcu;

	vitro_get_sregs(vcpu, &sregs);
	memcpy(sregs2, &sregs, SREGS_COMMON);
	if (!pae_paging(sregs.cr0, sregs.cr4, sregs.efer))
		return;
	srcu = srcu_read_lock(&vcpu->vm->srcu);
	if (!vitro_guest_read(vcpu->vm, sregs.cr3 & 0xffffffe0, sregs2->pdptrs,
			      sizeof(sregs2->pdptrs)))
		sregs2->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	srcu_read_unlock(&vcpu->vm->srcu, srcu);
}

/**
 * vitro_set_sregs2() - KVM_SET_SREGS2
 * @vcpu:   the vCPU, loaded
 * @sregs2: the new values
 *
 * Return: 0, or -EINVAL as vitro_set_sregs(), or for PDPTEs without PAE paging or with
 * reserved bits; then nothing has changed.
 */
int vitro_set_sregs2(struct vitro_vcpu *vcpu, const struct kvm_sregs2 *sregs2)
{
	bool valid = sregs2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	struct kvm_sregs sregs = {};
	int i;

	if (sregs2->flags & ~(u64)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (valid && !pae_paging(sregs2->cr0, sregs2->cr4, sregs2->efer))
		return -EINVAL;
	for (i = 0; valid && i < 4; i++)
		if (vitro_pdpte_invalid(vcpu, sregs2->pdptrs[i]))
			return -EINVAL;
	memcpy(&sregs, sregs2, SREGS_COMMON);
	return set_sregs(vcpu, &sregs, valid ? sregs2->pdptrs : NULL);
}

int vitro_get_mp_state(struct vitro_vcpu *vcpu, struct kvm_mp_state *state)
{
	state->mp_state = READ_ONCE(vcpu->mp_state);
	/* There is no other word for a kick that has ended the HLT already. */
	if (state->mp_state == KVM_MP_STATE_HALTED && READ_ONCE(vcpu->unhalted))
		state->mp_state = KVM_MP_STATE_RUNNABLE;
	return 0;
}

int vitro_set_mp_state(struct vitro_vcpu *vcpu, const struct kvm_mp_state *state)
{
	switch (state->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
		/* Only the in-kernel APIC can end these states. */
		if (!vcpu->lapic)
			return -EINVAL;
		break;
	case KVM_MP_STATE_SIPI_RECEIVED:
		if (!vcpu->lapic)
			return -EINVAL;
		WRITE_ONCE(vcpu->mp_state, KVM_MP_STATE_INIT_RECEIVED);
		vitro_deliver_sipi(vcpu, vcpu->sipi_vector);
		return 0;
	default:
		return -EINVAL;
	}
	/*
	 * HLT has been executed, so no shadow is left. QEMU does not tell when
	 * it loads a snapshot, and the last exit may have been in one: nothing
	 * would ever wake the vCPU.
	 */
	if (state->mp_state == KVM_MP_STATE_HALTED)
		static_call(vitro_set_shadow)(vcpu, 0);
	/* Whatever it is, the processor's own HLT is not it. */
	vitro_end_halt(vcpu);
	WRITE_ONCE(vcpu->mp_state, state->mp_state);
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}

/*
 * Without KVM_CAP_EXCEPTION_PAYLOAD there is no word for an exception that has not changed CR2 or
 * DR6 yet: it has, then.
 */
static void get_exception(struct vitro_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct vitro_events *ev = &vcpu->events;

	events->exception.nr = ev->exception.vector;
	events->exception.has_error_code = ev->exception.has_error_code;
	events->exception.error_code = ev->exception.error_code;
	if (READ_ONCE(vcpu->vm->exception_payload)) {
		events->exception.injected = ev->exception.injected;
		events->exception.pending = ev->exception.pending;
		events->exception_has_payload = ev->exception.has_payload;
		events->exception_payload = ev->exception.payload;
		events->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
		return;
	}
	if (ev->exception.pending)
		vitro_deliver_payload(vcpu);
	events->exception.injected = ev->exception.injected || ev->exception.pending;
}

void vitro_get_events(struct vitro_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	const struct vitro_events *ev = &vcpu->events;

	memset(events, 0, sizeof(*events));
	get_exception(vcpu, events);
	if (ev->irq.injected || vcpu->lapic || ev->user_irq == VITRO_NO_VECTOR) {
		events->interrupt.injected = ev->irq.injected && !ev->irq.soft;
		events->interrupt.nr = ev->irq.vector;
	} else {
		/*
		 * KVM_INTERRUPT's vector, which the guest has not been ready for. With
		 * a local APIC it waits there, for LINT0: that is no event on its way.
		 */
		events->interrupt.injected = true;
		events->interrupt.nr = ev->user_irq;
	}
	events->interrupt.shadow = static_call(vitro_get_shadow)(vcpu);
	events->nmi.injected = ev->nmi.injected;
	events->nmi.pending = ev->nmi.pending + atomic_read(&vcpu->nmi_queued) != 0;
	events->nmi.masked = static_call(vitro_get_nmi_mask)(vcpu);
	events->sipi_vector = vcpu->sipi_vector;
	events->flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (READ_ONCE(vcpu->vm->triple_fault_event)) {
		events->triple_fault.pending = test_bit(VITRO_REQ_TRIPLE_FAULT, &vcpu->requests);
		events->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
}

#define SETTABLE_EVENT_FLAGS (KVM_VCPUEVENT_VALID_NMI_PENDING |	\
			      KVM_VCPUEVENT_VALID_SIPI_VECTOR |	\
			      KVM_VCPUEVENT_VALID_SHADOW |	\
			      KVM_VCPUEVENT_VALID_PAYLOAD |	\
			      KVM_VCPUEVENT_VALID_TRIPLE_FAULT)

int vitro_set_events(struct vitro_vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	bool pending, with_payload = events->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	struct vitro_events *ev = &vcpu->events;

	if (events->flags & ~SETTABLE_EVENT_FLAGS)
		return -EINVAL;
	if ((with_payload && !READ_ONCE(vcpu->vm->exception_payload)) ||
	    (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT &&
	     !READ_ONCE(vcpu->vm->triple_fault_event)))
		return -EINVAL;
	pending = with_payload && events->exception.pending;
	if ((events->exception.injected || pending) &&
	    (events->exception.nr > 31 || events->exception.nr == X86_TRAP_NMI))
		return -EINVAL;

	ev->exception.pending = pending;
	ev->exception.has_payload = pending && events->exception_has_payload;
	ev->exception.payload = ev->exception.has_payload ? events->exception_payload : 0;
	ev->exception.injected = events->exception.injected && !pending;
	ev->exception.vector = array_index_nospec(events->exception.nr, 32);
	ev->exception.has_error_code = events->exception.has_error_code;
	ev->exception.error_code = events->exception.error_code;
	if (!vcpu->lapic)
		ev->user_irq = VITRO_NO_VECTOR;
	ev->irq.injected = events->interrupt.injected;
	ev->irq.vector = events->interrupt.nr;
	ev->irq.soft = events->interrupt.soft;
	if (events->flags & KVM_VCPUEVENT_VALID_SHADOW)
		static_call(vitro_set_shadow)(vcpu, events->interrupt.shadow &
					  (KVM_X86_SHADOW_INT_MOV_SS | KVM_X86_SHADOW_INT_STI));
	ev->nmi.injected = events->nmi.injected;
	if (events->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		ev->nmi.pending = !!events->nmi.pending;
		atomic_set(&vcpu->nmi_queued, 0);
	}
	vitro_backend->set_nmi_mask(vcpu, events->nmi.masked);
	if (events->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR && vcpu->lapic)
		vcpu->sipi_vector = events->sipi_vector;
	if (events->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) {
		if (events->triple_fault.pending)
			vitro_request(vcpu, VITRO_REQ_TRIPLE_FAULT);
		else
			clear_bit(VITRO_REQ_TRIPLE_FAULT, &vcpu->requests);
	}
	vitro_end_halt(vcpu);
	vitro_request(vcpu, VITRO_REQ_EVENT);
	return 0;
}

void vitro_get_debugregs(struct vitro_vcpu *vcpu, struct kvm_debugregs *regs)
{
	memset(regs, 0, sizeof(*regs));
	memcpy(regs->db, vcpu->dr, sizeof(regs->db));
	regs->dr6 = vcpu->dr6;
	regs->dr7 = vcpu->dr7;
}

int vitro_set_debugregs(struct vitro_vcpu *vcpu, const struct kvm_debugregs *regs)
{
	if (regs->flags || regs->dr6 >> 32 || regs->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->dr, regs->db, sizeof(regs->db));
	vcpu->dr6 = (regs->dr6 & DR6_WRITABLE) | DR6_FIXED_ONES;
	vcpu->dr7 = (regs->dr7 & DR7_WRITABLE) | DR7_FIXED_1;
	vitro_update_dr7(vcpu);
	return 0;
}

/**
 * vitro_regs_from_run() - take over the registers that user space has left in kvm_run
 * @vcpu:  the vCPU, loaded
 * @which: those that it has changed, KVM_SYNC_X86_* bits
 * @valid: those that it wants to find there
 *
 * KVM_CAP_SYNC_REGS. User space may write to its page at any time: what is judged
 * has to be what is used.
 *
 * Return: 0, or -EINVAL: there are no such registers, or they contradict each other.
 */
int vitro_regs_from_run(struct vitro_vcpu *vcpu, u64 which, u64 valid)
{
	struct kvm_sync_regs *shared = &vcpu->run->s.regs;
	union {
		struct kvm_regs regs;
		struct kvm_sregs sregs;
		struct kvm_vcpu_events events;
	} copy;
	int r;

	if ((which | valid) & ~KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (which & KVM_SYNC_X86_REGS) {
		memcpy(&copy.regs, &shared->regs, sizeof(copy.regs));
		barrier();
		vitro_set_regs(vcpu, &copy.regs);
		vcpu->run->kvm_dirty_regs &= ~KVM_SYNC_X86_REGS;
	}
	if (which & KVM_SYNC_X86_SREGS) {
		memcpy(&copy.sregs, &shared->sregs, sizeof(copy.sregs));
		barrier();
		r = vitro_set_sregs(vcpu, &copy.sregs);
		if (r)
			return r;
		vcpu->run->kvm_dirty_regs &= ~KVM_SYNC_X86_SREGS;
	}
	if (which & KVM_SYNC_X86_EVENTS) {
		memcpy(&copy.events, &shared->events, sizeof(copy.events));
		barrier();
		r = vitro_set_events(vcpu, &copy.events);
		if (r)
			return r;
		vcpu->run->kvm_dirty_regs &= ~KVM_SYNC_X86_EVENTS;
	}
	return 0;
}

/**
 * vitro_regs_to_run() - leave registers in kvm_run
 * @vcpu:  the vCPU, loaded
 * @which: KVM_SYNC_X86_* bits
 */
void vitro_regs_to_run(struct vitro_vcpu *vcpu, u64 which)
{
	struct kvm_sync_regs *shared = &vcpu->run->s.regs;

	if (which & KVM_SYNC_X86_REGS)
		vitro_get_regs(vcpu, &shared->regs);
	if (which & KVM_SYNC_X86_SREGS) {
		memset(&shared->sregs, 0, sizeof(shared->sregs));
		vitro_get_sregs(vcpu, &shared->sregs);
	}
	if (which & KVM_SYNC_X86_EVENTS)
		vitro_get_events(vcpu, &shared->events);
}
