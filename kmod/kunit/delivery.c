// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt messages to local APICs: destinations, shorthands, lowest
 * priority, MSI (SDM, Determining IPI Destination; Message Signalled
 * Interrupts).
 */
#include <linux/kvm_para.h>

#include "../hypercall.h"
#include "fake_backend.h"
#include "irq.h"

#define VECTOR		0x55
#define NR_APICS	4
#define XAPIC		(APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE)

/* Three APICs more, with IDs 1, 2 and 0x21. */
static int init_delivery(struct kunit *test)
{
	static const u32 ids[] = { 1, 2, 0x21 };
	int i, err = test_init_irqchip(test);

	for (i = 0; i < ARRAY_SIZE(ids) && !err; i++)
		err = test_add_vcpu(test, ids[i]) ? 0 : -ENOMEM;
	return err;
}

enum mode { FLAT, CLUSTER, X2APIC };

/* Flat: one bit each. Cluster: two clusters of two. */
static void set_mode(struct kunit *test, enum mode mode)
{
	static const u8 cluster_ids[] = { 0x01, 0x02, 0x11, 0x12 };
	struct vitro_vm *vm = test_vm(test);
	int i;

	for (i = 0; i < NR_APICS; i++) {
		struct vitro_vcpu *vcpu = vm->vcpus[i];

		if (mode == X2APIC) {
			vitro_apic_base_write(vcpu, XAPIC | X2APIC_ENABLE, true);
			continue;
		}
		apic_write(vcpu, APIC_DFR, mode == FLAT ? APIC_DFR_FLAT : APIC_DFR_CLUSTER);
		apic_write(vcpu, APIC_LDR, (mode == FLAT ? BIT(i) : cluster_ids[i]) << 24);
	}
}

/* Bits of the vCPUs, by index, that have a request for @vector. */
static u32 reached(struct kunit *test, u8 vector)
{
	struct vitro_vm *vm = test_vm(test);
	u32 mask = 0;
	int i;

	for (i = 0; i < NR_APICS; i++)
		if (vector_set(vm->vcpus[i]->lapic->irr, vector))
			mask |= BIT(i);
	return mask;
}

static const struct destination_case {
	const char *name;
	enum mode mode;
	u32 dest;
	bool logical, wide;
	u32 reached;
	int result;
} destinations[] = {
	{ "physical 0", FLAT, 0, false, false, 0x1, 1 },
	{ "physical 2", FLAT, 2, false, false, 0x4, 1 },
	{ "physical 0x21", FLAT, 0x21, false, false, 0x8, 1 },
	{ "physical, nobody there", FLAT, 0x20, false, false, 0, -1 },
	{ "physical broadcast", FLAT, 0xff, false, false, 0xf, 4 },
	{ "physical broadcast to x2APICs", X2APIC, 0xffffffff, false, true, 0xf, 4 },
	{ "physical 0xff in x2APIC mode", X2APIC, 0xff, false, true, 0, -1 },
	{ "physical, wild ID", X2APIC, 0x80000001, false, true, 0, -1 },
	{ "physical 0x21 in x2APIC mode", X2APIC, 0x21, false, true, 0x8, 1 },
	{ "flat, one", FLAT, 0x02, true, false, 0x2, 1 },
	{ "flat, three", FLAT, 0x0d, true, false, 0xd, 3 },
	{ "flat, none", FLAT, 0, true, false, 0, -1 },
	{ "flat, nobody's bit", FLAT, 0xf0, true, false, 0, -1 },
	{ "flat broadcast", FLAT, 0xff, true, false, 0xf, 4 },
	{ "cluster 0, both", CLUSTER, 0x03, true, false, 0x3, 2 },
	{ "cluster 1, first", CLUSTER, 0x11, true, false, 0x4, 1 },
	{ "cluster 1, second", CLUSTER, 0x12, true, false, 0x8, 1 },
	{ "cluster 2", CLUSTER, 0x23, true, false, 0, -1 },
	{ "cluster, no member", CLUSTER, 0x10, true, false, 0, -1 },
	{ "cluster broadcast", CLUSTER, 0xff, true, false, 0xf, 4 },
	{ "x2APIC cluster 0, two", X2APIC, 0x00000003, true, true, 0x3, 2 },
	{ "x2APIC cluster 0, all", X2APIC, 0x0000ffff, true, true, 0x7, 3 },
	{ "x2APIC cluster 2", X2APIC, 0x00020002, true, true, 0x8, 1 },
	{ "x2APIC cluster 2, other member", X2APIC, 0x00020001, true, true, 0, -1 },
	{ "x2APIC cluster 1", X2APIC, 0x0001ffff, true, true, 0, -1 },
	{ "x2APIC logical broadcast", X2APIC, 0xffffffff, true, true, 0xf, 4 },
};
TEST_PARAMS(destinations);

