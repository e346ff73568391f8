// SPDX-License-Identifier: GPL-2.0-only
#include "core/vm.h"
#include "core/util.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Intel processors want four pages of the guest's space for themselves. */
#define TSS_ADDR	0xfffbd000UL
#define IDENTITY_MAP	0xfffbc000ULL

static int open_device(struct vm *vm)
{
	const char *why;
	int version, err;

	vm->dev_fd = open(vm->dev_path, O_RDWR | O_CLOEXEC);
	if (vm->dev_fd < 0) {
		err = errno;
		switch (err) {
		case ENOENT:
		case ENODEV:
		case ENXIO:
			why = "the module is not loaded: load it (modprobe vitro), and run 'vitro check' if that fails";
			break;
		case EACCES:
		case EPERM:
			why = "run as root, or as a member of the group that owns the device";
			break;
		case EISDIR:
			why = "that is a directory; give /dev/vitro or /dev/kvm";
			break;
		case EBUSY:
			why = "another program or hypervisor has it: stop that one first";
			break;
		default:
			why = "run 'vitro check' to see whether this host is able";
		}
		return fail(err, "cannot open %s: %s; %s", vm->dev_path, strerror(err), why);
	}
	version = ioctl(vm->dev_fd, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return fail(ENOTTY, "%s is no hypervisor: it does not know KVM_GET_API_VERSION; give --device /dev/vitro or /dev/kvm",
			    vm->dev_path);
	if (version != KVM_API_VERSION)
		return fail(EPROTO, "%s speaks version %d of the KVM API, this program version %d; use the two of one release",
			    vm->dev_path, version, KVM_API_VERSION);
	return 0;
}

static int create_vm(struct vm *vm)
{
	__u64 identity = IDENTITY_MAP;
	int size, err;

	size = ioctl(vm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run))
		return fail(EPROTO, "%s: KVM_GET_VCPU_MMAP_SIZE says %d, which is less than struct kvm_run needs",
			    vm->dev_path, size);
	vm->run_size = size;
	vm->vm_fd = ioctl(vm->dev_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0) {
		err = errno;
		return fail(err, "cannot create a virtual machine: KVM_CREATE_VM: %s%s", strerror(err),
			    err == EBUSY ? "; another hypervisor is using the processor's virtualization" :
			    "; the kernel log (dmesg) may say more");
	}
	/* Only Intel's backends need these two; others say ENOTTY. */
	if (ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 && errno != ENOTTY)
		return fail(errno, "KVM_SET_IDENTITY_MAP_ADDR %#llx: %s", identity, strerror(errno));
	if (ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0 && errno != ENOTTY)
		return fail(errno, "KVM_SET_TSS_ADDR %#lx: %s", TSS_ADDR, strerror(errno));
	return 0;
}

static int add_memory(struct vm *vm, uint64_t size)
{
	int ret = guest_mem_init(&vm->mem, size);

	if (ret)
		return fail(-ret, "cannot reserve %llu MiB of guest memory: %s; ask for less with --mem",
			    (unsigned long long)(size / MIB), strerror(-ret));
	for (unsigned int i = 0; i < vm->mem.nr_regions; i++) {
		const struct ram_region *r = &vm->mem.region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->hva,
		};

		if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return fail(errno, "the hypervisor does not take guest memory %#llx to %#llx: KVM_SET_USER_MEMORY_REGION: %s; ask for less with --mem",
				    slot.guest_phys_addr, slot.guest_phys_addr + slot.memory_size,
				    strerror(errno));
	}
	return 0;
}

int vm_create(struct vm *vm, const char *dev_path, uint64_t mem_size)
{
	int ret;

	*vm = (struct vm){
		.dev_path = dev_path,
		.dev_fd = -1,
		.vm_fd = -1,
		.stop_fd = -1,
		.end = VM_RUNNING,
	};
	bus_init(&vm->pio);
	bus_init(&vm->mmio);
	ret = open_device(vm);
	if (!ret)
		ret = create_vm(vm);
	if (!ret)
		ret = add_memory(vm, mem_size);
	if (!ret)
		ret = irq_init(vm);
	if (!ret) {
		vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vm->stop_fd < 0)
			ret = fail(errno, "eventfd: %s", strerror(errno));
	}
	if (ret)
		vm_destroy(vm);
	return ret;
}

void vm_destroy(struct vm *vm)
{
	irq_destroy(vm);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->dev_fd >= 0)
		close(vm->dev_fd);
	vm->stop_fd = vm->vm_fd = vm->dev_fd = -1;
	guest_mem_destroy(&vm->mem);
}

int vm_cap(const struct vm *vm, int cap)
{
	int value = ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, cap);

	/* Very old kernels answer on the device only. */
	if (value < 0)
		value = ioctl(vm->dev_fd, KVM_CHECK_EXTENSION, cap);
	return value > 0 ? value : 0;
}

bool vm_stop(struct vm *vm, enum vm_end end)
{
	int running = VM_RUNNING;
	uint64_t one = 1;

	if (!atomic_compare_exchange_strong(&vm->end, &running, end))
		return false;
	/* An eventfd holding 1 takes another 1: this cannot block or fail. */
	if (write(vm->stop_fd, &one, sizeof(one)) != sizeof(one))
		note("cannot wake the main thread: %s", strerror(errno));
	return true;
}
