// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest time.
 *
 * The guest's TSC is the host's plus an offset, the same for all vCPUs of a VM
 * unless the guest sets them apart. The kvmclock pages of all vCPUs are made
 * from one pair of host TSC and host time, so that they agree to the
 * nanosecond, which KVM_CLOCK_TSC_STABLE and PVCLOCK_TSC_STABLE_BIT promise.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "backend.h"
#include "clock.h"
#include "irqchip/irqchip.h"
#include "vm.h"

/* User space's TSC writes that are this near to what a vCPU of the VM has mean the same. */
#define TSC_SYNC_WINDOW_MS	1000

/* struct pvclock_vcpu_time_info's multiplier and shift: TSC ticks to ns. */
static void tsc_to_ns_scale(u32 *mul, s8 *shift)
{
	u64 hz = (u64)tsc_khz * 1000;
	u64 ns = NSEC_PER_SEC;
	s8 s = 0;

	/* mul/2^32 * 2^shift = ns/hz, with mul's highest bit in use. */
	while (ns >= 2 * hz) {
		hz <<= 1;
		s++;
	}
	while (ns < hz) {
		ns <<= 1;
		s--;
	}
	/* 1 <= ns/hz < 2 now: mul = ns/hz * 2^31. */
	*mul = div64_u64(ns << 31, hz);
	*shift = s + 1;
}

static u64 scale(u64 ticks, u32 mul, s8 shift)
{
	ticks = shift < 0 ? ticks >> -shift : ticks << shift;
	return mul_u64_u32_shr(ticks, mul, 32);
}

/* Takes a new pair of host TSC and host time. vm->clock.lock is held. */
static void take_base(struct vitro_vm *vm)
{
	unsigned long flags;

	/* Both within one window without interrupts. */
	local_irq_save(flags);
	vm->clock.base_ns = ktime_get_raw_ns();
	vm->clock.base_tsc = rdtsc_ordered();
	local_irq_restore(flags);
}

/**
 * vitro_clock_init() - a VM's clock starts at zero
 * @vm: the VM, under construction
 */
void vitro_clock_init(struct vitro_vm *vm)
{
	spin_lock_init(&vm->clock.lock);
	take_base(vm);
	vm->clock.offset_ns = -vm->clock.base_ns;
	vm->clock.initial_tsc_offset = -vm->clock.base_tsc;
}

/* Guest clock at host TSC @tsc, in ns. vm->clock.lock is held. */
static u64 clock_at(struct vitro_vm *vm, u64 tsc)
{
	u32 mul;
	s8 shift;

	tsc_to_ns_scale(&mul, &shift);
	return vm->clock.base_ns + vm->clock.offset_ns +
	       scale(tsc - vm->clock.base_tsc, mul, shift);
}

int vitro_get_clock(struct vitro_vm *vm, struct kvm_clock_data *data)
{
	u64 tsc;

	spin_lock(&vm->clock.lock);
	tsc = rdtsc_ordered();
	data->clock = clock_at(vm, tsc);
	spin_unlock(&vm->clock.lock);
	data->host_tsc = tsc;
	data->realtime = ktime_get_real_ns();
	data->flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	return 0;
}

int vitro_set_clock(struct vitro_vm *vm, const struct kvm_clock_data *data)
{
	struct vitro_vcpu *vcpu;
	u64 now_real, clock;
	int i;

	if (data->flags & ~KVM_CLOCK_REALTIME)
		return -EINVAL;

	clock = data->clock;
	if (data->flags & KVM_CLOCK_REALTIME) {
		now_real = ktime_get_real_ns();
		/* The clock goes on while a VM moves; it never goes back. */
		if (now_real > data->realtime)
			clock += now_real - data->realtime;
	}
	spin_lock(&vm->clock.lock);
	take_base(vm);
	vm->clock.offset_ns = clock - vm->clock.base_ns;
	spin_unlock(&vm->clock.lock);

	vitro_for_each_vcpu(i, vcpu, vm) {
		vitro_request(vcpu, VITRO_REQ_CLOCK);
		vitro_vcpu_kick(vcpu);
	}
	return 0;
}

/**
 * vitro_clock_paused() - KVM_KVMCLOCK_CTRL
 * @vcpu: the vCPU, mutex held
 *
 * Tells the guest's watchdogs that it has been stopped on purpose.
 *
 * Return: 0, or -EINVAL if the guest does not use kvmclock.
 */
int vitro_clock_paused(struct vitro_vcpu *vcpu)
{
	if (!vcpu->clock.enabled)
		return -EINVAL;
	vcpu->clock.paused = true;
	vitro_request(vcpu, VITRO_REQ_CLOCK);
	return 0;
}

/* 0 or -EFAULT, when the page may hold what it held before. */
static int write_page(struct vitro_vcpu *vcpu, struct pvclock_vcpu_time_info *info)
{
	struct vitro_vm *vm = vcpu->vm;
	u64 gpa = vcpu->clock.gpa;
	int err;

	/*
	 * Odd while the page is being written. Only this vCPU's thread writes
	 * it, but other vCPUs may read it.
	 */
	vcpu->clock.version = (vcpu->clock.version | 1) + 1;
	info->version = vcpu->clock.version - 1;
	err = vitro_guest_write(vm, gpa, &info->version, sizeof(info->version));
	if (err)
		return err;
	smp_wmb();	/* the odd version before what it warns of ... */
	err = vitro_guest_write(vm, gpa, info, sizeof(*info));
	smp_wmb();	/* ... and that before the even one, which guests wait for */
	info->version = vcpu->clock.version;
	return vitro_guest_write(vm, gpa, &info->version, sizeof(info->version)) ?: err;
}

