// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest time.
 *
 * The guest's TSC is the host's, scaled if user space wants it (tsc.h), plus an offset, the
 * same for all vCPUs of a VM unless the guest sets them apart. The kvmclock pages of all
 * vCPUs are made from one pair of host TSC and host time, so that they agree to the
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
#include "run.h"
#include "tsc.h"
#include "vm.h"

/* User space's TSC writes that are this near to what a vCPU of the VM has mean the same. */
#define TSC_SYNC_WINDOW_MS	1000

/* Of the host's TSC. */
static u64 host_hz(void)
{
	return (u64)tsc_khz * 1000;
}

/* struct pvclock_vcpu_time_info's multiplier and shift: ticks of a TSC of @hz, not 0, to ns. */
static void tsc_to_ns_scale(u64 hz, u32 *mul, s8 *shift)
{
	u64 ns = NSEC_PER_SEC;
	s8 s = 0;

	/* What is shifted below must fit. */
	while (hz > U32_MAX) {
		hz >>= 1;
		s--;
	}
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
	vm->clock.created_tsc = vm->clock.base_tsc;
}

/* Guest clock at host TSC @tsc, in ns. vm->clock.lock is held. */
static u64 clock_at(struct vitro_vm *vm, u64 tsc)
{
	u32 mul;
	s8 shift;

	tsc_to_ns_scale(host_hz(), &mul, &shift);
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

/* Has every vCPU write its page anew. */
static void renew_pages(struct vitro_vm *vm)
{
	struct vitro_vcpu *vcpu;
	int i;

	vitro_for_each_vcpu(i, vcpu, vm) {
		vitro_request(vcpu, VITRO_REQ_CLOCK);
		vitro_vcpu_kick(vcpu);
	}
}

/*
 * Do the pages of all vCPUs agree? Those of TSCs with different rates are rounded differently,
 * and drift apart by some ns in a second.
 */
static bool one_rate(struct vitro_vm *vm, u64 ratio)
{
	struct vitro_vcpu *other;
	int i;

	if (!READ_ONCE(vm->clock.rates_set))
		return true;
	vitro_for_each_vcpu(i, other, vm)
		if (READ_ONCE(other->tsc_ratio) != ratio)
			return false;
	return true;
}

int vitro_set_clock(struct vitro_vm *vm, const struct kvm_clock_data *data)
{
	u64 now_real, clock;

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

	renew_pages(vm);
	return 0;
}

/**
 * vitro_clock_vcpu_added() - the VM has one more vCPU
 * @vcpu: the vCPU
 */
void vitro_clock_vcpu_added(struct vitro_vcpu *vcpu)
{
	/*
	 * The others' pages may say that all agree. Who has not seen this vCPU yet when it wrote
	 * one is seen here to have another rate; pairs with the barrier in vitro_request().
	 */
	smp_mb();
	if (READ_ONCE(vcpu->vm->clock.rates_set))
		renew_pages(vcpu->vm);
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

	info.tsc_timestamp = vitro_tsc_scale(vcpu, tsc) + vcpu->tsc_offset;
	tsc_to_ns_scale(max(vitro_tsc_scale(vcpu, host_hz()), 1ULL), &info.tsc_to_system_mul,
			&info.tsc_shift);
	if (one_rate(vm, vcpu->tsc_ratio))
		info.flags |= PVCLOCK_TSC_STABLE_BIT;
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
 * @offset: guest's minus host's, scaled
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
 * vitro_tsc_set_khz() - KVM_SET_TSC_KHZ
 * @vcpu: the vCPU, loaded
 * @khz:  frequency, 0: the host's
 *
 * The guest's TSC keeps the value that it had when the VM was created, and has gone on at
 * the new rate since: vCPUs that were in step before, and all get the same, are so afterwards.
 *
 * Return: 0, or -EINVAL if the hardware cannot.
 */
int vitro_tsc_set_khz(struct vitro_vcpu *vcpu, unsigned long khz)
{
	u64 created = vcpu->vm->clock.created_tsc, then, ratio;
	int err = vitro_tsc_ratio_for(khz, &ratio);

	if (err)
		return err;
	WRITE_ONCE(vcpu->tsc_khz, khz);
	if (ratio == vcpu->tsc_ratio)
		return 0;
	then = vitro_tsc_scale(vcpu, created) + vcpu->tsc_offset;
	WRITE_ONCE(vcpu->vm->clock.rates_set, true);
	WRITE_ONCE(vcpu->tsc_ratio, ratio);
	vitro_backend->write_tsc_ratio(vcpu);
	vitro_tsc_set_offset(vcpu, then - vitro_tsc_scale(vcpu, created));
	/* The other pages must tell whether all agree. */
	renew_pages(vcpu->vm);
	return 0;
}

/* Guest TSC 0 when the VM was created. */
static u64 initial_offset(const struct vitro_vcpu *vcpu)
{
	return -vitro_tsc_scale(vcpu, vcpu->vm->clock.created_tsc);
}

/**
 * vitro_tsc_reset() - power-up value of the TSC: zero when the VM was created
 * @vcpu: the vCPU, loaded
 */
void vitro_tsc_reset(struct vitro_vcpu *vcpu)
{
	vitro_tsc_set_offset(vcpu, initial_offset(vcpu));
}

/* Is @offset what another vCPU got for what was meant to be the same TSC? */
static bool same_tsc(const struct vitro_vcpu *vcpu, u64 offset)
{
	const struct vitro_clock *clock = &vcpu->vm->clock;
	u64 difference = abs((s64)(offset - clock->synced_tsc_offset));

	return clock->tsc_synced && clock->synced_tsc_ratio == vcpu->tsc_ratio &&
	       difference < (u64)vitro_tsc_khz(vcpu) * TSC_SYNC_WINDOW_MS;
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
	u64 offset = value - vitro_tsc_scale(vcpu, rdtsc());

	if (host) {
		spin_lock(&vm->clock.lock);
		if (!value) {
			offset = initial_offset(vcpu);
		} else if (same_tsc(vcpu, offset)) {
			offset = vm->clock.synced_tsc_offset;
		} else {
			vm->clock.synced_tsc_offset = offset;
			vm->clock.synced_tsc_ratio = vcpu->tsc_ratio;
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
