/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device node, and what the file descriptors have in common.
 */
#ifndef VITRO_DEV_H
#define VITRO_DEV_H

#include <linux/fs.h>

#define VITRO_RELEASE	"0.1"

struct vitro_vm;

extern const struct file_operations vitro_dev_fops;

/* Value of KVM_CHECK_EXTENSION; @vm is NULL on the device fd. */
int vitro_check_extension(struct vitro_vm *vm, unsigned long cap);
u32 vitro_disable_exits(void);

#endif /* VITRO_DEV_H */
