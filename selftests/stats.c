// SPDX-License-Identifier: GPL-2.0-only
/* KVM_GET_STATS_FD: the format that api.rst describes, and that it counts. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

static void exits_guest(uint64_t arg)
{
	uint32_t regs[4];
	uint64_t i;

	for (i = 0; i < arg; i++) {
		cpuid(0, 0, regs);
		outb(0x80, i);
	}
}

/* The whole file as it is now: header, id, descriptors, data. */
static char *read_all(int fd, size_t *size)
{
	char *buf = calloc(1, 1 << 16);
	ssize_t n = pread(fd, buf, 1 << 16, 0);

	REQUIRE(n > (ssize_t)sizeof(struct kvm_stats_header), "pread: %zd", n);
	*size = n;
	return buf;
}

static struct kvm_stats_desc *descriptor(const char *buf, uint32_t i)
{
	const struct kvm_stats_header *head = (const void *)buf;

	return (void *)(buf + head->desc_offset +
			i * (sizeof(struct kvm_stats_desc) + head->name_size));
}

static void check_format(int fd)
{
	const struct kvm_stats_header *head;
	uint32_t i, j;
	size_t size;
	char *buf = read_all(fd, &size);

	head = (const void *)buf;

	CHECK_EQ(head->flags, 0);
	CHECK(head->name_size >= 8 && head->name_size <= 256, "name_size %u",
	      head->name_size);
	CHECK(head->num_desc >= 1 && head->num_desc < 1000, "num_desc %u",
	      head->num_desc);
	CHECK(head->id_offset >= sizeof(*head), "id_offset %u",
	      head->id_offset);
	CHECK(head->desc_offset >= head->id_offset + head->name_size,
	      "desc_offset %u", head->desc_offset);
	CHECK(head->data_offset >= head->desc_offset + head->num_desc *
	      (sizeof(struct kvm_stats_desc) + head->name_size),
	      "data_offset %u", head->data_offset);
	CHECK(memchr(buf + head->id_offset, 0, head->name_size), "id");
	CHECK(!strncmp(buf + head->id_offset, "kvm-", 4), "id %.*s", head->name_size,
	      buf + head->id_offset);
	for (i = 0; i < head->num_desc; i++) {
		struct kvm_stats_desc *desc = descriptor(buf, i);

		CHECK(memchr(desc->name, 0, head->name_size) && desc->name[0],
		      "name of number %u", i);
		CHECK((desc->flags & KVM_STATS_TYPE_MASK) <=
		      KVM_STATS_TYPE_MAX, "%s: flags %#x", desc->name,
		      desc->flags);
		CHECK(desc->size >= 1, "%s: size", desc->name);
		CHECK(head->data_offset + desc->offset + 8UL * desc->size <=
		      size, "%s: offset %u", desc->name, desc->offset);
		for (j = 0; j < i; j++)
			CHECK(strcmp(desc->name, descriptor(buf, j)->name),
			      "%s: twice", desc->name);
	}
}

/*
 * All exits, or -1 if nobody counts them: stock KVM has one number, vitro one
 * for each reason.
 */
static int64_t exits(int fd)
{
	const struct kvm_stats_header *head;
	struct kvm_stats_desc *desc;
	int64_t sum = -1, *value;
	size_t size;
	char *buf = read_all(fd, &size);
	uint32_t i;

	head = (const void *)buf;
	for (i = 0; i < head->num_desc; i++) {
		desc = descriptor(buf, i);
		value = (int64_t *)(buf + head->data_offset + desc->offset);
		if (!strcmp(desc->name, "exits"))
			return *value;
		if (!strncmp(desc->name, "exits_", 6))
			sum = (sum < 0 ? 0 : sum) + *value;
	}
	return sum;
}

TEST(vcpu_format_and_counts)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, exits_guest);
	int64_t before, after;
	long fd;
	int i;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	fd = REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_GET_STATS_FD, 0));
	check_format(fd);
	before = exits(fd);
	REQUIRE(before >= 0, "no statistic of exits");
	vcpu_arg(vcpu, 10);
	for (i = 0; i < 10; i++)
		EXPECT_EXIT(vcpu, KVM_EXIT_IO);
	EXPECT_DONE(vcpu);
	after = exits(fd);
	/* Ten CPUID, ten OUT and the end. */
	CHECK(after >= before + 21 && after < before + 100000,
	      "exits: before %lld, after %lld", (long long)before,
	      (long long)after);
}

TEST(vm_format)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	long fd;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	fd = REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_GET_STATS_FD, 0));
	check_format(fd);
}

TEST(reads)
{
	struct vcpu *vcpu = vcpu_new(vm_new(0), 0, exits_guest);
	struct kvm_stats_header head;
	void *volatile bad = BAD_PTR;
	char *buf, byte, part[7];
	size_t size, at = 0;
	ssize_t n;
	long fd;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	fd = REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_GET_STATS_FD, 0));
	CHECK(read(fd, &head, sizeof(head)) == sizeof(head), "header");
	buf = read_all(fd, &size);
	/* In small pieces the same comes, then the end. */
	while ((n = pread(fd, part, sizeof(part), at)) > 0) {
		CHECK(!memcmp(part, buf + at, n), "differs at %zu", at);
		at += n;
	}
	CHECK_EQ(at, size);
	CHECK(pread(fd, &byte, 1, size + 4096) == 0, "read past the end");
	CHECK(pread(fd, &byte, 1, 0x7ffffffffffffff0) <= 0, "far past it");
	CHECK(pread(fd, bad, 100, 0) == -1 && errno == EFAULT,
	      "expected EFAULT, got %s", strerrorname_np(errno));
	CHECK(write(fd, "x", 1) == -1, "written");
}

/* It keeps what it tells about alive. */
TEST(outlives_the_vm)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, exits_guest);
	long fd, vm_fd;

	NEED_CAP(KVM_CAP_BINARY_STATS_FD);
	fd = REQUIRE_OK(sys_ioctl_val(vcpu->fd, KVM_GET_STATS_FD, 0));
	vm_fd = REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_GET_STATS_FD, 0));
	EXPECT_DONE(vcpu);
	vcpu_free(vcpu);
	vm_free(vm);
	check_format(fd);
	check_format(vm_fd);
}
