/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In-kernel devices on the guest's port and memory buses.
 */
#ifndef VITRO_IOBUS_H
#define VITRO_IOBUS_H

#include <linux/types.h>

struct vitro_vm;
struct vitro_vcpu;
struct vitro_iodev;

enum vitro_bus {
	VITRO_BUS_PIO,
	VITRO_BUS_MMIO,
	VITRO_NR_BUSES
};

/**
 * struct vitro_iodev_ops - how a device answers
 * @read: 0 when the device has handled the access and filled @data, -EOPNOTSUPP when
 *	it has not (the next device on the range, then user space, is asked).
 *	Hot: IRQs may be off, no sleeping
 * @write: likewise, with @data to be written
 * @destroy: free the device; called when it is unregistered or the VM dies, after
 *	all readers have left. May be NULL
 */
struct vitro_iodev_ops {
	int (*read)(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr,
		    int len, void *data);
	int (*write)(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr,
		     int len, const void *data);
	void (*destroy)(struct vitro_iodev *dev);
};

/* Embedded in a device; container_of() leads back. */
struct vitro_iodev {
	const struct vitro_iodev_ops *ops;
};

/* iobus.c. register/unregister: vm->slots_lock held; sleep. -ENOMEM, -ENOSPC. */
int vitro_iobus_register(struct vitro_vm *vm, enum vitro_bus bus, u64 addr,
			 u64 len, struct vitro_iodev *dev);
int vitro_iobus_unregister(struct vitro_vm *vm, enum vitro_bus bus, struct vitro_iodev *dev);
/* vm->slots_lock held: the first device that @match says yes to, or NULL */
struct vitro_iodev *vitro_iobus_find(struct vitro_vm *vm, enum vitro_bus bus,
				     bool (*match)(struct vitro_iodev *dev, const void *arg),
				     const void *arg);
/* vm->srcu held or vCPU hot. 0 or -EOPNOTSUPP: no device took it */
int vitro_iobus_read(struct vitro_vcpu *vcpu, enum vitro_bus bus, u64 addr, int len, void *data);
int vitro_iobus_write(struct vitro_vcpu *vcpu, enum vitro_bus bus, u64 addr, int len, const void *data);
void vitro_iobus_destroy(struct vitro_vm *vm);

/* ioeventfd.c */
struct kvm_ioeventfd;
int vitro_ioeventfd(struct vitro_vm *vm, const struct kvm_ioeventfd *args);

#endif /* VITRO_IOBUS_H */
