// SPDX-License-Identifier: GPL-2.0-only
/* Processes that end, descriptors that close and memory that goes, meanwhile. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static void spin_guest(uint64_t arg)
{
	volatile uint64_t *counter = (uint64_t *)GPA_FREE;

	(void)arg;
	for (;;)
		++*counter;
}

static void done_guest(uint64_t arg)
{
	(void)arg;
}

/* The machine still makes VMs that run. */
static void still_works(void)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);

	EXPECT_DONE(vcpu);
	vcpu_free(vcpu);
	vm_free(vm);
}

static void *run_thread(void *arg)
{
	for (;;)
		vcpu_run_raw(arg);
	return NULL;
}

static struct vm *spinning_vm(int vcpus)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	pthread_t thread;
	int i;

	for (i = 0; i < vcpus; i++) {
		struct vcpu *vcpu = vcpu_new(vm, i, spin_guest);

		vcpu_runnable(vcpu);
		REQUIRE(!pthread_create(&thread, NULL, run_thread, vcpu),
			"pthread_create");
	}
	while (!*(volatile uint64_t *)vm_ptr(vm, GPA_FREE))
		sched_yield();
	return vm;
}

TEST(kill_during_run)
{
	int i, status, ready[2];
	char byte = 0;
	pid_t pid;

	for (i = 0; i < 10; i++) {
		REQUIRE(!pipe(ready), "pipe");
		pid = fork();
		if (pid == 0) {
			spinning_vm(1 + i % 2);
			if (write(ready[1], &byte, 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(ready[1]);
		REQUIRE(read(ready[0], &byte, 1) == 1, "the child failed");
		close(ready[0]);
		kill(pid, SIGKILL);
		REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "status %#x", status);
	}
	still_works();
}

TEST(exit_during_run)
{
	int i, status;
	pid_t pid;

	for (i = 0; i < 5; i++) {
		pid = fork();
		if (pid == 0) {
			spinning_vm(2);
			_exit(3);
		}
		REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3,
		      "status %#x", status);
	}
	still_works();
}

/* Close or unmap the parts of a VM in the order that the digits of n say. */
static void take_apart(unsigned int n)
{
	struct vm *vm = vm_new(VM_PIT);
	struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);
	struct vcpu *other = vcpu_new(vm, 1, done_guest);
	int left = 6, parts[6] = { 0, 1, 2, 3, 4, 5 };
	int pick;

	EXPECT_DONE(vcpu);
	while (left) {
		pick = n % left;
		n /= left;
		switch (parts[pick]) {
		case 0:
			close(vm->kvm);
			break;
		case 1:
			close(vm->fd);
			break;
		case 2:
			close(vcpu->fd);
			break;
		case 3:
			munmap(vcpu->run, vcpu->run_size);
			break;
		case 4:
			munmap(vm->mem, vm->mem_size);
			break;
		default:
			close(other->fd);
		}
		parts[pick] = parts[--left];
	}
	munmap(other->run, other->run_size);
}

TEST(close_in_every_order)
{
	unsigned int n;

	for (n = 0; n < 720; n += 17)
		take_apart(n);
	still_works();
}

/* A vCPU holds its VM: it runs on when the VM's own descriptor is closed. */
TEST(vcpu_outlives_vm_fd)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);

	close(vm->fd);
	close(vm->kvm);
	EXPECT_DONE(vcpu);
	/* And the mapping outlives the vCPU's descriptor. */
	close(vcpu->fd);
	vcpu->run->request_interrupt_window = 1;
	CHECK_EQ(vcpu->run->request_interrupt_window, 1);
}

TEST(fork_child_outlives_parent)
{
	int done[2], status;
	char byte = 1;
	pid_t pid;

	REQUIRE(!pipe(done), "pipe");
	pid = fork();
	if (pid == 0) {
		struct vm *vm = vm_new(VM_IRQCHIP);
		struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);

		if (fork())
			_exit(0);
		/* The owner of the address space is gone, or soon will be. */
		sleep_ms(50);
		byte = vcpu_run_raw(vcpu) == -EIO ? 0 : 2;
		vcpu_free(vcpu);
		vm_free(vm);
		if (write(done[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(done[1]);
	REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
	REQUIRE(read(done[0], &byte, 1) == 1, "the grandchild failed");
	CHECK(byte == 0, "KVM_RUN in another process: expected EIO");
	still_works();
}

static void send_fd(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)),
	} };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	REQUIRE(sendmsg(sock, &msg, 0) == 1, "sendmsg: %s", strerror(errno));
}

