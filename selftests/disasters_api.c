// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways in which user space has hurt hosts by ioctls: objects used before they
 * were complete or after they failed to be, numbers that nobody checked, bytes
 * that nobody had written. docs/security.md lists the classes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vitro.h>

#include "apic.h"
#include "vm.h"

/* What the module's tables offer, from uapi/generate-supported. */
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

/* The number that the next descriptor of this process will have. */
static int next_fd(void)
{
	int fd = dup(1);

	close(fd);
	return fd;
}

static volatile int guess = -1;
static volatile bool done;
/* How often the other thread was in time: the tests wait for it, however busy the machine is. */
static volatile uint64_t found;

/* Whoever finds a vCPU at the number that is expected finds a complete one. */
static void *find_early(void *arg)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int fd;

	(void)arg;
	while (!done) {
		fd = guess;
		if (fd < 0 || sys_ioctl(fd, KVM_GET_REGS, &regs))
			continue;
		CHECK_EQ(regs.rip, 0xfff0);
		CHECK_EQ(regs.rflags, 2);
		if (sys_ioctl(fd, KVM_GET_SREGS, &sregs))
			continue;
		CHECK_EQ(sregs.cs.selector, 0xf000);
		CHECK_EQ(sregs.cr0, 0x60000010);
		sys_ioctl(fd, KVM_SET_REGS, &regs);
		found++;
	}
	return NULL;
}

TEST(vcpu_fd_published_early)
{
	pthread_t thread;
	struct vm *vm;
	int i, j, fd;

	REQUIRE(!pthread_create(&thread, NULL, find_early, NULL), "pthread_create");
	for (i = 0; i < 10 || !found; i++) {
		vm = vm_bare();
		REQUIRE_OK(sys_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL));
		for (j = 0; j < 30; j++) {
			guess = next_fd();
			fd = REQUIRE_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, j));
			usleep(50);
			guess = -1;
			close(fd);
		}
		vm_free(vm);
	}
	done = true;
	pthread_join(thread, NULL);
}

/* The same of a VM, in which somebody creates a vCPU at the first moment. */
static void *use_early(void *arg)
{
	long ret;
	int fd;

	(void)arg;
	while (!done) {
		fd = guess;
		if (fd < 0)
			continue;
		ret = sys_ioctl_val(fd, KVM_CREATE_VCPU, 0);
		if (ret < 0)
			continue;
		found++;
		vcpu_run_raw(&(struct vcpu){ .fd = ret });
		sys_ioctl_val(fd, KVM_SET_TSS_ADDR, 0);
		close(ret);
	}
	return NULL;
}

TEST(vm_fd_published_early)
{
	int kvm = kvm_open(), i, fd;
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, use_early, NULL), "pthread_create");
	for (i = 0; i < 200 || !found; i++) {
		guess = next_fd();
		fd = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
		usleep(100);
		guess = -1;
		close(fd);
	}
	done = true;
	pthread_join(thread, NULL);
}

static long available_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	REQUIRE(f, "/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static void fail_to_create(struct vm *vm, int kvm)
{
	struct rlimit limit, old;
	long ret;

	/* A vCPU that exists is found out when the new one is complete. */
	CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0), EEXIST);
	CHECK_ERR(sys_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL), EEXIST);
	/* No descriptor left. */
	REQUIRE(!getrlimit(RLIMIT_NOFILE, &old), "getrlimit");
	limit = old;
	limit.rlim_cur = next_fd();
	REQUIRE(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	ret = sys_ioctl_val(kvm, KVM_CREATE_VM, 0);
	CHECK_RET(ret, -EMFILE);
	ret = sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 1);
	CHECK_RET(ret, -EMFILE);
	ret = sys_ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	CHECK_RET(ret, -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* What was made before the error is unmade, and nothing more than that. */
TEST(creation_fails_half_way)
{
	struct vm *vm = vm_new(VM_PIT);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	int kvm = kvm_open(), i, fd = next_fd(), rounds = 0;
	long gone;

	fail_to_create(vm, kvm);
	/* The kernel holds back some of what is freed, but not more in every round. */
	do {
		gone = available_kib();
		for (i = 0; i < 300; i++)
			fail_to_create(vm, kvm);
		gone -= available_kib();
	} while (gone >= 4096 && ++rounds < 4);
	/* Each creation takes some 30 KiB. */
	CHECK(gone < 4096, "%ld KiB are gone", gone);
	CHECK_EQ(next_fd(), fd);
	vcpu_free(vcpu);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 1));
}

