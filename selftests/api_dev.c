// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls of the device node and what they say to bad input. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

TEST(api_version)
{
	int fd = kvm_open();

	CHECK_RET(sys_ioctl_val(fd, KVM_GET_API_VERSION, 0), 12);
	CHECK_ERR(sys_ioctl_val(fd, KVM_GET_API_VERSION, 1), EINVAL);
}

TEST(open_modes)
{
	int fd = open(test_device(), O_RDONLY | O_CLOEXEC);
	char byte = 0;

	/* ioctls need no write permission; data does not flow here at all. */
	REQUIRE(fd >= 0, "open read-only: %s", strerror(errno));
	CHECK_RET(sys_ioctl_val(fd, KVM_GET_API_VERSION, 0), 12);
	CHECK(read(fd, &byte, 1) == -1 && errno == EINVAL,
	      "expected EINVAL, got %s", strerrorname_np(errno));
	close(fd);
	fd = kvm_open();
	CHECK(write(fd, &byte, 1) == -1 && errno == EINVAL,
	      "expected EINVAL, got %s", strerrorname_np(errno));
	CHECK(mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED,
	      "the device node can be mapped");
	close(fd);
}

TEST(capabilities)
{
	static const struct {
		const char *name;
		int cap;
	} wanted[] = {
		{ "USER_MEMORY", KVM_CAP_USER_MEMORY },
		{ "DESTROY_MEMORY_REGION_WORKS",
		  KVM_CAP_DESTROY_MEMORY_REGION_WORKS },
		{ "JOIN_MEMORY_REGIONS_WORKS",
		  KVM_CAP_JOIN_MEMORY_REGIONS_WORKS },
		{ "SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR },
		{ "EXT_CPUID", KVM_CAP_EXT_CPUID },
		{ "MP_STATE", KVM_CAP_MP_STATE },
		{ "IRQCHIP", KVM_CAP_IRQCHIP },
		{ "IRQ_ROUTING", KVM_CAP_IRQ_ROUTING },
		{ "PIT2", KVM_CAP_PIT2 },
		{ "IRQFD", KVM_CAP_IRQFD },
		{ "IOEVENTFD", KVM_CAP_IOEVENTFD },
		{ "SIGNAL_MSI", KVM_CAP_SIGNAL_MSI },
		{ "VCPU_EVENTS", KVM_CAP_VCPU_EVENTS },
		{ "DEBUGREGS", KVM_CAP_DEBUGREGS },
		{ "XSAVE", KVM_CAP_XSAVE },
		{ "XCRS", KVM_CAP_XCRS },
		{ "ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK },
		{ "GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ },
		{ "IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT },
		{ "USER_NMI", KVM_CAP_USER_NMI },
		/* What these promise is shown by the programs named. */
		{ "CHECK_EXTENSION_VM", KVM_CAP_CHECK_EXTENSION_VM }, /* api_vm */
		{ "CLOCKSOURCE", KVM_CAP_CLOCKSOURCE }, /* kvmclock */
		{ "ENABLE_CAP", KVM_CAP_ENABLE_CAP }, /* api_attr: on a vCPU */
		{ "GET_MSR_FEATURES", KVM_CAP_GET_MSR_FEATURES }, /* here: feature_msrs */
		{ "HLT", KVM_CAP_HLT }, /* exit_misc */
		{ "INTERNAL_ERROR_DATA", KVM_CAP_INTERNAL_ERROR_DATA }, /* exit_mmio */
		{ "IOEVENTFD_ANY_LENGTH", KVM_CAP_IOEVENTFD_ANY_LENGTH }, /* irqchip */
		{ "IOEVENTFD_NO_LENGTH", KVM_CAP_IOEVENTFD_NO_LENGTH }, /* irqchip */
		{ "INTR_SHADOW", KVM_CAP_INTR_SHADOW }, /* events */
		{ "KVMCLOCK_CTRL", KVM_CAP_KVMCLOCK_CTRL }, /* api_vcpu */
		{ "LAST_CPU", KVM_CAP_LAST_CPU }, /* exit_mmio: in the data of an error */
		{ "NOP_IO_DELAY", KVM_CAP_NOP_IO_DELAY }, /* a hint only */
		{ "PIT_STATE2", KVM_CAP_PIT_STATE2 }, /* state */
		{ "SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR }, /* api_vm */
		{ "SYNC_MMU", KVM_CAP_SYNC_MMU }, /* memory */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		CHECK(kvm_has(wanted[i].cap) > 0, "no KVM_CAP_%s",
		      wanted[i].name);
}

TEST(capability_limits)
{
	long recommended = kvm_has(KVM_CAP_NR_VCPUS);
	long max = kvm_has(KVM_CAP_MAX_VCPUS);
	long max_id = kvm_has(KVM_CAP_MAX_VCPU_ID);

	CHECK(recommended >= 1 && recommended <= max,
	      "NR_VCPUS %ld, MAX_VCPUS %ld", recommended, max);
	CHECK(max_id >= max, "MAX_VCPU_ID %ld, MAX_VCPUS %ld", max_id, max);
	CHECK(kvm_has(KVM_CAP_NR_MEMSLOTS) >= 32, "got %ld",
	      kvm_has(KVM_CAP_NR_MEMSLOTS));
}

TEST(unknown_capability)
{
	CHECK_RET(kvm_has(0x7ffffff0), 0);
	CHECK_RET(kvm_has(-1), 0);
}

TEST(create_vm)
{
	int fd = kvm_open();
	long vm = REQUIRE_OK(sys_ioctl_val(fd, KVM_CREATE_VM, 0));

	CHECK(fcntl(vm, F_GETFD) & FD_CLOEXEC, "inherited by exec()");
	CHECK(read(vm, &fd, 1) == -1 && errno == EINVAL,
	      "expected EINVAL, got %s", strerrorname_np(errno));
	CHECK_ERR(sys_ioctl_val(fd, KVM_CREATE_VM, 0x40000000), EINVAL);
	CHECK_ERR(sys_ioctl_val(fd, KVM_CREATE_VM, -1), EINVAL);
}

TEST(vcpu_mmap_size)
{
	int fd = kvm_open();
	long size = sys_ioctl_val(fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	CHECK(size >= (long)sizeof(struct kvm_run) && size % PAGE_SIZE == 0,
	      "got %ld", size);
	CHECK_ERR(sys_ioctl_val(fd, KVM_GET_VCPU_MMAP_SIZE, 1), EINVAL);
}

static void check_msr_list(unsigned long request)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 4 * 1024);
	uint32_t count, i, same = 0;
	int fd = kvm_open();

	CHECK_ERR(sys_ioctl(fd, request, list), E2BIG);
	count = list->nmsrs;
	CHECK(count > 0 && count < 1024, "%u MSRs", count);
	list->nmsrs = count - 1;
	CHECK_ERR(sys_ioctl(fd, request, list), E2BIG);
	CHECK_EQ(list->nmsrs, count);
	CHECK_EQ(list->indices[0], 0);
	REQUIRE_OK(sys_ioctl(fd, request, list));
	CHECK_EQ(list->nmsrs, count);
	for (i = 1; i < count; i++)
		same += list->indices[i] == list->indices[i - 1];
	CHECK_EQ(same, 0);
	CHECK_ERR(sys_ioctl(fd, request, NULL), EFAULT);
	CHECK_ERR(sys_ioctl(fd, request, BAD_PTR), EFAULT);
}

TEST(msr_index_list)
{
	check_msr_list(KVM_GET_MSR_INDEX_LIST);
}

/* Count fits, but the array runs into a page that is not there. */
TEST(msr_index_list_truncated)
{
	int fd = kvm_open();
	char *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_msr_list *list;

	REQUIRE(pages != MAP_FAILED, "mmap: %s", strerror(errno));
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	list = (void *)(pages + PAGE_SIZE - 8);
	list->nmsrs = 1024;
	CHECK_ERR(sys_ioctl(fd, KVM_GET_MSR_INDEX_LIST, list), EFAULT);
}

TEST(supported_cpuid)
{
	struct kvm_cpuid2 *table = kvm_supported_cpuid();
	struct kvm_cpuid_entry2 *entry;
	int fd = kvm_open();
	uint32_t nent;

	entry = cpuid_find(table, 0, 0);
	REQUIRE(entry && entry->eax >= 1, "no leaf 0");
	entry = cpuid_find(table, 1, 0);
	REQUIRE(entry, "no leaf 1");
	/* No VMX for guests; SVM is checked below. */
	if (!kvm_is_stock())
		CHECK_EQ(entry->ecx & 1 << 5, 0);
	CHECK(entry->edx & 1 << 9, "no APIC in leaf 1");
	entry = cpuid_find(table, 0x80000001, 0);
	REQUIRE(entry, "no leaf 0x80000001");
	CHECK(entry->edx & 1 << 29, "no long mode");
	if (!kvm_is_stock())
		CHECK_EQ(entry->ecx & 1 << 2, 0);

	nent = table->nent;
	table->nent = 0;
	CHECK_ERR(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, table), E2BIG);
	table->nent = 1;
	CHECK_ERR(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, table), E2BIG);
	table->nent = nent;
	CHECK_OK(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, table));
	CHECK_EQ(table->nent, nent);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, NULL), EFAULT);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_SUPPORTED_CPUID, BAD_PTR), EFAULT);
}

