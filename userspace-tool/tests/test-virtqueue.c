// SPDX-License-Identifier: GPL-2.0-only
/* Virtqueues as a driver fills them, and as an attacker does. */
#include <string.h>

#include "../../selftests/lib/ktap.h"
#include "core/util.h"
#include "devices/virtqueue.h"

#define MEM	(1 << 20)
#define SIZE	8
#define DESC	0x1000
#define AVAIL	0x2000
#define USED	0x3000
#define TABLE	0x4000			/* for indirect descriptors */
#define DATA	0x10000

static struct guest_mem mem;
static struct virtq q;
static struct virtq_chain chain;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;

static void setup(bool event_idx)
{
	REQUIRE_OK(guest_mem_init(&mem, MEM));
	desc = guest_mem_at(&mem, DESC, 1);
	avail = guest_mem_at(&mem, AVAIL, 1);
	used = guest_mem_at(&mem, USED, 1);
	virtq_reset(&q);
	q.size = SIZE;
	q.desc_gpa = DESC;
	q.avail_gpa = AVAIL;
	q.used_gpa = USED;
	REQUIRE_OK(virtq_enable(&q, &mem, event_idx));
}

static void set(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*d = (struct vring_desc){ addr, len, flags, next };
}

static void offer(uint16_t head)
{
	avail->ring[avail->idx % SIZE] = head;
	avail->idx++;
}

/* The queue must refuse what is offered, and stay broken. */
static void check_broken(void)
{
	CHECK_ERR(virtq_pop(&q, &chain), EPROTO);
	CHECK(q.broken, "it goes on");
	CHECK_ERR(virtq_pop(&q, &chain), EPROTO);
}

TEST(enable)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int ret;
	} cases[] = {
		{ 8, DESC, AVAIL, USED, 0 },
		{ 256, DESC, AVAIL, USED, 0 },
		{ 1, DESC, AVAIL, USED, 0 },
		{ 8, 0, 0x80, 0x100, 0 },
		{ 0, DESC, AVAIL, USED, -EINVAL },
		{ 7, DESC, AVAIL, USED, -EINVAL },
		{ 512, DESC, AVAIL, USED, -EINVAL },
		{ 0x8000, DESC, AVAIL, USED, -EINVAL },
		{ 8, DESC + 8, AVAIL, USED, -EINVAL },
		{ 8, DESC, AVAIL + 1, USED, -EINVAL },
		{ 8, DESC, AVAIL, USED + 2, -EINVAL },
		{ 8, MEM, AVAIL, USED, -EINVAL },
		{ 8, MEM - 112, AVAIL, USED, -EINVAL },
		{ 8, DESC, MEM - 20, USED, -EINVAL },
		{ 8, DESC, AVAIL, MEM - 68, -EINVAL },
		{ 8, ~0ULL << 4, AVAIL, USED, -EINVAL },
	};

	REQUIRE_OK(guest_mem_init(&mem, MEM));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret;

		virtq_reset(&q);
		q.size = cases[i].size;
		q.desc_gpa = cases[i].desc;
		q.avail_gpa = cases[i].avail;
		q.used_gpa = cases[i].used;
		ret = virtq_enable(&q, &mem, false);
		CHECK(ret == cases[i].ret && q.enabled == !ret, "case %zu: expected %d, got %d", i,
		      cases[i].ret, ret);
	}
}

TEST(nothing_there)
{
	CHECK_RET(virtq_pop(&q, &chain), 0);	/* not enabled */
	setup(false);
	CHECK_RET(virtq_pop(&q, &chain), 0);
}

