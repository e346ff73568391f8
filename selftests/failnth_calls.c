// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each ioctl with each of its allocations and user copies failing once: it fails
 * with the error that says so, leaves nothing behind, and succeeds when it is
 * called again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vitro.h>

#include "fault.h"
#include "vm.h"

enum kind { DEV, VM, VCPU, NR_KINDS };

static const struct {
	const char *name;
	enum kind kind;
	unsigned int request;
} offered[] = {
#define OFFERED(k, request) { #request, k, request },
#include "offered.h"
#undef OFFERED
};

/* Failing calls in a round, of which each is to lose a page if there is a leak. */
#define REPEATS		64
#define MAX_POINTS	400
#define GPA_LOG		0x40000000ULL
#define MEM_PAGES	64

/* What a call needs around it. */
#define NEED_IRQCHIP	1
#define NEED_PIT	3
#define NEED_VCPU	4
#define NEED_SLOT	8
#define NEED_ALL	15
#define NEED_EVENTS	16

struct fixture {
	int fds[NR_KINDS];
	int event;
};

/* Whether to look for lost pages at each point. */
static bool count_pages;

static uint8_t *memory;
static uint64_t buffer[4096];

/**
 * struct scenario - a call under test
 * @kind:	of the descriptor
 * @request:	the ioctl
 * @needs:	NEED_*
 * @argument:	gives the argument, the same each time; NULL: 0
 * @again:	how the call fails when it has been made already, 0: it does not
 * @pages:	takes pages that no leak checker knows
 */
struct scenario {
	enum kind kind;
	unsigned int request;
	unsigned int needs;
	void *(*argument)(struct fixture *f);
	int again;
	bool pages;
};

static long slot_call(int fd, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = size, .userspace_addr = (uintptr_t)memory,
	};

	return sys_ioctl(fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void *irqfd(struct fixture *f);
static void *ioeventfd(struct fixture *f);

static void build(struct fixture *f, int kvm, unsigned int needs)
{
	f->fds[DEV] = kvm;
	f->fds[VM] = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
	f->fds[VCPU] = -1;
	f->event = eventfd(0, EFD_CLOEXEC);
	if (needs & NEED_IRQCHIP)
		REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_CREATE_IRQCHIP, NULL));
	if ((needs & NEED_PIT) == NEED_PIT)
		REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_CREATE_PIT, NULL));
	if (needs & NEED_SLOT)
		REQUIRE_OK(slot_call(f->fds[VM], 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_LOG,
				     MEM_PAGES * PAGE_SIZE));
	if (needs & NEED_EVENTS) {
		REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_IRQFD, irqfd(f)));
		REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_IOEVENTFD, ioeventfd(f)));
	}
	if (needs & NEED_VCPU)
		f->fds[VCPU] = REQUIRE_OK(sys_ioctl_val(f->fds[VM], KVM_CREATE_VCPU, 0));
}

static void dismantle(struct fixture *f)
{
	if (f->fds[VCPU] >= 0)
		close(f->fds[VCPU]);
	close(f->fds[VM]);
	close(f->event);
}

static int next_fd(void)
{
	int fd = dup(1);

	close(fd);
	return fd;
}

static void *zeros(struct fixture *f)
{
	(void)f;
	return memset(buffer, 0, sizeof(buffer));
}

/* What the call's other half says now. */
#define SAME_AS(name, get)						\
static void *name(struct fixture *f)					\
{									\
	zeros(f);							\
	REQUIRE_OK(sys_ioctl(f->fds[VCPU], get, buffer));		\
	return buffer;							\
}
SAME_AS(same_regs, KVM_GET_REGS)
SAME_AS(same_sregs, KVM_GET_SREGS)
SAME_AS(same_fpu, KVM_GET_FPU)
SAME_AS(same_xsave, KVM_GET_XSAVE)
SAME_AS(same_xcrs, KVM_GET_XCRS)
SAME_AS(same_lapic, KVM_GET_LAPIC)
SAME_AS(same_mp_state, KVM_GET_MP_STATE)
SAME_AS(same_events, KVM_GET_VCPU_EVENTS)
SAME_AS(same_debugregs, KVM_GET_DEBUGREGS)

