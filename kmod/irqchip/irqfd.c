// SPDX-License-Identifier: GPL-2.0-only
/*
 * irqfd: an eventfd that injects an interrupt when it is signalled.
 *
 * An irqfd is torn down once, by whoever clears @active under irqfd_lock: the
 * ioctl, the VM's end, or, through a workqueue, the eventfd's last close.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "../compat.h"
#include "internal.h"

/**
 * struct vitro_irqfd - one eventfd and its GSI; what has no lock is constant
 * @chip:	the VM's interrupt controllers
 * @link:	irqchip->irqfds while @active
 * @resample_link: irqchip->resamplers, if @resamplefd
 * @active:	irqfd_lock
 * @gsi:	what it drives
 * @eventfd:	injects when signalled; a reference is held
 * @resamplefd:	level-triggered: signalled when the guest ends the interrupt
 * @wait:	hook in the eventfd's wait queue
 * @table:	used to hook in
 * @shutdown:	tears down after the eventfd's last close
 */
struct vitro_irqfd {
	struct vitro_irqchip *chip;
	struct list_head link;
	struct list_head resample_link;
	bool active;
	u32 gsi;
	struct eventfd_ctx *eventfd;
	struct eventfd_ctx *resamplefd;
	wait_queue_entry_t wait;
	poll_table table;
	struct work_struct shutdown;
};

static void inject(struct vitro_irqfd *irqfd)
{
	struct vitro_vm *vm = irqfd->chip->vm;

	if (irqfd->resamplefd)
		vitro_drive_gsi(vm, irqfd->gsi, VITRO_SOURCE_RESAMPLE, VITRO_LINE_HIGH);
	else
		vitro_drive_gsi(vm, irqfd->gsi, VITRO_SOURCE_IRQFD, VITRO_LINE_PULSE);
}

/* Takes the irqfd off its list. False: somebody else has; hands off. */
static bool deactivate(struct vitro_irqfd *irqfd)
{
	lockdep_assert_held(&irqfd->chip->irqfd_lock);
	if (!irqfd->active)
		return false;
	irqfd->active = false;
	list_del(&irqfd->link);
	return true;
}

/* With the eventfd's wait-queue lock held, IRQs off. */
static int eventfd_woken(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct vitro_irqfd *irqfd = container_of(wait, struct vitro_irqfd, wait);
	struct vitro_irqchip *chip = irqfd->chip;
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		inject(irqfd);
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&chip->irqfd_lock, flags);
		if (deactivate(irqfd))
			queue_work(chip->irqfd_wq, &irqfd->shutdown);
		spin_unlock_irqrestore(&chip->irqfd_lock, flags);
	}
	return 0;
}

static void hook(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct vitro_irqfd *irqfd = container_of(table, struct vitro_irqfd, table);

	add_wait_queue(queue, &irqfd->wait);
}

static void remove_resampler(struct vitro_irqfd *irqfd)
{
	struct vitro_irqchip *chip = irqfd->chip;
	struct vitro_irqfd *other;
	unsigned long flags;
	bool shared = false;

	spin_lock_irqsave(&chip->irqfd_lock, flags);
	list_del_rcu(&irqfd->resample_link);
	WRITE_ONCE(chip->nr_resamplers, chip->nr_resamplers - 1);
	list_for_each_entry(other, &chip->resamplers, resample_link)
		shared |= other->gsi == irqfd->gsi;
	spin_unlock_irqrestore(&chip->irqfd_lock, flags);

	vitro_sync_readers(chip->vm);
	/* Nobody is left who would lower it. */
	if (!shared)
		vitro_drive_gsi(chip->vm, irqfd->gsi, VITRO_SOURCE_RESAMPLE, VITRO_LINE_LOW);
	vitro_ioapic_update_watch(&chip->ioapic);
}