TEST(a_chain)
{
	setup(false);
	set(&desc[3], DATA, 16, VRING_DESC_F_NEXT, 5);
	set(&desc[5], DATA + 0x100, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
	set(&desc[0], DATA + 0x400, 1, VRING_DESC_F_WRITE, 7);
	offer(3);
	REQUIRE_EQ(virtq_pop(&q, &chain), 1);
	CHECK_EQ(chain.head, 3);
	CHECK_EQ(chain.nr_out, 1);
	CHECK_EQ(chain.nr_in, 2);
	CHECK_EQ(chain.out_len, 16);
	CHECK_EQ(chain.in_len, 513);
	CHECK(chain.iov[1].iov_base == guest_mem_at(&mem, DATA + 0x100, 1), "another address");
	CHECK_RET(virtq_pop(&q, &chain), 0);
	virtq_push(&q, 3, 513);
	CHECK_EQ(used->idx, 1);
	CHECK_EQ(used->ring[0].id, 3);
	CHECK_EQ(used->ring[0].len, 513);
}

TEST(wraps_around)
{
	setup(false);
	set(&desc[1], DATA, 4, 0, 0);
	q.last_avail = q.used_idx = q.signalled = 0xfffe;
	avail->idx = used->idx = 0xfffe;
	for (int i = 0; i < 20; i++) {
		offer(1);
		REQUIRE_EQ(virtq_pop(&q, &chain), 1);
		virtq_push(&q, 1, 0);
		CHECK_EQ(used->idx, avail->idx);
	}
}

TEST(indirect)
{
	struct vring_desc *t;

	setup(false);
	t = guest_mem_at(&mem, TABLE, 1);
	set(&t[0], DATA, 16, VRING_DESC_F_NEXT, 2);
	set(&t[2], DATA + 64, 8, VRING_DESC_F_WRITE, 0);
	set(&desc[0], TABLE, 3 * 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	REQUIRE_EQ(virtq_pop(&q, &chain), 1);
	CHECK_EQ(chain.nr_out, 1);
	CHECK_EQ(chain.nr_in, 1);
}

TEST(head_out_of_range)
{
	setup(false);
	set(&desc[SIZE], DATA, 16, 0, 0);	/* would be a good one */
	offer(SIZE);
	check_broken();
}

TEST(next_out_of_range)
{
	setup(false);
	set(&desc[SIZE], DATA, 16, 0, 0);
	set(&desc[0], DATA, 16, VRING_DESC_F_NEXT, SIZE);
	offer(0);
	check_broken();
}

TEST(next_out_of_an_indirect_table)
{
	struct vring_desc *t;

	setup(false);
	t = guest_mem_at(&mem, TABLE, 1);
	set(&t[0], DATA, 16, VRING_DESC_F_NEXT, 2);
	set(&t[2], DATA, 16, 0, 0);
	set(&desc[0], TABLE, 2 * 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	check_broken();
}

TEST(loop)
{
	setup(false);
	set(&desc[0], DATA, 16, VRING_DESC_F_NEXT, 1);
	set(&desc[1], DATA, 16, VRING_DESC_F_NEXT, 0);
	offer(0);
	check_broken();
}

TEST(loop_to_itself)
{
	setup(false);
	set(&desc[2], DATA, 16, VRING_DESC_F_NEXT, 2);
	offer(2);
	check_broken();
}

TEST(too_many_offered)
{
	setup(false);
	set(&desc[0], DATA, 16, 0, 0);
	avail->idx = SIZE + 1;
	check_broken();
}

TEST(index_goes_back)
{
	setup(false);
	set(&desc[0], DATA, 16, 0, 0);
	offer(0);
	REQUIRE_EQ(virtq_pop(&q, &chain), 1);
	avail->idx = 0;
	check_broken();
}

TEST(bad_addresses)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} cases[] = {
		{ MEM, 1 }, { MEM - 1, 2 }, { ~0ULL, 2 }, { ~0ULL, 1 }, { DATA, 0xffffffff },
		{ 0xfee00000, 4 }, { 1ULL << 52, 16 }, { DATA, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setup(false);
		set(&desc[0], cases[i].addr, cases[i].len, 0, 0);
		offer(0);
		check_broken();
		guest_mem_destroy(&mem);
	}
}

TEST(readable_after_writable)
{
	setup(false);
	set(&desc[0], DATA, 16, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set(&desc[1], DATA, 16, 0, 0);
	offer(0);
	check_broken();
}

TEST(bad_indirect)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} cases[] = {
		{ TABLE, 0, VRING_DESC_F_INDIRECT },
		{ TABLE, 15, VRING_DESC_F_INDIRECT },
		{ TABLE, 17, VRING_DESC_F_INDIRECT },
		{ TABLE, 16 * (SIZE + 1), VRING_DESC_F_INDIRECT },
		{ TABLE, 0xfffffff0, VRING_DESC_F_INDIRECT },
		{ TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
		{ MEM, 16, VRING_DESC_F_INDIRECT },
		{ MEM - 16, 32, VRING_DESC_F_INDIRECT },
		{ ~0ULL - 7, 16, VRING_DESC_F_INDIRECT },
	};
	struct vring_desc *t;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setup(false);
		t = guest_mem_at(&mem, TABLE, 1);
		set(&t[0], DATA, 16, 0, 0);
		set(&desc[0], cases[i].addr, cases[i].len, cases[i].flags, 0);
		offer(0);
		check_broken();
		guest_mem_destroy(&mem);
	}
}

TEST(indirect_in_indirect)
{
	struct vring_desc *t;

	setup(false);
	t = guest_mem_at(&mem, TABLE, 1);
	set(&t[0], TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	set(&desc[0], TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	check_broken();
}

TEST(indirect_loop)
{
	struct vring_desc *t;

	setup(false);
	t = guest_mem_at(&mem, TABLE, 1);
	set(&t[0], DATA, 16, VRING_DESC_F_NEXT, 1);
	set(&t[1], DATA, 16, VRING_DESC_F_NEXT, 0);
	set(&desc[0], TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	check_broken();
}

TEST(rings_over_each_other)
{
	setup(false);
	/* The used ring lies in the descriptors: odd, but only the guest's loss. */
	q.used_gpa = DESC;
	REQUIRE_OK(virtq_enable(&q, &mem, false));
	set(&desc[1], DATA, 16, 0, 0);
	offer(1);
	REQUIRE_EQ(virtq_pop(&q, &chain), 1);
	virtq_push(&q, 1, 0);
	CHECK_RET(virtq_pop(&q, &chain), 0);
}

TEST(interrupts_by_flag)
{
	setup(false);
	CHECK_EQ(virtq_needs_interrupt(&q), false);
	virtq_push(&q, 0, 0);
	CHECK_EQ(virtq_needs_interrupt(&q), true);
	CHECK_EQ(virtq_needs_interrupt(&q), false);
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtq_push(&q, 0, 0);
	CHECK_EQ(virtq_needs_interrupt(&q), false);
}

TEST(interrupts_by_event)
{
	setup(true);
	avail->ring[SIZE] = 2;			/* after the third */
	for (int i = 0; i < 5; i++) {
		virtq_push(&q, 0, 0);
		CHECK_EQ(virtq_needs_interrupt(&q), i == 2);
	}
}

TEST(notifications)
{
	uint16_t event;

	setup(false);
	virtq_set_notify(&q, false);
	CHECK_EQ(used->flags, VRING_USED_F_NO_NOTIFY);
	virtq_set_notify(&q, true);
	CHECK_EQ(used->flags, 0);
	setup(true);
	q.last_avail = 5;
	virtq_set_notify(&q, true);
	memcpy(&event, &used->ring[SIZE], sizeof(event));
	CHECK_EQ(event, 5);
}

TEST(iov_is_taken)
{
	char a[] = "abc", b[] = "defgh", out[16] = "";
	struct iovec iov[] = { { a, 3 }, { b, 5 } };

	CHECK_EQ(iov_take(iov, 2, out, 5), 5);
	CHECK(!memcmp(out, "abcde", 5), "got %s", out);
	CHECK_EQ(iov[0].iov_len, 0);
	CHECK_EQ(iov[1].iov_len, 3);
	CHECK_EQ(iov_take(iov, 2, out, 16), 3);
	CHECK(!memcmp(out, "fgh", 3), "got %s", out);
}
