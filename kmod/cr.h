/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control registers and EFER: what the processor would refuse, and what a
 * change entails. The vCPU's thread, loaded.
 */
#ifndef VITRO_CR_H
#define VITRO_CR_H

#include <linux/types.h>
#include <asm/processor-flags.h>

/* With PAE paging, changing one of these loads the PDPTEs (SDM, "PDPTE Registers"). */
#define CR0_LOADS_PDPTES (X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_LOADS_PDPTES (X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)

struct vitro_vcpu;

/* Each: 0, or 1 if the value raises #GP. */
int vitro_write_cr0(struct vitro_vcpu *vcpu, u64 value);
int vitro_write_cr3(struct vitro_vcpu *vcpu, u64 value);
int vitro_write_cr4(struct vitro_vcpu *vcpu, u64 value);
int vitro_write_cr8(struct vitro_vcpu *vcpu, u64 value);
int vitro_write_efer(struct vitro_vcpu *vcpu, u64 value);
u64 vitro_read_cr8(struct vitro_vcpu *vcpu);

/* Are these values consistent with each other? For KVM_SET_SREGS. */
bool vitro_crs_valid(struct vitro_vcpu *vcpu, u64 cr0, u64 cr3, u64 cr4, u64 efer);

bool vitro_pdpte_invalid(const struct vitro_vcpu *vcpu, u64 pdpte);
bool vitro_read_pdptes(struct vitro_vcpu *vcpu, u64 cr3);

/* exit.c's handler of VITRO_EXIT_CR. 1, 0 or -errno as vitro_handle_exit(). */
int vitro_exit_cr(struct vitro_vcpu *vcpu);
int vitro_exit_dr(struct vitro_vcpu *vcpu);

#endif /* VITRO_CR_H */
