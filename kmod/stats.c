// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binary statistics: a file that describes itself, then the values.
 * Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD".
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "stats.h"
#include "vcpu.h"
#include "vm.h"

#define NAME_SIZE	48

/*
 * As struct kvm_stats_desc, which has no room for its name in older kernels, and in
 * newer ones for as much as KVM wants.
 */
struct stats_desc {
	u32 flags;
	s16 exponent;
	u16 size;
	u32 offset;
	u32 bucket_size;
	char name[NAME_SIZE];
};
static_assert(offsetof(struct stats_desc, flags) == offsetof(struct kvm_stats_desc, flags));
static_assert(offsetof(struct stats_desc, exponent) == offsetof(struct kvm_stats_desc, exponent));
static_assert(offsetof(struct stats_desc, size) == offsetof(struct kvm_stats_desc, size));
static_assert(offsetof(struct stats_desc, offset) == offsetof(struct kvm_stats_desc, offset));
static_assert(offsetof(struct stats_desc, name) == offsetof(struct kvm_stats_desc, name));

#define COUNT_FLAGS	(KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define TIME_FLAGS	(KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10)
#define NOW_FLAGS	(KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)

#define DESC(stat_name, stat_flags, stat_exponent)			\
	{								\
		.flags = stat_flags,					\
		.exponent = stat_exponent,				\
		.size = 1,						\
		.name = stat_name,					\
	},

#define X(sym, exit) DESC("exits_" #exit, COUNT_FLAGS, 0)
#define Y(sym, exit) DESC("time_" #exit, TIME_FLAGS, -9)
#define Z(field) DESC(#field, COUNT_FLAGS, 0)
static const struct stats_desc vcpu_descs[] = {
	VITRO_EXIT_REASONS(X)
	VITRO_EXIT_REASONS(Y)
	VITRO_VCPU_COUNTERS(Z)
};
#undef X
#undef Y

#define X(field) DESC(#field, NOW_FLAGS, 0)
static const struct stats_desc vm_descs[] = {
	VITRO_VM_GAUGES(X)
	VITRO_VM_COUNTERS(Z)
};
#undef X
#undef Z

/**
 * struct stats_file - what an open statistics fd stands for
 * @vm:    keeps the VM, and so its vCPUs, alive
 * @vcpu:  the vCPU, or NULL for the VM's own statistics
 * @descs: descriptions of the values
 * @nr:    how many
 * @id:    NAME_SIZE bytes, what the statistics are of
 */
struct stats_file {
	struct vitro_vm *vm;
	struct vitro_vcpu *vcpu;
	const struct stats_desc *descs;
	u32 nr;
	char id[NAME_SIZE];
};

/* Must not be the 128-bit division, which traps when the result is too large. */
static u64 ticks_to_ns(u64 ticks)
{
	return mul_u64_u32_div(ticks, NSEC_PER_MSEC, tsc_khz);
}

/* Others go on counting: each is what it was at some moment, not all at the same one. */
static void copy_counters(u64 *values, const u64 *counters, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		values[i] = READ_ONCE(counters[i]);
}

/* Values in the order of the descriptions; all fields of the structures are u64. */
static void read_values(const struct stats_file *stats, u64 *values)
{
	const struct vitro_vcpu_stats *s;
	int i;

	if (!stats->vcpu) {
		BUILD_BUG_ON(sizeof(struct vitro_vm_stats) != ARRAY_SIZE(vm_descs) * sizeof(u64));
		copy_counters(values, (u64 *)&stats->vm->stats, stats->nr);
		return;
	}
	BUILD_BUG_ON(sizeof(*s) != ARRAY_SIZE(vcpu_descs) * sizeof(u64));
	s = &stats->vcpu->stats;
	copy_counters(values, (u64 *)s, stats->nr);
	for (i = 0; i < VITRO_NR_EXITS; i++)
		values[VITRO_NR_EXITS + i] = ticks_to_ns(READ_ONCE(s->exit_time[i]));
}

static void fill_header(const struct stats_file *stats, struct kvm_stats_header *header)
{
	memset(header, 0, sizeof(*header));
	header->name_size = NAME_SIZE;
	header->num_desc = stats->nr;
	header->id_offset = sizeof(*header);
	header->desc_offset = header->id_offset + NAME_SIZE;
	header->data_offset = header->desc_offset + stats->nr * sizeof(struct stats_desc);
}

/* The whole file; its parts are at the offsets that the header tells. */
static void fill(const struct stats_file *stats, void *image)
{
	struct kvm_stats_header *header = image;
	struct stats_desc *desc;
	u32 i;

	fill_header(stats, header);
	memcpy(image + header->id_offset, stats->id, NAME_SIZE);
	desc = image + header->desc_offset;
	for (i = 0; i < stats->nr; i++) {
		desc[i] = stats->descs[i];
		desc[i].offset = i * sizeof(u64);
	}
	read_values(stats, image + header->data_offset);
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t size, loff_t *offset)
{
	const struct stats_file *stats = file->private_data;
	size_t total = sizeof(struct kvm_stats_header) + NAME_SIZE +
		       stats->nr * (sizeof(struct stats_desc) + sizeof(u64));
	ssize_t r;
	void *image;

	image = kvzalloc(total, GFP_KERNEL_ACCOUNT);
	if (!image)
		return -ENOMEM;
	fill(stats, image);
	r = simple_read_from_buffer(buf, size, offset, image, total);
	kvfree(image);
	return r;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *stats = file->private_data;

	vitro_vm_put(stats->vm);
	kfree(stats);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner	 = THIS_MODULE,
	.read	 = stats_read,
	.release = stats_release,
	.llseek	 = noop_llseek,
};

static int open_stats(struct stats_file *stats, const char *name)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		kfree(stats);
		return fd;
	}
	file = anon_inode_getfile(name, &stats_fops, stats, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		kfree(stats);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_PREAD;
	vitro_vm_get(stats->vm);
	fd_install(fd, file);
	return fd;
}

/**
 * vitro_vm_stats_fd() - KVM_GET_STATS_FD on a VM
 * @vm: the VM
 *
 * Return: a new file descriptor or -errno.
 */
int vitro_vm_stats_fd(struct vitro_vm *vm)
{
	struct stats_file *stats = kzalloc(sizeof(*stats), GFP_KERNEL_ACCOUNT);

	if (!stats)
		return -ENOMEM;
	stats->vm = vm;
	stats->descs = vm_descs;
	stats->nr = ARRAY_SIZE(vm_descs);
	strscpy(stats->id, vm->stats_id, NAME_SIZE);
	return open_stats(stats, "vitro-vm-stats");
}

/**
 * vitro_vcpu_stats_fd() - KVM_GET_STATS_FD on a vCPU
 * @vcpu: the vCPU
 *
 * Return: a new file descriptor or -errno.
 */
int vitro_vcpu_stats_fd(struct vitro_vcpu *vcpu)
{
	struct stats_file *stats = kzalloc(sizeof(*stats), GFP_KERNEL_ACCOUNT);
	char name[32];

	if (!stats)
		return -ENOMEM;
	stats->vm = vcpu->vm;
	stats->vcpu = vcpu;
	stats->descs = vcpu_descs;
	stats->nr = ARRAY_SIZE(vcpu_descs);
	snprintf(stats->id, NAME_SIZE, "%s/vcpu-%u", vcpu->vm->stats_id, vcpu->id);
	snprintf(name, sizeof(name), "vitro-vcpu-stats:%u", vcpu->id);
	return open_stats(stats, name);
}
