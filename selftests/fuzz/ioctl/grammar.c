// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of uapi/SUPPORTED.md, and what their arguments are made of.
 * run-user compares the names with that list.
 */
#include <linux/kvm_para.h>
#include <stddef.h>

#include "ioctl.h"

#define MEMBER(type, member) (((type *)0)->member)

/* A member of a structure. */
#define F(type, member, what, parameter)				\
	{ .offset = offsetof(type, member), .size = sizeof(MEMBER(type, member)), \
	  .kind = KIND_##what, .count = 1, .param = (parameter) }
/* A member of the elements of an array, of which @n are in reach. */
#define FA(type, array, member, n, what, parameter)			\
	{ .offset = offsetof(type, array[0]) +				\
		    offsetof(__typeof__(MEMBER(type, array[0])), member),	\
	  .size = sizeof(MEMBER(type, array[0].member)), .kind = KIND_##what, \
	  .count = (n), .stride = sizeof(MEMBER(type, array[0])), .param = (parameter) }
/* The elements of an array of numbers. */
#define FN(type, array, n, what, parameter)				\
	{ .offset = offsetof(type, array[0]), .size = sizeof(MEMBER(type, array[0])), \
	  .kind = KIND_##what, .count = (n), .stride = sizeof(MEMBER(type, array[0])), \
	  .param = (parameter) }

#define FIELDS(name) .fields = name, .nr_fields = ARRAY_SIZE(name)
#define CALL(ioctl, on, heavy)						\
	.name = #ioctl, .cmd = ioctl, .object = OBJ_##on, .weight = (heavy)
/*
 * One whose argument is a number, and one with a structure. Not by CALL(): an argument
 * that goes through two macros is spelt out in the name.
 */
#define NUMBER(ioctl, on, heavy, list)					\
	{ .name = #ioctl, .cmd = ioctl, .object = OBJ_##on, .weight = (heavy), FIELDS(list) }
#define STRUCT(ioctl, on, heavy, type, list)				\
	{ .name = #ioctl, .cmd = ioctl, .object = OBJ_##on, .weight = (heavy), \
	  .size = sizeof(type), FIELDS(list) }

static const struct field nothing[] = { { .size = 8, .kind = KIND_SMALL, .count = 1, .param = 1 } };
static const struct field anything[] = { { .size = 8, .kind = KIND_ANY, .count = 1 } };
static const struct field capability[] = {
	{ .size = 8, .kind = KIND_SMALL, .count = 1, .param = 240 },
};
static const struct field vcpu_id[] = { { .size = 8, .kind = KIND_SMALL, .count = 1, .param = 4 } };
static const struct field gpa[] = { { .size = 8, .kind = KIND_GPA, .count = 1 } };
static const struct field onoff[] = { { .size = 8, .kind = KIND_SMALL, .count = 1, .param = 2 } };
static const struct field khz[] = {
	{ .size = 8, .kind = KIND_SMALL, .count = 1, .param = 8000000 },
};

#define NR_CPUID 96
#define CPUID_TAIL (NR_CPUID * sizeof(struct kvm_cpuid_entry2))
static const struct field cpuid2[] = {
	F(struct kvm_cpuid2, nent, SWITCH, NR_CPUID),
	F(struct kvm_cpuid2, nent, SMALL, NR_CPUID + 1),
	F(struct kvm_cpuid2, nent, SMALL, 8),
	FA(struct kvm_cpuid2, entries, function, NR_CPUID, CPUID, 0),
	FA(struct kvm_cpuid2, entries, index, NR_CPUID, SMALL, 4),
	FA(struct kvm_cpuid2, entries, flags, NR_CPUID, BITS, 7),
	FA(struct kvm_cpuid2, entries, eax, NR_CPUID, ANY, 0),
	FA(struct kvm_cpuid2, entries, ebx, NR_CPUID, ANY, 0),
	FA(struct kvm_cpuid2, entries, ecx, NR_CPUID, ANY, 0),
	FA(struct kvm_cpuid2, entries, edx, NR_CPUID, ANY, 0),
};

#define NR_MSRS 64
#define MSRS_TAIL (NR_MSRS * sizeof(struct kvm_msr_entry))
static const struct field msrs[] = {
	F(struct kvm_msrs, nmsrs, SMALL, 8),
	F(struct kvm_msrs, nmsrs, SMALL, NR_MSRS),
	FA(struct kvm_msrs, entries, index, 8, MSR, 0),
	FA(struct kvm_msrs, entries, index, NR_MSRS, MSR, 0),
	FA(struct kvm_msrs, entries, data, 8, ANY, 0),
	FA(struct kvm_msrs, entries, data, 8, GPA, 0),
	FA(struct kvm_msrs, entries, data, 8, EFER, 0),
	FA(struct kvm_msrs, entries, data, 8, BITS, 0xffff),
};

static const struct field msr_list[] = {
	F(struct kvm_msr_list, nmsrs, SMALL, 256), F(struct kvm_msr_list, nmsrs, ANY, 0),
};

#define REG(name, what) F(struct kvm_regs, name, what, 0)
static const struct field regs[] = {
	REG(rax, ANY), REG(rbx, ANY), REG(rcx, MSR), REG(rdx, PORT), REG(rsi, GPA), REG(rdi, GPA),
	REG(rsp, GPA), REG(rbp, ANY), REG(r8, ANY), REG(r15, ANY), REG(rip, GPA), REG(rip, ANY),
	REG(rflags, RFLAGS),
};

#define SEGMENT(name)							\
	F(struct kvm_sregs, name.base, GPA, 0), F(struct kvm_sregs, name.limit, ANY, 0), \
	F(struct kvm_sregs, name.selector, BITS, 0xffff),			\
	F(struct kvm_sregs, name.type, BITS, 15), F(struct kvm_sregs, name.present, BITS, 1), \
	F(struct kvm_sregs, name.dpl, BITS, 3), F(struct kvm_sregs, name.db, BITS, 1), \
	F(struct kvm_sregs, name.s, BITS, 1), F(struct kvm_sregs, name.l, BITS, 1), \
	F(struct kvm_sregs, name.g, BITS, 1), F(struct kvm_sregs, name.unusable, BITS, 1)
static const struct field sregs[] = {
	F(struct kvm_sregs, cr0, CR0, 0), F(struct kvm_sregs, cr0, CR0, 0),
	F(struct kvm_sregs, cr2, ANY, 0), F(struct kvm_sregs, cr3, GPA, 0),
	F(struct kvm_sregs, cr4, CR4, 0), F(struct kvm_sregs, cr4, CR4, 0),
	F(struct kvm_sregs, cr8, SMALL, 16), F(struct kvm_sregs, efer, EFER, 0),
	F(struct kvm_sregs, efer, EFER, 0), F(struct kvm_sregs, apic_base, BITS, 0xfee00d00),
	F(struct kvm_sregs, apic_base, GPA, 0), F(struct kvm_sregs, gdt.base, GPA, 0),
	F(struct kvm_sregs, gdt.limit, ANY, 0), F(struct kvm_sregs, idt.base, GPA, 0),
	F(struct kvm_sregs, idt.limit, ANY, 0),
	FN(struct kvm_sregs, interrupt_bitmap, 4, ANY, 0),
	SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(tr), SEGMENT(ldt),
};

static const struct field fpu[] = {
	F(struct kvm_fpu, fcw, ANY, 0), F(struct kvm_fpu, fsw, ANY, 0),
	F(struct kvm_fpu, ftwx, ANY, 0), F(struct kvm_fpu, mxcsr, BITS, 0xffff),
	F(struct kvm_fpu, mxcsr, ANY, 0),
};

/* MXCSR, then XSTATE_BV and XCOMP_BV of the standard format. */
static const struct field xsave[] = {
	{ .offset = 24, .size = 4, .kind = KIND_ANY, .count = 1 },
	{ .offset = 512, .size = 8, .kind = KIND_BITS, .count = 1, .param = 0x3ff },
	{ .offset = 512, .size = 8, .kind = KIND_ANY, .count = 1 },
	{ .offset = 520, .size = 8, .kind = KIND_ANY, .count = 1 },
	{ .offset = 528, .size = 8, .kind = KIND_ANY, .count = 6, .stride = 8 },
	{ .offset = 0, .size = 8, .kind = KIND_ANY, .count = 512, .stride = 8 },
};

static const struct field xcrs[] = {
	F(struct kvm_xcrs, nr_xcrs, SWITCH, 1), F(struct kvm_xcrs, nr_xcrs, SMALL, 18),
	F(struct kvm_xcrs, flags, ZERO, 0), FA(struct kvm_xcrs, xcrs, xcr, 16, ZERO, 0),
	FA(struct kvm_xcrs, xcrs, value, 16, BITS, 0xff),
};

static const struct field lapic[] = {
	{ .offset = 0, .size = 4, .kind = KIND_ANY, .count = 64, .stride = 16 },
	{ .offset = 0x20, .size = 4, .kind = KIND_SWITCH, .count = 1, .param = 1 << 24 },
	{ .offset = 0xf0, .size = 4, .kind = KIND_BITS, .count = 1, .param = 0x3ff },
	{ .offset = 0x100, .size = 4, .kind = KIND_ANY, .count = 24, .stride = 16 },
	{ .offset = 0x320, .size = 4, .kind = KIND_BITS, .count = 6, .stride = 16, .param = 0x707ff },
	{ .offset = 0x380, .size = 4, .kind = KIND_ANY, .count = 3, .stride = 16 },
	{ .offset = 0x3e0, .size = 4, .kind = KIND_BITS, .count = 1, .param = 15 },
};

static const struct field mp_state[] = { F(struct kvm_mp_state, mp_state, SMALL, 6) };

static const struct field events[] = {
	F(struct kvm_vcpu_events, flags, BITS, 0x3f),
	F(struct kvm_vcpu_events, exception.injected, BITS, 1),
	F(struct kvm_vcpu_events, exception.nr, SMALL, 33),
	F(struct kvm_vcpu_events, exception.has_error_code, BITS, 1),
	F(struct kvm_vcpu_events, exception.pending, BITS, 1),
	F(struct kvm_vcpu_events, exception.error_code, ANY, 0),
	F(struct kvm_vcpu_events, interrupt.injected, BITS, 1),
	F(struct kvm_vcpu_events, interrupt.nr, ANY, 0),
	F(struct kvm_vcpu_events, interrupt.soft, BITS, 1),
	F(struct kvm_vcpu_events, interrupt.shadow, BITS, 3),
	F(struct kvm_vcpu_events, nmi.injected, BITS, 1),
	F(struct kvm_vcpu_events, nmi.pending, BITS, 3),
	F(struct kvm_vcpu_events, nmi.masked, BITS, 1),
	F(struct kvm_vcpu_events, sipi_vector, ANY, 0),
	F(struct kvm_vcpu_events, smi.smm, SMALL, 2),
};

static const struct field debugregs[] = {
	FN(struct kvm_debugregs, db, 4, GPA, 0), FN(struct kvm_debugregs, db, 4, ANY, 0),
	F(struct kvm_debugregs, dr6, BITS, 0xffffefff), F(struct kvm_debugregs, dr7, BITS, 0xffff27ff),
	F(struct kvm_debugregs, dr7, ANY, 0), F(struct kvm_debugregs, flags, ZERO, 0),
};

static const struct field interrupt[] = { F(struct kvm_interrupt, irq, SMALL, 257) };

struct signal_mask {
	struct kvm_signal_mask head;
	uint8_t set[8];
} __attribute__((packed));
static const struct field signal_mask[] = {
	F(struct signal_mask, head.len, SWITCH, 8),
	{ .offset = 4, .size = 8, .kind = KIND_SIGNALS, .count = 1 },
};

static const struct field memory[] = {
	F(struct kvm_userspace_memory_region, slot, SMALL, 4),
	F(struct kvm_userspace_memory_region, slot, SMALL, 513),
	F(struct kvm_userspace_memory_region, flags, SWITCH, KVM_MEM_LOG_DIRTY_PAGES),
	F(struct kvm_userspace_memory_region, flags, BITS, 3),
	F(struct kvm_userspace_memory_region, guest_phys_addr, GPA, 0),
	F(struct kvm_userspace_memory_region, memory_size, SIZE, 0),
	F(struct kvm_userspace_memory_region, userspace_addr, HVA, 0),
};

static const struct field dirty_log[] = {
	F(struct kvm_dirty_log, slot, ZERO, 0), F(struct kvm_dirty_log, slot, SMALL, 4),
	F(struct kvm_dirty_log, dirty_bitmap, HVA, 0),
};

static const struct field clear_dirty_log[] = {
	F(struct kvm_clear_dirty_log, slot, ZERO, 0), F(struct kvm_clear_dirty_log, slot, SMALL, 4),
	F(struct kvm_clear_dirty_log, num_pages, SWITCH, 64),
	F(struct kvm_clear_dirty_log, num_pages, SMALL, 600),
	F(struct kvm_clear_dirty_log, first_page, SWITCH, 64),
	F(struct kvm_clear_dirty_log, first_page, ANY, 0),
	F(struct kvm_clear_dirty_log, dirty_bitmap, HVA, 0),
};

#define NR_ROUTES 200
/* The first ones, which are in force with few entries, and others. */
#define ROUTE(member, what, parameter)					\
	FA(struct kvm_irq_routing, entries, member, 3, what, parameter)
static const struct field routing[] = {
	F(struct kvm_irq_routing, nr, SWITCH, 1), F(struct kvm_irq_routing, nr, SMALL, 4),
	F(struct kvm_irq_routing, nr, SMALL, NR_ROUTES),
	F(struct kvm_irq_routing, nr, ANY, 0), F(struct kvm_irq_routing, flags, ZERO, 0),
	ROUTE(gsi, SMALL, 26), ROUTE(type, SMALL, 3),
	ROUTE(flags, ZERO, 0), ROUTE(u.irqchip.irqchip, SMALL, 3), ROUTE(u.irqchip.pin, SMALL, 9),
	ROUTE(u.msi.address_lo, MSI_ADDRESS, 0), ROUTE(u.msi.data, BITS, 0xc7ff),
	FA(struct kvm_irq_routing, entries, gsi, NR_ROUTES, ANY, 0),
	FA(struct kvm_irq_routing, entries, type, NR_ROUTES, SMALL, 4),
};

static const struct field irqchip[] = {
	F(struct kvm_irqchip, chip_id, SMALL, 3), F(struct kvm_irqchip, chip_id, SMALL, 4),
	F(struct kvm_irqchip, chip.pic.irr, ANY, 0), F(struct kvm_irqchip, chip.pic.isr, ANY, 0),
	F(struct kvm_irqchip, chip.pic.imr, ANY, 0), F(struct kvm_irqchip, chip.pic.irq_base, ANY, 0),
	F(struct kvm_irqchip, chip.pic.init_state, SMALL, 5),
	F(struct kvm_irqchip, chip.pic.elcr, ANY, 0),
	F(struct kvm_irqchip, chip.pic.priority_add, SMALL, 9),
	F(struct kvm_irqchip, chip.ioapic.base_address, GPA, 0),
	F(struct kvm_irqchip, chip.ioapic.ioregsel, SMALL, 0x41),
	F(struct kvm_irqchip, chip.ioapic.irr, ANY, 0),
	FA(struct kvm_irqchip, chip.ioapic.redirtbl, bits, 24, BITS, 0x0f0000000001ffff),
};

static const struct field irq_level[] = {
	F(struct kvm_irq_level, irq, SMALL, 26), F(struct kvm_irq_level, irq, ANY, 0),
	F(struct kvm_irq_level, level, SMALL, 2),
};

static const struct field msi[] = {
	F(struct kvm_msi, address_lo, MSI_ADDRESS, 0), F(struct kvm_msi, address_hi, ZERO, 0),
	F(struct kvm_msi, data, BITS, 0xc7ff), F(struct kvm_msi, flags, ZERO, 0),
	F(struct kvm_msi, devid, ZERO, 0),
};

static const struct field pit_config[] = { F(struct kvm_pit_config, flags, BITS, 3) };

#define CHANNEL(member, what, parameter) \
	FA(struct kvm_pit_state2, channels, member, 3, what, parameter)
static const struct field pit2[] = {
	CHANNEL(count, ANY, 0), CHANNEL(count, SMALL, 0x10001), CHANNEL(latched_count, ANY, 0),
	CHANNEL(count_latched, SMALL, 5), CHANNEL(status_latched, SMALL, 2), CHANNEL(status, ANY, 0),
	CHANNEL(read_state, SMALL, 5), CHANNEL(write_state, SMALL, 5), CHANNEL(write_latch, ANY, 0),
	CHANNEL(rw_mode, SMALL, 4), CHANNEL(mode, SMALL, 8), CHANNEL(bcd, SMALL, 2),
	CHANNEL(gate, SMALL, 2), CHANNEL(count_load_time, ANY, 0),
	F(struct kvm_pit_state2, flags, BITS, 3),
};

static const struct field reinject[] = { F(struct kvm_reinject_control, pit_reinject, SMALL, 2) };

static const struct field irqfd[] = {
	F(struct kvm_irqfd, fd, EVENTFD, 0), F(struct kvm_irqfd, fd, FD, 0),
	F(struct kvm_irqfd, gsi, SMALL, 26), F(struct kvm_irqfd, gsi, ANY, 0),
	F(struct kvm_irqfd, flags, SWITCH, KVM_IRQFD_FLAG_DEASSIGN),
	F(struct kvm_irqfd, flags, SWITCH, KVM_IRQFD_FLAG_RESAMPLE),
	F(struct kvm_irqfd, flags, BITS, 7),
	F(struct kvm_irqfd, resamplefd, EVENTFD, 0), F(struct kvm_irqfd, resamplefd, FD, 0),
};

static const struct field ioeventfd[] = {
	F(struct kvm_ioeventfd, datamatch, SMALL, 3), F(struct kvm_ioeventfd, addr, PORT, 0),
	F(struct kvm_ioeventfd, addr, GPA, 0), F(struct kvm_ioeventfd, len, SWITCH, 4),
	F(struct kvm_ioeventfd, len, SMALL, 9), F(struct kvm_ioeventfd, fd, EVENTFD, 0),
	F(struct kvm_ioeventfd, fd, FD, 0), F(struct kvm_ioeventfd, flags, BITS, 7),
	F(struct kvm_ioeventfd, flags, SMALL, 17),
};

static const struct field clock[] = {
	F(struct kvm_clock_data, clock, ANY, 0),
	F(struct kvm_clock_data, flags, SWITCH, KVM_CLOCK_REALTIME),
	F(struct kvm_clock_data, flags, BITS, 0xe),
	F(struct kvm_clock_data, realtime, ANY, 0), F(struct kvm_clock_data, host_tsc, ANY, 0),
};

static const struct field enable_cap[] = {
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_SPLIT_IRQCHIP),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_X86_USER_SPACE_MSR),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_DIRTY_LOG_RING),
	F(struct kvm_enable_cap, args[0], SWITCH, 4096),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_DISABLE_QUIRKS2),
	F(struct kvm_enable_cap, args[0], BITS, 0x70),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_HALT_POLL),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_MAX_VCPU_ID),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_X86_DISABLE_EXITS),
	F(struct kvm_enable_cap, args[0], BITS, 0x1f),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_X2APIC_API),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_EXCEPTION_PAYLOAD),
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_X86_TRIPLE_FAULT_EVENT),
	F(struct kvm_enable_cap, cap, SMALL, 240), F(struct kvm_enable_cap, args[0], SMALL, 26),
	F(struct kvm_enable_cap, args[0], ANY, 0), F(struct kvm_enable_cap, flags, SMALL, 2),
};