TEST(vcpu_ids_bounded)
{
	struct vm *vm = vm_new(VM_IRQCHIP);
	struct kvm_msi msi = { .address_lo = APIC_BASE & 0xfff00000, .data = 0x41 };
	long max = kvm_has(KVM_CAP_MAX_VCPU_ID);
	const unsigned long ids[] = {
		max, max + 1, 0xff00, 0x10000, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x8000000000000000, -1UL,
	};
	uint32_t i;

	REQUIRE(max > 0, "KVM_CAP_MAX_VCPU_ID: %ld", max);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		CHECK_ERR(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, ids[i]), EINVAL);
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_SET_BOOT_CPU_ID, 0x7fffffff));
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, max - 1));
	CHECK_OK(sys_ioctl_val(vm->fd, KVM_CREATE_VCPU, 0));
	/* Messages to processors that there are not. */
	for (i = 0; i < 256; i++) {
		msi.address_lo = (APIC_BASE & 0xfff00000) | i << 12;
		CHECK_OK(sys_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi));
	}
}

/* Sends to each destination, as x2APIC, all kinds of interrupts. */
static void wild_ipis_guest(uint64_t arg)
{
	static const uint32_t wild[] = {
		255, 256, 511, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe,
	};
	uint32_t i, mode;

	(void)arg;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	wrmsr(MSR_X2APIC(APIC_SVR), APIC_SVR_ENABLE | 0xff);
	for (i = 0; i < ARRAY_SIZE(wild); i++)
		for (mode = 0; mode < 8; mode++) {
			wrmsr_try(MSR_X2APIC(APIC_ICR), (uint64_t)wild[i] << 32 |
				  mode << 8 | 0x41);
			/* In clusters that have no members. */
			wrmsr_try(MSR_X2APIC(APIC_ICR),
				  ((wild[i] & 0xfffffULL) | 0x7ff00000) << 32 |
				  APIC_ICR_LOGICAL | mode << 8 | 0x41);
		}
}

TEST(apic_ids_bounded)
{
	struct vcpu *vcpu = vcpu_new(vm_new(VM_IRQCHIP), 0, wild_ipis_guest);

	EXPECT_DONE(vcpu);
}

#define FILL		0xff

/* A structure's part that user space gets and nobody has a value for. */
struct blank {
	const char *name;
	enum kind kind;
	unsigned int request;
	size_t offset, size;
};

#define BLANK(k, request, type, member)					\
	{ #request " " #member, k, request, offsetof(type, member),	\
	  sizeof(((type *)0)->member) }

