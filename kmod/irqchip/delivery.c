// SPDX-License-Identifier: GPL-2.0-only
/*
 * From interrupt messages (IPIs, IOAPIC, MSI) to the local APICs that they
 * address (SDM, Determining IPI Destination; Message Signalled Interrupts).
 */
#include <linux/msi.h>
#include <linux/nospec.h>

#include "internal.h"

#define BROADCAST_8BIT		0xffU
#define BROADCAST_32BIT		0xffffffffU
#define IPI_MAP_BITS		128U

static bool is_broadcast(const struct vitro_irq_msg *msg)
{
	return msg->dest == (msg->wide ? BROADCAST_32BIT : BROADCAST_8BIT);
}

static bool logical_match(const struct vitro_lapic *lapic, u32 dest)
{
	u32 ldr = vitro_lapic_ldr(lapic);

	if (vitro_lapic_x2apic(lapic))
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	if (dest > 0xff)
		return false;
	ldr = GET_APIC_LOGICAL_ID(ldr);
	if (vitro_lapic_reg(lapic, APIC_DFR) == APIC_DFR_FLAT)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

/* The APIC of @vcpu if it is on and @msg is addressed to it. */
static struct vitro_lapic *match(struct vitro_vcpu *vcpu, const struct vitro_irq_msg *msg)
{
	struct vitro_lapic *lapic = vcpu->lapic;

	if (!lapic || !vitro_lapic_enabled(lapic))
		return NULL;
	if (is_broadcast(msg))
		return lapic;
	if (msg->logical)
		return logical_match(lapic, msg->dest) ? lapic : NULL;
	return vcpu->id == msg->dest ? lapic : NULL;
}

/* Finds a vCPU by its APIC ID, however wild the ID is. */
static struct vitro_vcpu *vcpu_by_apic_id(struct vitro_vm *vm, u32 id)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	int nr = vitro_nr_vcpus(vm);
	struct vitro_vcpu *vcpu;
	int i;

	if (id >= VITRO_MAX_VCPUS)
		return NULL;
	if (chip) {
		id = array_index_nospec(id, VITRO_MAX_VCPUS);
		i = READ_ONCE(chip->id_hint[id]);
		if (i < nr) {
			vcpu = vm->vcpus[array_index_nospec(i, VITRO_MAX_VCPUS)];
			if (vcpu->id == id)
				return vcpu;
		}
	}
	for (i = 0; i < nr; i++) {
		vcpu = vm->vcpus[i];
		if (vcpu->id != id)
			continue;
		if (chip)
			WRITE_ONCE(chip->id_hint[id], i);
		return vcpu;
	}
	return NULL;
}

/* One of those addressed: the lowest task priority, in turns among equals. */
static struct vitro_lapic *lowest_priority(struct vitro_vm *vm, const struct vitro_irq_msg *msg)
{
	int nr = vitro_nr_vcpus(vm);
	struct vitro_irqchip *chip = vitro_chip(vm);
	struct vitro_lapic *best = NULL, *lapic;
	u8 best_priority = 0xff, priority;
	int i, start;

	if (!nr)
		return NULL;
	start = chip ? READ_ONCE(chip->next_lowest) % nr : 0;
	for (i = 0; i < nr; i++) {
		lapic = match(vm->vcpus[(start + i) % nr], msg);
		if (!lapic || !vitro_lapic_sw_enabled(lapic))
			continue;
		priority = vitro_lapic_reg(lapic, APIC_TASKPRI) >> 4;
		if (priority >= best_priority)
			continue;
		best = lapic;
		best_priority = priority;
	}
	if (best && chip)
		WRITE_ONCE(chip->next_lowest, best->vcpu->index + 1);
	return best;
}

static int accept(struct vitro_lapic *lapic, const struct vitro_irq_msg *msg)
{
	return vitro_lapic_accept(lapic, msg->mode, msg->vector, msg->level);
}

/* Adds one APIC's answer to those of others: -1 none, 0 merged, >0 accepted. */
static int add_result(int sum, int result)
{
	if (result < 0)
		return sum;
	return max(sum, 0) + result;
}

/**
 * vitro_deliver() - deliver an interrupt message
 * @vm:		where
 * @msg:	what, and to whom
 *
 * Any context. Return: number of APICs that have accepted it, 0 if it was
 * merged with a request that waits, -1 if nobody took it.
 */