static const struct field sregs2[] = {
	F(struct kvm_sregs2, cr0, BITS, 0xe005003f), F(struct kvm_sregs2, cr3, GPA, 0),
	F(struct kvm_sregs2, cr4, BITS, 0x3706ff), F(struct kvm_sregs2, efer, BITS, 0xd01),
	F(struct kvm_sregs2, flags, SMALL, 3), FN(struct kvm_sregs2, pdptrs, 4, ANY, 0),
	FN(struct kvm_sregs2, pdptrs, 4, GPA, 0),
};

static const struct field guest_debug[] = {
	F(struct kvm_guest_debug, control, SWITCH, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP),
	F(struct kvm_guest_debug, control, BITS, 0x1f0003),
	F(struct kvm_guest_debug, arch.debugreg[0], GPA, 0),
	F(struct kvm_guest_debug, arch.debugreg[7], BITS, 0xffff27ff),
};

static const struct field zone[] = {
	F(struct kvm_coalesced_mmio_zone, addr, GPA, 0), F(struct kvm_coalesced_mmio_zone, addr, PORT, 0),
	F(struct kvm_coalesced_mmio_zone, size, SMALL, 0x2001), F(struct kvm_coalesced_mmio_zone, size, ANY, 0),
	F(struct kvm_coalesced_mmio_zone, pio, SMALL, 3),
};