static void *same_chip(struct fixture *f, uint32_t chip)
{
	zeros(f);
	*(uint32_t *)buffer = chip;
	REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_GET_IRQCHIP, buffer));
	return buffer;
}

static void *same_pic(struct fixture *f)
{
	return same_chip(f, KVM_IRQCHIP_PIC_SLAVE);
}

static void *same_ioapic(struct fixture *f)
{
	return same_chip(f, KVM_IRQCHIP_IOAPIC);
}

static void *same_pit(struct fixture *f)
{
	zeros(f);
	REQUIRE_OK(sys_ioctl(f->fds[VM], KVM_GET_PIT2, buffer));
	return buffer;
}

static void *split_irqchip(struct fixture *f)
{
	struct kvm_enable_cap *cap = zeros(f);

	cap->cap = KVM_CAP_SPLIT_IRQCHIP;
	cap->args[0] = 24;
	return cap;
}

static void *same_sregs2(struct fixture *f)
{
	zeros(f);
	REQUIRE_OK(sys_ioctl(f->fds[VCPU], KVM_GET_SREGS2, buffer));
	return buffer;
}

static void *single_step(struct fixture *f)
{
	struct kvm_guest_debug *debug = zeros(f);

	debug->control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	return debug;
}

static void *rings(struct fixture *f)
{
	struct kvm_enable_cap *cap = zeros(f);

	cap->cap = KVM_CAP_DIRTY_LOG_RING;
	cap->args[0] = 4096;
	return cap;
}

/* Of a VM that has them already. */
static void *rings_reset(struct fixture *f)
{
	sys_ioctl(f->fds[VM], KVM_ENABLE_CAP, rings(f));
	return NULL;
}

static void *zone(struct fixture *f)
{
	struct kvm_coalesced_mmio_zone *args = zeros(f);

	args->addr = 0xd0000000;
	args->size = 16;
	return args;
}

static void *msr_filter(struct fixture *f)
{
	struct kvm_msr_filter *filter = zeros(f);
	int i;

	for (i = 0; i < 2; i++) {
		filter->ranges[i].flags = KVM_MSR_FILTER_READ;
		filter->ranges[i].base = 0xc0000080;
		filter->ranges[i].nmsrs = 64;
		filter->ranges[i].bitmap = (uint8_t *)&buffer[256];
	}
	return filter;
}

/* The first attribute of the object: the XSAVE components, the TSC's offset. */
static void *attr(struct fixture *f)
{
	struct kvm_device_attr *args = zeros(f);

	args->addr = (uintptr_t)&buffer[64];
	return args;
}

static void *enforce_pv(struct fixture *f)
{
	struct kvm_enable_cap *cap = zeros(f);

	cap->cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID;
	return cap;
}

static void *pit_config(struct fixture *f)
{
	struct kvm_pit_config *config = zeros(f);

	config->flags = KVM_PIT_SPEAKER_DUMMY;
	return config;
}

static void *identity_map(struct fixture *f)
{
	uint64_t *address = zeros(f);

	*address = 0xfffbc000;
	return address;
}

static void *new_slot(struct fixture *f)
{
	struct kvm_userspace_memory_region *region = zeros(f);

	region->slot = 2;
	region->flags = KVM_MEM_LOG_DIRTY_PAGES;
	region->guest_phys_addr = 2 * GPA_LOG;
	region->memory_size = MEM_PAGES * PAGE_SIZE;
	region->userspace_addr = (uintptr_t)memory;
	return region;
}

static void *moved_slot(struct fixture *f)
{
	struct kvm_userspace_memory_region *region = new_slot(f);

	region->slot = 1;
	return region;
}

static void *slot_without_log(struct fixture *f)
{
	struct kvm_userspace_memory_region *region = new_slot(f);

	region->slot = 1;
	region->flags = 0;
	region->guest_phys_addr = GPA_LOG;
	return region;
}

static void *no_slot(struct fixture *f)
{
	struct kvm_userspace_memory_region *region = zeros(f);

	region->slot = 1;
	return region;
}

