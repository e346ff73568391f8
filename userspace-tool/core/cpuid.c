// SPDX-License-Identifier: GPL-2.0-only
/*
 * What CPUID tells a guest: what the hypervisor supports, with the parts that
 * differ from one vCPU to the next filled in. The topology is one package of
 * as many one-thread cores as there are vCPUs.
 */
#include "core/util.h"
#include "core/vcpu.h"
#include "core/vm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define CPUID_MAX	256

#define LEAF_TOPOLOGY	0xb		/* Extended Topology Enumeration */
#define LEAF_TOPOLOGY2	0x1f		/* V2 Extended Topology Enumeration */
#define LEAF_CACHE	0x4		/* Deterministic Cache Parameters */
#define LEAF_AMD_FEAT	0x80000001
#define LEAF_AMD_SIZES	0x80000008
#define LEAF_AMD_CACHE	0x8000001d
#define LEAF_AMD_TOPO	0x8000001e

#define F1_EDX_HTT		BIT(28)
#define F1_ECX_TSC_DEADLINE	BIT(24)
#define F1_ECX_HYPERVISOR	BIT(31)
#define AMD_ECX_CMP_LEGACY	BIT(1)

#define LEVEL_SMT	1
#define LEVEL_CORE	2

/* Bits of an APIC id that number @nr cores. */
static unsigned int id_bits(unsigned int nr)
{
	unsigned int bits = 0;

	while (1U << bits < nr)
		bits++;
	return bits;
}

static void set_bits(uint32_t *reg, unsigned int shift, unsigned int width, uint32_t value)
{
	uint32_t mask = (uint32_t)(BIT(width) - 1) << shift;

	*reg = (*reg & ~mask) | (value << shift & mask);
}

static void fix_entry(struct kvm_cpuid_entry2 *e, unsigned int id, unsigned int nr)
{
	unsigned int bits = id_bits(nr);

	switch (e->function) {
	case 1:
		set_bits(&e->ebx, 24, 8, id);
		set_bits(&e->ebx, 16, 8, 1U << bits);
		e->ecx |= F1_ECX_HYPERVISOR;
		e->edx = nr > 1 ? e->edx | F1_EDX_HTT : e->edx & ~F1_EDX_HTT;
		break;
	case LEAF_CACHE:
		if (!(e->eax & 0x1f))
			break;
		/* Levels 1 and 2 belong to a core, level 3 to all of them. */
		set_bits(&e->eax, 14, 12, (e->eax >> 5 & 7) < 3 ? 0 : (1U << bits) - 1);
		set_bits(&e->eax, 26, 6, (1U << bits) - 1);
		break;
	case LEAF_AMD_FEAT:
		e->ecx = nr > 1 ? e->ecx | AMD_ECX_CMP_LEGACY : e->ecx & ~AMD_ECX_CMP_LEGACY;
		break;
	case LEAF_AMD_SIZES:
		set_bits(&e->ecx, 0, 8, nr - 1);
		set_bits(&e->ecx, 12, 4, bits);
		break;
	case LEAF_AMD_CACHE:
		if (e->eax & 0x1f)
			set_bits(&e->eax, 14, 12, (e->eax >> 5 & 7) < 3 ? 0 : nr - 1);
		break;
	case LEAF_AMD_TOPO:
		e->eax = id;		/* extended APIC id */
		e->ebx = id;		/* core id; one thread per core */
		e->ecx = 0;		/* node 0, one node per package */
		break;
	}
}

static int add_topology_level(struct kvm_cpuid2 *cpuid, unsigned int max, uint32_t leaf,
			      unsigned int level, unsigned int type, unsigned int shift,
			      unsigned int count, unsigned int id)
{
	if (cpuid->nent >= max)
		return -ENOSPC;
	cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
		.function = leaf,
		.index = level,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = shift,
		.ebx = count,
		.ecx = level | type << 8,
		.edx = id,
	};
	return 0;
}

int cpuid_set_topology(struct kvm_cpuid2 *cpuid, unsigned int max,
		       unsigned int id, unsigned int nr)
{
	static const uint32_t leaves[] = { LEAF_TOPOLOGY, LEAF_TOPOLOGY2 };
	bool present[ARRAY_SIZE(leaves)] = { false };
	unsigned int kept = 0;
	int ret = 0;

	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		/* The host's own levels are replaced as a whole. */
		if (e->function == leaves[0] || e->function == leaves[1]) {
			present[e->function == leaves[1]] = true;
			continue;
		}
		fix_entry(e, id, nr);
		cpuid->entries[kept++] = *e;
	}
	cpuid->nent = kept;
	for (unsigned int i = 0; i < ARRAY_SIZE(leaves) && !ret; i++) {
		if (!present[i])
			continue;
		ret = add_topology_level(cpuid, max, leaves[i], 0, LEVEL_SMT, 0, 1, id);
		if (!ret)
			ret = add_topology_level(cpuid, max, leaves[i], 1, LEVEL_CORE,
						 id_bits(nr), nr, id);
		if (!ret)
			ret = add_topology_level(cpuid, max, leaves[i], 2, 0, 0, 0, id);
	}
	return ret;
}

int vcpu_init_cpuid(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct kvm_cpuid2 *cpuid;
	int ret = 0;

	cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return fail(ENOMEM, "no memory for a CPUID table");
	cpuid->nent = CPUID_MAX;
	if (ioctl(vm->dev_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		ret = fail(errno, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
		goto out;
	}
	/* This one is not in the table: it depends on the irqchip. */
	if (vm_cap(vm, KVM_CAP_TSC_DEADLINE_TIMER)) {
		for (unsigned int i = 0; i < cpuid->nent; i++) {
			if (cpuid->entries[i].function == 1)
				cpuid->entries[i].ecx |= F1_ECX_TSC_DEADLINE;
		}
	}
	ret = cpuid_set_topology(cpuid, CPUID_MAX, vcpu->id, vm->nr_vcpus);
	if (ret)
		fail(-ret, "the CPUID table has more than %d entries", CPUID_MAX);
	else if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		ret = fail(errno, "vCPU %u: KVM_SET_CPUID2: %s", vcpu->id, strerror(errno));
out:
	free(cpuid);
	return ret;
}
