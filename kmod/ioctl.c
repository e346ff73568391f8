// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking up ioctls and moving their arguments across the user boundary.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "ioctl.h"

/* Arguments up to this size live on the stack: struct kvm_sregs is the largest of them. */
#define SMALL_ARGUMENT	320

/**
 * vitro_ioctl_copy_call() - carry out an ioctl that has data
 * @ioctl: entry found by vitro_ioctl_find()
 * @obj:   passed to the handler
 * @arg:   argument from user space
 *
 * Context: process context.
 * Return: the handler's result, -EFAULT, -ENOMEM.
 */
long vitro_ioctl_copy_call(const struct vitro_ioctl *ioctl, void *obj, unsigned long arg)
{
	unsigned int dir = ioctl->dir;
	size_t size = ioctl->size;
	/* All of what is copied back is filled or zeroed below; clearing it here takes time. */
	u8 small[SMALL_ARGUMENT] __aligned(8) VITRO_UNINITIALIZED;
	void *data = small;
	long r;

	if (size > sizeof(small)) {
		data = kmalloc(round_up(size, sizeof(u64)), GFP_KERNEL_ACCOUNT);
		if (!data)
			return -ENOMEM;
	}

	if (!(dir & _IOC_WRITE)) {
		memset64(data, 0, DIV_ROUND_UP(size, sizeof(u64)));
	} else if (copy_from_user(data, (void __user *)arg, size)) {
		r = -EFAULT;
		goto out;
	}

	r = ioctl->call(obj, data, arg);
	if (r >= 0 && (dir & _IOC_READ) &&
	    copy_to_user((void __user *)arg, data, size))
		r = -EFAULT;
out:
	if (data != small)
		kfree(data);
	return r;
}