static void destination(struct kunit *test)
{
	const struct destination_case *p = test->param_value;
	struct vitro_irq_msg msg = {
		.dest = p->dest, .mode = APIC_DM_FIXED, .vector = VECTOR,
		.logical = p->logical, .wide = p->wide,
	};

	set_mode(test, p->mode);
	KUNIT_EXPECT_EQ(test, vitro_deliver(test_vm(test), &msg), p->result);
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), p->reached);
	/* Again: merged with what waits. */
	KUNIT_EXPECT_EQ(test, vitro_deliver(test_vm(test), &msg), p->result < 0 ? -1 : 0);
}

static const struct icr_case {
	const char *name;
	u32 icr;
	u32 dest;
	u32 reached;	/* with vector 0x55 */
	u32 nmis, inits;
	u32 esr;	/* of the sender, the second vCPU */
} icrs[] = {
	{ "to itself by shorthand", APIC_DEST_SELF | VECTOR, 0, 0x2, 0, 0, 0 },
	{ "to all", APIC_DEST_ALLINC | VECTOR, 0, 0xf, 0, 0, 0 },
	{ "to all others", APIC_DEST_ALLBUT | VECTOR, 0, 0xd, 0, 0, 0 },
	{ "to one", VECTOR, 2, 0x4, 0, 0, 0 },
	{ "to itself by ID", VECTOR, 1, 0x2, 0, 0, 0 },
	{ "NMI to all others", APIC_DEST_ALLBUT | APIC_DM_NMI, 0, 0, 0xd, 0, 0 },
	{ "NMI to one", APIC_DM_NMI | 0xff, 2, 0, 0x4, 0, 0 },
	{ "NMI to itself by shorthand is invalid", APIC_DEST_SELF | APIC_DM_NMI, 0, 0, 0, 0, 0 },
	{ "INIT to all others", APIC_DEST_ALLBUT | APIC_DM_INIT | APIC_INT_ASSERT, 0, 0, 0, 0xd, 0 },
	{ "INIT, level assert", APIC_DM_INIT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT, 2,
	  0, 0, 0x4, 0 },
	{ "INIT, level de-assert", APIC_DM_INIT | APIC_INT_LEVELTRIG, 2, 0, 0, 0, 0 },
	{ "illegal vector", 0x0f, 2, 0, 0, 0, APIC_ESR_SENDILL },
	{ "illegal vector to itself", APIC_DEST_SELF | 0x00, 2, 0, 0, 0, APIC_ESR_SENDILL },
	{ "illegal vector, lowest priority", APIC_DM_LOWEST | 0x0f, 2, 0, 0, 0,
	  APIC_ESR_SENDILL },
};
TEST_PARAMS(icrs);