static void *dirty_log(struct fixture *f)
{
	struct kvm_dirty_log *log = zeros(f);

	log->slot = 1;
	log->dirty_bitmap = &buffer[64];
	return log;
}

static void *clear_log(struct fixture *f)
{
	struct kvm_clear_dirty_log *log = zeros(f);

	log->slot = 1;
	log->num_pages = MEM_PAGES;
	log->dirty_bitmap = &buffer[64];
	return log;
}

static void *routing(struct fixture *f)
{
	struct kvm_irq_routing *r = zeros(f);
	uint32_t i;

	r->nr = 24;
	for (i = 0; i < r->nr; i++) {
		r->entries[i].gsi = i;
		r->entries[i].type = KVM_IRQ_ROUTING_MSI;
		r->entries[i].u.msi.address_lo = 0xfee00000;
		r->entries[i].u.msi.data = 0x40 + i;
	}
	return r;
}

static void *irqfd(struct fixture *f)
{
	struct kvm_irqfd *args = zeros(f);

	args->fd = f->event;
	args->gsi = 5;
	return args;
}

static void *irqfd_resample(struct fixture *f)
{
	struct kvm_irqfd *args = irqfd(f);

	args->flags = KVM_IRQFD_FLAG_RESAMPLE;
	args->resamplefd = f->event;
	return args;
}

static void *irqfd_gone(struct fixture *f)
{
	struct kvm_irqfd *args = irqfd(f);

	args->flags = KVM_IRQFD_FLAG_DEASSIGN;
	return args;
}

static void *ioeventfd(struct fixture *f)
{
	struct kvm_ioeventfd *args = zeros(f);

	args->addr = 0xd0000000;
	args->len = 4;
	args->fd = f->event;
	return args;
}

static void *port_eventfd(struct fixture *f)
{
	struct kvm_ioeventfd *args = ioeventfd(f);

	args->flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH;
	args->addr = 0x1234;
	args->datamatch = 7;
	return args;
}

static void *ioeventfd_gone(struct fixture *f)
{
	struct kvm_ioeventfd *args = ioeventfd(f);

	args->flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	return args;
}

static void *msi(struct fixture *f)
{
	struct kvm_msi *args = zeros(f);

	args->address_lo = 0xfee00000;
	args->data = 0x41;
	return args;
}

static void *room_for_cpuid(struct fixture *f)
{
	struct kvm_cpuid2 *cpuid = zeros(f);

	cpuid->nent = 256;
	return cpuid;
}

static void *supported_cpuid(struct fixture *f)
{
	REQUIRE_OK(sys_ioctl(f->fds[DEV], KVM_GET_SUPPORTED_CPUID, room_for_cpuid(f)));
	return buffer;
}

static void *room_for_msr_list(struct fixture *f)
{
	struct kvm_msr_list *list = zeros(f);

	list->nmsrs = 256;
	return list;
}

static void *feature_msr(struct fixture *f)
{
	struct kvm_msrs *msrs = zeros(f);

	msrs->nmsrs = 1;
	msrs->entries[0].index = 0x10a;
	return msrs;
}

/* SYSENTER_CS, and the wall clock, which is written to guest memory. */
static void *two_msrs(struct fixture *f)
{
	struct kvm_msrs *msrs = zeros(f);

	msrs->nmsrs = 2;
	msrs->entries[0].index = 0x174;
	msrs->entries[1].index = 0x4b564d00;
	msrs->entries[1].data = GPA_LOG;
	return msrs;
}

static void *kvmclock_on(struct fixture *f)
{
	struct kvm_msrs *msrs = two_msrs(f);

	msrs->entries[1].index = 0x4b564d01;
	msrs->entries[1].data = GPA_LOG | 1;
	REQUIRE(sys_ioctl(f->fds[VCPU], KVM_SET_MSRS, msrs) == 2, "kvmclock");
	return NULL;
}

static void *mce_cap(struct fixture *f)
{
	uint64_t *cap = zeros(f);

	*cap = 10;
	return cap;
}