int vitro_deliver(struct vitro_vm *vm, const struct vitro_irq_msg *msg)
{
	struct vitro_lapic *lapic;
	struct vitro_vcpu *vcpu;
	int i, sum = -1;

	if (msg->mode == APIC_DM_LOWEST) {
		lapic = lowest_priority(vm, msg);
		return lapic ? accept(lapic, msg) : -1;
	}
	if (!msg->logical && !is_broadcast(msg)) {
		vcpu = vcpu_by_apic_id(vm, msg->dest);
		lapic = vcpu ? match(vcpu, msg) : NULL;
		return lapic ? accept(lapic, msg) : -1;
	}
	vitro_for_each_vcpu(i, vcpu, vm) {
		lapic = match(vcpu, msg);
		if (lapic)
			sum = add_result(sum, accept(lapic, msg));
	}
	return sum;
}

static void deliver_shorthand(struct vitro_lapic *from, const struct vitro_irq_msg *msg,
			      bool self)
{
	struct vitro_vm *vm = from->vcpu->vm;
	struct vitro_vcpu *vcpu;
	int i;

	vitro_for_each_vcpu(i, vcpu, vm) {
		struct vitro_lapic *lapic = vcpu->lapic;

		if (lapic && vitro_lapic_enabled(lapic) && (self || lapic != from))
			accept(lapic, msg);
	}
}

/* What an ICR says, but for the destination. False: nothing is to be sent. */
static bool decode_icr(struct vitro_lapic *lapic, u32 icr, struct vitro_irq_msg *msg)
{
	msg->mode = icr & APIC_DM_FIXED_MASK;
	msg->vector = icr & APIC_VECTOR_MASK;

	/* The level de-assert message exists on the oldest processors only. */
	if (msg->mode == APIC_DM_INIT && (icr & APIC_INT_LEVELTRIG) && !(icr & APIC_INT_ASSERT))
		return false;
	if ((msg->mode == APIC_DM_FIXED || msg->mode == APIC_DM_LOWEST) && msg->vector < 16) {
		vitro_lapic_error(lapic, APIC_ESR_SENDILL);
		return false;
	}
	return true;
}

/**
 * vitro_send_ipi() - the guest has written the interrupt command register
 * @lapic:	APIC of the calling vCPU thread
 * @icr:	low half of the ICR
 * @dest:	destination, 32 bits in x2APIC mode, else 8
 */
void vitro_send_ipi(struct vitro_lapic *lapic, u32 icr, u32 dest)
{
	struct vitro_irq_msg msg = {
		.dest = dest,
		.logical = icr & APIC_DEST_LOGICAL,
		.wide = vitro_lapic_x2apic(lapic),
	};

	if (!decode_icr(lapic, icr, &msg))
		return;
	switch (icr & APIC_DEST_ALLBUT) {
	case APIC_DEST_SELF:
		/* SDM, Valid Combinations for the APIC's ICR: fixed only */
		if (msg.mode == APIC_DM_FIXED)
			vitro_lapic_self(lapic, msg.vector);
		break;
	case APIC_DEST_ALLINC:
		deliver_shorthand(lapic, &msg, true);
		break;
	case APIC_DEST_ALLBUT:
		deliver_shorthand(lapic, &msg, false);
		break;
	default:
		vitro_deliver(lapic->vcpu->vm, &msg);
	}
}

/**
 * vitro_send_ipi_map() - send an IPI to a set of vCPUs (KVM_HC_SEND_IPI)
 * @vcpu:	the calling thread's vCPU
 * @icr:	low half of the ICR
 * @first:	APIC ID of the first bit of @map
 * @map:	two words, a bit for each destination
 *
 * Looks at each vCPU once, whatever the guest asks for.
 *
 * Return: number of APICs that have taken it, or merged it with a request that waits;
 * -EINVAL: @icr has a shorthand or a logical destination; -EOPNOTSUPP: the local APICs are
 * user space's.
 */
