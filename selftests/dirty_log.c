// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_GET_DIRTY_LOG: exactly the pages that were written since the last call, or since
 * KVM_CLEAR_DIRTY_LOG.
 */
#include <string.h>
#include <sys/mman.h>

#include "vm.h"

#define GPA_TEST	0x40000000ULL
#define PAGES		1024ULL

static uint64_t bitmap[PAGES / 64];
static uint32_t list[16];
static uint32_t count;

static void write_guest(uint64_t arg)
{
	uint32_t i;

	(void)arg;
	for (;;) {
		for (i = 0; i < count; i++)
			*(volatile uint64_t *)(GPA_TEST +
					       list[i] * PAGE_SIZE + 8) += 1;
		/* Reads do not count. */
		for (i = 0; i < PAGES; i++)
			(void)*(volatile uint64_t *)(GPA_TEST + i * PAGE_SIZE);
		guest_sync(0, 0);
	}
}

static void get_log(struct vm *vm)
{
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bitmap };

	memset(bitmap, 0xff, sizeof(bitmap));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
}

/* The log shall be these pages and no others. */
static void check_log(struct vm *vm, const uint32_t *pages, uint32_t n,
		      const char *when)
{
	uint64_t want[PAGES / 64] = { 0 };
	uint32_t i;

	for (i = 0; i < n; i++)
		want[pages[i] / 64] |= 1ULL << pages[i] % 64;
	get_log(vm);
	for (i = 0; i < PAGES / 64; i++)
		CHECK(bitmap[i] == want[i],
		      "%s: pages %u to %u: expected %#llx, got %#llx", when,
		      i * 64, i * 64 + 63, (unsigned long long)want[i],
		      (unsigned long long)bitmap[i]);
}

static void write_pages(struct vcpu *vcpu, const uint32_t *pages, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		GUEST_VAR(vcpu->vm, list)[i] = pages[i];
	GUEST_VAR(vcpu->vm, count) = n;
	EXPECT_SYNC(vcpu, 0);
}

static void exactness(void *mem)
{
	static const uint32_t first[] = { 0, 1, 3, 64, 511, 512, 1023 };
	static const uint32_t second[] = { 3, 65, 700 };
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_guest);

	/* Written before the log was on: not in it. */
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGES * PAGE_SIZE, mem));
	write_pages(vcpu, first, ARRAY_SIZE(first));
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   PAGES * PAGE_SIZE, mem));
	check_log(vm, NULL, 0, "at the start");
	write_pages(vcpu, first, ARRAY_SIZE(first));
	check_log(vm, first, ARRAY_SIZE(first), "first");
	check_log(vm, NULL, 0, "again");
	write_pages(vcpu, second, ARRAY_SIZE(second));
	check_log(vm, second, ARRAY_SIZE(second), "second");
	/* The same pages: the log is armed again for them. */
	write_pages(vcpu, second, ARRAY_SIZE(second));
	write_pages(vcpu, second, ARRAY_SIZE(second));
	check_log(vm, second, ARRAY_SIZE(second), "third");
	write_pages(vcpu, NULL, 0);
	check_log(vm, NULL, 0, "reads only");
	/* Off and on: starts empty. */
	write_pages(vcpu, second, ARRAY_SIZE(second));
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGES * PAGE_SIZE, mem));
	write_pages(vcpu, first, ARRAY_SIZE(first));
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   PAGES * PAGE_SIZE, mem));
	check_log(vm, NULL, 0, "off and on");
	write_pages(vcpu, first, ARRAY_SIZE(first));
	check_log(vm, first, ARRAY_SIZE(first), "last");
	CHECK_EQ(((uint64_t *)mem)[1], 4);
}

static void *anon(size_t size, int advice)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	madvise(mem, size, advice);
	return mem;
}

TEST(small_pages)
{
	exactness(anon(PAGES * PAGE_SIZE, MADV_NOHUGEPAGE));
}

static void *huge(void)
{
	uintptr_t area = (uintptr_t)anon(PAGES * PAGE_SIZE + (2 << 20),
					 MADV_HUGEPAGE);
	void *mem = (void *)((area + (2 << 20) - 1) & ~((2UL << 20) - 1));

	memset(mem, 0, PAGES * PAGE_SIZE);
	return mem;
}

/* Memory in huge pages is logged by small ones all the same. */
TEST(huge_pages)
{
	exactness(huge());
}

/* The bitmap is a whole number of 64-bit words, for an odd size as well. */
TEST(odd_size)
{
	static uint64_t map[3] = { ~0ULL, ~0ULL, ~0ULL };
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = map };
	struct vm *vm = vm_new(0);
	void *mem = anon(70 * PAGE_SIZE, MADV_NOHUGEPAGE);

	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   70 * PAGE_SIZE, mem));
	REQUIRE_OK(sys_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log));
	CHECK_EQ(map[0], 0);
	CHECK_EQ(map[1], 0);
	CHECK_EQ(map[2], ~0ULL);
}

static void string_guest(uint64_t arg)
{
	uint64_t di = GPA_TEST + 0x1ffc, cx = 8;

	(void)arg;
	asm volatile("rep insb" : "+D"(di), "+c"(cx) : "d"(0x99) : "memory");
}

/* What the hypervisor writes for the guest counts as well. */
TEST(string_input)
{
	static const uint32_t want[] = { 1, 2 };
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, string_guest);
	void *mem = anon(PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);
	enum event event;

	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST,
			   PAGES * PAGE_SIZE, mem));
	while ((event = vcpu_run(vcpu)) == EVENT_EXIT &&
	       vcpu->run->exit_reason == KVM_EXIT_IO)
		memset((char *)vcpu->run + vcpu->run->io.data_offset, 'x',
		       vcpu->run->io.count);
	CHECK(event == EVENT_DONE, "event %u", event);
	check_log(vm, want, 2, "after REP INS");
	CHECK(!memcmp((char *)mem + 0x1ffc, "xxxxxxxx", 8), "data differs");
}

