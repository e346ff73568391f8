// SPDX-License-Identifier: GPL-2.0-only
/*
 * Port I/O. IN and OUT are done here; INS and OUTS go through the emulator,
 * which comes back for the ports.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "backend.h"
#include "emul/emul.h"
#include "insn.h"
#include "iobus.h"
#include "pio.h"
#include "vm.h"

/**
 * vitro_fill_io_exit() - describe vcpu->io.pio to user space
 * @vcpu: the vCPU
 */
void vitro_fill_io_exit(struct vitro_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = vcpu->io.pio.in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = vcpu->io.pio.size;
	run->io.port = vcpu->io.pio.port;
	run->io.count = vcpu->io.pio.count;
	run->io.data_offset = VITRO_PIO_PAGE * PAGE_SIZE;
}

static void set_pio(struct vitro_vcpu *vcpu, u16 port, unsigned int size, unsigned int count,
		    bool in)
{
	vcpu->io.pio.port = port;
	vcpu->io.pio.size = size;
	vcpu->io.pio.count = count;
	vcpu->io.pio.in = in;
}

/* IN writes the low bytes of RAX; a 32-bit one clears the upper half. */
static void write_rax(struct vitro_vcpu *vcpu, unsigned int size, u32 value)
{
	u64 *rax = &vcpu->gpr[VITRO_RAX];

	switch (size) {
	case 1:
		*rax = (*rax & ~0xffULL) | (u8)value;
		break;
	case 2:
		*rax = (*rax & ~0xffffULL) | (u16)value;
		break;
	default:
		*rax = value;
	}
}

/* True if an in-kernel device has taken the access. */
static bool kernel_io(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;
	u32 *value = &vcpu->io.pio.value;

	if (!exit->io.in)
		return !vitro_iobus_write(vcpu, VITRO_BUS_PIO, exit->io.port,
					  exit->io.size, &vcpu->gpr[VITRO_RAX]);
	*value = 0;
	if (vitro_iobus_read(vcpu, VITRO_BUS_PIO, exit->io.port, exit->io.size, value))
		return false;
	write_rax(vcpu, exit->io.size, *value);
	return true;
}

/**
 * vitro_exit_io_fast() - a port access for an in-kernel device
 * @vcpu: the vCPU
 *
 * Context: inner loop.
 * Return: true if it is done.
 */
bool vitro_exit_io_fast(struct vitro_vcpu *vcpu)
{
	if (vcpu->exit.io.string || !kernel_io(vcpu))
		return false;
	return vitro_skip_insn_fast(vcpu);
}

static int complete_in(struct vitro_vcpu *vcpu)
{
	u32 value = 0;

	memcpy(&value, vcpu->pio_data, vcpu->io.pio.size);
	write_rax(vcpu, vcpu->io.pio.size, value);
	return vitro_skip_insn(vcpu);
}

static int complete_out(struct vitro_vcpu *vcpu)
{
	return 1;
}

/**
 * vitro_exit_io() - a port access that no in-kernel device has taken
 * @vcpu: the vCPU
 *
 * Return: 0: user space has to do it; 1: go on.
 */
int vitro_exit_io(struct vitro_vcpu *vcpu)
{
	const struct vitro_exit *exit = &vcpu->exit;

	if (exit->io.string)
		return vitro_emulate_insn(vcpu);

	set_pio(vcpu, exit->io.port, exit->io.size, 1, exit->io.in);
	vitro_fill_io_exit(vcpu);
	if (exit->io.in) {
		vcpu->complete = complete_in;
		return 0;
	}
	memcpy(vcpu->pio_data, &vcpu->gpr[VITRO_RAX], exit->io.size);
	vitro_skip_insn(vcpu);
	vcpu->complete = complete_out;
	return 0;
}

/**
 * vitro_string_in() - read items from a port, for INS
 * @vcpu:  the vCPU
 * @port:  port number
 * @size:  bytes of an item
 * @buf:   receives @count items
 * @count: number of items; @size times @count fits in a page
 *
 * Return: EMUL_DONE or EMUL_STOP with the data, EMUL_PENDING if user space has
 * to supply it.
 */
int vitro_string_in(struct vitro_vcpu *vcpu, u16 port, unsigned int size, void *buf,
		    unsigned int count)
{
	unsigned int i;

	if (vcpu->io.pio.answered) {
		vcpu->io.pio.answered = false;
		if (vcpu->io.pio.port != port || vcpu->io.pio.size != size)
			return EMUL_UNHANDLEABLE;
		/*
		 * Perhaps not as many as were asked for: user space may have changed
		 * RCX, another vCPU the tables. All of the page is user space's anyway.
		 */
		memcpy(buf, vcpu->pio_data, size * count);
		return EMUL_STOP;
	}

	for (i = 0; i < count; i++) {
		if (!vitro_iobus_read(vcpu, VITRO_BUS_PIO, port, size, buf + i * size))
			continue;
		if (i)
			/* The device has just gone: its port floats. */
			memset(buf + i * size, 0xff, size);
		else
			break;
	}
	if (i == count)
		return EMUL_DONE;
	set_pio(vcpu, port, size, count, true);
	vcpu->io.pio.pending = true;
	return EMUL_PENDING;
}

/**
 * vitro_string_out() - write items to a port, for OUTS
 * @vcpu:  the vCPU
 * @port:  port number
 * @size:  bytes of an item
 * @buf:   @count items
 * @count: number of items; @size times @count fits in a page
 *
 * User space gets what no in-kernel device takes after
 * the instruction has completed.
 *
 * Return: EMUL_DONE or EMUL_STOP.
 */
int vitro_string_out(struct vitro_vcpu *vcpu, u16 port, unsigned int size, const void *buf,
		     unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (vitro_iobus_write(vcpu, VITRO_BUS_PIO, port, size, buf + i * size))
			break;
	if (i == count)
		return EMUL_DONE;
	memcpy(vcpu->pio_data, buf + i * size, size * (count - i));
	set_pio(vcpu, port, size, count - i, false);
	vcpu->io.pio.pending = true;
	return EMUL_STOP;
}