static void ipi(struct kunit *test)
{
	const struct icr_case *p = test->param_value;
	struct vitro_vm *vm = test_vm(test);
	struct vitro_vcpu *sender = vm->vcpus[1];
	u32 nmis = 0, inits = 0;
	int i;

	apic_write(sender, APIC_ICR2, p->dest << 24);
	apic_write(sender, APIC_ICR, p->icr);
	for (i = 0; i < NR_APICS; i++) {
		nmis |= atomic_read(&vm->vcpus[i]->nmi_queued) << i;
		inits |= test_bit(VITRO_INIT_PENDING, &vm->vcpus[i]->init_sipi) << i;
	}
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), p->reached);
	KUNIT_EXPECT_EQ(test, nmis, p->nmis);
	KUNIT_EXPECT_EQ(test, inits, p->inits);
	apic_write(sender, APIC_ESR, 0);
	KUNIT_EXPECT_EQ(test, apic_read(sender, APIC_ESR), p->esr);
	/* The message has been sent by the time that the guest looks. */
	KUNIT_EXPECT_EQ(test, apic_read(sender, APIC_ICR) & APIC_ICR_BUSY, 0U);
}

static const struct map_case {
	const char *name;
	bool cs_long;
	u64 low, high, first, icr;
	s64 result;
	u32 reached, nmis;
} maps[] = {
	{ "all", true, BIT_ULL(0x21) | 0x7, 0, 0, VECTOR, 4, 0xf },
	{ "none", true, 0, 0, 0, VECTOR, 0, 0 },
	{ "nobody", true, ~BIT_ULL(0x21) & ~0x7ULL, ~0ULL, 0, VECTOR, 0, 0 },
	{ "begins at 1", true, 0x3, 0, 1, VECTOR, 2, 0x6 },
	{ "begins at the last", true, ~0ULL, ~0ULL, 0x21, VECTOR, 1, 0x8 },
	{ "begins after the last", true, ~0ULL, ~0ULL, 0x22, VECTOR, 0, 0 },
	{ "does not wrap", true, ~0ULL, ~0ULL, 0xffffffff, VECTOR, 0, 0 },
	{ "32-bit words", false, 0x7, 0x2, 0, VECTOR, 4, 0xf },
	{ "32-bit words have no upper halves", false, BIT_ULL(0x21), BIT_ULL(33), 0, VECTOR, 0, 0 },
	{ "NMI", true, 0x6, 0, 0, APIC_DM_NMI, 2, 0, 0x6 },
	{ "illegal vector", true, 0x7, 0, 0, 0x0f, 0, 0 },
	{ "reserved mode", true, 0x7, 0, 0, 0x300 | VECTOR, 0, 0 },
	{ "logical", true, 0x7, 0, 0, APIC_DEST_LOGICAL | VECTOR, -KVM_EINVAL, 0 },
	{ "shorthand", true, 0x7, 0, 0, APIC_DEST_ALLINC | VECTOR, -KVM_EINVAL, 0 },
};
TEST_PARAMS(maps);

/* KVM_HC_SEND_IPI */
static void ipi_map(struct kunit *test)
{
	const struct map_case *p = test->param_value;
	struct vitro_vm *vm = test_vm(test);
	struct vitro_vcpu *sender = vm->vcpus[1];
	u32 nmis = 0;
	int i;

	to_fake(sender)->long_mode = p->cs_long;
	sender->gpr[VITRO_RAX] = KVM_HC_SEND_IPI;
	sender->gpr[VITRO_RBX] = p->low;
	sender->gpr[VITRO_RCX] = p->high;
	sender->gpr[VITRO_RDX] = p->first;
	sender->gpr[VITRO_RSI] = p->icr;
	KUNIT_EXPECT_EQ(test, vitro_exit_hypercall(sender), 1);
	KUNIT_EXPECT_EQ(test, sender->gpr[VITRO_RAX],
			p->cs_long ? (u64)p->result : (u32)p->result);
	for (i = 0; i < NR_APICS; i++)
		nmis |= atomic_read(&vm->vcpus[i]->nmi_queued) << i;
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), p->reached);
	KUNIT_EXPECT_EQ(test, nmis, p->nmis);
}