static long manual(struct vm *vm, uint64_t options)
{
	return vm_enable_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, options);
}

static long clear_log(struct vm *vm, uint64_t first, uint32_t pages, void *map)
{
	struct kvm_clear_dirty_log log = {
		.slot = 1, .first_page = first, .num_pages = pages, .dirty_bitmap = map,
	};

	return sys_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log);
}

/* What is read stays in the log until it is cleared, page by page. */
TEST(manual_protect)
{
	static const uint32_t both[] = { 3, 70 }, rest[] = { 70 };
	static uint64_t three[] = { 1 << 3 | 1 << 9, 0 }, all[] = { ~0ULL, ~0ULL };
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_guest);
	void *mem = anon(PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);

	NEED_CAP(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	REQUIRE_OK(manual(vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST, PAGES * PAGE_SIZE, mem));
	write_pages(vcpu, both, 2);
	check_log(vm, both, 2, "first");
	check_log(vm, both, 2, "not cleared");
	CHECK_OK(clear_log(vm, 0, 64, three));
	check_log(vm, rest, 1, "one of them cleared");
	write_pages(vcpu, both, 2);
	check_log(vm, both, 2, "written again");
	CHECK_OK(clear_log(vm, 64, 64, all));
	CHECK_OK(clear_log(vm, 0, 64, all));
	check_log(vm, NULL, 0, "cleared");
	write_pages(vcpu, rest, 1);
	check_log(vm, rest, 1, "last");
}

TEST(clear_bounds)
{
	static uint64_t all[PAGES / 64 + 1];
	struct vm *vm = vm_new(0);
	void *mem = anon(PAGES * PAGE_SIZE, MADV_NOHUGEPAGE);

	NEED_CAP(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	CHECK_ERR(manual(vm, KVM_DIRTY_LOG_INITIALLY_SET), EINVAL);
	CHECK_ERR(manual(vm, 4), EINVAL);
	CHECK_ERR(manual(vm, ~0ULL), EINVAL);
	CHECK_OK(manual(vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE));
	CHECK_ERR(clear_log(vm, 0, 64, all), ENOENT);
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, 70 * PAGE_SIZE, mem));
	CHECK_ERR(clear_log(vm, 0, 64, all), ENOENT);
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST, 70 * PAGE_SIZE, mem));
	CHECK_ERR(clear_log(vm, 0, 64, BAD_PTR), EFAULT);
	CHECK_ERR(clear_log(vm, 1, 64, all), EINVAL);
	CHECK_ERR(clear_log(vm, 0, 63, all), EINVAL);
	CHECK_ERR(clear_log(vm, 0, 128, all), EINVAL);
	CHECK_ERR(clear_log(vm, 64, 7, all), EINVAL);
	CHECK_ERR(clear_log(vm, 128, 0, all), EINVAL);
	CHECK_ERR(clear_log(vm, ~0ULL << 6, 64, all), EINVAL);
	CHECK_ERR(clear_log(vm, 64, ~0U, all), EINVAL);
	CHECK_OK(clear_log(vm, 64, 6, all));
	CHECK_OK(clear_log(vm, 0, 64, all));
	CHECK_OK(clear_log(vm, 0, 70, all));
	CHECK_OK(clear_log(vm, 0, 0, all));
}

/* All pages are in the log at first, whatever the guest does, until they are cleared. */
static void initially(void *mem)
{
	static const uint32_t want[] = { 5, 200 }, rest[] = { 6, 201 };
	static uint64_t some[PAGES / 64], all[PAGES / 64];
	struct vm *vm = vm_new(0);
	struct vcpu *vcpu = vcpu_new(vm, 0, write_guest);
	uint32_t i;

	NEED_CAP(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	REQUIRE_OK(manual(vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
			      KVM_DIRTY_LOG_INITIALLY_SET));
	REQUIRE_OK(vm_slot(vm, 1, 0, GPA_TEST, PAGES * PAGE_SIZE, mem));
	write_pages(vcpu, want, 2);
	write_pages(vcpu, rest, 2);
	REQUIRE_OK(vm_slot(vm, 1, KVM_MEM_LOG_DIRTY_PAGES, GPA_TEST, PAGES * PAGE_SIZE, mem));
	write_pages(vcpu, rest, 1);
	get_log(vm);
	for (i = 0; i < PAGES / 64; i++)
		CHECK_EQ(bitmap[i], ~0ULL);
	/* All but the rest. */
	memset(all, 0xff, sizeof(all));
	memset(some, 0xff, sizeof(some));
	some[0] &= ~(1ULL << 6);
	some[3] &= ~(1ULL << 201 % 64);
	CHECK_OK(clear_log(vm, 0, PAGES, some));
	check_log(vm, rest, 2, "some cleared");
	write_pages(vcpu, rest, 2);
	check_log(vm, rest, 2, "those written that are in it");
	CHECK_OK(clear_log(vm, 0, PAGES, all));
	check_log(vm, NULL, 0, "cleared");
	write_pages(vcpu, want, 2);
	check_log(vm, want, 2, "written");
	write_pages(vcpu, rest, 1);
	CHECK_OK(clear_log(vm, 192, 64, all + 3));
	get_log(vm);
	CHECK_EQ(bitmap[0], 1 << 5 | 1 << 6);
	CHECK_EQ(bitmap[3], 0);
}

TEST(initially_set)
{
	initially(anon(PAGES * PAGE_SIZE, MADV_NOHUGEPAGE));
}

TEST(initially_set_in_huge_pages)
{
	initially(huge());
}
