/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's TCG gives up ("qemu: fatal: invalid tss type") when a guest takes an interrupt
 * at CPL 3 while the type in its TR, as VMRUN loaded it, is that of a busy TSS or of
 * none. Processors know TR as busy. There, guests get an available TSS.
 */
#ifndef FUZZ_TCG_H
#define FUZZ_TCG_H

#include <cpuid.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>

static inline bool host_is_tcg(void)
{
	uint32_t regs[4];

	__cpuid(0x40000000, regs[0], regs[1], regs[2], regs[3]);
	return !memcmp(regs + 1, "TCGTCGTCGTCG", 12);
}

/* To be called before each KVM_SET_SREGS. */
static inline void spare_tcg(struct kvm_sregs *sregs)
{
	static int tcg = -1;

	if (tcg < 0)
		tcg = host_is_tcg();
	if (!tcg)
		return;
	sregs->tr.type = 9;
	sregs->tr.present = 1;
	sregs->tr.s = sregs->tr.unusable = 0;
}

#endif
