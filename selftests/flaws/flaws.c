// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that does wrong on purpose, in the way that its parameter names:
 * shows that the lab kernels notice it, and that a run then fails.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#define SIZE	200

static char *flaw = "";
module_param(flaw, charp, 0);
MODULE_PARM_DESC(flaw, "what to do wrong");

static void *memory(void)
{
	void *p = kzalloc(SIZE, GFP_KERNEL);

	/* The compiler shall not know what it is, nor warn of what comes. */
	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static void use_after_free(void)
{
	u8 *p = memory();

	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(*p, 1);
}

static void out_of_bounds(void)
{
	u8 *p = memory();

	if (p)
		WRITE_ONCE(p[SIZE], 1);
	kfree(p);
}

static void leak(void)
{
	int i;

	/* A stale register may point to one or the other, not to all. */
	for (i = 0; i < 8; i++)
		memory();
}

static void lock_order(void)
{
	static DEFINE_MUTEX(one);
	static DEFINE_MUTEX(two);

	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);

	mutex_lock(&two);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&two);
}

static void sleep_in_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
}

static void shift(void)
{
	int by = 32;

	OPTIMIZER_HIDE_VAR(by);
	by = 1 << by;
	OPTIMIZER_HIDE_VAR(by);
}

static void list_twice(void)
{
	struct list_head item;
	LIST_HEAD(list);

	list_add(&item, &list);
	list_add(&item, &list);
}

static void nothing(struct timer_list *timer)
{
}

static void free_active_timer(void)
{
	struct timer_list *timer = memory();

	if (!timer)
		return;
	timer_setup(timer, nothing, 0);
	mod_timer(timer, jiffies + 3600 * HZ);
	kfree(timer);
}

static u64 shared;

static int count(void *unused)
{
	while (!kthread_should_stop()) {
		shared++;
		cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *task[2];
	int i;

	for (i = 0; i < 2; i++)
		task[i] = kthread_run(count, NULL, "flaws/%d", i);
	ssleep(10);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);
}

static const struct {
	const char *name;
	void (*commit)(void);
} flaws[] = {
	{ "use_after_free", use_after_free },
	{ "out_of_bounds", out_of_bounds },
	{ "leak", leak },
	{ "lock_order", lock_order },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "shift", shift },
	{ "list_twice", list_twice },
	{ "free_active_timer", free_active_timer },
	{ "race", race },
};

static int __init flaws_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(flaws); i++) {
		if (!strcmp(flaw, flaws[i].name)) {
			flaws[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit flaws_exit(void)
{
}

module_init(flaws_init);
module_exit(flaws_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Defects for the detectors of the lab kernels");
