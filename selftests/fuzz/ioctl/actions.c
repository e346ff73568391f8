// SPDX-License-Identifier: GPL-2.0-only
/* What programs do beside single ioctls: memory, descriptors, processes, whole VMs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../lib/cpus.h"
#include "execute.h"
#include "tcg.h"

#define MAX_CPUID	96
#define PAGE		4096UL

static const struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[MAX_CPUID];
} empty_cpuid = { .head.nent = MAX_CPUID };

static void setup_vcpu(int vm, unsigned int slot, unsigned int id, uint64_t rip, bool in_hole)
{
	__typeof__(empty_cpuid) cpuid = empty_cpuid;
	int fd = ioctl(vm, KVM_CREATE_VCPU, id);
	struct kvm_mp_state mp = { KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = rip, .rflags = 2, .rsp = 0x8000 };
	struct kvm_sregs sregs;

	fd = take_fd(fd, FD(OBJ_VCPU, slot));
	if (fd < 0)
		return;
	mmap((void *)(RUN_AREA + (slot % FD_PER_OBJECT) * RUN_STRIDE), RUN_STRIDE,
	     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (!ioctl(FD(OBJ_DEV, 0), KVM_GET_SUPPORTED_CPUID, &cpuid))
		ioctl(fd, KVM_SET_CPUID2, &cpuid);
	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return;
	sregs.cs.base = sregs.cs.selector = 0;
	if (in_hole) {
		sregs.ds.base = 0xd0000000;
		sregs.es.base = 0xfee00000;
	}
	spare_tcg(&sregs);
	ioctl(fd, KVM_SET_SREGS, &sregs);
	ioctl(fd, KVM_SET_REGS, &regs);
	ioctl(fd, KVM_SET_MP_STATE, &mp);
}

static const struct field setup_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_BITS, .count = 1, .param = 15 },
	{ .offset = 8, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 4 },
	{ .offset = 16, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 1000 },
};

/* A VM with memory, and with vCPUs that are ready to run: data is flags, vCPUs, their code. */
static long setup(struct thread *thread, const uint64_t *data, int fd)
{
	struct kvm_userspace_memory_region low = {
		.memory_size = 2 << 20, .userspace_addr = ARENA, .flags = data[0] & 1,
	};
	struct kvm_pit_config pit = { 0 };
	unsigned int i, n = fd - FD(OBJ_VM, 0);
	int vm = take_fd(ioctl(FD(OBJ_DEV, 0), KVM_CREATE_VM, 0), fd);

	if (vm < 0)
		return vm;
	if (data[0] & 6)
		ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	if (data[0] & 4)
		ioctl(vm, KVM_CREATE_PIT2, &pit);
	ioctl(vm, KVM_SET_USER_MEMORY_REGION, &low);
	for (i = 0; i < 1 + data[1] % 3; i++) {
		guest_code((uint8_t *)ARENA + 0x1000 * (i + 1), data[2] + i);
		setup_vcpu(vm, 3 * n + i, i, 0x1000 * (i + 1), data[0] & 8);
	}
	return 0;
}

static const struct field run_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 16 },
	{ .offset = 8, .size = 8, .kind = KIND_ANY, .count = 1 },
};

/* As a VMM does: data is how many exits, and what is given to those that ask. */
static long run(struct thread *thread, const uint64_t *data, int fd)
{
	unsigned int slot = (fd - FD(OBJ_VCPU, 0)) % FD_PER_OBJECT, i;
	volatile struct kvm_run *run = (void *)(RUN_AREA + slot * RUN_STRIDE);
	volatile uint8_t *area = (void *)run;
	long ret = 0;

	for (i = 0; i <= data[0] % 16; i++) {
		ret = ioctl(fd, KVM_RUN, 0);
		if (ret < 0)
			return ret;
		if (run->exit_reason == KVM_EXIT_IO)
			area[run->io.data_offset % (2 * PAGE)] = data[1];
		else if (run->exit_reason == KVM_EXIT_MMIO)
			run->mmio.data[i % 8] = data[1];
		else if (run->exit_reason != KVM_EXIT_HLT)
			break;
	}
	return ret;
}

static const struct field area_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 40 },
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 2 },
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 2 * PAGE },
	{ .offset = 8, .size = 8, .kind = KIND_ANY, .count = 1 },
};

/* Writes into the vCPU's window: data is where and what. */
static long write_area(struct thread *thread, const uint64_t *data, int fd)
{
	unsigned int slot = (fd - FD(OBJ_VCPU, 0)) % FD_PER_OBJECT;

	*(volatile uint8_t *)(RUN_AREA + slot * RUN_STRIDE + data[0] % (2 * PAGE)) = data[1];
	return 0;
}

