// SPDX-License-Identifier: GPL-2.0-only
/*
 * hold-vm [DEVICE]: create a virtual machine with one vCPU, say "held" and
 * sleep, so that its hypervisor keeps VT-x or AMD-V.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *device = argc > 1 ? argv[1] : "/dev/kvm";
	int fd, vm;

	fd = open(device, O_RDWR);
	if (fd < 0)
		err(1, "%s", device);
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		err(1, "%s: creating a virtual machine", device);
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
