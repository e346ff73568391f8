// SPDX-License-Identifier: GPL-2.0-only
/* What "vitro check" asks of the kernel, and of vitro.ko itself. */
#include "cmd/check.h"
#include "core/util.h"
#include "vitro.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DEVICE		"/dev/vitro"
#define VMX_OPERATION	"/sys/module/vitro/parameters/vmx_operation"
#define MSR_EFER	0xc0000080
#define EFER_SVME	BIT(12)

/* The oldest kernel that vitro is built for, and the newest it was tried on. */
#define KERNEL_MIN_MAJOR	6
#define KERNEL_MIN_MINOR	1

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* Users of a module, or -1 if it is not in /proc/modules. */
static int module_users(const char *name)
{
	FILE *f = fopen("/proc/modules", "re");
	char line[512], found[64];
	int users = -1, n;

	if (!f)
		return -1;
	while (users < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %*u %d", found, &n) == 2 && !strcmp(found, name))
			users = n;
	}
	fclose(f);
	return users;
}

static void check_kvm(struct check *c, const char *name)
{
	char path[64], value[16];
	int users = module_users(name);

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	if (!exists(path)) {
		check_pass(c, "KVM", "%s is not loaded", name);
		return;
	}
	if (c->vendor == VENDOR_INTEL) {
		check_pass(c, "KVM", "%s is loaded%s; VMs of vitro run beside KVM's", name,
			   users > 0 ? " and in use" : "");
		return;
	}
	/* Since 6.12 KVM takes the processors when it is loaded, by default. */
	if (!read_word("/sys/module/kvm/parameters/enable_virt_at_load", value, sizeof(value)) &&
	    value[0] == 'Y')
		check_fail(c, "KVM", users < 0 ? "boot with kvm.enable_virt_at_load=0" :
			   "unload it (modprobe -r kvm_amd), or boot with kvm.enable_virt_at_load=0",
			   "%s holds the processors since it was loaded", name);
	else if (users > 0)
		check_fail(c, "KVM", "stop the virtual machines that use /dev/kvm",
			   "%s is in use (%d users) and holds the processors", name, users);
	else
		check_pass(c, "KVM", "%s is loaded, but no VM of its is alive", name);
}

/* On AMD the bit that says "in use" can be read; Intel's is in CR4. */
static void check_svme(struct check *c)
{
	uint64_t value;

	for (int cpu = next_cpu(-1); cpu >= 0; cpu = next_cpu(cpu)) {
		if (msr_read(cpu, MSR_EFER, &value))
			return;
		if (value & EFER_SVME) {
			check_fail(c, "owner", "end its virtual machines and unload it: KVM (modprobe -r kvm_amd), VirtualBox (vboxdrv), VMware (vmmon), or see lsmod",
				   "a hypervisor has AMD-V on, on CPU %d, and it cannot be shared", cpu);
			return;
		}
	}
	check_pass(c, "owner", "no CPU has AMD-V on");
}

/* In which way it would be. */
static void check_future_operation(struct check *c)
{
	unsigned int major, minor;
	struct utsname u;

	if (uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 6 || (major == 6 && minor >= 19)))
		check_info(c, "VMX operation", "will be transient or shared, as this kernel keeps CR4.VMXE set for KVM only");
	else if (exists("/sys/module/kvm_intel"))
		check_advise(c, "VMX operation", "for the resident way, which is faster, unload KVM (modprobe -r kvm_intel)",
			     "will be transient or shared, so that KVM can run VMs, too");
	else
		check_info(c, "VMX operation", "will be resident, as KVM is not loaded");
}

void check_owners(struct check *c)
{
	static const char * const others[] = { "vboxdrv", "vmmon" };

	if (c->vendor != VENDOR_OTHER)
		check_kvm(c, c->vendor == VENDOR_INTEL ? "kvm_intel" : "kvm_amd");
	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++) {
		if (module_users(others[i]) > 0)
			check_fail(c, "other hypervisor", "stop its virtual machines and unload it",
				   "%s is in use", others[i]);
	}
	if (c->vendor == VENDOR_AMD)
		check_svme(c);
	else if (c->vendor == VENDOR_INTEL)
		check_future_operation(c);
}