static long map_area(struct thread *thread, const uint64_t *data, int fd)
{
	unsigned int slot = (fd - FD(OBJ_VCPU, 0)) % FD_PER_OBJECT;

	mmap((void *)(RUN_AREA + slot * RUN_STRIDE + data[0] % 3 * PAGE), RUN_STRIDE / 2,
	     PROT_READ | PROT_WRITE, (data[1] & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED, fd,
	     data[0] / 3 % 4 * PAGE);
	return 0;
}

static const struct field memory_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_HVA, .count = 1 },
	{ .offset = 8, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 1024 },
	{ .offset = 16, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 8 },
};

/* Where @data says, but never elsewhere than in the areas for guests. */
static void *in_arena(const uint64_t *data, size_t *size)
{
	uint64_t room = RUN_AREA + FD_PER_OBJECT * RUN_STRIDE - ARENA;
	uint64_t offset = (data[0] - ARENA) % room & ~(PAGE - 1);

	*size = (data[1] % 1024 + 1) * PAGE;
	if (*size > room - offset)
		*size = room - offset;
	return (void *)(ARENA + offset);
}

static long do_mmap(struct thread *thread, const uint64_t *data, int fd)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };
	size_t size;
	void *at = in_arena(data, &size);

	if (data[2] & 4)
		return munmap(at, size);
	return mmap(at, size, prots[data[2] % 3], MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
		    MAP_NORESERVE, -1, 0) == MAP_FAILED;
}

static long do_mprotect(struct thread *thread, const uint64_t *data, int fd)
{
	size_t size;
	void *at = in_arena(data, &size);

	return mprotect(at, size, data[2] & 3);
}

static long do_madvise(struct thread *thread, const uint64_t *data, int fd)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_REMOVE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_FREE,
		MADV_MERGEABLE, MADV_COLD, MADV_PAGEOUT,
	};
	size_t size;
	void *at = in_arena(data, &size);

	return madvise(at, size, advices[data[2] % ARRAY_SIZE(advices)]);
}

static const struct field write_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 0x4000 },
	{ .offset = 8, .size = 8, .kind = KIND_ANY, .count = 1 },
	{ .offset = 16, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 1000 },
};

/* Guest memory: where, what, or another guest's code. */
static long write_guest(struct thread *thread, const uint64_t *data, int fd)
{
	uint8_t *to = (uint8_t *)ARENA + data[0] % (1 << 20);

	if (data[1] & 1)
		guest_code(to, data[2]);
	else
		memcpy(to, data + 1, sizeof(data[1]));
	return 0;
}

static void *answer_faults(void *arg)
{
	int fd = (long)arg;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	for (;;) {
		if (poll(&wait, 1, -1) < 0 || read(fd, &msg, sizeof(msg)) != sizeof(msg)) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return NULL;
		}
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		struct uffdio_range range = { msg.arg.pagefault.address & ~(PAGE - 1), PAGE };
		struct uffdio_zeropage zero = { .range = range };

		usleep(msg.arg.pagefault.address >> 12 & 0x3ff);
		if (ioctl(fd, UFFDIO_ZEROPAGE, &zero))
			ioctl(fd, UFFDIO_UNREGISTER, &range);
		ioctl(fd, UFFDIO_WAKE, &range);
	}
}

/* Guest memory whose pages come late, from another thread. */
static long userfault(struct thread *thread, const uint64_t *data, int fd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t answers;
	size_t size;
	void *at = in_arena(data, &size);

	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fd;
	reg.range.start = (uintptr_t)at;
	reg.range.len = size;
	if (ioctl(fd, UFFDIO_API, &api) ||
	    pthread_create(&answers, NULL, answer_faults, (void *)(long)fd))
		return close(fd);
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return madvise(at, size, MADV_DONTNEED);
}

static const struct field fd_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_FD, .count = 1 },
	{ .offset = 8, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 8 },
};

static int fd_of(const uint64_t *data)
{
	return FD_FIRST + data[0] % (NR_OBJECTS * FD_PER_OBJECT);
}

static long do_close(struct thread *thread, const uint64_t *data, int fd)
{
	fd = fd_of(data);
	return fd == FD(OBJ_DEV, 0) ? 0 : close(fd);
}

static long do_dup(struct thread *thread, const uint64_t *data, int fd)
{
	return dup3(fd_of(data), FD(OBJ_COPY, data[1]), O_CLOEXEC);
}

