/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of irqchip/ share among themselves.
 *
 * Lock order: pit->lock -> pic.lock or ioapic.lock -> nothing. Local APICs
 * have no lock: what other threads touch is atomic, the rest belongs to the
 * vCPU's thread. Acknowledgements go the other way (PIC or IOAPIC to PIT and
 * irqfds) and are therefore reported after the chip's lock has been dropped.
 */
#ifndef VITRO_IRQCHIP_INTERNAL_H
#define VITRO_IRQCHIP_INTERNAL_H

#include <linux/bitmap.h>
#include <linux/hrtimer.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <asm/apicdef.h>
#include <asm/msr-index.h>

#include "../iobus.h"
#include "../vcpu.h"
#include "../vm.h"
#include "irqchip.h"

#define VITRO_IOAPIC_PINS	KVM_IOAPIC_NUM_PINS
#define VITRO_PIC_PINS		16
#define VITRO_NR_VECTORS	256
#define VITRO_PIT_GSI		0

/* An integrated APIC with six entries in its local vector table. */
#define VITRO_LAPIC_VERSION	(0x14 | (6 - 1) << 16)
#define VITRO_LAPIC_SPIV_BITS	(APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED | \
				 APIC_SPIV_FOCUS_DISABLED)
#define VITRO_LAPIC_ICR_BITS	(APIC_VECTOR_MASK | APIC_DM_FIXED_MASK | APIC_DEST_LOGICAL | \
				 APIC_INT_ASSERT | APIC_INT_LEVELTRIG | APIC_DEST_ALLBUT)
#define VITRO_LAPIC_TDCR_BITS	0xbU

/*
 * Shortest period of a guest's periodic timer (APIC or PIT), in ns. A guest
 * can ask for 1 ns, which would keep a host CPU in timer interrupts; no
 * guest in use ticks faster than 5 kHz.
 */
#define VITRO_MIN_TIMER_PERIOD	(200 * NSEC_PER_USEC)

/* Who drives an interrupt line. A line is high while any of them holds it. */
enum vitro_irq_source {
	VITRO_SOURCE_USER,		/* KVM_IRQ_LINE */
	VITRO_SOURCE_IRQFD,		/* irqfds: pulses */
	VITRO_SOURCE_RESAMPLE,		/* irqfds with a resamplefd: levels */
	VITRO_SOURCE_PIT,
};

/* What a source does to its line. */
enum vitro_irq_action {
	VITRO_LINE_LOW,
	VITRO_LINE_HIGH,
	VITRO_LINE_PULSE,		/* up and down as one step */
};

/**
 * struct vitro_irq_msg - an interrupt message on its way to local APICs
 * @dest:	destination APIC ID or logical destination
 * @mode:	APIC_DM_*
 * @vector:	for APIC_DM_FIXED, _LOWEST and _STARTUP
 * @logical:	@dest is a logical destination
 * @level:	level-triggered: its EOI is broadcast to the IOAPIC
 * @wide:	@dest has the 32 bits of x2APIC mode, and 0xff is an ID; else 8, and 0xff are all
 */
struct vitro_irq_msg {
	u32 dest;
	u32 mode;
	u8 vector;
	bool logical;
	bool level;
	bool wide;
};

/**
 * struct vitro_lapic_timer - the APIC timer
 *
 * The hrtimer's callback only reports; the vCPU's thread decides whether a
 * tick is due and programs the hrtimer. A report of a timer that has been
 * programmed anew meanwhile is seen to be early and ignored (or, if its TSC
 * deadline is some us away, counts: the entry waits for the rest).
 *
 * @hrtimer:	fires at the expiry; for TSC deadlines earlier by @advance, or by much if they are far
 *		or the guest has put them off
 * @expired:	(a) the hrtimer has fired
 * @armed:	(t) the guest's timer is running
 * @deadline:	(t) guest TSC value, in TSC-deadline mode; 0: none
 * @queued_for:	(t) host TSC for which @hrtimer was started last, in TSC-deadline mode
 * @put_off:	(t) @hrtimer may fire well before the deadline
 * @advance:	(t) TSC ticks that the hrtimer is armed before the deadline
 * @wait_for:	(t) guest TSC value before which the next entry must not come; 0: none
 * @target:	(t) expiry in the other modes, CLOCK_MONOTONIC
 */