static void check_version(struct check *c)
{
	unsigned int major, minor;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		check_unknown(c, "kernel", "see uname -r", "its version cannot be read");
		return;
	}
	if (strcmp(u.machine, "x86_64"))
		check_fail(c, "kernel", "use a 64-bit x86 kernel", "%s is for %s", u.release, u.machine);
	else if (major < KERNEL_MIN_MAJOR ||
		 (major == KERNEL_MIN_MAJOR && minor < KERNEL_MIN_MINOR))
		check_fail(c, "kernel", "use a newer kernel", "%s is older than %d.%d", u.release,
			   KERNEL_MIN_MAJOR, KERNEL_MIN_MINOR);
	else if (major == KERNEL_MIN_MAJOR && minor == KERNEL_MIN_MINOR)
		check_pass(c, "kernel", "%s", u.release);
	else
		check_info(c, "kernel", "%s; vitro was tested on %d.%d", u.release,
			   KERNEL_MIN_MAJOR, KERNEL_MIN_MINOR);
}

static void check_signatures(struct check *c)
{
	char value[128];

	if (!read_word("/proc/sys/kernel/modules_disabled", value, sizeof(value)) && value[0] == '1')
		check_fail(c, "modules", "reboot; something set kernel.modules_disabled",
			   "no module can be loaded until the next boot");
	else if (!exists("/proc/modules"))
		check_fail(c, "modules", "use a kernel with CONFIG_MODULES", "this kernel has none");
	/* The mode in force stands in brackets. */
	else if (!read_word("/sys/kernel/security/lockdown", value, sizeof(value)) &&
		 !strstr(value, "[none]"))
		check_fail(c, "modules", "sign vitro.ko with a key enrolled by mokutil, or turn Secure Boot off",
			   "the kernel is locked down (%s) and takes signed modules only", value);
	else if (!read_word("/sys/module/module/parameters/sig_enforce", value, sizeof(value)) &&
		 value[0] == 'Y')
		check_fail(c, "modules", "sign vitro.ko with a key that the kernel trusts, or boot without module.sig_enforce",
			   "the kernel takes signed modules only");
	else
		check_pass(c, "modules", "the kernel takes modules without a signature");
}

void check_kernel(struct check *c)
{
	check_version(c);
	check_signatures(c);
}

/* What is in the module's description of its way, and what to do about it. */
static const struct {
	const char *text, *advice;
} operations[] = {
	{ "resident, as KVM is not loaded", "this is the fastest; if KVM is loaded, it changes by itself" },
	{ "resident, as wanted", "KVM's VMs cannot start; load vitro without vmx_operation=resident to let them" },
	{ "so that KVM can", "exits that are not handled at once cost more so; it ends when KVM is unloaded (modprobe -r kvm_intel)" },
	{ "beside another hypervisor", "exits that are not handled at once cost more so; unload the other hypervisor, then load vitro again" },
	{ "transient, as wanted", "load vitro without vmx_operation=transient for the faster resident way" },
	{ "shared, as wanted", "load vitro without vmx_operation=transient for the faster resident way" },
	{ "as this kernel keeps", "kernels before 6.19 let vitro stay in VMX operation, which is faster" },
};

/* In which way the module, loaded on an Intel processor, is in VMX operation. */
static void check_operation(struct check *c)
{
	char way[128];

	if (read_word(VMX_OPERATION, way, sizeof(way)))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strstr(way, operations[i].text)) {
			check_advise(c, "VMX operation", operations[i].advice, "%s", way);
			return;
		}
	}
	check_info(c, "VMX operation", "%s", way);
}

static void check_device(struct check *c)
{
	struct vitro_info info;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		check_fail(c, "device", "run as root, or join the group that owns it (ls -l " DEVICE ") and log in again",
			   DEVICE ": %s", strerror(errno));
		return;
	}
	if (fd < 0) {
		check_fail(c, "device", "the module may have been loaded with node=NAME, see /sys/module/vitro/parameters",
			   DEVICE ": %s", strerror(errno));
		return;
	}
	if (ioctl(fd, VITRO_GET_INFO, &info) < 0) {
		check_fail(c, "device", "reload the module that belongs to this program",
			   DEVICE " does not answer as vitro: %s", strerror(errno));
	} else {
		info.release[sizeof(info.release) - 1] = '\0';
		info.features[sizeof(info.features) - 1] = '\0';
		check_pass(c, "device", DEVICE ", vitro %s on %s, up to %u vCPUs", info.release,
			   info.backend == VITRO_BACKEND_VMX ? "VT-x" : "AMD-V", info.max_vcpus);
		check_info(c, "features in use", "%s", info.features);
		if (info.backend == VITRO_BACKEND_VMX)
			check_operation(c);
	}
	close(fd);
}

void check_module(struct check *c)
{
	c->loaded = exists("/sys/module/vitro");
	if (!c->loaded) {
		check_info(c, "vitro.ko", "is not loaded");
		return;
	}
	check_pass(c, "vitro.ko", "is loaded");
	check_device(c);
}