/* A corrected error. */
static void *mce(struct fixture *f)
{
	struct kvm_x86_mce *args;

	REQUIRE_OK(sys_ioctl(f->fds[VCPU], KVM_X86_SETUP_MCE, mce_cap(f)));
	args = zeros(f);
	args->status = 1ULL << 63;
	return args;
}

static void *signal_mask(struct fixture *f)
{
	struct kvm_signal_mask *mask = zeros(f);

	mask->len = 8;
	return mask;
}

static void *interrupt(struct fixture *f)
{
	struct kvm_interrupt *args = zeros(f);

	args->irq = 0x41;
	return args;
}

/* The argument itself. */
static void *some_mmu_pages(struct fixture *f)
{
	(void)f;
	return (void *)1000UL;
}

/* A failed entry, so that there is something to explain. */
static void *failed_entry(struct fixture *f)
{
	struct kvm_sregs *sregs = zeros(f);

	REQUIRE_OK(sys_ioctl(f->fds[VCPU], KVM_GET_SREGS, sregs));
	/* Long mode with CS.L and CS.D, which no processor enters. */
	sregs->cr0 = 0x80000011;
	sregs->cr4 = 0x20;
	sregs->efer = 0x500;
	sregs->cs.l = 1;
	sregs->cs.db = 1;
	REQUIRE_OK(sys_ioctl(f->fds[VCPU], KVM_SET_SREGS, sregs));
	REQUIRE_OK(sys_ioctl(f->fds[VCPU], KVM_RUN, NULL));
	return zeros(f);
}