int vitro_send_ipi_map(struct vitro_vcpu *vcpu, u32 icr, u32 first, const u64 *map)
{
	struct vitro_irq_msg msg = { };
	struct vitro_vcpu *to;
	int i, count = 0;

	if (icr & (APIC_DEST_LOGICAL | APIC_DEST_ALLBUT))
		return -EINVAL;
	if (!vcpu->lapic)
		return -EOPNOTSUPP;
	if (!decode_icr(vcpu->lapic, icr, &msg))
		return 0;
	vitro_for_each_vcpu(i, to, vcpu->vm) {
		u32 bit = to->id - first;

		if (to->id < first || bit >= IPI_MAP_BITS)
			continue;
		bit = array_index_nospec(bit, IPI_MAP_BITS);
		if (!(map[bit / 64] >> (bit % 64) & 1) || !to->lapic ||
		    !vitro_lapic_enabled(to->lapic))
			continue;
		if (accept(to->lapic, &msg) >= 0)
			count++;
	}
	return count;
}

/**
 * vitro_unhalt() - let a vCPU go on from HLT, whatever it waits for (KVM_HC_KICK_CPU)
 * @vm:	where
 * @id:	APIC ID; need not exist
 *
 * If it is not halted, its next HLT does not wait.
 *
 * Any context.
 */
void vitro_unhalt(struct vitro_vm *vm, u32 id)
{
	struct vitro_vcpu *vcpu = vcpu_by_apic_id(vm, id);

	if (!vcpu)
		return;
	WRITE_ONCE(vcpu->unhalted, true);
	vitro_vcpu_wake(vcpu);
}

/**
 * vitro_msi_valid() - may a message be sent to this address?
 * @vm:		where
 * @address_hi:	high half of the address
 *
 * Return: false if it has bits that are reserved where it has those of a 32-bit APIC ID.
 */
bool vitro_msi_valid(const struct vitro_vm *vm, u32 address_hi)
{
	struct msi_msg msi = { .address_hi = address_hi };

	return !(READ_ONCE(vm->x2apic_api) & KVM_X2APIC_API_USE_32BIT_IDS) ||
	       !msi.arch_addr_hi.reserved;
}

/**
 * vitro_deliver_msi() - deliver a message-signalled interrupt
 * @vm:		where
 * @address:	address that the device writes to
 * @data:	what it writes
 *
 * That the address is one of interrupts is up to the caller: QEMU passes the
 * offset in the region of its interrupt controllers.
 *
 * Any context. Return: as vitro_deliver()
 */
int vitro_deliver_msi(struct vitro_vm *vm, u64 address, u32 data)
{
	struct msi_msg msi = {
		.address_lo = lower_32_bits(address),
		.address_hi = upper_32_bits(address),
		.data = data,
	};
	u32 api = READ_ONCE(vm->x2apic_api);
	struct vitro_irq_msg msg = {
		.dest = msi.arch_addr_lo.destid_0_7,
		.mode = (u32)msi.arch_data.delivery_mode << 8,
		.vector = msi.arch_data.vector,
		.logical = msi.arch_addr_lo.dest_mode_logical,
		.level = msi.arch_data.is_level,
	};

	if (api & KVM_X2APIC_API_USE_32BIT_IDS)
		msg.dest |= msi.arch_addr_hi.destid_8_31 << 8;
	msg.wide = msg.dest > BROADCAST_8BIT || api & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
	/* SDM, Message Address Register Format: the hint picks one of a group. */
	if (msg.mode == APIC_DM_FIXED && msi.arch_addr_lo.redirect_hint && msg.logical)
		msg.mode = APIC_DM_LOWEST;
	return vitro_deliver(vm, &msg);
}

/**
 * vitro_send_msi() - KVM_SIGNAL_MSI
 * @vm:		where
 * @msi:	the message; copied from user space
 *
 * Return: >0 delivered, 0 the guest blocks it; -EINVAL: flags, no interrupt
 * controllers, or an address that is not valid.
 */
int vitro_send_msi(struct vitro_vm *vm, const struct kvm_msi *msi)
{
	int ret;

	if (!vitro_chip(vm) || msi->flags || !vitro_msi_valid(vm, msi->address_hi))
		return -EINVAL;
	ret = vitro_deliver_msi(vm, (u64)msi->address_hi << 32 | msi->address_lo, msi->data);
	return ret < 0 ? 0 : max(ret, 1);
}
