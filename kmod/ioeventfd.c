// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioeventfd: guest writes that signal an eventfd instead of leaving to user
 * space.
 */
#include <linux/eventfd.h>
#include <linux/kvm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "iobus.h"
#include "vm.h"

#define KNOWN_FLAGS	(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | \
			 KVM_IOEVENTFD_FLAG_DEASSIGN)

/**
 * struct vitro_ioeventfd - one rule; constant once registered
 * @dev:	its place on the bus
 * @eventfd:	signalled; a reference is held, so that closing the descriptor
 *		does no harm
 * @addr:	port or guest-physical address
 * @len:	bytes of the access; 0: any
 * @match:	only writes of @value
 * @value:	zero-extended
 */
struct vitro_ioeventfd {
	struct vitro_iodev dev;
	struct eventfd_ctx *eventfd;
	u64 addr;
	u32 len;
	bool match;
	u64 value;
};

static struct vitro_ioeventfd *to_rule(struct vitro_iodev *dev)
{
	return container_of(dev, struct vitro_ioeventfd, dev);
}

static int rule_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
		      const void *data)
{
	const struct vitro_ioeventfd *rule = to_rule(dev);
	u64 value = 0;

	if (addr != rule->addr || (rule->len && rule->len != len))
		return -EOPNOTSUPP;
	if (rule->match) {
		/* rule->len is not 0, so the access is of 1 to 8 bytes. */
		memcpy(&value, data, len);
		if (value != rule->value)
			return -EOPNOTSUPP;
	}
	vitro_eventfd_signal(rule->eventfd);
	return 0;
}

static void rule_destroy(struct vitro_iodev *dev)
{
	struct vitro_ioeventfd *rule = to_rule(dev);

	eventfd_ctx_put(rule->eventfd);
	kfree(rule);
}

static const struct vitro_iodev_ops rule_ops = {
	.write = rule_write,
	.destroy = rule_destroy,
};

/* Could one write match both? */
static bool collides(struct vitro_iodev *dev, const void *arg)
{
	const struct vitro_ioeventfd *new = arg, *old = to_rule(dev);

	if (dev->ops != &rule_ops || old->addr != new->addr)
		return false;
	if (!old->len || !new->len)
		return true;
	return old->len == new->len &&
	       (!old->match || !new->match || old->value == new->value);
}

static bool same(struct vitro_iodev *dev, const void *arg)
{
	const struct vitro_ioeventfd *wanted = arg, *rule = to_rule(dev);

	return dev->ops == &rule_ops && rule->eventfd == wanted->eventfd &&
	       rule->addr == wanted->addr && rule->len == wanted->len &&
	       rule->match == wanted->match && (!rule->match || rule->value == wanted->value);
}

static int check(const struct kvm_ioeventfd *args)
{
	if (args->flags & ~KNOWN_FLAGS)
		return -EINVAL;
	switch (args->len) {
	case 0:
		/* A value of no size cannot be compared. */
		return args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH ? -EINVAL : 0;
	case 1:
	case 2:
	case 4:
	case 8:
		return args->addr + args->len < args->addr ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int assign(struct vitro_vm *vm, enum vitro_bus bus, const struct vitro_ioeventfd *wanted)
{
	struct vitro_ioeventfd *rule = kmemdup(wanted, sizeof(*wanted), GFP_KERNEL_ACCOUNT);
	int err;

	if (!rule)
		return -ENOMEM;
	mutex_lock(&vm->slots_lock);
	if (vitro_iobus_find(vm, bus, collides, rule))
		err = -EEXIST;
	else
		err = vitro_iobus_register(vm, bus, rule->addr, rule->len, &rule->dev);
	mutex_unlock(&vm->slots_lock);
	if (err)
		kfree(rule);
	return err;
}

static int deassign(struct vitro_vm *vm, enum vitro_bus bus, const struct vitro_ioeventfd *wanted)
{
	struct vitro_iodev *dev;
	int err = -ENOENT;

	mutex_lock(&vm->slots_lock);
	dev = vitro_iobus_find(vm, bus, same, wanted);
	if (dev)
		err = vitro_iobus_unregister(vm, bus, dev);
	mutex_unlock(&vm->slots_lock);
	return err;
}

/**
 * vitro_ioeventfd() - KVM_IOEVENTFD
 * @vm:		where
 * @args:	copied from user space
 *
 * Context: process; takes vm->slots_lock. Return: 0; -EINVAL: unknown flags,
 * length other than 0, 1, 2, 4 or 8, a range that wraps, a value to match
 * without a length, not an eventfd; -EBADF: no such file; -EEXIST: a rule
 * matches some of the same writes; -ENOENT: no such rule to deassign; -ENOMEM,
 * -ENOSPC.
 */
int vitro_ioeventfd(struct vitro_vm *vm, const struct kvm_ioeventfd *args)
{
	enum vitro_bus bus = args->flags & KVM_IOEVENTFD_FLAG_PIO ? VITRO_BUS_PIO : VITRO_BUS_MMIO;
	struct vitro_ioeventfd wanted = {
		.dev.ops = &rule_ops,
		.addr = args->addr,
		.len = args->len,
		.match = args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
		.value = args->datamatch,
	};
	int err = check(args);

	if (err)
		return err;
	wanted.eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(wanted.eventfd))
		return PTR_ERR(wanted.eventfd);

	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		err = deassign(vm, bus, &wanted);
	else
		err = assign(vm, bus, &wanted);
	/* A rule that has been registered keeps the reference. */
	if (err || (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN))
		eventfd_ctx_put(wanted.eventfd);
	return err;
}
