/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR and KVM_SET_DEVICE_ATTR.
 */
#ifndef VITRO_ATTR_H
#define VITRO_ATTR_H

struct kvm_device_attr;
struct vitro_vcpu;

/* Of the device: 0, -ENXIO, -EFAULT. */
int vitro_dev_has_attr(const struct kvm_device_attr *attr);
int vitro_dev_get_attr(const struct kvm_device_attr *attr);

/* Of a vCPU, loaded: likewise. */
int vitro_vcpu_has_attr(const struct kvm_device_attr *attr);
int vitro_vcpu_get_attr(struct vitro_vcpu *vcpu, const struct kvm_device_attr *attr);
int vitro_vcpu_set_attr(struct vitro_vcpu *vcpu, const struct kvm_device_attr *attr);

#endif /* VITRO_ATTR_H */
