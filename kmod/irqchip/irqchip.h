/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interrupt controllers of a VM: local APICs, IOAPIC, two PICs, PIT, GSI
 * routing, MSI and irqfd, as the rest of the module sees them.
 *
 * "any context": callable with IRQs off, from hard interrupts' wait-queue
 * callbacks and timers; takes only IRQ-safe spinlocks.
 */
#ifndef VITRO_IRQCHIP_H
#define VITRO_IRQCHIP_H

#include <linux/kvm.h>
#include <linux/types.h>

struct vitro_lapic;
struct vitro_vm;
struct vitro_vcpu;

#define VITRO_MAX_GSIS		4096	/* what KVM_CAP_IRQ_ROUTING promises */

/*
 * VM level, process context, vm->lock held unless said otherwise; 0 or -errno.
 * create: PICs, IOAPIC, default routes (0..15 PIC and IOAPIC, 16..23 IOAPIC); sets vm->irqchip
 * and vm->irqchip_in_kernel last. -EEXIST if there, -EINVAL if vCPUs exist.
 */
int vitro_irqchip_create(struct vitro_vm *vm);
/* KVM_CAP_SPLIT_IRQCHIP: local APICs only; -EEXIST also if vCPUs exist */
int vitro_irqchip_create_split(struct vitro_vm *vm, u64 user_pins);
/* VM dies: also PIT, irqfds, routes. Before the vCPUs are freed, as they are sent to. */
void vitro_irqchip_destroy(struct vitro_vm *vm);
int vitro_irqchip_get(struct vitro_vm *vm, struct kvm_irqchip *chip);
int vitro_irqchip_set(struct vitro_vm *vm, const struct kvm_irqchip *chip);
int vitro_pit_create(struct vitro_vm *vm, const struct kvm_pit_config *config);
int vitro_pit_get(struct vitro_vm *vm, struct kvm_pit_state2 *state);
int vitro_pit_set(struct vitro_vm *vm, const struct kvm_pit_state2 *state);
int vitro_pit_reinject(struct vitro_vm *vm, const struct kvm_reinject_control *control);

/* Any context. KVM_IRQ_LINE(_STATUS): returns >0 delivered, 0 coalesced, <0 ignored (status) */
int vitro_set_irq(struct vitro_vm *vm, u32 gsi, int level);
/*
 * Paravirtual. send_ipi_map: from the vCPU's thread to those of APIC IDs first + n for each bit n
 * of @map's two words; how many have taken it, -EINVAL for an ICR with another destination,
 * -EOPNOTSUPP without in-kernel APICs. unhalt: ends a HLT of the vCPU with this APIC ID, or its next.
 */
int vitro_send_ipi_map(struct vitro_vcpu *vcpu, u32 icr, u32 first, const u64 *map);
void vitro_unhalt(struct vitro_vm *vm, u32 id);
/* KVM_SIGNAL_MSI; process context */
int vitro_send_msi(struct vitro_vm *vm, const struct kvm_msi *msi);

/* Process context; take vm->irq_lock themselves. @entries: copied from user, validated here. */
int vitro_set_gsi_routing(struct vitro_vm *vm, const struct kvm_irq_routing_entry *entries,
			  u32 nr, u32 flags);
int vitro_irqfd(struct vitro_vm *vm, const struct kvm_irqfd *args);
void vitro_irqfd_release(struct vitro_vm *vm);	/* VM fd closes: shut all irqfds down */

/*
 * vCPU level. lapic_create: at vCPU creation when vm->irqchip_in_kernel; sets vcpu->lapic.
 * lapic_reset: @init: INIT keeps the APIC's enable state and id.
 */
int vitro_lapic_create(struct vitro_vcpu *vcpu);
void vitro_lapic_destroy(struct vitro_vcpu *vcpu);
void vitro_lapic_reset(struct vitro_vcpu *vcpu, bool init);

/*
 * The vCPU's own thread, IRQs on or off.
 * next_vector: highest vector that the PIC (as ExtINT, if LVT0 or the BSP permits) or the
 * local APIC would deliver now, or -1; ack_vector: the same, and accepts it (IRR to ISR, PIC INTA).
 * irr_class: priority class (vector >> 4) of the highest IRR vector, or -1, for the TPR threshold.
 */
