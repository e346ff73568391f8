// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls, and the other vendor's instruction for them. Programs written for KVM may use
 * either, as KVM replaces the one that raises #UD by the one that does not.
 */
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/traps.h>

#include "../uapi/vitro.h"
#include "backend.h"
#include "hypercall.h"
#include "insn.h"
#include "irqchip/irqchip.h"
#include "vm.h"

#define HYPERCALL_LEN	3

static const u8 vmcall[HYPERCALL_LEN] = { 0x0f, 0x01, 0xc1 };
static const u8 vmmcall[HYPERCALL_LEN] = { 0x0f, 0x01, 0xd9 };

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
	bool cs_long = static_call(vitro_cs_long)(vcpu);
	u64 nr = vcpu->gpr[VITRO_RAX];
	s64 result = -KVM_EPERM;

	if (!static_call(vitro_cpl)(vcpu))
		result = hypercall(vcpu, cs_long ? nr : (u32)nr, cs_long);
	vcpu->gpr[VITRO_RAX] = cs_long ? result : (u32)result;
	return vitro_skip_insn(vcpu);
}

/*
 * Replaces the instruction at RIP, if the guest could do so itself. Of the three bytes
 * only the last differs, so another vCPU sees the one or the other.
 */
static void make_native(struct vitro_vcpu *vcpu, const u8 *native)
{
	u32 access = VITRO_ACC_WRITE | (static_call(vitro_cpl)(vcpu) == 3 ? VITRO_ACC_USER : 0);
	u64 gva = vcpu_rip(vcpu) + HYPERCALL_LEN - 1;
	struct vitro_walk walk;

	/* Elsewhere a segment may be in the way; the call is made all the same. */
	if (!static_call(vitro_cs_long)(vcpu) || vitro_walk_gva(vcpu, gva, access, false, &walk))
		return;
	vitro_guest_write(vcpu->vm, walk.gpa, &native[HYPERCALL_LEN - 1], 1);
}

/**
 * vitro_exit_ud() - the guest has executed what raises #UD
 * @vcpu: the vCPU
 *
 * Context: process context, vm->srcu held for reading.
 * Return: 1.
 */
int vitro_exit_ud(struct vitro_vcpu *vcpu)
{
	bool fix = !(READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_FIX_HYPERCALL_INSN);
	bool amd = vitro_backend->id == VITRO_BACKEND_SVM;
	u8 bytes[HYPERCALL_LEN];
	int len = 0;

	if (fix)
		len = vitro_fetch_insn(vcpu, bytes, sizeof(bytes), false);
	/* The page has gone meanwhile: the guest has its #PF. */
	if (len < 0)
		return 1;
	if (len < HYPERCALL_LEN || memcmp(bytes, amd ? vmcall : vmmcall, HYPERCALL_LEN)) {
		vitro_queue_exception(vcpu, X86_TRAP_UD);
		return 1;
	}
	make_native(vcpu, amd ? vmmcall : vmcall);
	vcpu->exit.insn_len = HYPERCALL_LEN;
	return vitro_exit_hypercall(vcpu);
}
