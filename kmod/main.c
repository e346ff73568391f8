// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading: choose the backend, turn virtualization on for
 * every CPU, publish the device. Keeping it right across CPU hotplug,
 * suspend, reboot and kexec.
 */
#define pr_fmt(fmt) "vitro: " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/reboot.h>
#include <linux/seq_buf.h>
#include <asm/processor.h>
#include <asm/special_insns.h>
#include <asm/tsc.h>

#include "backend.h"
#include "compat.h"
#include "dev.h"
#include "run.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static char *node = "vitro";
module_param(node, charp, 0444);
MODULE_PARM_DESC(node, "name of the device node in /dev (default: vitro)");

const struct vitro_backend *vitro_backend __read_mostly;
struct vitro_caps vitro_caps __read_mostly;

static enum cpuhp_state hotplug_state;
static cpumask_t enabled_cpus;	/* each CPU changes its own bit only */

#define DEFINE_CALL(op) \
	DEFINE_STATIC_CALL_NULL(vitro_##op, *((struct vitro_backend *)0)->op);
VITRO_STATIC_CALLS(DEFINE_CALL)
DEFINE_STATIC_CALL_NULL(vitro_begin, *((struct vitro_backend *)0)->put);
DEFINE_STATIC_CALL_NULL(vitro_end, *((struct vitro_backend *)0)->put);

static const char *enable_error(int err)
{
	switch (err) {
	case -EBUSY:
		return vitro_backend->busy;
	case -EOPNOTSUPP:
		return "firmware has locked it off: enable virtualization in the firmware set-up and switch the machine off and on";
	default:
		return "the processor refused";
	}
}

static int cpu_up_callback(unsigned int cpu)
{
	unsigned long flags;
	int err;

	local_irq_save(flags);
	err = vitro_backend->cpu_enable();
	if (!err)
		cpumask_set_cpu(cpu, &enabled_cpus);
	local_irq_restore(flags);

	if (err)
		pr_err("CPU %u: cannot turn %s on (error %d): %s\n", cpu,
		       vitro_backend->name, err, enable_error(err));
	return err;
}

static void disable_this_cpu(void)
{
	if (cpumask_test_and_clear_cpu(raw_smp_processor_id(), &enabled_cpus))
		vitro_backend->cpu_disable();
}

static int cpu_down_callback(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	disable_this_cpu();
	local_irq_restore(flags);
	return 0;
}

/* Suspend and kexec run with one CPU online, IRQs off. */
static int vitro_suspend(VITRO_SYSCORE_ARG)
{
	disable_this_cpu();
	return 0;
}

static void vitro_resume(VITRO_SYSCORE_ARG)
{
	if (!vitro_backend->cpu_enable())
		cpumask_set_cpu(raw_smp_processor_id(), &enabled_cpus);
}

static void vitro_shutdown(VITRO_SYSCORE_ARG)
{
	disable_this_cpu();
}

VITRO_DEFINE_SYSCORE(vitro_syscore, vitro_suspend, vitro_resume, vitro_shutdown);

static void disable_ipi(void *unused)
{
	disable_this_cpu();
}

/* INIT is blocked in VMX operation: a reboot must not leave a CPU in it. */
static int reboot_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	on_each_cpu(disable_ipi, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block vitro_reboot_notifier = {
	.notifier_call = reboot_notify,
};

static struct miscdevice vitro_miscdev = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops  = &vitro_dev_fops,
	.mode  = 0660,
};

static const struct vitro_backend *choose_backend(void)
{
	switch (boot_cpu_data.x86_vendor) {
	case X86_VENDOR_INTEL:
	case X86_VENDOR_CENTAUR:
	case X86_VENDOR_ZHAOXIN:
		return &vitro_vmx_backend;
	case X86_VENDOR_AMD:
	case X86_VENDOR_HYGON:
		return &vitro_svm_backend;
	default:
		pr_err("processor vendor \"%s\" is not known to have VT-x or AMD-V: this machine cannot run vitro\n",
		       boot_cpu_data.x86_vendor_id);
		return NULL;
	}
}

static void update_static_calls(void)
{
#define UPDATE_CALL(op) static_call_update(vitro_##op, vitro_backend->op);
	VITRO_STATIC_CALLS(UPDATE_CALL)
}

static void say_loaded(void)
{
	char way[128] = "";
	struct seq_buf text;

	seq_buf_init(&text, way, sizeof(way) - 1);
	if (vitro_backend->describe_way)
		vitro_backend->describe_way(&text);
	pr_info("%s on %u CPUs%s%s%s, /dev/%s; features: %s\n", vitro_backend->name,
		num_online_cpus(), way[0] ? " (" : "", way, way[0] ? ")" : "", node,
		vitro_caps.features);
}

static int __init vitro_init(void)
{
	int err;

	/* Guests' clocks are computed from it. */
	if (!tsc_khz) {
		pr_err("the kernel does not know the frequency of the TSC: this machine cannot run vitro\n");
		return -ENODEV;
	}
	/*
	 * NMIs and machine checks that end a guest's run are handed over to the host
	 * by INT n, which takes an IDT that is in use.
	 */
	if (__read_cr4() & X86_CR4_FRED) {
		pr_err("this kernel delivers events by FRED, which vitro does not support: boot it with fred=off\n");
		return -ENODEV;
	}
	vitro_backend = choose_backend();
	if (!vitro_backend)
		return -ENODEV;
	err = vitro_backend->probe();
	if (err)
		return err;
	err = vitro_backend->setup();
	if (err) {
		pr_err("cannot set %s up: error %d\n", vitro_backend->name, err);
		return err;
	}
	update_static_calls();

	err = vitro_run_init();
	if (err)
		goto teardown;

	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "virt/vitro:online",
				cpu_up_callback, cpu_down_callback);
	if (err < 0)
		goto run_exit;
	hotplug_state = err;

	vitro_register_syscore(&vitro_syscore);
	err = register_reboot_notifier(&vitro_reboot_notifier);
	if (err)
		goto unhotplug;

	vitro_miscdev.name = node;
	err = misc_register(&vitro_miscdev);
	if (err) {
		pr_err("cannot create /dev/%s: error %d%s\n", node, err,
		       err == -EEXIST ? " (the name is taken: choose another with node=)" : "");
		goto unreboot;
	}

	say_loaded();
	return 0;

unreboot:
	unregister_reboot_notifier(&vitro_reboot_notifier);
unhotplug:
	vitro_unregister_syscore(&vitro_syscore);
	cpuhp_remove_state(hotplug_state);
run_exit:
	vitro_run_exit();
teardown:
	vitro_backend->teardown();
	return err;
}

static void __exit vitro_exit(void)
{
	misc_deregister(&vitro_miscdev);
	unregister_reboot_notifier(&vitro_reboot_notifier);
	vitro_unregister_syscore(&vitro_syscore);
	cpuhp_remove_state(hotplug_state);
	vitro_run_exit();
	vitro_backend->teardown();
	pr_info("unloaded\n");
}

module_init(vitro_init);
module_exit(vitro_exit);

MODULE_DESCRIPTION("A hypervisor to watch: VMX and SVM behind the KVM API");
MODULE_AUTHOR("The vitro authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(VITRO_RELEASE);