/* Frees an irqfd that has been deactivated. Sleeps. */
static void shut_down(struct vitro_irqfd *irqfd)
{
	u64 count;

	/* No callback runs or begins after this. */
	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	if (irqfd->resamplefd) {
		remove_resampler(irqfd);
		eventfd_ctx_put(irqfd->resamplefd);
	}
	eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

static void shutdown_work(struct work_struct *work)
{
	shut_down(container_of(work, struct vitro_irqfd, shutdown));
}

/* Lists the irqfd. -EBUSY: its eventfd is in use with this VM. */
static int list_irqfd(struct vitro_irqfd *irqfd)
{
	struct vitro_irqchip *chip = irqfd->chip;
	struct vitro_irqfd *other;
	int err = 0;

	spin_lock_irq(&chip->irqfd_lock);
	list_for_each_entry(other, &chip->irqfds, link) {
		if (other->eventfd == irqfd->eventfd) {
			err = -EBUSY;
			goto out;
		}
	}
	irqfd->active = true;
	list_add_tail(&irqfd->link, &chip->irqfds);
	if (irqfd->resamplefd) {
		list_add_tail_rcu(&irqfd->resample_link, &chip->resamplers);
		WRITE_ONCE(chip->nr_resamplers, chip->nr_resamplers + 1);
	}
out:
	spin_unlock_irq(&chip->irqfd_lock);
	return err;
}

static struct vitro_irqfd *alloc_irqfd(struct vitro_irqchip *chip, const struct kvm_irqfd *args,
				       struct file *file)
{
	struct vitro_irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	int err;

	if (!irqfd)
		return ERR_PTR(-ENOMEM);
	irqfd->chip = chip;
	irqfd->gsi = args->gsi;
	INIT_WORK(&irqfd->shutdown, shutdown_work);
	init_waitqueue_func_entry(&irqfd->wait, eventfd_woken);
	init_poll_funcptr(&irqfd->table, hook);

	irqfd->eventfd = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->eventfd)) {
		err = PTR_ERR(irqfd->eventfd);
		goto free;
	}
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resamplefd = eventfd_ctx_fdget(args->resamplefd);
		if (IS_ERR(irqfd->resamplefd)) {
			err = PTR_ERR(irqfd->resamplefd);
			goto put;
		}
	}
	return irqfd;
put:
	eventfd_ctx_put(irqfd->eventfd);
free:
	kfree(irqfd);
	return ERR_PTR(err);
}

static void free_unlisted(struct vitro_irqfd *irqfd)
{
	if (irqfd->resamplefd)
		eventfd_ctx_put(irqfd->resamplefd);
	eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

/* vm->irq_lock held. */
static int assign(struct vitro_irqchip *chip, const struct kvm_irqfd *args, struct file *file)
{
	struct vitro_irqfd *irqfd;
	int err;

	if (!chip->irqfd_wq) {
		chip->irqfd_wq = alloc_workqueue("vitro-irqfd", VITRO_WQ_PERCPU, 0);
		if (!chip->irqfd_wq)
			return -ENOMEM;
	}
	irqfd = alloc_irqfd(chip, args, file);
	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);
	err = list_irqfd(irqfd);
	if (err) {
		free_unlisted(irqfd);
		return err;
	}
	if (irqfd->resamplefd)
		vitro_ioapic_update_watch(&chip->ioapic);

	/*
	 * Hooks us in. @file is ours, so it cannot be closed meanwhile, and
	 * irq_lock keeps the ioctl's other half away. Events from before the
	 * hook count.
	 */
	if (vfs_poll(file, &irqfd->table) & EPOLLIN)
		inject(irqfd);
	return 0;
}

/* vm->irq_lock held. */
static int deassign(struct vitro_irqchip *chip, const struct kvm_irqfd *args, struct file *file)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fileget(file);
	struct vitro_irqfd *irqfd, *next;
	LIST_HEAD(dead);

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);

	spin_lock_irq(&chip->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &chip->irqfds, link) {
		if (irqfd->eventfd != eventfd || irqfd->gsi != args->gsi)
			continue;
		deactivate(irqfd);
		list_add(&irqfd->link, &dead);
	}
	spin_unlock_irq(&chip->irqfd_lock);

	list_for_each_entry_safe(irqfd, next, &dead, link)
		shut_down(irqfd);
	eventfd_ctx_put(eventfd);
	return 0;
}

