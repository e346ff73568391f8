// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of the device and of vCPUs: values that have no call of their own.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/uaccess.h>

#include "attr.h"
#include "clock.h"
#include "vcpu.h"
#include "xstate.h"

/**
 * vitro_dev_has_attr() - KVM_HAS_DEVICE_ATTR of the device
 * @attr: group and attribute
 *
 * Return: 0, or -ENXIO if there is no such attribute.
 */
int vitro_dev_has_attr(const struct kvm_device_attr *attr)
{
	return attr->group || attr->attr != KVM_X86_XCOMP_GUEST_SUPP ? -ENXIO : 0;
}

/**
 * vitro_dev_get_attr() - KVM_GET_DEVICE_ATTR of the device
 * @attr: group, attribute, and where to: XSAVE components that guests can have, 64 bits
 *
 * Return: 0, -ENXIO, -EFAULT.
 */
int vitro_dev_get_attr(const struct kvm_device_attr *attr)
{
	int err = vitro_dev_has_attr(attr);

	return err ?: put_user(vitro_guest_xcr0, (u64 __user *)u64_to_user_ptr(attr->addr));
}

/**
 * vitro_vcpu_has_attr() - KVM_HAS_DEVICE_ATTR of a vCPU
 * @attr: group and attribute
 *
 * Return: 0, or -ENXIO if there is no such attribute.
 */
int vitro_vcpu_has_attr(const struct kvm_device_attr *attr)
{
	return attr->group != KVM_VCPU_TSC_CTRL || attr->attr != KVM_VCPU_TSC_OFFSET ? -ENXIO : 0;
}

/**
 * vitro_vcpu_get_attr() - KVM_GET_DEVICE_ATTR of a vCPU
 * @vcpu: the vCPU, loaded
 * @attr: group, attribute, and where to: guest's TSC minus host's, 64 bits
 *
 * Return: 0, -ENXIO, -EFAULT.
 */
int vitro_vcpu_get_attr(struct vitro_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int err = vitro_vcpu_has_attr(attr);

	return err ?: put_user(vcpu->tsc_offset, (u64 __user *)u64_to_user_ptr(attr->addr));
}

/**
 * vitro_vcpu_set_attr() - KVM_SET_DEVICE_ATTR of a vCPU
 * @vcpu: the vCPU, loaded
 * @attr: group, attribute, and where the value is
 *
 * Return: 0, -ENXIO, -EFAULT.
 */
int vitro_vcpu_set_attr(struct vitro_vcpu *vcpu, const struct kvm_device_attr *attr)
{
	int err = vitro_vcpu_has_attr(attr);
	u64 offset;

	if (err)
		return err;
	if (get_user(offset, (u64 __user *)u64_to_user_ptr(attr->addr)))
		return -EFAULT;
	vitro_tsc_set_offset(vcpu, offset);
	return 0;
}