TEST(supported_cpuid_unmapped_entries)
{
	char *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_cpuid2 *table;

	REQUIRE(pages != MAP_FAILED, "mmap: %s", strerror(errno));
	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	table = (void *)(pages + PAGE_SIZE - sizeof(*table));
	table->nent = 256;
	CHECK_ERR(sys_ioctl(kvm_open(), KVM_GET_SUPPORTED_CPUID, table),
		  EFAULT);
}

TEST(unknown_ioctls)
{
	int fd = kvm_open(), want = unknown_ioctl_errno();

	CHECK_ERR(sys_ioctl_val(fd, _IO(KVMIO, 0xff), 0), want);
	CHECK_ERR(sys_ioctl_val(fd, _IO('z', 0), 0), want);
	CHECK_ERR(sys_ioctl_val(fd, 0, 0), want);
	CHECK_ERR(sys_ioctl_val(fd, ~0U, 0), want);
}

TEST(wrong_size)
{
	int fd = kvm_open(), want = unknown_ioctl_errno();
	uint64_t buf[512] = { 0 };

	CHECK_ERR(sys_ioctl(fd, _IOWR(KVMIO, 0x02, uint64_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOWR(KVMIO, 0x05, uint32_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOR(KVMIO, 0x00, uint32_t), buf), want);
	CHECK_ERR(sys_ioctl(fd, _IOW(KVMIO, 0x01, uint32_t), buf), want);
}

TEST(ioctls_of_other_descriptors)
{
	int fd = kvm_open(), want = unknown_ioctl_errno();
	uint64_t buf[512] = { 0 };

	CHECK_ERR(sys_ioctl(fd, KVM_CREATE_VCPU, buf), want);
	CHECK_ERR(sys_ioctl(fd, KVM_SET_USER_MEMORY_REGION, buf), want);
	CHECK_ERR(sys_ioctl_val(fd, KVM_CREATE_IRQCHIP, 0), want);
	CHECK_ERR(sys_ioctl_val(fd, KVM_RUN, 0), want);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_REGS, buf), want);
	CHECK_ERR(sys_ioctl(fd, KVM_SET_SREGS, buf), want);
}