#define CALL(k, r, n, a, ...) \
	{ .kind = k, .request = r, .needs = n, .argument = a, ##__VA_ARGS__ }

static const struct scenario scenarios[] = {
	CALL(DEV, KVM_GET_API_VERSION, 0, NULL),
	CALL(DEV, KVM_CREATE_VM, 0, NULL, .pages = true),
	CALL(DEV, KVM_CHECK_EXTENSION, 0, NULL),
	CALL(DEV, KVM_GET_VCPU_MMAP_SIZE, 0, NULL),
	CALL(DEV, KVM_GET_SUPPORTED_CPUID, 0, room_for_cpuid),
	CALL(DEV, KVM_GET_EMULATED_CPUID, 0, room_for_cpuid),
	CALL(DEV, KVM_GET_MSR_INDEX_LIST, 0, room_for_msr_list),
	CALL(DEV, KVM_GET_MSR_FEATURE_INDEX_LIST, 0, room_for_msr_list),
	CALL(DEV, KVM_GET_MSRS, 0, feature_msr),
	CALL(DEV, KVM_X86_GET_MCE_CAP_SUPPORTED, 0, zeros),
	CALL(DEV, KVM_HAS_DEVICE_ATTR, 0, attr),
	CALL(DEV, KVM_GET_DEVICE_ATTR, 0, attr),
	CALL(DEV, VITRO_GET_INFO, 0, zeros),

	CALL(VM, KVM_CREATE_VCPU, NEED_PIT, NULL, .again = EEXIST, .pages = true),
	CALL(VM, KVM_CREATE_VCPU, 0, NULL, .again = EEXIST),
	CALL(VM, KVM_SET_USER_MEMORY_REGION, NEED_SLOT | NEED_VCPU, new_slot),
	CALL(VM, KVM_SET_USER_MEMORY_REGION, NEED_SLOT | NEED_VCPU, moved_slot),
	CALL(VM, KVM_SET_USER_MEMORY_REGION, NEED_SLOT | NEED_VCPU, slot_without_log),
	CALL(VM, KVM_SET_USER_MEMORY_REGION, NEED_SLOT | NEED_VCPU, no_slot, .again = EINVAL),
	CALL(VM, KVM_GET_DIRTY_LOG, NEED_SLOT, dirty_log),
	CALL(VM, KVM_CLEAR_DIRTY_LOG, NEED_SLOT, clear_log),
	CALL(VM, KVM_SET_NR_MMU_PAGES, 0, some_mmu_pages),
	CALL(VM, KVM_GET_NR_MMU_PAGES, 0, NULL),
	CALL(VM, KVM_SET_TSS_ADDR, 0, NULL),
	CALL(VM, KVM_SET_IDENTITY_MAP_ADDR, 0, identity_map),
	CALL(VM, KVM_SET_BOOT_CPU_ID, 0, NULL),
	CALL(VM, KVM_CREATE_IRQCHIP, 0, NULL, .again = EEXIST),
	CALL(VM, KVM_ENABLE_CAP, 0, split_irqchip, .again = EEXIST),
	CALL(VM, KVM_ENABLE_CAP, 0, rings, .again = EINVAL),
	CALL(VM, KVM_RESET_DIRTY_RINGS, 0, rings_reset),
	CALL(VM, KVM_GET_IRQCHIP, NEED_IRQCHIP, zeros),
	CALL(VM, KVM_SET_IRQCHIP, NEED_IRQCHIP, same_pic),
	CALL(VM, KVM_SET_IRQCHIP, NEED_IRQCHIP | NEED_VCPU, same_ioapic),
	CALL(VM, KVM_IRQ_LINE, NEED_IRQCHIP, zeros),
	CALL(VM, KVM_IRQ_LINE_STATUS, NEED_IRQCHIP, zeros),
	CALL(VM, KVM_SIGNAL_MSI, NEED_IRQCHIP | NEED_VCPU, msi),
	CALL(VM, KVM_CREATE_PIT, NEED_IRQCHIP | NEED_VCPU, NULL, .again = EEXIST),
	CALL(VM, KVM_CREATE_PIT2, NEED_IRQCHIP | NEED_VCPU, pit_config, .again = EEXIST),
	CALL(VM, KVM_GET_PIT2, NEED_PIT, zeros),
	CALL(VM, KVM_SET_PIT2, NEED_PIT, same_pit),
	CALL(VM, KVM_REINJECT_CONTROL, NEED_PIT, zeros),
	CALL(VM, KVM_SET_GSI_ROUTING, NEED_IRQCHIP | NEED_VCPU, routing),
	CALL(VM, KVM_IRQFD, NEED_IRQCHIP, irqfd, .again = EBUSY),
	CALL(VM, KVM_IRQFD, NEED_IRQCHIP | NEED_VCPU, irqfd_resample, .again = EBUSY),
	CALL(VM, KVM_IRQFD, NEED_IRQCHIP | NEED_EVENTS, irqfd_gone),
	CALL(VM, KVM_IOEVENTFD, NEED_VCPU, ioeventfd, .again = EEXIST),
	CALL(VM, KVM_IOEVENTFD, NEED_IRQCHIP | NEED_EVENTS, port_eventfd, .again = EEXIST),
	CALL(VM, KVM_IOEVENTFD, NEED_IRQCHIP | NEED_EVENTS, ioeventfd_gone, .again = ENOENT),
	CALL(VM, KVM_REGISTER_COALESCED_MMIO, NEED_VCPU, zone),
	CALL(VM, KVM_UNREGISTER_COALESCED_MMIO, NEED_VCPU, zone),
	CALL(VM, KVM_X86_SET_MSR_FILTER, NEED_VCPU, msr_filter),
	CALL(VM, KVM_GET_CLOCK, 0, zeros),
	CALL(VM, KVM_SET_CLOCK, NEED_VCPU, zeros),
	CALL(VM, KVM_GET_TSC_KHZ, 0, NULL),
	CALL(VM, KVM_SET_TSC_KHZ, 0, NULL),
	CALL(VM, KVM_CHECK_EXTENSION, 0, NULL),
	CALL(VM, KVM_GET_STATS_FD, 0, NULL),
	CALL(VM, VITRO_SET_TIMING, 0, NULL),

	CALL(VCPU, KVM_GET_REGS, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_REGS, NEED_ALL, same_regs),
	CALL(VCPU, KVM_GET_SREGS, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_SREGS, NEED_ALL, same_sregs),
	CALL(VCPU, KVM_GET_SREGS2, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_SREGS2, NEED_ALL, same_sregs2),
	CALL(VCPU, KVM_GET_MSRS, NEED_ALL, two_msrs),
	CALL(VCPU, KVM_SET_MSRS, NEED_ALL, two_msrs),
	CALL(VCPU, KVM_GET_CPUID2, NEED_ALL, room_for_cpuid),
	CALL(VCPU, KVM_SET_CPUID2, NEED_ALL, supported_cpuid),
	CALL(VCPU, KVM_GET_FPU, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_FPU, NEED_ALL, same_fpu),
	CALL(VCPU, KVM_GET_XSAVE, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_XSAVE, NEED_ALL, same_xsave),
	CALL(VCPU, KVM_GET_XSAVE2, NEED_ALL, zeros),
	CALL(VCPU, KVM_GET_XCRS, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_XCRS, NEED_ALL, same_xcrs),
	CALL(VCPU, KVM_GET_LAPIC, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_LAPIC, NEED_ALL, same_lapic),
	CALL(VCPU, KVM_GET_MP_STATE, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_MP_STATE, NEED_ALL, same_mp_state),
	CALL(VCPU, KVM_GET_VCPU_EVENTS, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_VCPU_EVENTS, NEED_ALL, same_events),
	CALL(VCPU, KVM_GET_DEBUGREGS, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_DEBUGREGS, NEED_ALL, same_debugregs),
	CALL(VCPU, KVM_TRANSLATE, NEED_ALL, zeros),
	CALL(VCPU, KVM_SET_GUEST_DEBUG, NEED_ALL, single_step),
	CALL(VCPU, KVM_INTERRUPT, NEED_VCPU, interrupt, .again = EEXIST),
	CALL(VCPU, KVM_NMI, NEED_ALL, NULL),
	CALL(VCPU, KVM_GET_TSC_KHZ, NEED_ALL, NULL),
	CALL(VCPU, KVM_SET_TSC_KHZ, NEED_ALL, NULL),
	CALL(VCPU, KVM_KVMCLOCK_CTRL, NEED_ALL, kvmclock_on),
	CALL(VCPU, KVM_GET_STATS_FD, NEED_ALL, NULL),
	CALL(VCPU, KVM_SET_VAPIC_ADDR, NEED_ALL, zeros),
	CALL(VCPU, KVM_X86_SETUP_MCE, NEED_ALL, mce_cap),
	CALL(VCPU, KVM_X86_SET_MCE, NEED_ALL, mce),
	CALL(VCPU, KVM_HAS_DEVICE_ATTR, NEED_ALL, attr),
	CALL(VCPU, KVM_GET_DEVICE_ATTR, NEED_ALL, attr),
	CALL(VCPU, KVM_SET_DEVICE_ATTR, NEED_ALL, attr),
	CALL(VCPU, KVM_ENABLE_CAP, NEED_ALL, enforce_pv),
	CALL(VCPU, KVM_SET_SIGNAL_MASK, NEED_ALL, signal_mask),
	CALL(VCPU, VITRO_EXPLAIN_ENTRY, NEED_VCPU | NEED_SLOT, failed_entry),
};

static const char *name_of(const struct scenario *s)
{
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(offered); i++)
		if (offered[i].kind == s->kind && offered[i].request == s->request)
			return offered[i].name;
	return "?";
}