static int receive_fd(int sock)
{
	char space[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
		.msg_controllen = sizeof(space),
	};
	int fd;

	REQUIRE(recvmsg(sock, &msg, 0) == 1, "recvmsg: %s", strerror(errno));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* A process that never opened the device is handed a VM and its vCPU. */
TEST(pass_to_another_process)
{
	int sock[2], status;
	pid_t pid;

	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock), "socketpair");
	pid = fork();
	if (pid == 0) {
		struct vm *vm = vm_new(VM_IRQCHIP);
		struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);

		send_fd(sock[1], vm->fd);
		send_fd(sock[1], vcpu->fd);
		_exit(0);
	}
	{
		int vm_fd = receive_fd(sock[0]), vcpu_fd = receive_fd(sock[0]);
		struct kvm_regs regs;
		void *run;

		REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid");
		CHECK_ERR(sys_ioctl_val(vcpu_fd, KVM_RUN, 0), EIO);
		CHECK_ERR(sys_ioctl(vcpu_fd, KVM_GET_REGS, &regs), EIO);
		CHECK_ERR(sys_ioctl_val(vm_fd, KVM_CREATE_VCPU, 1), EIO);
		run = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, vcpu_fd, 0);
		if (run != MAP_FAILED)
			(void)*(volatile uint8_t *)run;
		close(vm_fd);
		close(vcpu_fd);
	}
	still_works();
}

struct runner {
	struct vcpu *vcpu;
	long ret;
};

static void *run_once(void *arg)
{
	struct runner *runner = arg;

	do {
		runner->ret = vcpu_run_raw(runner->vcpu);
	} while (runner->ret == -EINTR);
	return NULL;
}

TEST(unmap_while_running)
{
	struct runner runner;
	pthread_t thread;
	struct vm *vm;
	int i;

	for (i = 0; i < 10; i++) {
		vm = vm_new(VM_IRQCHIP);
		runner.vcpu = vcpu_new(vm, 0, spin_guest);
		pthread_create(&thread, NULL, run_once, &runner);
		while (!*(volatile uint64_t *)vm_ptr(vm, GPA_FREE))
			sched_yield();
		munmap(vm->mem, vm->mem_size);
		pthread_join(thread, NULL);
		CHECK_RET(runner.ret, -EFAULT);
		vm->mem = NULL;
		vcpu_free(runner.vcpu);
		vm_free(vm);
	}
}

static void touch_guest(uint64_t arg)
{
	volatile uint64_t *p = (uint64_t *)GPA_FREE;
	uint64_t i;

	(void)arg;
	while (!p[0])
		for (i = 1; i < 256; i++)
			p[i * 512]++;
}

/* Pages go away under a guest that writes to them: it never notices. */
TEST(madvise_while_running)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, touch_guest);
	int i;

	vcpu_start(vcpu);
	for (i = 0; i < 300; i++) {
		madvise(vm->mem + GPA_FREE + PAGE_SIZE, 255 * PAGE_SIZE,
			MADV_DONTNEED);
		if (i % 50 == 0)
			sleep_ms(2);
	}
	*(volatile uint64_t *)vm_ptr(vm, GPA_FREE) = 1;
	vcpu_join(vcpu);
}

/* A slot comes and goes while the guest uses its neighbours. */
TEST(slots_while_running)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, touch_guest);
	int i;

	vcpu_start(vcpu);
	for (i = 0; i < 100; i++) {
		REQUIRE_OK(vm_slot(vm, 5, i % 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0,
				   0x40000000, 64 * PAGE_SIZE, vm->mem));
		REQUIRE_OK(vm_slot(vm, 5, 0, 0, 0, NULL));
	}
	*(volatile uint64_t *)vm_ptr(vm, GPA_FREE) = 1;
	vcpu_join(vcpu);
}

static void *run_until_signal(void *arg)
{
	struct runner *runner = arg;

	runner->ret = vcpu_run_raw(runner->vcpu);
	return NULL;
}

/*
 * A guest that never exits must not hold a change of slots up until something
 * else interrupts it.
 */