/**
 * vitro_irqfd() - KVM_IRQFD
 * @vm:		where
 * @args:	copied from user space
 *
 * Deassigning what is not assigned succeeds. When it returns, no interrupt of
 * a deassigned eventfd is on its way any more.
 *
 * Context: process; takes vm->irq_lock. Return: 0; -EAGAIN: no interrupt
 * controllers; -EINVAL: unknown flags, GSI out of range, not an eventfd, a resamplefd
 * where the IOAPIC is user space's;
 * -EBADF: no such file; -EBUSY: the eventfd is assigned already; -ENOMEM.
 */
int vitro_irqfd(struct vitro_vm *vm, const struct kvm_irqfd *args)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	struct fd f;
	int err;

	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (args->gsi >= VITRO_MAX_GSIS)
		return -EINVAL;
	if (!chip)
		return -EAGAIN;
	/* The pins that are to be sampled again are user space's. */
	if (chip->split && args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		return -EINVAL;

	f = fdget(args->fd);
	if (!vitro_fd_file(f))
		return -EBADF;
	mutex_lock(&vm->irq_lock);
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		err = deassign(chip, args, vitro_fd_file(f));
	else
		err = assign(chip, args, vitro_fd_file(f));
	mutex_unlock(&vm->irq_lock);
	fdput(f);
	return err;
}

/**
 * vitro_irqfds_acked() - the guest has ended the interrupt of a GSI
 * @chip:	the VM's interrupt controllers
 * @gsi:	which
 *
 * Any context; vm->srcu held, no interrupt controller's lock held.
 */
void vitro_irqfds_acked(struct vitro_irqchip *chip, u32 gsi)
{
	struct vitro_irqfd *irqfd;
	bool lowered = false;

	list_for_each_entry_srcu(irqfd, &chip->resamplers, resample_link,
				 srcu_read_lock_held(&chip->vm->srcu)) {
		if (irqfd->gsi != gsi)
			continue;
		/* Before any owner can raise it again. */
		if (!lowered)
			vitro_drive_gsi(chip->vm, gsi, VITRO_SOURCE_RESAMPLE, VITRO_LINE_LOW);
		lowered = true;
		vitro_eventfd_signal(irqfd->resamplefd);
	}
}

/**
 * vitro_irqfds_init() - no irqfds yet
 * @chip:	the VM's interrupt controllers, not yet published
 */
void vitro_irqfds_init(struct vitro_irqchip *chip)
{
	spin_lock_init(&chip->irqfd_lock);
	INIT_LIST_HEAD(&chip->irqfds);
	INIT_LIST_HEAD(&chip->resamplers);
}

/**
 * vitro_irqfd_release() - the VM's file descriptor is closed
 * @vm:		the VM, which lives on while vCPUs do
 *
 * Context: process; takes vm->irq_lock.
 */
void vitro_irqfd_release(struct vitro_vm *vm)
{
	struct vitro_irqchip *chip = vitro_chip(vm);
	struct vitro_irqfd *irqfd, *next;
	LIST_HEAD(dead);

	if (!chip)
		return;
	mutex_lock(&vm->irq_lock);
	spin_lock_irq(&chip->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &chip->irqfds, link) {
		deactivate(irqfd);
		list_add(&irqfd->link, &dead);
	}
	spin_unlock_irq(&chip->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &dead, link)
		shut_down(irqfd);
	if (chip->irqfd_wq)
		flush_workqueue(chip->irqfd_wq);
	mutex_unlock(&vm->irq_lock);
}

/**
 * vitro_irqfds_destroy() - the VM dies
 * @chip:	its interrupt controllers
 *
 * Context: process.
 */
void vitro_irqfds_destroy(struct vitro_irqchip *chip)
{
	vitro_irqfd_release(chip->vm);
	if (chip->irqfd_wq)
		destroy_workqueue(chip->irqfd_wq);
	chip->irqfd_wq = NULL;
}
