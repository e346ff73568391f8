/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Coalesced MMIO and port I/O: guest writes that user space collects later.
 */
#ifndef VITRO_COALESCED_H
#define VITRO_COALESCED_H

struct kvm_coalesced_mmio_zone;
struct vitro_vm;

int vitro_coalesced_init(struct vitro_vm *vm);
void vitro_coalesced_free(struct vitro_vm *vm);

/* KVM_REGISTER_COALESCED_MMIO and KVM_UNREGISTER_COALESCED_MMIO. */
int vitro_coalesced_register(struct vitro_vm *vm, const struct kvm_coalesced_mmio_zone *zone);
int vitro_coalesced_unregister(struct vitro_vm *vm, const struct kvm_coalesced_mmio_zone *zone);

#endif /* VITRO_COALESCED_H */