static bool returns_fd(const struct scenario *s)
{
	return s->request == KVM_CREATE_VM || s->request == KVM_CREATE_VCPU ||
	       s->request == (unsigned int)KVM_GET_STATS_FD;
}

static long call(const struct scenario *s, struct fixture *f)
{
	void *arg = s->argument ? s->argument(f) : NULL;

	return sys_ioctl(f->fds[s->kind], s->request, arg);
}

/* With the nth point failing; *injected: there was one. */
static long call_failing(const struct scenario *s, struct fixture *f, void *arg,
			 unsigned int n, bool *injected)
{
	long ret;

	fault_arm(n);
	ret = sys_ioctl(f->fds[s->kind], s->request, arg);
	*injected = fault_disarm();
	return ret;
}

/* What a call whose memory or copy fails may say. */
static bool expected(long ret)
{
	return ret == -ENOMEM || ret == -EFAULT;
}

/* MSR calls tell how many they have done, and stop where one fails. */
static bool complete(const struct scenario *s, long ret)
{
	if (s->request != (unsigned int)KVM_SET_MSRS && s->request != KVM_GET_MSRS)
		return ret >= 0;
	return ret == *(uint32_t *)buffer;
}

struct point {
	const struct scenario *s;
	struct fixture *f;
	unsigned int n;
};