/* Ranges that matter, with bitmaps of guest memory, and some that do not. */
static const struct field msr_filter[] = {
	F(struct kvm_msr_filter, flags, SWITCH, KVM_MSR_FILTER_DEFAULT_DENY),
	F(struct kvm_msr_filter, flags, SMALL, 4),
	FA(struct kvm_msr_filter, ranges, base, 4, MSR, 0),
	FA(struct kvm_msr_filter, ranges, nmsrs, 4, SMALL, 70),
	FA(struct kvm_msr_filter, ranges, flags, 4, SMALL, 4),
	FA(struct kvm_msr_filter, ranges, bitmap, 4, HVA, 0),
	FA(struct kvm_msr_filter, ranges, nmsrs, KVM_MSR_FILTER_MAX_RANGES, SWITCH, 0),
	FA(struct kvm_msr_filter, ranges, nmsrs, KVM_MSR_FILTER_MAX_RANGES, ANY, 0),
	FA(struct kvm_msr_filter, ranges, base, KVM_MSR_FILTER_MAX_RANGES, ANY, 0),
};

static const struct field attr[] = {
	F(struct kvm_device_attr, group, SMALL, 2), F(struct kvm_device_attr, attr, SMALL, 2),
	F(struct kvm_device_attr, attr, ANY, 0), F(struct kvm_device_attr, addr, HVA, 0),
	F(struct kvm_device_attr, flags, ZERO, 0),
};