static long do_fork(struct thread *thread, const uint64_t *data, int fd)
{
	if (thread->forked || fork())
		return 0;
	thread_begin(thread);
	thread->forked = true;
	if (data[1] & 1)
		usleep(data[1] * 1000 % 16000);
	if (data[1] & 2)
		thread_ops(thread, true);
	_exit(0);
}

/* System calls that every descriptor has to stand. */
static long do_file(struct thread *thread, const uint64_t *data, int fd)
{
	struct pollfd wait = { .events = POLLIN | POLLOUT };
	uint64_t value = 1;
	char text[256];

	fd = wait.fd = fd_of(data);
	switch (data[1] % 8) {
	case 0:
		return write(fd, &value, sizeof(value));
	case 1:
		return read(fd, text, sizeof(text));
	case 2:
		return pread(fd, text, data[0] >> 8 & 0xff, data[0] >> 16 & 0xffff);
	case 3:
		return lseek(fd, data[0] >> 8, SEEK_SET);
	case 4:
		return poll(&wait, 1, 0);
	case 5:
		return fsync(fd);
	case 6:
		return ftruncate(fd, 0);
	default:
		return fcntl(fd, F_SETFL, data[0] & 0xffff & ~O_ASYNC);
	}
}

static const struct field thread_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_SMALL, .count = 1, .param = FUZZ_THREADS },
	{ .offset = 8, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 4 },
};

static long do_signal(struct thread *thread, const uint64_t *data, int fd)
{
	return interrupt_thread(data[0] % FUZZ_THREADS);
}

/* What the fuzzer was started with. */
static cpu_set_t cpus;

__attribute__((constructor)) static void find_cpus(void)
{
	cpus = cpus_allowed();
}

static long do_affinity(struct thread *thread, const uint64_t *data, int fd)
{
	cpu_set_t set = cpus_one(cpus_nth(&cpus, data[0]));

	if (data[1] & 1)
		set = cpus;
	return sched_setaffinity(0, sizeof(set), &set);
}

static long do_pause(struct thread *thread, const uint64_t *data, int fd)
{
	return usleep(data[1] % 4 * 300);
}

static const struct field raw_fields[] = {
	{ .offset = 0, .size = 8, .kind = KIND_FD, .count = 1 },
	{ .offset = 8, .size = 8, .kind = KIND_ANY, .count = 1 },
	{ .offset = 16, .size = 8, .kind = KIND_SMALL, .count = 1, .param = 256 },
	{ .offset = 24, .size = 8, .kind = KIND_ANY, .count = 1 },
};

/* A number that perhaps no table has, with an argument of that size. */
static long raw_ioctl(struct thread *thread, const uint64_t *data, int fd)
{
	unsigned long cmd = _IOC(data[1] & 3, KVMIO, data[2] & 0xff, data[1] >> 8 & 0x1fff);

	return ioctl(fd_of(data), cmd, data[1] & 16 ? data[3] : (uintptr_t)thread->window);
}

#define ACTION(what, on, heavy, list, function)				\
	{ .name = what, .object = OBJ_##on, .weight = (heavy), .size = 32, \
	  .fields = list, .nr_fields = ARRAY_SIZE(list), .act = function }

const struct call action_calls[] = {
	ACTION("setup", VM, 2, setup_fields, setup),
	ACTION("run", VCPU, 20, run_fields, run),
	ACTION("write the vCPU's window", VCPU, 5, area_fields, write_area),
	ACTION("map the vCPU's window", VCPU, 2, area_fields, map_area),
	ACTION("mmap", NONE, 3, memory_fields, do_mmap),
	ACTION("mprotect", NONE, 2, memory_fields, do_mprotect),
	ACTION("madvise", NONE, 4, memory_fields, do_madvise),
	ACTION("userfaultfd", NONE, 1, memory_fields, userfault),
	ACTION("write guest memory", NONE, 5, write_fields, write_guest),
	ACTION("close", NONE, 3, fd_fields, do_close),
	ACTION("dup", NONE, 2, fd_fields, do_dup),
	ACTION("fork", NONE, 1, fd_fields, do_fork),
	ACTION("file", NONE, 4, fd_fields, do_file),
	ACTION("signal", NONE, 3, thread_fields, do_signal),
	ACTION("affinity", NONE, 2, thread_fields, do_affinity),
	ACTION("pause", NONE, 1, thread_fields, do_pause),
	ACTION("ioctl", NONE, 2, raw_fields, raw_ioctl),
};

const unsigned int nr_action_calls = ARRAY_SIZE(action_calls);