TEST(emulated_cpuid)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} table = { .head.nent = 256 };
	int fd = kvm_open();
	uint32_t i;

	REQUIRE_OK(sys_ioctl(fd, KVM_GET_EMULATED_CPUID, &table));
	CHECK(table.head.nent <= 256, "%u entries", table.head.nent);
	for (i = 0; i < table.head.nent; i++)
		CHECK(table.head.entries[i].function < 0x90000000, "leaf %#x",
		      table.head.entries[i].function);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_EMULATED_CPUID, BAD_PTR), EFAULT);
}

/* MSRs that say what the processor can: readable without a VM. */
TEST(feature_msrs)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t indices[256];
	} list = { .head.nmsrs = 256 };
	static struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[256];
	} msrs;
	int fd = kvm_open();
	uint32_t i, count;

	REQUIRE_OK(sys_ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &list));
	msrs.head.nmsrs = list.head.nmsrs;
	for (i = 0; i < list.head.nmsrs; i++)
		msrs.head.entries[i].index = list.head.indices[i];
	CHECK_RET(sys_ioctl(fd, KVM_GET_MSRS, &msrs), list.head.nmsrs);
	msrs.head.nmsrs = 1;
	msrs.head.entries[0].index = 0x345;
	if (!host_is_amd())		/* IA32_PERF_CAPABILITIES */
		CHECK_RET(sys_ioctl(fd, KVM_GET_MSRS, &msrs), 1);
	/* Others are no business of the device. */
	msrs.head.nmsrs = 1;
	msrs.head.entries[0].index = 0xc0000080;
	CHECK_RET(sys_ioctl(fd, KVM_GET_MSRS, &msrs), 0);
	msrs.head.nmsrs = ~0U;
	CHECK_ERR(sys_ioctl(fd, KVM_GET_MSRS, &msrs), E2BIG);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_MSRS, BAD_PTR), EFAULT);
	CHECK_ERR(sys_ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, BAD_PTR),
		  EFAULT);
	count = list.head.nmsrs;
	list.head.nmsrs = 0;
	if (count)
		CHECK_ERR(sys_ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &list),
			  E2BIG);
	CHECK_EQ(list.head.nmsrs, count);
}