struct vitro_lapic_timer {
	struct hrtimer hrtimer;
	bool expired;
	bool armed;
	bool put_off;
	u64 deadline;
	u64 queued_for;
	u64 advance;
	u64 wait_for;
	ktime_t target;
};

#define VITRO_LAPIC_REGS	(KVM_APIC_REG_SIZE / 16)
#define VITRO_VECTOR_LONGS	BITS_TO_LONGS(VITRO_NR_VECTORS)

/**
 * struct vitro_lapic - a local APIC
 * @vcpu:	(c)
 * @irr:	(a) set by any thread, cleared by the vCPU's only
 * @tmr:	(a) set by any thread
 * @isr:	(t)
 * @user_eois:	(t) ended by the guest, which user space's IOAPIC has not been told yet
 * @esr:	(a) errors since the last write of the ESR
 * @regs:	(t) written by the vCPU's thread, read by others; the 32-bit
 *		registers at 16-byte strides. IRR, ISR, TMR, PPR, ID, version
 *		and the current count live elsewhere
 * @timer:	see there
 */
struct vitro_lapic {
	struct vitro_vcpu *vcpu;
	unsigned long irr[VITRO_VECTOR_LONGS];
	unsigned long tmr[VITRO_VECTOR_LONGS];
	unsigned long isr[VITRO_VECTOR_LONGS];
	unsigned long user_eois[VITRO_VECTOR_LONGS];
	unsigned long esr;
	u32 regs[VITRO_LAPIC_REGS];
	struct vitro_lapic_timer timer;
};

/**
 * struct vitro_ioapic - the IOAPIC
 * @lock:	guards all but what is said below
 * @vm:		(c)
 * @id:		APIC ID register, 0..15
 * @select:	register select
 * @line:	lines that are high now
 * @sources:	per pin: BIT(enum vitro_irq_source) of those that hold it high
 * @redir:	redirection table
 * @reasserts:	per pin: EOIs in a row that found the line still high
 * @eoi_watch:	vectors of edge-triggered pins whose EOI somebody waits for;
 *		written under @lock, read without
 * @storm:	delivers again after a pause what is asserted all the time
 * @dev:	(c) its place on the MMIO bus
 */
struct vitro_ioapic {
	spinlock_t lock;
	struct vitro_vm *vm;
	u32 id;
	u8 select;
	u32 line;
	u8 sources[VITRO_IOAPIC_PINS];
	u16 reasserts[VITRO_IOAPIC_PINS];
	u64 redir[VITRO_IOAPIC_PINS];
	unsigned long eoi_watch[VITRO_VECTOR_LONGS];
	struct delayed_work storm;
	struct vitro_iodev dev;
};

/**
 * struct vitro_pic - the two 8259A
 * @lock:	guards all but @output
 * @vm:		(c)
 * @output:	INT of the master; written under @lock, read without
 * @slave_int:	INT of the slave, as the master has seen it
 * @chip:	master and slave, in the format of the KVM API
 * @sources:	per input: BIT(enum vitro_irq_source) of those that hold it high
 * @master:	(c) the first one's place on the port bus
 * @slave:	(c) the second one's
 * @elcr:	(c) that of the edge/level control registers
 */
struct vitro_pic {
	spinlock_t lock;
	struct vitro_vm *vm;
	bool output;
	bool slave_int;
	struct kvm_pic_state chip[2];
	u8 sources[VITRO_PIC_PINS];
	struct vitro_iodev master, slave, elcr;
};