/* The point by itself, many times: pages that it loses add up. */
static void repeat(void *arg)
{
	struct point *p = arg;
	bool injected;
	uintptr_t i;
	long ret;

	for (i = 1; i <= REPEATS; i++) {
		/* As some succeed, each vCPU has a number of its own. */
		ret = call_failing(p->s, p->f, p->s->kind == VM ? (void *)i : NULL, p->n,
				   &injected);
		if (ret >= 0)
			close(ret);
	}
}

/* One point. False: the call has no such point, and has succeeded. */
static bool fail_point(const struct scenario *s, int kvm, unsigned int n)
{
	struct fixture f;
	struct point point = { s, &f, n };
	bool injected;
	int fd;
	long ret;

	build(&f, kvm, s->needs);
	fd = next_fd();
	ret = call_failing(s, &f, s->argument ? s->argument(&f) : NULL, n, &injected);
	if (injected && ret < 0) {
		CHECK(expected(ret), "%s, point %u: %s", name_of(s), n, strerror(-ret));
		CHECK(next_fd() == fd, "%s, point %u: a descriptor is left", name_of(s), n);
		if (count_pages)
			CHECK(!fault_pages_lost(repeat, &point, REPEATS / 2),
			      "%s, point %u: pages are lost", name_of(s), n);
		ret = call(s, &f);
	}
	if (CHECK(complete(s, ret), "%s, point %u%s: %ld", name_of(s), n,
		  injected ? "" : " (without a fault)", ret) && s->again) {
		long again = call(s, &f);

		CHECK(again == -s->again, "%s, point %u: the call had no effect: %ld",
		      name_of(s), n, again);
	}
	if (returns_fd(s) && ret >= 0)
		close(ret);
	dismantle(&f);
	return injected;
}

/* Until the call has no further point; it has succeeded then. */
static void all_points(const struct scenario *s, int kvm)
{
	unsigned int n = 1;

	while (n < MAX_POINTS && fail_point(s, kvm, n) && test_failures() < 20)
		n++;
	test_note("%s: %u points", name_of(s), n - 1);
	CHECK(n < MAX_POINTS, "%s: more than %u points", name_of(s), n);
}

/* This file's table has every call of the module's, but KVM_RUN: failnth_run.c. */
TEST(every_call_is_here)
{
	uint32_t i, j;

	for (i = 0; i < ARRAY_SIZE(offered); i++) {
		for (j = 0; j < ARRAY_SIZE(scenarios); j++)
			if (scenarios[j].kind == offered[i].kind &&
			    scenarios[j].request == offered[i].request)
				break;
		CHECK(j < ARRAY_SIZE(scenarios) || offered[i].request == KVM_RUN,
		      "%s is offered, but not tested here", offered[i].name);
	}
}

static int prepare(void)
{
	fault_setup();
	if (kvm_is_stock())
		test_skip("for vitro only");
	memory = mmap(NULL, MEM_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	REQUIRE(memory != MAP_FAILED, "mmap: %s", strerror(errno));
	return kvm_open();
}

static void scenarios_of(enum kind kind)
{
	int kvm = prepare();
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (scenarios[i].kind == kind)
			all_points(&scenarios[i], kvm);
	close(kvm);
}

TEST_LIMIT(device_calls, 900)
{
	scenarios_of(DEV);
}

TEST_LIMIT(vm_calls, 900)
{
	scenarios_of(VM);
}

TEST_LIMIT(vcpu_calls, 900)
{
	scenarios_of(VCPU);
}

/* Pages taken directly: the module's tables, VMCBs, mapped pages. */
TEST_LIMIT(no_page_lost, 900)
{
	int kvm = prepare();
	uint32_t i;

	count_pages = true;
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (scenarios[i].pages)
			all_points(&scenarios[i], kvm);
	close(kvm);
}

TEST_LIMIT(no_object_lost, 600)
{
	close(prepare());
	fault_leak_scan();
}