int vitro_next_vector(struct vitro_vcpu *vcpu);
int vitro_ack_vector(struct vitro_vcpu *vcpu);
int vitro_lapic_irr_class(struct vitro_vcpu *vcpu);
/* Could a PIC interrupt this processor, but for RFLAGS.IF? Any context. */
bool vitro_lapic_takes_extint(const struct vitro_lapic *lapic);
/* On VITRO_REQ_IOAPIC_EOI: a vector whose EOI user space has to know, or -1 */
int vitro_lapic_take_user_eoi(struct vitro_vcpu *vcpu);
bool vitro_has_interrupt(struct vitro_vcpu *vcpu);	/* cheap; any context; for wake-up decisions */

/* On VITRO_REQ_TIMER: delivers what is due. Any state of the vCPU's thread. */
void vitro_lapic_timer_check(struct vitro_vcpu *vcpu);
/* Right before an entry, IRQs off: waits the last us of a deadline whose timer was early. */
void vitro_lapic_timer_wait(struct vitro_vcpu *vcpu);
/* In-kernel APIC; the vCPU's thread is about to sleep: the timer must not wake it too early. */
void vitro_lapic_timer_sleep(struct vitro_vcpu *vcpu);
/* The vCPU's thread now runs on another host CPU: the timer follows (optional). */
void vitro_lapic_timer_migrate(struct vitro_vcpu *vcpu);
/* vcpu->tsc_offset or tsc_ratio changed: re-arm a TSC-deadline timer */
void vitro_lapic_tsc_changed(struct vitro_vcpu *vcpu);

u8 vitro_lapic_get_tpr(struct vitro_vcpu *vcpu);
void vitro_lapic_set_tpr(struct vitro_vcpu *vcpu, u8 tpr);	/* MOV CR8 or user space */

/*
 * APIC registers by MMIO (offset in the page; xAPIC mode) and by MSR (0x800..0x8ff, x2APIC mode).
 * The vCPU's own thread, hot or not. 0, or 1: #GP (MSR) / not handled.
 */
int vitro_lapic_mmio_read(struct vitro_vcpu *vcpu, u32 offset, int len, void *data);
int vitro_lapic_mmio_write(struct vitro_vcpu *vcpu, u32 offset, int len, const void *data);
int vitro_lapic_msr_read(struct vitro_vcpu *vcpu, u32 msr, u64 *value);
int vitro_lapic_msr_write(struct vitro_vcpu *vcpu, u32 msr, u64 value);
/* gpa lies in the enabled xAPIC page? (for the MMIO path) */
bool vitro_lapic_owns(struct vitro_vcpu *vcpu, u64 gpa);
/*
 * MSR_IA32_APICBASE: 0, or 1: #GP. @host: from user space, any consistent transition is allowed.
 * Stores to vcpu->msrs.apic_base. Works without in-kernel APIC too (stores only).
 */
int vitro_apic_base_write(struct vitro_vcpu *vcpu, u64 value, bool host);
/* MSR_IA32_TSC_DEADLINE */
u64 vitro_lapic_get_deadline(struct vitro_vcpu *vcpu);
void vitro_lapic_set_deadline(struct vitro_vcpu *vcpu, u64 value);

/*
 * MSR_KVM_PV_EOI_EN: 0, or 1: #GP. settle: vcpu->pv_eoi_pending, the vCPU's thread in KVM_RUN;
 * try_settle does not sleep, and returns false if it would have to. bring_page: VITRO_REQ_PV_EOI.
 */
int vitro_pv_eoi_set_msr(struct vitro_vcpu *vcpu, u64 value);
void vitro_pv_eoi_settle(struct vitro_vcpu *vcpu);
bool vitro_pv_eoi_try_settle(struct vitro_vcpu *vcpu);
void vitro_pv_eoi_bring_page(struct vitro_vcpu *vcpu);

/* KVM_GET_LAPIC / KVM_SET_LAPIC; vCPU's mutex held. 0 or -EINVAL. */
int vitro_lapic_get_state(struct vitro_vcpu *vcpu, struct kvm_lapic_state *state);
int vitro_lapic_set_state(struct vitro_vcpu *vcpu, const struct kvm_lapic_state *state);

#endif /* VITRO_IRQCHIP_H */
