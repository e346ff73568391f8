// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole virtual machine in one page: a guest that prints a line through a
 * port and halts. It uses nothing but ioctls; start your own from here.
 *
 *	./hello [/dev/vitro]		(or /dev/kvm: the API is the same)
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define GUEST_BASE	0x1000UL	/* guest-physical address of the program */
#define GUEST_SIZE	0x1000UL	/* one page is all the memory it has */
#define PORT		0x3f8		/* where a PC has its first serial port */

/* The guest, in 16-bit real mode: what a processor starts in after reset. */
asm(".pushsection .rodata\n"
    ".code16\n"
    "guest:	movw	$(message - guest + 0x1000), %si\n"
    "		movw	$0x3f8, %dx\n"
    "next:	lodsb\n"			/* AL = next character */
    "		testb	%al, %al\n"
    "		jz	done\n"
    "		outb	%al, %dx\n"		/* leaves the guest: KVM_EXIT_IO */
    "		jmp	next\n"
    "done:	hlt\n"				/* leaves the guest: KVM_EXIT_HLT */
    "message:	.asciz \"Hello from inside the virtual machine.\\n\"\n"
    "guest_end:\n"
    ".code64\n"
    ".popsection\n");
extern const char guest[], guest_end[];

/* Every call here either works or ends the program with what failed and why. */
static int call(int fd, unsigned long request, const void *arg, const char *name)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0) {
		perror(name);
		exit(1);
	}
	return ret;
}
#define CALL(fd, request, arg) call(fd, request, (void *)(arg), #request)

static void *map(size_t size, int flags, int fd)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/vitro";
	int dev = open(path, O_RDWR | O_CLOEXEC);

	if (dev < 0) {
		perror(path);
		return 1;
	}
	if (CALL(dev, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		fprintf(stderr, "%s does not speak version 12 of the KVM API\n", path);
		return 1;
	}

	/* A virtual machine is a file descriptor; its memory is ours, lent. */
	int vm = CALL(dev, KVM_CREATE_VM, 0);
	void *memory = map(GUEST_SIZE, MAP_SHARED | MAP_ANONYMOUS, -1);
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GUEST_BASE,
		.memory_size = GUEST_SIZE,
		.userspace_addr = (unsigned long)memory,
	};

	memcpy(memory, guest, guest_end - guest);
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);

	/* A vCPU is one too; through the mapping it tells why it stopped. */
	int vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
	struct kvm_run *run = map(CALL(dev, KVM_GET_VCPU_MMAP_SIZE, 0), MAP_SHARED, vcpu);
	struct kvm_regs regs = { .rip = GUEST_BASE, .rflags = 2 };	/* bit 1 is always 1 */
	struct kvm_sregs sregs;

	CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;	/* after reset it is at the top of 4 GiB */
	sregs.cs.selector = 0;
	CALL(vcpu, KVM_SET_SREGS, &sregs);
	CALL(vcpu, KVM_SET_REGS, &regs);

	for (;;) {
		CALL(vcpu, KVM_RUN, 0);
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.direction != KVM_EXIT_IO_OUT || run->io.port != PORT)
				break;
			fwrite((char *)run + run->io.data_offset, run->io.size,
			       run->io.count, stdout);
			continue;
		case KVM_EXIT_HLT:
			return 0;
		}
		fprintf(stderr, "the guest stopped for reason %u\n", run->exit_reason);
		return 1;
	}
}