/* KVM_HC_KICK_CPU: ends one HLT, and is forgotten with it or by INIT. */
static void kick(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);
	struct vitro_vcpu *vcpu = vm->vcpus[3];
	int i;

	vitro_unhalt(vm, 0x21);
	for (i = 0; i < NR_APICS; i++)
		KUNIT_EXPECT_EQ(test, vm->vcpus[i]->unhalted, i == 3);
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	KUNIT_EXPECT_TRUE(test, vitro_vcpu_runnable(vcpu));
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	KUNIT_EXPECT_FALSE(test, vitro_vcpu_runnable(vcpu));
	vitro_unhalt(vm, 0x21);
	vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
	KUNIT_EXPECT_FALSE(test, vitro_vcpu_runnable(vcpu));
	vitro_vcpu_reset(vcpu, true);
	KUNIT_EXPECT_FALSE(test, vcpu->unhalted);
	vitro_unhalt(vm, 0x20);
	vitro_unhalt(vm, VITRO_MAX_VCPUS);
	vitro_unhalt(vm, ~0U);
}

static void startup(struct kunit *test)
{
	struct vitro_vm *vm = test_vm(test);

	apic_write(vm->vcpus[0], APIC_ICR2, 2 << 24);
	apic_write(vm->vcpus[0], APIC_ICR, APIC_DM_STARTUP | 0x9f);
	KUNIT_EXPECT_TRUE(test, test_bit(VITRO_SIPI_PENDING, &vm->vcpus[2]->init_sipi));
	KUNIT_EXPECT_EQ(test, vm->vcpus[2]->sipi_vector, 0x9f);
	KUNIT_EXPECT_FALSE(test, test_bit(VITRO_SIPI_PENDING, &vm->vcpus[1]->init_sipi));
}

static void self_ipi_of_x2apic(struct kunit *test)
{
	struct vitro_vcpu *vcpu = test_vm(test)->vcpus[2];

	set_mode(test, X2APIC);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_write(vcpu, 0x83f, VECTOR), 0);
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), 0x4U);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_write(vcpu, 0x83f, 3), 0);
	KUNIT_EXPECT_EQ(test, vitro_lapic_msr_write(vcpu, 0x828, 0), 0);
	KUNIT_EXPECT_EQ(test, apic_read(vcpu, APIC_ESR), APIC_ESR_SENDILL);
}

static void lowest_priority(struct kunit *test)
{
	struct vitro_irq_msg msg = {
		.dest = 0x0f, .mode = APIC_DM_LOWEST, .vector = VECTOR, .logical = true,
	};
	struct vitro_vm *vm = test_vm(test);
	u32 all = 0;
	int i;

	set_mode(test, FLAT);
	for (i = 0; i < NR_APICS; i++)
		apic_write(vm->vcpus[i], APIC_TASKPRI, i == 2 ? 0x20 : 0x30);
	KUNIT_EXPECT_EQ(test, vitro_deliver(vm, &msg), 1);
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), 0x4U);
	/* Only those addressed take part, and only with the APIC enabled by software. */
	msg.dest = 0x0b;
	msg.vector = VECTOR + 1;
	apic_write(vm->vcpus[0], APIC_SPIV, 0xff);
	apic_write(vm->vcpus[1], APIC_TASKPRI, 0x40);
	KUNIT_EXPECT_EQ(test, vitro_deliver(vm, &msg), 1);
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR + 1), 0x8U);
	/* Among equals in turns. */
	apic_write(vm->vcpus[0], APIC_SPIV, APIC_SPIV_APIC_ENABLED | 0xff);
	msg.dest = 0x0f;
	for (i = 0; i < NR_APICS; i++)
		apic_write(vm->vcpus[i], APIC_TASKPRI, 0);
	for (i = 0; i < NR_APICS; i++) {
		msg.vector = 0x80 + i;
		KUNIT_EXPECT_EQ(test, vitro_deliver(vm, &msg), 1);
		all |= reached(test, msg.vector);
	}
	KUNIT_EXPECT_EQ(test, all, 0xfU);
}