static const struct blank blanks[] = {
	BLANK(VM, KVM_GET_CLOCK, struct kvm_clock_data, pad0),
	BLANK(VM, KVM_GET_CLOCK, struct kvm_clock_data, pad),
	BLANK(VM, KVM_GET_PIT2, struct kvm_pit_state2, reserved),
	BLANK(VM, KVM_GET_IRQCHIP, struct kvm_irqchip, pad),
	BLANK(VM, KVM_GET_IRQCHIP, struct kvm_irqchip, chip.dummy[256]),
	BLANK(VCPU, KVM_GET_SREGS, struct kvm_sregs, cs.padding),
	BLANK(VCPU, KVM_GET_SREGS, struct kvm_sregs, ldt.padding),
	BLANK(VCPU, KVM_GET_SREGS, struct kvm_sregs, gdt.padding),
	BLANK(VCPU, KVM_GET_SREGS, struct kvm_sregs, idt.padding),
	BLANK(VCPU, KVM_GET_FPU, struct kvm_fpu, pad1),
	BLANK(VCPU, KVM_GET_FPU, struct kvm_fpu, pad2),
	BLANK(VCPU, KVM_GET_DEBUGREGS, struct kvm_debugregs, reserved),
	BLANK(VCPU, KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events, reserved),
	BLANK(VCPU, KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events, nmi.pad),
	BLANK(VCPU, KVM_GET_XCRS, struct kvm_xcrs, xcrs[0].reserved),
	BLANK(VCPU, KVM_GET_XCRS, struct kvm_xcrs, xcrs[1]),
	BLANK(VCPU, KVM_GET_XCRS, struct kvm_xcrs, padding),
	BLANK(VCPU, KVM_GET_XSAVE, struct kvm_xsave, region[1000]),
	BLANK(VCPU, KVM_GET_LAPIC, struct kvm_lapic_state, regs[0x24]),
	BLANK(DEV, VITRO_GET_INFO, struct vitro_info, release[31]),
	BLANK(DEV, VITRO_GET_INFO, struct vitro_info, features[207]),
};

/* Leaves bytes that are not zero where the kernel will put the next answers. */
static void soil(int vm, int vcpu)
{
	static uint8_t bytes[8192];

	memset(bytes, FILL, sizeof(bytes));
	sys_ioctl(vcpu, KVM_SET_SREGS, bytes);
	sys_ioctl(vcpu, KVM_SET_DEBUGREGS, bytes);
	sys_ioctl(vcpu, KVM_SET_VCPU_EVENTS, bytes);
	sys_ioctl(vcpu, KVM_SET_XCRS, bytes);
	sys_ioctl(vcpu, KVM_SET_FPU, bytes);
	sys_ioctl(vcpu, KVM_SET_XSAVE, bytes);
	sys_ioctl(vm, KVM_SET_PIT2, bytes);
	sys_ioctl(vm, KVM_SET_IRQCHIP, bytes);
	sys_ioctl(vm, KVM_SET_CLOCK, bytes);
}

TEST(nothing_uninitialised_copied_out)
{
	struct vm *vm = vm_new(VM_PIT);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	const int fds[NR_KINDS] = { kvm_open(), vm->fd, vcpu->fd };
	static uint8_t bytes[8192];
	uint32_t i, j;

	for (j = 0; j < vcpu->run_size; j++)
		if (j != offsetof(struct kvm_run, if_flag))
			CHECK(!((uint8_t *)vcpu->run)[j], "kvm_run, offset %u", j);
	for (i = 0; i < ARRAY_SIZE(blanks); i++) {
		soil(vm->fd, vcpu->fd);
		memset(bytes, FILL, sizeof(bytes));
		if (blanks[i].request == (unsigned int)KVM_GET_IRQCHIP)
			((struct kvm_irqchip *)bytes)->chip_id = KVM_IRQCHIP_PIC_MASTER;
		if (sys_ioctl(fds[blanks[i].kind], blanks[i].request, bytes)) {
			CHECK(blanks[i].request == (unsigned int)KVM_GET_XCRS,
			      "%s: %s", blanks[i].name, strerror(errno));
			continue;
		}
		for (j = 0; j < blanks[i].size; j++)
			if (!CHECK(!bytes[blanks[i].offset + j], "%s: byte %u is %#x",
				   blanks[i].name, j, bytes[blanks[i].offset + j]))
				break;
	}
}

static uint64_t seed = 0x5deece66dULL;

