// SPDX-License-Identifier: GPL-2.0-only
/*
 * In which of the two ways CPUs are in VMX operation (see operation.c), and how
 * they change over when KVM comes or goes.
 *
 * KVM refuses to start where CR4.VMXE is set, so CPUs must not be resident while it is
 * loaded. By then vCPUs may be running; they are not stopped. A vCPU that
 * is loaded runs, and whatever runs on a CPU in its place finds none loaded there: so
 * work on each CPU can change that CPU's way, and vCPUs find out when they are
 * loaded again. Only accesses to the VMCS with preemption possible must expect it at
 * any instruction, hence the order of things in become_windowed().
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/cpu.h>
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/rcupdate_wait.h>
#include <linux/seq_buf.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <asm/special_insns.h>

#include "../compat.h"
#include "vmx.h"

enum way { AUTO, RESIDENT, TRANSIENT };

static const char * const way_names[] = { "auto", "resident", "transient" };
static enum way wanted = AUTO;

static DEFINE_MUTEX(way_lock);
static bool resident_way;	/* writers: way_lock and cpus_read_lock(); readers: one of them */
static const char *reason = "";	/* way_lock: why so */
static bool kvm_is_coming;	/* way_lock: loaded since we listen */

static const char kvm_is_here[] = "so that KVM can run VMs, too";

/**
 * vmx_is_resident_way() - are CPUs to become resident?
 *
 * Context: cpus_read_lock() or a callback of CPU hotplug.
 */
bool vmx_is_resident_way(void)
{
	return resident_way;
}

static const char *way_now(void)
{
	int cpu;

	if (resident_way)
		return "resident";
	for_each_online_cpu(cpu)
		if (READ_ONCE(per_cpu(vmx_cpu, cpu).shared))
			return "shared";
	return "transient";
}

/**
 * vmx_describe_way() - see struct vitro_backend
 * @text: to be appended to
 *
 * "Shared" is what some CPU's last window was.
 */
void vmx_describe_way(struct seq_buf *text)
{
	mutex_lock(&way_lock);
	seq_buf_printf(text, "%s, %s", way_now(), reason);
	mutex_unlock(&way_lock);
}

static int set_param(const char *value, const struct kernel_param *kp)
{
	int i = sysfs_match_string(way_names, value);

	if (i < 0) {
		pr_err("vmx_operation=%s: it can be auto, resident or transient\n", value);
		return i;
	}
	wanted = i;
	return 0;
}

static int get_param(char *buffer, const struct kernel_param *kp)
{
	struct seq_buf text;

	seq_buf_init(&text, buffer, PAGE_SIZE);
	seq_buf_printf(&text, "%s", way_names[wanted]);
	if (vitro_backend == &vitro_vmx_backend) {
		seq_buf_printf(&text, ": ");
		vmx_describe_way(&text);
	}
	seq_buf_printf(&text, "\n");
	return text.len;
}

static const struct kernel_param_ops param_ops = { .set = set_param, .get = get_param };
module_param_cb(vmx_operation, &param_ops, NULL, 0444);
MODULE_PARM_DESC(vmx_operation,
		 "on Intel: auto (default), resident (the fastest; keeps KVM out), transient (in VMX operation only while guests run; shared with KVM where that is in it)");

static void look_for_owner(void *owned)
{
	if (__read_cr4() & X86_CR4_VMXE && !this_cpu_read(vmx_cpu.resident))
		WRITE_ONCE(*(bool *)owned, true);
}

static bool somebody_in_operation(void)
{
	bool owned = false;

	on_each_cpu(look_for_owner, &owned, 1);
	return owned;
}

/* It may be a part of the kernel, too. */
static bool kvm_is_loaded(void)
{
	struct kobject *module = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, "kvm_intel");

	kobject_put(module);
	return module;
}

/* Vary the inner loop and the accesses outside it. Takes cpus_read_lock(). */
static void expect_windows(bool on)
{
	if (on)
		static_branch_enable(&vmx_windowed);
	else
		static_branch_disable(&vmx_windowed);
	static_call_update(vitro_begin, on ? &vmx_begin : NULL);
	static_call_update(vitro_end, on ? &vmx_end : NULL);
}

