// SPDX-License-Identifier: GPL-2.0-only
#include "core/vcpu.h"
#include "core/util.h"
#include "core/vm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Its only effect is to interrupt KVM_RUN and blocking system calls. */
#define KICK_SIGNAL	SIGRTMIN
#define KICK_PERIOD_NS	10000000

static void on_kick(int sig)
{
}

static int vcpu_create(struct vcpu *vcpu)
{
	void *run;

	vcpu->fd = ioctl(vcpu->vm->vm_fd, KVM_CREATE_VCPU, vcpu->id);
	if (vcpu->fd < 0)
		return fail(errno, "cannot create vCPU %u: KVM_CREATE_VCPU: %s", vcpu->id, strerror(errno));
	run = mmap(NULL, vcpu->vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return fail(errno, "cannot map vCPU %u: %s", vcpu->id, strerror(errno));
	vcpu->run = run;
	/* Held open so that "vitro stat" finds it; may be unsupported. */
	vcpu->stats_fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, 0);
	return vcpu_init_cpuid(vcpu);
}

int vcpus_create(struct vm *vm, unsigned int nr)
{
	unsigned int max = vm_cap(vm, KVM_CAP_MAX_VCPUS);
	int ret;

	if (!max)
		max = vm_cap(vm, KVM_CAP_NR_VCPUS);
	if (max && nr > max)
		return fail(EINVAL, "--cpus %u: %s allows %u at most", nr, vm->dev_path, max);
	vm->vcpus = calloc(nr, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return fail(ENOMEM, "no memory for %u vCPUs", nr);
	vm->nr_vcpus = nr;
	for (unsigned int i = 0; i < nr; i++)
		vm->vcpus[i] = (struct vcpu){ .vm = vm, .id = i, .fd = -1, .stats_fd = -1 };
	for (unsigned int i = 0; i < nr; i++) {
		ret = vcpu_create(&vm->vcpus[i]);
		if (!ret)
			ret = vcpu_init_apic(&vm->vcpus[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static void handle_io(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	unsigned int size = run->io.size;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint64_t value = 0;

		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(&value, data, size);
			bus_write(&vcpu->vm->pio, run->io.port, size, value);
		} else {
			value = bus_read(&vcpu->vm->pio, run->io.port, size);
			memcpy(data, &value, size);
		}
	}
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	unsigned int len = run->mmio.len;
	uint64_t value = 0;

	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, len);
		bus_write(&vcpu->vm->mmio, run->mmio.phys_addr, len, value);
	} else {
		value = bus_read(&vcpu->vm->mmio, run->mmio.phys_addr, len);
		memcpy(run->mmio.data, &value, len);
	}
}

static void handle_system_event(struct vcpu *vcpu)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(vcpu->vm, VM_POWER_OFF);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(vcpu->vm, VM_REBOOT);
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vm_stop(vcpu->vm, VM_PANIC);
		break;
	default:
		if (vm_stop(vcpu->vm, VM_VCPU_ERROR))
			vcpu_report(vcpu);
	}
}

static void handle_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(vcpu);
		break;
	case KVM_EXIT_SHUTDOWN:
		if (vm_stop(vcpu->vm, VM_TRIPLE_FAULT))
			vcpu_report(vcpu);
		break;
	default:
		if (vm_stop(vcpu->vm, VM_VCPU_ERROR))
			vcpu_report(vcpu);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	while (!vm_stopping(vcpu->vm)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
			handle_exit(vcpu);
		} else if (errno != EINTR && errno != EAGAIN) {
			int err = errno;

			if (vm_stop(vcpu->vm, VM_VCPU_ERROR)) {
				note("vCPU %u cannot run: KVM_RUN: %s", vcpu->id, strerror(err));
				vcpu_dump_registers(vcpu);
			}
		}
	}
	return NULL;
}

int vcpus_start(struct vm *vm, const struct boot_entry *entry)
{
	struct sigaction action = { .sa_handler = on_kick };
	int ret = vcpu_init_state(&vm->vcpus[0], entry);

	if (ret)
		return ret;
	sigemptyset(&action.sa_mask);
	sigaction(KICK_SIGNAL, &action, NULL);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		ret = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
		if (ret)
			return fail(ret, "cannot start the thread of vCPU %u: %s", i, strerror(ret));
		vcpu->started = true;
	}
	return 0;
}

void vcpus_join(struct vm *vm)
{
	/*
	 * immediate_exit closes the window between the thread's look at
	 * vm_stopping() and KVM_RUN. The signal is repeated because a device
	 * may have been about to block in a system call of its own.
	 */
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i].started)
			vm->vcpus[i].run->immediate_exit = 1;
	}
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];
		struct timespec until;

		while (vcpu->started) {
			pthread_kill(vcpu->thread, KICK_SIGNAL);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += KICK_PERIOD_NS;
			if (until.tv_nsec >= 1000000000) {
				until.tv_nsec -= 1000000000;
				until.tv_sec++;
			}
			if (pthread_timedjoin_np(vcpu->thread, NULL, &until) == 0)
				vcpu->started = false;
		}
	}
}

void vcpus_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->run)
			munmap(vcpu->run, vm->run_size);
		if (vcpu->stats_fd >= 0)
			close(vcpu->stats_fd);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
	}
	free(vm->vcpus);
	vm->vcpus = NULL;
	vm->nr_vcpus = 0;
}