TEST(slots_while_spinning)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct runner runner = { .vcpu = vcpu_new(vm, 0, spin_guest) };
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);
	struct timespec start, end;
	pthread_t thread;
	long us;
	int i;

	catch_sigusr1();
	pthread_create(&thread, NULL, run_until_signal, &runner);
	while (!*counter)
		sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < 100; i++) {
		REQUIRE_OK(vm_slot(vm, 5, 0, 0x40000000, 64 * PAGE_SIZE, vm->mem));
		REQUIRE_OK(vm_slot(vm, 5, 0, 0, 0, NULL));
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	us = (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000;
	test_note("a change took %ld us", us / (2 * i));
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
}

/* The vCPU belongs to whichever thread calls, one at a time. */
TEST(run_from_other_threads)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct runner runner = { .vcpu = vcpu_new(vm, 0, spin_guest) };
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);
	pthread_t thread;
	uint64_t before;
	int i;

	catch_sigusr1();
	for (i = 0; i < 20; i++) {
		before = *counter;
		pthread_create(&thread, NULL, run_until_signal, &runner);
		while (*counter == before)
			sched_yield();
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		CHECK_RET(runner.ret, -EINTR);
	}
}

/* Two calls at once: the second waits for the first. */
TEST(run_twice_at_once)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct runner first = { .vcpu = vcpu_new(vm, 0, spin_guest) };
	struct runner second = first;
	volatile uint64_t *counter = vm_ptr(vm, GPA_FREE);
	pthread_t one, two;
	uint64_t before;

	catch_sigusr1();
	pthread_create(&one, NULL, run_until_signal, &first);
	while (!*counter)
		sched_yield();
	pthread_create(&two, NULL, run_until_signal, &second);
	sleep_ms(20);
	pthread_kill(one, SIGUSR1);
	pthread_join(one, NULL);
	CHECK_RET(first.ret, -EINTR);
	before = *counter;
	while (*counter == before)
		sched_yield();
	pthread_kill(two, SIGUSR1);
	pthread_join(two, NULL);
	CHECK_RET(second.ret, -EINTR);
}

static void *create_vcpu(void *arg)
{
	struct vm *vm = arg;

	return (void *)sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 7);
}

TEST(create_same_vcpu_at_once)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	pthread_t thread[8];
	int i, created = 0;
	void *ret;

	for (i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, create_vcpu, vm);
	for (i = 0; i < 8; i++) {
		pthread_join(thread[i], &ret);
		if ((long)ret >= 0)
			created++;
		else
			CHECK_RET((long)ret, -EEXIST);
	}
	CHECK_EQ(created, 1);
}

/* Kernel memory that is not free and not for caches, in KiB. */
static long used_kib(void)
{
	long slab = 0, tables = 0, vmalloc = 0, percpu = 0, value;
	FILE *f = fopen("/proc/meminfo", "r");
	char line[100];

	REQUIRE(f, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SUnreclaim: %ld", &value) == 1)
			slab = value;
		else if (sscanf(line, "PageTables: %ld", &value) == 1)
			tables = value;
		else if (sscanf(line, "VmallocUsed: %ld", &value) == 1)
			vmalloc = value;
		else if (sscanf(line, "Percpu: %ld", &value) == 1)
			percpu = value;
	}
	fclose(f);
	return slab + tables + vmalloc + percpu;
}

static long free_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[100];
	long value = 0;

	REQUIRE(f, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &value) == 1)
			break;
	fclose(f);
	return value;
}

static void make_vms(int n)
{
	while (n--)
		still_works();
}

/*
 * What the kernel holds back of freed memory, such as areas still to be unmapped and the
 * quarantine of KASAN, is bounded, so it does not grow in every round. What is lost does.
 */
TEST(no_memory_lost)
{
	unsigned int round = 0;
	long used, free;

	/* Caches fill first, and RCU's garbage needs a moment. */
	make_vms(30);
	do {
		sleep_ms(300);
		used = used_kib();
		free = free_kib();
		make_vms(200);
		sleep_ms(300);
		used = used_kib() - used;
		free -= free_kib();
	} while ((used >= 500 || free >= 2000) && ++round < 4);
	/* One page per VM would be 800 KiB; much more for one with a vCPU. */
	CHECK(used < 500, "200 VMs left %ld KiB of kernel memory", used);
	CHECK(free < 2000, "200 VMs left %ld KiB less free", free);
}

/* exec() closes them all: nothing is inherited by accident. */
TEST(exec)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct vcpu *vcpu = vcpu_new(vm, 0, done_guest);

	CHECK(fcntl(vm->fd, F_GETFD) & FD_CLOEXEC, "VM");
	CHECK(fcntl(vcpu->fd, F_GETFD) & FD_CLOEXEC, "vCPU");
}

TEST(out_of_descriptors)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	int fd, last = -1;

	/* A vCPU that has no descriptor must not stay behind. */
	while ((fd = dup(0)) >= 0)
		last = fd;
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0), EMFILE);
	CHECK_ERR(sys_ioctl_val(vm->kvm, KVM_CREATE_VM, 0), EMFILE);
	close(last);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0));
}