struct vitro_pit;
struct vitro_routes;

/**
 * struct vitro_irqchip - the VM's interrupt controllers
 * @vm:		(c)
 * @split:	(c) PICs, IOAPIC and PIT are user space's: @pic, @ioapic and @pit are unused
 * @user_pins:	(c) pins of user space's IOAPIC: EOIs of their interrupts are its business
 * @pic:	see there
 * @ioapic:	see there
 * @pit:	set once under vm->lock (release)
 * @routes:	writers: vm->irq_lock; readers: vm->srcu
 * @next_lowest: where the search for the lowest priority starts; a hint
 * @id_hint:	vCPU index by APIC ID; a hint, verified at use
 * @irqfd_lock: guards the two lists; taken inside wait-queue locks
 * @irqfds:	those that are active
 * @resamplers:	irqfds with a resamplefd; readers: vm->srcu
 * @nr_resamplers: of that list; read without a lock
 * @irqfd_wq:	tears down irqfds whose eventfd has been closed; vm->irq_lock
 */
struct vitro_irqchip {
	struct vitro_vm *vm;
	bool split;
	u32 user_pins;
	struct vitro_pic pic;
	struct vitro_ioapic ioapic;
	struct vitro_pit *pit;
	struct vitro_routes __rcu *routes;
	u32 next_lowest;
	u8 id_hint[VITRO_MAX_VCPUS];

	spinlock_t irqfd_lock;
	struct list_head irqfds;
	struct list_head resamplers;
	int nr_resamplers;
	struct workqueue_struct *irqfd_wq;
};

static inline struct vitro_irqchip *vitro_chip(struct vitro_vm *vm)
{
	/* Pairs with the release in vitro_irqchip_create(): it is complete. */
	return smp_load_acquire(&vm->irqchip);
}

static inline u32 vitro_lapic_reg(const struct vitro_lapic *lapic, u32 offset)
{
	return READ_ONCE(lapic->regs[offset >> 4]);
}

static inline void vitro_lapic_set_reg(struct vitro_lapic *lapic, u32 offset, u32 value)
{
	WRITE_ONCE(lapic->regs[offset >> 4], value);
}

static inline bool vitro_lapic_enabled(const struct vitro_lapic *lapic)
{
	return READ_ONCE(lapic->vcpu->msrs.apic_base) & MSR_IA32_APICBASE_ENABLE;
}

static inline bool vitro_lapic_x2apic(const struct vitro_lapic *lapic)
{
	return READ_ONCE(lapic->vcpu->msrs.apic_base) & X2APIC_ENABLE;
}