static int reside_here(void *unused)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	unsigned long flags;
	int err = 0;

	local_irq_save(flags);
	if (c->enabled && !c->resident)
		err = vmx_reside(c);
	local_irq_restore(flags);
	return err;
}

static int end_residence_here(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	vmx_end_residence(this_cpu_ptr(&vmx_cpu));
	local_irq_restore(flags);
	return 0;
}

static int on_each_cpu_in_turn(int (*fn)(void *))
{
	int cpu, err;

	for_each_online_cpu(cpu) {
		err = smp_call_on_cpu(cpu, fn, NULL, false);
		if (err)
			return err;
	}
	return 0;
}

static void become_windowed(void)
{
	mutex_lock(&way_lock);
	kvm_is_coming = true;
	if (!resident_way)
		goto unlock;
	expect_windows(true);
	/*
	 * A thread may have been preempted between finding windows unexpected and
	 * the VMREAD or VMWRITE: every thread must have got past that.
	 */
	synchronize_rcu_tasks();

	cpus_read_lock();
	resident_way = false;
	reason = kvm_is_here;
	on_each_cpu_in_turn(end_residence_here);
	cpus_read_unlock();
	pr_info("VMX operation is transient or shared from now on, %s\n", reason);
unlock:
	mutex_unlock(&way_lock);
}

static void become_resident(void)
{
	mutex_lock(&way_lock);
	kvm_is_coming = false;
	if (resident_way || !VITRO_CAN_KEEP_VMXE || somebody_in_operation())
		goto unlock;
	cpus_read_lock();
	if (on_each_cpu_in_turn(reside_here)) {
		on_each_cpu_in_turn(end_residence_here);
	} else {
		resident_way = true;
		reason = "as KVM is not loaded";
	}
	cpus_read_unlock();
	if (resident_way) {
		/* Every vCPU that is loaded has been loaded on a resident CPU. */
		expect_windows(false);
		pr_info("VMX operation is resident from now on, %s\n", reason);
	}
unlock:
	mutex_unlock(&way_lock);
}

/* COMING is before, GOING after anything of the module runs. */
static int module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct module *module = data;

	if (strcmp(module->name, "kvm_intel"))
		return NOTIFY_DONE;
	if (event == MODULE_STATE_COMING)
		become_windowed();
	else if (event == MODULE_STATE_GOING)
		become_resident();
	return NOTIFY_DONE;
}

static struct notifier_block module_notifier = {
	.notifier_call = module_event,
};

static const char *why_transient(void)
{
	if (wanted == TRANSIENT)
		return "as wanted";
	if (!VITRO_CAN_KEEP_VMXE)
		return "as this kernel keeps CR4.VMXE set for KVM only";
	if (kvm_is_coming || kvm_is_loaded())
		return kvm_is_here;
	if (somebody_in_operation())
		return "beside another hypervisor";
	return NULL;
}

/**
 * vmx_choose_way() - decide how CPUs will be in VMX operation
 *
 * Context: module load, before the first CPU is enabled.
 * Return: 0, -EOPNOTSUPP if the wanted way is impossible on this kernel, or -errno.
 */
int vmx_choose_way(void)
{
	int err;

	if (wanted == RESIDENT && !VITRO_CAN_KEEP_VMXE) {
		pr_err("vmx_operation=resident: this kernel keeps CR4.VMXE set for KVM only: use auto\n");
		return -EOPNOTSUPP;
	}
	if (wanted == AUTO && VITRO_CAN_KEEP_VMXE) {
		err = register_module_notifier(&module_notifier);
		if (err)
			return err;
	}

	mutex_lock(&way_lock);
	if (!resident_way && wanted == RESIDENT) {
		resident_way = true;
		reason = "as wanted";
	} else {
		reason = why_transient();
		resident_way = !reason;
		if (resident_way)
			reason = "as KVM is not loaded";
	}
	if (!resident_way)
		expect_windows(true);
	mutex_unlock(&way_lock);
	return 0;
}

/**
 * vmx_forget_way() - undo vmx_choose_way()
 */
void vmx_forget_way(void)
{
	if (wanted == AUTO && VITRO_CAN_KEEP_VMXE)
		unregister_module_notifier(&module_notifier);
}
