/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables of ioctls. Copying in and out, looking up and refusing what is not
 * in the table is written once, in ioctl.c; uapi/SUPPORTED.md is generated
 * from the VITRO_IOCTL() lines.
 */
#ifndef VITRO_IOCTL_H
#define VITRO_IOCTL_H

#include <linux/compiler.h>
#include <linux/ioctl.h>
#include <linux/nospec.h>
#include <linux/types.h>

struct vitro_ioctl;

/**
 * struct vitro_ioctl - one call
 * @cmd:	the ioctl's number, which as a rule tells its data's ...
 * @size:	... bytes ...
 * @dir:	... and direction (_IOC_READ, _IOC_WRITE)
 * @lock:	class of lock to be taken around @call, the table owner's business
 * @call:	@obj: what the fd stands for. @data: kernel copy of the
 *		argument's structure: filled from user space for _IOW, zeroed
 *		otherwise, copied back for _IOR if the result is not negative; NULL for
 *		_IO. @arg: the raw argument
 */
struct vitro_ioctl {
	unsigned int cmd;
	u16 size;
	u8 dir;
	u8 lock;
	long (*call)(void *obj, void *data, unsigned long arg);
};

/*
 * Tables are indexed by the ioctl's number, which KVM uses twice where one of
 * the calls has no data, or has it in both directions; the whole command is compared.
 */
#define VITRO_IOCTL_SLOTS	512
#define VITRO_IOCTL_SLOT(cmd)						\
	(_IOC_NR(cmd) |							\
	 (_IOC_DIR(cmd) == _IOC_READ || _IOC_DIR(cmd) == _IOC_WRITE ? 0 : 256))

#define VITRO_IOCTL(name, lock_class, fn)				\
	VITRO_IOCTL_DATA(name, lock_class, fn, _IOC_DIR(name), _IOC_SIZE(name))

/* One whose number does not tell the truth about its data. */
#define VITRO_IOCTL_DATA(name, lock_class, fn, direction, bytes)		\
	[VITRO_IOCTL_SLOT(name)] = {					\
		.cmd = name, .dir = direction, .size = bytes,		\
		.lock = lock_class, .call = fn				\
	}

/* One of uapi/vitro.h, whose numbers would collide with KVM's in a table. */
#define VITRO_IOCTL_EXTENSION(name, lock_class, fn)			\
	{								\
		.cmd = name, .dir = _IOC_DIR(name), .size = _IOC_SIZE(name), \
		.lock = lock_class, .call = fn				\
	}

/**
 * vitro_ioctl_find() - look an ioctl up in a table
 * @table: VITRO_IOCTL_SLOTS entries
 * @cmd:   number from user space
 *
 * Return: the entry, or NULL if the table does not have exactly @cmd.
 */
static inline const struct vitro_ioctl *vitro_ioctl_find(const struct vitro_ioctl *table,
							 unsigned int cmd)
{
	const struct vitro_ioctl *ioctl;

	ioctl = &table[array_index_nospec(VITRO_IOCTL_SLOT(cmd), VITRO_IOCTL_SLOTS)];
	return ioctl->cmd == cmd && ioctl->call ? ioctl : NULL;
}

long vitro_ioctl_copy_call(const struct vitro_ioctl *ioctl, void *obj, unsigned long arg);

/**
 * vitro_ioctl_call() - carry out an ioctl
 * @ioctl: entry found by vitro_ioctl_find()
 * @obj:   passed to the handler
 * @arg:   argument from user space
 *
 * Context: process context.
 * Return: the handler's result, -EFAULT, -ENOMEM.
 */
static inline long vitro_ioctl_call(const struct vitro_ioctl *ioctl, void *obj,
				    unsigned long arg)
{
	if (ioctl->dir == _IOC_NONE)
		return ioctl->call(obj, NULL, arg);
	return vitro_ioctl_copy_call(ioctl, obj, arg);
}

/* For structures with a flexible tail: the tail's address in user space. */
#define vitro_user_tail(arg, type, member) \
	((void __user *)(arg) + offsetof(type, member))

#endif /* VITRO_IOCTL_H */
