// SPDX-License-Identifier: GPL-2.0-only
/*
 * The port and memory buses: who is asked, and removing a device while it is
 * being asked.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#include "../iobus.h"
#include "fixture.h"

#define ADDRESS		0xd0000000ULL

/* A device that says how often it was written to, and takes as long as it is told to. */
struct test_device {
	struct vitro_iodev dev;
	struct completion asked;
	unsigned int delay_ms;
	unsigned int asked_times;
	bool busy;
	bool destroyed, destroyed_busy;
};

static int test_device_write(struct vitro_vcpu *vcpu, struct vitro_iodev *dev, u64 addr, int len,
			     const void *data)
{
	struct test_device *d = container_of(dev, struct test_device, dev);

	WRITE_ONCE(d->busy, true);
	d->asked_times++;
	complete(&d->asked);
	if (d->delay_ms)
		msleep(d->delay_ms);
	WRITE_ONCE(d->busy, false);
	return 0;
}

static void test_device_destroy(struct vitro_iodev *dev)
{
	struct test_device *d = container_of(dev, struct test_device, dev);

	d->destroyed = true;
	d->destroyed_busy = READ_ONCE(d->busy);
}

static const struct vitro_iodev_ops test_device_ops = {
	.write = test_device_write,
	.destroy = test_device_destroy,
};

static struct test_device *new_device(struct kunit *test, unsigned int delay_ms)
{
	struct test_device *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	d->dev.ops = &test_device_ops;
	d->delay_ms = delay_ms;
	init_completion(&d->asked);
	return d;
}

static int add(struct kunit *test, u64 addr, u64 len, struct test_device *d)
{
	struct vitro_vm *vm = test_vm(test);
	int err;

	mutex_lock(&vm->slots_lock);
	err = vitro_iobus_register(vm, VITRO_BUS_MMIO, addr, len, &d->dev);
	mutex_unlock(&vm->slots_lock);
	return err;
}

static int remove(struct kunit *test, struct test_device *d)
{
	struct vitro_vm *vm = test_vm(test);
	int err;

	mutex_lock(&vm->slots_lock);
	err = vitro_iobus_unregister(vm, VITRO_BUS_MMIO, &d->dev);
	mutex_unlock(&vm->slots_lock);
	return err;
}

/* As the exit of a write does it. */
static int ask(struct vitro_vcpu *vcpu, u64 addr, int len)
{
	int idx = srcu_read_lock(&vcpu->vm->srcu);
	u32 value = 1;
	int ret = vitro_iobus_write(vcpu, VITRO_BUS_MMIO, addr, len, &value);

	srcu_read_unlock(&vcpu->vm->srcu, idx);
	return ret;
}

static void ranges(struct kunit *test)
{
	struct test_device *wide = new_device(test, 0), *narrow = new_device(test, 0);
	struct vitro_vcpu *vcpu = test_vcpu(test);

	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS, 4), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, add(test, -4ULL, 8, wide), -EINVAL);
	KUNIT_EXPECT_EQ(test, add(test, ADDRESS, 16, wide), 0);
	KUNIT_EXPECT_EQ(test, add(test, ADDRESS + 4, 4, narrow), 0);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS - 1, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 16, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 14, 4), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 8, 8), 0);
	KUNIT_EXPECT_EQ(test, wide->asked_times, 1);
	/* The range that begins last is asked first, if it covers all of the access. */
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 4, 4), 0);
	KUNIT_EXPECT_EQ(test, narrow->asked_times, 1);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 4, 8), 0);
	KUNIT_EXPECT_EQ(test, wide->asked_times, 2);

	KUNIT_EXPECT_EQ(test, remove(test, narrow), 0);
	KUNIT_EXPECT_TRUE(test, narrow->destroyed);
	KUNIT_EXPECT_EQ(test, remove(test, narrow), -ENOENT);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS + 4, 4), 0);
	KUNIT_EXPECT_EQ(test, wide->asked_times, 3);
	KUNIT_EXPECT_EQ(test, remove(test, wide), 0);
	KUNIT_EXPECT_EQ(test, ask(vcpu, ADDRESS, 4), -EOPNOTSUPP);
}

static int ask_in_thread(void *arg)
{
	int ret = ask(arg, ADDRESS, 4);

	while (!kthread_should_stop())
		schedule_timeout_idle(1);
	return ret;
}

/* What a vCPU is in the middle of is waited for; the device must not go before. */
static void removed_in_use(struct kunit *test)
{
	struct test_device *d = new_device(test, 100);
	struct task_struct *thread;

	KUNIT_ASSERT_EQ(test, add(test, ADDRESS, 4, d), 0);
	thread = kthread_run(ask_in_thread, test_vcpu(test), "vitro-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&d->asked, 10 * HZ), 0UL);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(d->busy));
	KUNIT_EXPECT_EQ(test, remove(test, d), 0);
	KUNIT_EXPECT_TRUE(test, d->destroyed);
	KUNIT_EXPECT_FALSE(test, d->destroyed_busy);
	KUNIT_EXPECT_EQ(test, kthread_stop(thread), 0);
}

/* The same for one that is added: the old array is freed. */
static void added_in_use(struct kunit *test)
{
	struct test_device *d = new_device(test, 100), *other = new_device(test, 0);
	struct task_struct *thread;

	KUNIT_ASSERT_EQ(test, add(test, ADDRESS, 4, d), 0);
	thread = kthread_run(ask_in_thread, test_vcpu(test), "vitro-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&d->asked, 10 * HZ), 0UL);
	KUNIT_EXPECT_EQ(test, add(test, ADDRESS + 4, 4, other), 0);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(d->busy));
	KUNIT_EXPECT_EQ(test, kthread_stop(thread), 0);
}

static struct kunit_case iobus_cases[] = {
	KUNIT_CASE(ranges),
	KUNIT_CASE(removed_in_use),
	KUNIT_CASE(added_in_use),
	{}
};
TEST_SUITE(iobus, test_init_vcpu);