static const struct field vcpu_cap[] = {
	F(struct kvm_enable_cap, cap, SWITCH, KVM_CAP_ENFORCE_PV_FEATURE_CPUID),
	F(struct kvm_enable_cap, cap, SMALL, 240), F(struct kvm_enable_cap, args[0], SMALL, 2),
};

/* MCG_CAP: the banks, MCG_CTL_P, MCG_SER_P. */
static const struct field mce_cap[] = {
	{ .size = 1, .kind = KIND_SMALL, .count = 1, .param = 34 },
	{ .size = 4, .kind = KIND_BITS, .count = 1, .param = 0x01000120 },
	{ .size = 8, .kind = KIND_ANY, .count = 1 },
};

static const struct field mce[] = {
	F(struct kvm_x86_mce, status, ANY, 0), F(struct kvm_x86_mce, bank, SMALL, 34),
	F(struct kvm_x86_mce, mcg_status, BITS, 7), F(struct kvm_x86_mce, addr, GPA, 0),
};

const struct call ioctl_calls[] = {
	NUMBER(KVM_GET_API_VERSION, DEV, 1, nothing),
	{ CALL(KVM_CREATE_VM, DEV, 4), FIELDS(nothing), .makes = OBJ_VM },
	NUMBER(KVM_CHECK_EXTENSION, DEV, 1, capability),
	NUMBER(KVM_GET_VCPU_MMAP_SIZE, DEV, 1, nothing),
	{ CALL(KVM_GET_SUPPORTED_CPUID, DEV, 2), .size = sizeof(struct kvm_cpuid2),
	  .tail = CPUID_TAIL, FIELDS(cpuid2) },
	{ CALL(KVM_GET_EMULATED_CPUID, DEV, 1), .size = sizeof(struct kvm_cpuid2),
	  .tail = CPUID_TAIL, FIELDS(cpuid2) },
	{ CALL(KVM_GET_MSR_INDEX_LIST, DEV, 1), .size = sizeof(struct kvm_msr_list),
	  .tail = 1024, FIELDS(msr_list) },
	{ CALL(KVM_GET_MSR_FEATURE_INDEX_LIST, DEV, 1), .size = sizeof(struct kvm_msr_list),
	  .tail = 1024, FIELDS(msr_list) },
	{ CALL(KVM_GET_MSRS, DEV, 1), .size = sizeof(struct kvm_msrs), .tail = MSRS_TAIL,
	  FIELDS(msrs) },
	STRUCT(KVM_X86_GET_MCE_CAP_SUPPORTED, DEV, 1, uint64_t, anything),
	STRUCT(KVM_HAS_DEVICE_ATTR, DEV, 1, struct kvm_device_attr, attr),
	STRUCT(KVM_GET_DEVICE_ATTR, DEV, 1, struct kvm_device_attr, attr),
	STRUCT(VITRO_GET_INFO, DEV, 1, struct vitro_info, anything),

	{ CALL(KVM_CREATE_VCPU, VM, 6), FIELDS(vcpu_id), .makes = OBJ_VCPU },
	STRUCT(KVM_SET_USER_MEMORY_REGION, VM, 12, struct kvm_userspace_memory_region, memory),
	STRUCT(KVM_GET_DIRTY_LOG, VM, 4, struct kvm_dirty_log, dirty_log),
	STRUCT(KVM_CLEAR_DIRTY_LOG, VM, 4, struct kvm_clear_dirty_log, clear_dirty_log),
	NUMBER(KVM_SET_TSS_ADDR, VM, 1, gpa),
	STRUCT(KVM_SET_IDENTITY_MAP_ADDR, VM, 1, uint64_t, gpa),
	NUMBER(KVM_SET_BOOT_CPU_ID, VM, 1, vcpu_id),
	NUMBER(KVM_SET_NR_MMU_PAGES, VM, 1, anything),
	NUMBER(KVM_GET_NR_MMU_PAGES, VM, 1, nothing),
	NUMBER(KVM_CREATE_IRQCHIP, VM, 3, nothing),
	STRUCT(KVM_ENABLE_CAP, VM, 1, struct kvm_enable_cap, enable_cap),
	STRUCT(KVM_GET_IRQCHIP, VM, 2, struct kvm_irqchip, irqchip),
	{ CALL(KVM_SET_IRQCHIP, VM, 4), .size = sizeof(struct kvm_irqchip), FIELDS(irqchip),
	  .getter = KVM_GET_IRQCHIP },
	STRUCT(KVM_IRQ_LINE, VM, 4, struct kvm_irq_level, irq_level),
	STRUCT(KVM_IRQ_LINE_STATUS, VM, 3, struct kvm_irq_level, irq_level),
	STRUCT(KVM_SIGNAL_MSI, VM, 4, struct kvm_msi, msi),
	NUMBER(KVM_CREATE_PIT, VM, 1, nothing),
	STRUCT(KVM_CREATE_PIT2, VM, 2, struct kvm_pit_config, pit_config),
	STRUCT(KVM_GET_PIT2, VM, 1, struct kvm_pit_state2, pit2),
	{ CALL(KVM_SET_PIT2, VM, 3), .size = sizeof(struct kvm_pit_state2), FIELDS(pit2),
	  .getter = KVM_GET_PIT2 },
	STRUCT(KVM_REINJECT_CONTROL, VM, 1, struct kvm_reinject_control, reinject),
	{ CALL(KVM_SET_GSI_ROUTING, VM, 5), .size = sizeof(struct kvm_irq_routing),
	  .tail = NR_ROUTES * sizeof(struct kvm_irq_routing_entry), FIELDS(routing) },
	STRUCT(KVM_IRQFD, VM, 6, struct kvm_irqfd, irqfd),
	STRUCT(KVM_IOEVENTFD, VM, 6, struct kvm_ioeventfd, ioeventfd),
	NUMBER(KVM_RESET_DIRTY_RINGS, VM, 2, nothing),
	STRUCT(KVM_REGISTER_COALESCED_MMIO, VM, 3, struct kvm_coalesced_mmio_zone, zone),
	STRUCT(KVM_UNREGISTER_COALESCED_MMIO, VM, 2, struct kvm_coalesced_mmio_zone, zone),
	STRUCT(KVM_X86_SET_MSR_FILTER, VM, 3, struct kvm_msr_filter, msr_filter),
	STRUCT(KVM_GET_CLOCK, VM, 1, struct kvm_clock_data, clock),
	STRUCT(KVM_SET_CLOCK, VM, 2, struct kvm_clock_data, clock),
	NUMBER(KVM_GET_TSC_KHZ, VM, 1, nothing),
	NUMBER(KVM_SET_TSC_KHZ, VM, 1, khz),
	NUMBER(KVM_CHECK_EXTENSION, VM, 1, capability),
	{ CALL(KVM_GET_STATS_FD, VM, 1), FIELDS(anything), .makes = OBJ_STATS },
	NUMBER(VITRO_SET_TIMING, VM, 1, onoff),

	NUMBER(KVM_RUN, VCPU, 12, nothing),
	STRUCT(KVM_GET_REGS, VCPU, 1, struct kvm_regs, regs),
	{ CALL(KVM_SET_REGS, VCPU, 5), .size = sizeof(struct kvm_regs), FIELDS(regs),
	  .getter = KVM_GET_REGS },
	STRUCT(KVM_GET_SREGS, VCPU, 1, struct kvm_sregs, sregs),
	{ CALL(KVM_SET_SREGS, VCPU, 8), .size = sizeof(struct kvm_sregs), FIELDS(sregs),
	  .getter = KVM_GET_SREGS },
	STRUCT(KVM_GET_SREGS2, VCPU, 1, struct kvm_sregs2, anything),
	{ CALL(KVM_SET_SREGS2, VCPU, 4), .size = sizeof(struct kvm_sregs2), FIELDS(sregs2),
	  .getter = KVM_GET_SREGS2 },
	{ CALL(KVM_GET_MSRS, VCPU, 3), .size = sizeof(struct kvm_msrs), .tail = MSRS_TAIL,
	  FIELDS(msrs) },
	{ CALL(KVM_SET_MSRS, VCPU, 6), .size = sizeof(struct kvm_msrs), .tail = MSRS_TAIL,
	  FIELDS(msrs) },
	{ CALL(KVM_GET_CPUID2, VCPU, 1), .size = sizeof(struct kvm_cpuid2), .tail = CPUID_TAIL,
	  FIELDS(cpuid2) },
	{ CALL(KVM_SET_CPUID2, VCPU, 4), .size = sizeof(struct kvm_cpuid2), .tail = CPUID_TAIL,
	  FIELDS(cpuid2), .getter = KVM_GET_SUPPORTED_CPUID },
	STRUCT(KVM_GET_FPU, VCPU, 1, struct kvm_fpu, fpu),
	{ CALL(KVM_SET_FPU, VCPU, 2), .size = sizeof(struct kvm_fpu), FIELDS(fpu),
	  .getter = KVM_GET_FPU },
	STRUCT(KVM_GET_XSAVE, VCPU, 1, struct kvm_xsave, xsave),
	{ CALL(KVM_SET_XSAVE, VCPU, 3), .size = sizeof(struct kvm_xsave), FIELDS(xsave),
	  .getter = KVM_GET_XSAVE },
	STRUCT(KVM_GET_XSAVE2, VCPU, 1, struct kvm_xsave, xsave),
	STRUCT(KVM_GET_XCRS, VCPU, 1, struct kvm_xcrs, xcrs),
	{ CALL(KVM_SET_XCRS, VCPU, 2), .size = sizeof(struct kvm_xcrs), FIELDS(xcrs),
	  .getter = KVM_GET_XCRS },
	STRUCT(KVM_GET_LAPIC, VCPU, 1, struct kvm_lapic_state, lapic),
	{ CALL(KVM_SET_LAPIC, VCPU, 5), .size = sizeof(struct kvm_lapic_state), FIELDS(lapic),
	  .getter = KVM_GET_LAPIC },
	STRUCT(KVM_GET_MP_STATE, VCPU, 1, struct kvm_mp_state, mp_state),
	STRUCT(KVM_SET_MP_STATE, VCPU, 3, struct kvm_mp_state, mp_state),
	STRUCT(KVM_GET_VCPU_EVENTS, VCPU, 1, struct kvm_vcpu_events, events),
	{ CALL(KVM_SET_VCPU_EVENTS, VCPU, 4), .size = sizeof(struct kvm_vcpu_events),
	  FIELDS(events), .getter = KVM_GET_VCPU_EVENTS },
	STRUCT(KVM_GET_DEBUGREGS, VCPU, 1, struct kvm_debugregs, debugregs),
	{ CALL(KVM_SET_DEBUGREGS, VCPU, 2), .size = sizeof(struct kvm_debugregs),
	  FIELDS(debugregs), .getter = KVM_GET_DEBUGREGS },
	STRUCT(KVM_TRANSLATE, VCPU, 2, struct kvm_translation, gpa),
	STRUCT(KVM_SET_GUEST_DEBUG, VCPU, 3, struct kvm_guest_debug, guest_debug),
	STRUCT(KVM_INTERRUPT, VCPU, 2, struct kvm_interrupt, interrupt),
	NUMBER(KVM_NMI, VCPU, 2, nothing),
	NUMBER(KVM_GET_TSC_KHZ, VCPU, 1, nothing),
	NUMBER(KVM_SET_TSC_KHZ, VCPU, 1, khz),
	NUMBER(KVM_KVMCLOCK_CTRL, VCPU, 1, nothing),
	{ CALL(KVM_SET_SIGNAL_MASK, VCPU, 1), .size = sizeof(struct signal_mask),
	  FIELDS(signal_mask) },
	{ CALL(KVM_GET_STATS_FD, VCPU, 1), FIELDS(anything), .makes = OBJ_STATS },
	STRUCT(KVM_SET_VAPIC_ADDR, VCPU, 1, struct kvm_vapic_addr, gpa),
	STRUCT(KVM_X86_SETUP_MCE, VCPU, 1, uint64_t, mce_cap),
	STRUCT(KVM_X86_SET_MCE, VCPU, 2, struct kvm_x86_mce, mce),
	STRUCT(KVM_HAS_DEVICE_ATTR, VCPU, 1, struct kvm_device_attr, attr),
	STRUCT(KVM_GET_DEVICE_ATTR, VCPU, 1, struct kvm_device_attr, attr),
	STRUCT(KVM_SET_DEVICE_ATTR, VCPU, 2, struct kvm_device_attr, attr),
	STRUCT(KVM_ENABLE_CAP, VCPU, 1, struct kvm_enable_cap, vcpu_cap),
	STRUCT(VITRO_EXPLAIN_ENTRY, VCPU, 1, struct vitro_explain, anything),
};

const unsigned int nr_ioctl_calls = ARRAY_SIZE(ioctl_calls);
