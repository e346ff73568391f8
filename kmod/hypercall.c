// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls.
 */
#include <linux/kvm_para.h>

#include "backend.h"
#include "hypercall.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "vm.h"

/* KVM_HC_SEND_IPI: two words of destinations, the APIC ID of the first, ICR. */
static s64 send_ipi(struct vitro_vcpu *vcpu, bool cs_long)
{
	u64 map[2] = { vcpu->gpr[VITRO_RBX], vcpu->gpr[VITRO_RCX] };

	if (!cs_long) {
		map[0] = (u32)map[0] | map[1] << 32;
		map[1] = 0;
	}
	return vitro_send_ipi_map(vcpu, vcpu->gpr[VITRO_RSI], vcpu->gpr[VITRO_RDX], map);
}

static s64 hypercall(struct vitro_vcpu *vcpu, u64 nr, bool cs_long)
{
	switch (nr) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return 0;
	case KVM_HC_KICK_CPU:
		if (!vcpu_pv_has(vcpu, KVM_FEATURE_PV_UNHALT))
			break;
		vitro_unhalt(vcpu->vm, vcpu->gpr[VITRO_RCX]);
		return 0;
	case KVM_HC_SEND_IPI:
		if (!vcpu_pv_has(vcpu, KVM_FEATURE_PV_SEND_IPI))
			break;
		return send_ipi(vcpu, cs_long);
	case KVM_HC_SCHED_YIELD:
		/* A hint: the host's scheduler knows who waits. */
		if (!vcpu_pv_has(vcpu, KVM_FEATURE_PV_SCHED_YIELD))
			break;
		return 0;
	}
	return -KVM_ENOSYS;
}

/**
 * vitro_exit_hypercall() - VMCALL or VMMCALL, the one that the processor has
 * @vcpu: the vCPU; exit.insn_len is known
 *
 * What one call can make the host do is bounded by the number of vCPUs, as with an IPI to all.
 *
 * Context: any of the vCPU's thread.
 * Return: 1.
 */
int vitro_exit_hypercall(struct vitro_vcpu *vcpu)
{
	bool cs_long = vitro_backend->cs_long(vcpu);
	u64 nr = vcpu->gpr[VITRO_RAX];
	s64 result = -KVM_EPERM;

	if (!vitro_backend->cpl(vcpu))
		result = hypercall(vcpu, cs_long ? nr : (u32)nr, cs_long);
	vcpu->gpr[VITRO_RAX] = cs_long ? result : (u32)result;
	return vitro_skip_insn(vcpu);
}