#define WHOLE_IDS	KVM_X2APIC_API_USE_32BIT_IDS
#define NO_QUIRK	KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK

static const struct msi_case {
	const char *name;
	u64 address;
	u32 data;
	int result;
	u32 reached;	/* with vector 0x55 */
	bool level;
	u32 api;	/* of KVM_CAP_X2APIC_API */
} msis[] = {
	{ "fixed to 0", 0xfee00000, 0x0055, 1, 0x1, false },
	{ "fixed to 2", 0xfee02000, 0x0055, 1, 0x4, false },
	{ "fixed to nobody", 0xfee44000, 0x0055, -1, 0, false },
	{ "logical", 0xfee06004, 0x0055, 2, 0x6, false },
	{ "broadcast", 0xfeeff000, 0x0055, 4, 0xf, false },
	{ "redirection hint picks one", 0xfee0400c, 0x0055, 1, 0x4, false },
	{ "lowest priority picks one", 0xfee04004, 0x0155, 1, 0x4, false },
	{ "level", 0xfee00000, 0xc055, 1, 0x1, true },
	{ "SMI", 0xfee00000, 0x0255, -1, 0, false },
	{ "illegal vector", 0xfee00000, 0x000f, -1, 0, false },
	{ "offset instead of an address", 0x2000, 0x0055, 1, 0x4, false },
	{ "8-bit ID, high half is ignored", 0x100fee02000, 0x0055, 1, 0x4, false },
	{ "32-bit ID 2", 0xfee02000, 0x0055, 1, 0x4, false, WHOLE_IDS },
	{ "32-bit ID 0x102", 0x100fee02000, 0x0055, -1, 0, false, WHOLE_IDS },
	{ "32-bit ID 0xff is a broadcast", 0xfeeff000, 0x0055, 4, 0xf, false, WHOLE_IDS },
	{ "32-bit broadcast", 0xffffff00feeff000, 0x0055, 4, 0xf, false, WHOLE_IDS },
	{ "0xff is an ID", 0xfeeff000, 0x0055, -1, 0, false, NO_QUIRK },
	{ "32-bit broadcast without the other", 0xffffff00feeff000, 0x0055, 4, 0xf, false,
	  WHOLE_IDS | NO_QUIRK },
};
TEST_PARAMS(msis);

static void msi(struct kunit *test)
{
	const struct msi_case *p = test->param_value;
	struct vitro_vm *vm = test_vm(test);
	struct kvm_msi ioctl = {
		.address_lo = p->address, .address_hi = p->address >> 32, .data = p->data,
	};

	set_mode(test, FLAT);
	vm->x2apic_api = p->api;
	KUNIT_EXPECT_EQ(test, vitro_deliver_msi(vm, p->address, p->data), p->result);
	KUNIT_EXPECT_EQ(test, reached(test, VECTOR), p->reached);
	KUNIT_EXPECT_EQ(test, vector_set(vm->vcpus[0]->lapic->tmr, VECTOR), p->level);
	/* KVM_SIGNAL_MSI tells blocked by 0, all else by more. */
	KUNIT_EXPECT_EQ(test, vitro_send_msi(vm, &ioctl), p->result < 0 ? 0 : 1);
	ioctl.flags = 1;
	KUNIT_EXPECT_EQ(test, vitro_send_msi(vm, &ioctl), -EINVAL);
}

static struct kunit_case delivery_cases[] = {
	KUNIT_CASE_PARAM(destination, destinations_gen_params),
	KUNIT_CASE_PARAM(ipi, icrs_gen_params),
	KUNIT_CASE_PARAM(ipi_map, maps_gen_params),
	KUNIT_CASE(kick),
	KUNIT_CASE(startup),
	KUNIT_CASE(self_ipi_of_x2apic),
	KUNIT_CASE(lowest_priority),
	KUNIT_CASE_PARAM(msi, msis_gen_params),
	{}
};

TEST_SUITE(delivery, init_delivery);