static uint32_t chance(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

static void random_bytes(uint8_t *p, size_t n)
{
	while (n--)
		*p++ = chance(4) ? 0 : chance(256);
}

static bool returns_fd(unsigned int request)
{
	return request == KVM_CREATE_VM || request == KVM_CREATE_VCPU ||
	       request == (unsigned int)KVM_GET_STATS_FD;
}

/* One call of any kind on a descriptor of any kind. */
static void any_call(const int *fds)
{
	static uint8_t bytes[16384];
	uint32_t i = chance(ARRAY_SIZE(offered));
	int fd = fds[chance(4) ? offered[i].kind : chance(NR_KINDS)];
	void *arg = bytes;
	long ret;

	switch (chance(5)) {
	case 0:
		arg = (void *)(uintptr_t)chance(4);
		break;
	case 1:
		arg = BAD_PTR;
		break;
	case 2:
		memset(bytes, 0, sizeof(bytes));
		break;
	default:
		random_bytes(bytes, sizeof(bytes) / 4);
	}
	ret = sys_ioctl(fd, offered[i].request, arg);
	if (ret >= 0 && returns_fd(offered[i].request))
		close(ret);
}

/* Whatever comes first, and whatever has not been made yet. */
TEST(calls_in_any_order)
{
	uint32_t round, i;
	struct vcpu *vcpu;
	struct vm *vm;
	int kvm = kvm_open();

	test_note("seed %#llx", (unsigned long long)seed);
	for (round = 0; round < 40; round++) {
		vm = vm_bare();
		if (round & 1)
			REQUIRE_OK(sys_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL));
		vcpu = vcpu_bare(vm, 0);
		/* Nothing runs: the guest would be nobody's. */
		vcpu->run->immediate_exit = 1;
		for (i = 0; i < 300; i++) {
			const int fds[NR_KINDS] = { kvm, vm->fd, vcpu->fd };

			any_call(fds);
		}
		vcpu_free(vcpu);
		vm_free(vm);
	}
}

static bool is_offered(enum kind kind, unsigned int request)
{
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(offered); i++)
		if (offered[i].kind == kind && offered[i].request == request)
			return true;
	return false;
}

/* A size in the request that is not the structure's: another, unknown call. */
TEST(request_sizes)
{
	struct vm *vm = vm_new(VM_PIT);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	const int fds[NR_KINDS] = { kvm_open(), vm->fd, vcpu->fd };
	static uint8_t bytes[1 << 15];
	uint32_t i, j, size, request;
	long ret;

	if (kvm_is_stock())
		test_skip("stock KVM says EINVAL for some");
	for (i = 0; i < ARRAY_SIZE(offered); i++) {
		const uint32_t sizes[] = {
			0, 1, _IOC_SIZE(offered[i].request) - 1,
			_IOC_SIZE(offered[i].request) + 1, 320, 321, 4096, 0x3fff,
		};

		for (j = 0; j < 4 * ARRAY_SIZE(sizes); j++) {
			size = sizes[j / 4] & 0x3fff;
			request = _IOC(j % 4, _IOC_TYPE(offered[i].request),
				       _IOC_NR(offered[i].request), size);
			if (is_offered(offered[i].kind, request))
				continue;
			ret = sys_ioctl(fds[offered[i].kind], request, bytes);
			CHECK(ret == -ENOTTY, "%s with size %u, direction %u: %ld",
			      offered[i].name, size, j % 4, ret);
		}
	}
}

/* Attributes are elsewhere: their structure has the address. */
static void name_attribute(unsigned int request, void *structure, void *attribute)
{
	struct kvm_device_attr *attr = structure;

	if (_IOC_TYPE(request) == _IOC_TYPE(KVM_SET_DEVICE_ATTR) &&
	    _IOC_SIZE(request) == sizeof(*attr) &&
	    _IOC_NR(request) >= _IOC_NR(KVM_SET_DEVICE_ATTR) &&
	    _IOC_NR(request) <= _IOC_NR(KVM_HAS_DEVICE_ATTR))
		attr->addr = (uintptr_t)attribute;
}