static inline bool vitro_lapic_sw_enabled(const struct vitro_lapic *lapic)
{
	return vitro_lapic_reg(lapic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

static inline int vitro_highest_vector(const unsigned long *map)
{
	int i;

	for (i = VITRO_VECTOR_LONGS - 1; i >= 0; i--) {
		unsigned long word = READ_ONCE(map[i]);

		if (word)
			return i * BITS_PER_LONG + __fls(word);
	}
	return -1;
}

/* Word @index (0..7) of a vector map as the APIC's 32-bit register shows it. */
static inline u32 vitro_vector_word(const unsigned long *map, unsigned int index)
{
	return READ_ONCE(map[index / 2]) >> (index & 1 ? 32 : 0);
}

/* lapic.c */
int vitro_lapic_accept(struct vitro_lapic *lapic, u32 mode, u8 vector, bool level);
void vitro_lapic_self(struct vitro_lapic *lapic, u8 vector);
void vitro_lapic_local(struct vitro_lapic *lapic, u32 lvt_offset);
void vitro_lapic_error(struct vitro_lapic *lapic, u32 error);
void vitro_lapic_end(struct vitro_lapic *lapic);
void vitro_lapic_eoi(struct vitro_lapic *lapic);
void vitro_lapic_recheck(struct vitro_lapic *lapic);
u8 vitro_lapic_ppr(const struct vitro_lapic *lapic);

/* lapic_regs.c */
u32 vitro_lapic_lvt_bits(const struct vitro_lapic *lapic, u32 offset);
u32 vitro_lapic_ldr(const struct vitro_lapic *lapic);

/* pv_eoi.c */
void vitro_pv_eoi_offer(struct vitro_vcpu *vcpu);

/* lapic_timer.c */
void vitro_lapic_timer_init(struct vitro_lapic *lapic);
void vitro_lapic_timer_stop(struct vitro_lapic *lapic);
void vitro_lapic_timer_start(struct vitro_lapic *lapic);
void vitro_lapic_timer_restore(struct vitro_lapic *lapic, u32 count);
void vitro_lapic_timer_set_divide(struct vitro_lapic *lapic, u32 tdcr);
void vitro_lapic_timer_set_lvt(struct vitro_lapic *lapic, u32 value);
u32 vitro_lapic_timer_count(const struct vitro_lapic *lapic);

/* delivery.c */
int vitro_deliver(struct vitro_vm *vm, const struct vitro_irq_msg *msg);
void vitro_send_ipi(struct vitro_lapic *lapic, u32 icr, u32 dest);
int vitro_deliver_msi(struct vitro_vm *vm, u64 address, u32 data);
bool vitro_msi_valid(const struct vitro_vm *vm, u32 address_hi);

/* ioapic.c */
int vitro_ioapic_init(struct vitro_irqchip *chip);
void vitro_ioapic_destroy(struct vitro_irqchip *chip);
int vitro_ioapic_set(struct vitro_ioapic *ioapic, unsigned int pin,
		     enum vitro_irq_source source, enum vitro_irq_action action);
void vitro_ioapic_eoi(struct vitro_ioapic *ioapic, u8 vector);
void vitro_ioapic_update_watch(struct vitro_ioapic *ioapic);
void vitro_ioapic_get_state(struct vitro_ioapic *ioapic, struct kvm_ioapic_state *state);
int vitro_ioapic_set_state(struct vitro_ioapic *ioapic, const struct kvm_ioapic_state *state);

/* pic.c */
int vitro_pic_init(struct vitro_irqchip *chip);
void vitro_pic_destroy(struct vitro_irqchip *chip);
int vitro_pic_set(struct vitro_pic *pic, unsigned int pin,
		  enum vitro_irq_source source, enum vitro_irq_action action);
int vitro_pic_peek(struct vitro_pic *pic);
int vitro_pic_ack(struct vitro_pic *pic);
void vitro_pic_get_state(struct vitro_pic *pic, unsigned int n, struct kvm_pic_state *state);
int vitro_pic_set_state(struct vitro_pic *pic, unsigned int n, const struct kvm_pic_state *state);

/* pit.c */
void vitro_pit_destroy(struct vitro_irqchip *chip);
void vitro_pit_acked(struct vitro_pit *pit);
void vitro_pit_mask_changed(struct vitro_pit *pit);

/* routing.c */
int vitro_routes_init(struct vitro_irqchip *chip);
void vitro_routes_destroy(struct vitro_irqchip *chip);
int vitro_drive_gsi(struct vitro_vm *vm, u32 gsi, enum vitro_irq_source source,
		    enum vitro_irq_action action);
void vitro_pins_acked(struct vitro_irqchip *chip, u32 irqchip, u32 pins);
void vitro_pin_mask_changed(struct vitro_irqchip *chip, u32 irqchip, u32 pin);
u32 vitro_watched_pins(struct vitro_irqchip *chip);

/* irqfd.c */
void vitro_irqfds_init(struct vitro_irqchip *chip);
void vitro_irqfds_destroy(struct vitro_irqchip *chip);
void vitro_irqfds_acked(struct vitro_irqchip *chip, u32 gsi);

#endif /* VITRO_IRQCHIP_INTERNAL_H */