/*
 * The page may be anywhere the guest likes. Where there is no memory nobody is told,
 * as with KVM: a guest hurts itself only. But memory can be missing for a moment, when
 * user space replaces a slot or the host is short of it, and the page would stay out of
 * date. So the next load of the vCPU tries again.
 */
void vitro_clock_update(struct vitro_vcpu *vcpu)
{
	struct pvclock_vcpu_time_info info = { };
	struct vitro_vm *vm = vcpu->vm;
	u64 tsc;

	vcpu->clock.stale = false;
	if (!vcpu->clock.enabled)
		return;

	spin_lock(&vm->clock.lock);
	tsc = vm->clock.base_tsc;
	info.system_time = vm->clock.base_ns + vm->clock.offset_ns;
	spin_unlock(&vm->clock.lock);

	info.tsc_timestamp = tsc + vcpu->tsc_offset;
	tsc_to_ns_scale(&info.tsc_to_system_mul, &info.tsc_shift);
	info.flags = PVCLOCK_TSC_STABLE_BIT;
	if (vcpu->clock.paused)
		info.flags |= PVCLOCK_GUEST_STOPPED;

	if (write_page(vcpu, &info))
		vcpu->clock.stale = true;
	else
		vcpu->clock.paused = false;
}

/* The wall-clock time at which the guest's clock was zero. */
int vitro_write_wall_clock(struct vitro_vcpu *vcpu, u64 value)
{
	struct pvclock_wall_clock wall = { };
	struct kvm_clock_data now = { };
	struct timespec64 boot;
	u32 version = 0;
	u64 gpa = value;

	if (!gpa)
		return 0;
	if (vitro_guest_read(vcpu->vm, gpa, &version, sizeof(version)))
		return 0;
	vitro_get_clock(vcpu->vm, &now);
	boot = ns_to_timespec64(now.realtime - now.clock);

	wall.version = (version + 1) | 1;	/* odd while it is being written */
	wall.sec = boot.tv_sec;
	wall.nsec = boot.tv_nsec;
	/* Written this once only: without memory there, the guest has no time of day, as with KVM. */
	if (vitro_guest_write(vcpu->vm, gpa, &wall.version, sizeof(wall.version)))
		return 0;
	smp_wmb();	/* as above */
	vitro_guest_write(vcpu->vm, gpa, &wall, sizeof(wall));
	smp_wmb();	/* as above */
	wall.version++;
	vitro_guest_write(vcpu->vm, gpa, &wall.version, sizeof(wall.version));
	return 0;
}

int vitro_set_system_time(struct vitro_vcpu *vcpu, u64 value)
{
	/* Bit 0 enables; the page address is 4-byte aligned. */
	vcpu->clock.enabled = value & KVM_MSR_ENABLED;
	vcpu->clock.gpa = value & ~3ULL;
	if (vcpu->clock.enabled)
		vitro_request(vcpu, VITRO_REQ_CLOCK);
	return 0;
}

/**
 * vitro_tsc_set_offset() - set the guest's TSC
 * @vcpu:   the vCPU, loaded
 * @offset: guest's minus host's
 */
void vitro_tsc_set_offset(struct vitro_vcpu *vcpu, u64 offset)
{
	vcpu->tsc_offset = offset;
	vitro_backend->write_tsc_offset(vcpu);
	if (vcpu->lapic)
		vitro_lapic_tsc_changed(vcpu);
	if (vcpu->clock.enabled)
		vitro_request(vcpu, VITRO_REQ_CLOCK);
}

/**
 * vitro_tsc_reset() - power-up value of the TSC: zero when the VM was created
 * @vcpu: the vCPU, loaded
 */
void vitro_tsc_reset(struct vitro_vcpu *vcpu)
{
	vitro_tsc_set_offset(vcpu, vcpu->vm->clock.initial_tsc_offset);
}

/* Is @offset what another vCPU got for what was meant to be the same TSC? */
static bool same_tsc(struct vitro_vm *vm, u64 offset)
{
	u64 difference = abs((s64)(offset - vm->clock.synced_tsc_offset));

	return vm->clock.tsc_synced && difference < (u64)tsc_khz * TSC_SYNC_WINDOW_MS;
}

/**
 * vitro_tsc_write() - IA32_TSC is written
 * @vcpu:  the vCPU, loaded
 * @value: new value
 * @host:  by user space: restoring several vCPUs one after the other must
 *	   not set their TSCs apart
 */
void vitro_tsc_write(struct vitro_vcpu *vcpu, u64 value, bool host)
{
	struct vitro_vm *vm = vcpu->vm;
	u64 offset = value - rdtsc();

	if (host) {
		spin_lock(&vm->clock.lock);
		if (!value) {
			offset = vm->clock.initial_tsc_offset;
		} else if (same_tsc(vm, offset)) {
			offset = vm->clock.synced_tsc_offset;
		} else {
			vm->clock.synced_tsc_offset = offset;
			vm->clock.tsc_synced = true;
		}
		spin_unlock(&vm->clock.lock);
	} else {
		vcpu->msrs.tsc_adjust += offset - vcpu->tsc_offset;
	}
	vitro_tsc_set_offset(vcpu, offset);
}

/**
 * vitro_tsc_adjust() - IA32_TSC_ADJUST is written
 * @vcpu:  the vCPU, loaded
 * @value: new value
 * @host:  by user space, which restores the TSC itself separately
 */
void vitro_tsc_adjust(struct vitro_vcpu *vcpu, u64 value, bool host)
{
	if (!host)
		vitro_tsc_set_offset(vcpu, vcpu->tsc_offset + value - vcpu->msrs.tsc_adjust);
	vcpu->msrs.tsc_adjust = value;
}