/* Not a byte more than the structure is read or written, and none less. */
TEST(structure_ends)
{
	struct vm *vm = vm_new(VM_PIT);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	const int fds[NR_KINDS] = { kvm_open(), vm->fd, vcpu->fd };
	uint8_t *area = mmap(NULL, 5 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *end = area + 4 * PAGE_SIZE;
	uint32_t i, size;
	long ret;

	REQUIRE(area != MAP_FAILED, "mmap: %s", strerror(errno));
	REQUIRE(!mprotect(end, PAGE_SIZE, PROT_NONE), "mprotect");
	for (i = 0; i < ARRAY_SIZE(offered); i++) {
		size = _IOC_SIZE(offered[i].request);
		if (!size)
			continue;
		memset(area, 0, 4 * PAGE_SIZE);
		ret = sys_ioctl(fds[offered[i].kind], offered[i].request,
				end - size + 1);
		CHECK(ret < 0, "%s with a byte less: %ld", offered[i].name, ret);
		memset(area, 0, 4 * PAGE_SIZE);
		name_attribute(offered[i].request, end - size, area);
		ret = sys_ioctl(fds[offered[i].kind], offered[i].request,
				end - size);
		CHECK(ret != -EFAULT, "%s up to the end of memory: %ld",
		      offered[i].name, ret);
	}
}

/* The largest numbers that the structures hold. */
static void extreme_vm(struct vm *vm)
{
	struct kvm_dirty_log log = { .slot = 3 };
	struct kvm_irq_routing routing = { .nr = ~0U };
	uint32_t bits = 36, regs[4];
	uint64_t size;
	long ret;
	void *mem;

	cpuid(0x80000008, 0, regs);
	if (regs[0] & 0xff)
		bits = regs[0] & 0xff;
	size = 1ULL << (bits > 46 ? 46 : bits);
	if (size > 0x7fffffffULL * PAGE_SIZE)
		size = 0x7fffffffULL * PAGE_SIZE;
	size -= 1 << 30;
	mem = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (mem != MAP_FAILED) {
		ret = vm_slot(vm, 3, KVM_MEM_LOG_DIRTY_PAGES, 1 << 30, size, mem);
		CHECK(!ret || ret == -ENOMEM, "a log of %llu pages: %ld",
		      (unsigned long long)(size / PAGE_SIZE), ret);
		log.dirty_bitmap = BAD_PTR;
		if (!ret)
			CHECK_ERR(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log), EFAULT);
	}
	CHECK_ERR(sys_ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routing), EINVAL);
}

static void extreme_vcpu(struct vcpu *vcpu)
{
	struct kvm_cpuid2 cpuid = { .nent = ~0U };
	struct kvm_msrs msrs = { .nmsrs = ~0U };
	struct kvm_signal_mask mask = { .len = ~0U };
	struct kvm_mp_state state = { .mp_state = ~0U };

	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid), E2BIG);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_MSRS, &msrs), E2BIG);
	msrs.nmsrs = ~0U;
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_GET_MSRS, &msrs), E2BIG);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask), EINVAL);
	CHECK_ERR(sys_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state), EINVAL);
}

/* States that no processor is ever in; then run. */
static void impossible_state(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	random_bytes((uint8_t *)&events, sizeof(events));
	events.flags &= 0x7;
	sys_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
	random_bytes((uint8_t *)&debug, sizeof(debug));
	debug.flags = 0;
	debug.dr6 = (uint32_t)debug.dr6;
	/* No breakpoints: see docs/machines.md about TCG. */
	debug.dr7 = (uint32_t)debug.dr7 & ~0xff;
	sys_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &debug);
	vcpu_get_sregs(vcpu, &sregs);
	random_bytes((uint8_t *)&sregs, offsetof(struct kvm_sregs, cr0));
	sys_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	random_bytes((uint8_t *)&regs, sizeof(regs));
	sys_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	alarm_ms(10);
	vcpu_run_raw(vcpu);
	alarm_ms(0);
}

/* Nothing of it makes the kernel warn: the log is looked at when the test ends. */
TEST(warnings_out_of_reach)
{
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_bare(vm, 0);
	int i;

	extreme_vm(vm_new(VM_IRQCHIP));
	extreme_vcpu(vcpu);
	vcpu_free(vcpu);
	for (i = 1; i < 100; i++) {
		vcpu = vcpu_bare(vm, i);
		impossible_state(vcpu);
		vcpu_free(vcpu);
	}
}
