// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading the module with each of the allocations of its initialisation failing
 * once: it is refused, nothing stays behind, and it loads right after.
 *
 * Only points behind the beginning of that initialisation are tried: those before it are
 * the kernel's own. FAILNTH_MODULE names the module's file; it is unloaded first, and
 * loaded in the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "vm.h"

#define TRACING		"/sys/kernel/tracing/"

/* More than there are in a load. */
#define MANY_POINTS	100000
/* Two loads need not allocate alike; so many points more are tried. */
#define MARGIN		16
/* Failing loads in a round, of which each is to lose a page if there is a leak. */
#define REPEATS		8

static void *image;
static size_t image_size;

static long load(void)
{
	return syscall(SYS_init_module, image, image_size, "") ? -errno : 0;
}

static long unload(void)
{
	return syscall(SYS_delete_module, "vitro", O_NONBLOCK) ? -errno : 0;
}

static void read_image(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	REQUIRE(fd >= 0 && !fstat(fd, &st), "%s: %s", path, strerror(errno));
	image_size = st.st_size;
	image = mmap(NULL, image_size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	REQUIRE(image != MAP_FAILED, "mmap: %s", strerror(errno));
	REQUIRE(read(fd, image, image_size) == (ssize_t)image_size, "read");
	close(fd);
}

static void trace_set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_TRUNC);

	REQUIRE(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value),
		"%s: %s", file, strerror(errno));
	close(fd);
}

/* Allocations in the trace since the module's initialisation began. */
static unsigned int traced_allocations(void)
{
	unsigned int allocations = 0;
	bool begun = false;
	char line[512];
	FILE *f = fopen(TRACING "trace", "r");

	REQUIRE(f, TRACING "trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		begun |= !!strstr(line, "initcall_start:");
		if (begun && (strstr(line, "alloc: call_site=") ||
			      strstr(line, "alloc_node: call_site=") ||
			      strstr(line, "mm_page_alloc:")))
			allocations++;
	}
	fclose(f);
	REQUIRE(begun, "the trace has no initcall");
	return allocations;
}

/* The number of points in one load; *own: of those, the module's and what comes later. */
static unsigned int count_points(unsigned int *own)
{
	unsigned int left;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	trace_set(TRACING "set_event_pid", pid);
	trace_set(TRACING "events/initcall/initcall_start/enable", "1");
	trace_set(TRACING "events/kmem/enable", "1");
	trace_set(TRACING "trace", "\n");
	fault_arm(MANY_POINTS);
	REQUIRE_OK(load());
	left = fault_left();
	fault_disarm();
	trace_set(TRACING "events/enable", "0");
	*own = traced_allocations() + MARGIN;
	REQUIRE_OK(unload());
	REQUIRE(left < MANY_POINTS, "no point in a load");
	return MANY_POINTS - left;
}

static void check_works(unsigned int n)
{
	int kvm = open(test_device(), O_RDWR), vm, vcpu;

	REQUIRE(kvm >= 0, "point %u: %s: %s", n, test_device(), strerror(errno));
	vm = REQUIRE_OK(sys_ioctl_val(kvm, KVM_CREATE_VM, 0));
	vcpu = REQUIRE_OK(sys_ioctl_val(vm, KVM_CREATE_VCPU, 0));
	close(vcpu);
	close(vm);
	close(kvm);
}

/* One point. Returns whether the load was refused. */
static bool fail_point(unsigned int n)
{
	bool failed;
	long ret;

	fault_arm(n);
	ret = load();
	failed = fault_disarm();
	if (ret < 0) {
		CHECK(failed && (ret == -ENOMEM || ret == -EFAULT), "point %u: %s", n,
		      strerror(-ret));
		CHECK(access(test_device(), F_OK), "point %u: the device is there", n);
		REQUIRE_OK(load());
	}
	check_works(n);
	REQUIRE_OK(unload());
	return ret < 0;
}

static void repeat(void *arg)
{
	const unsigned int *n = arg;
	unsigned int i;
	long ret;

	for (i = 0; i < REPEATS; i++) {
		fault_arm(*n);
		ret = load();
		fault_disarm();
		if (!ret)
			REQUIRE_OK(unload());
	}
}

TEST_LIMIT(load_module, 1800)
{
	const char *path = getenv("FAILNTH_MODULE");
	unsigned int n, points, own, refused = 0, last = 0;

	fault_setup();
	if (!path)
		test_skip("FAILNTH_MODULE is not set");
	read_image(path);
	REQUIRE_OK(unload());
	points = count_points(&own);
	REQUIRE(own < points, "%u points, %u of them the module's", points, own);
	for (n = points; n > points - own; n--) {
		if (!fail_point(n))
			continue;
		/* Not the very last, which may be tolerated in another load. */
		if (refused++ < 5)
			last = n;
	}
	test_note("%u points in a load, the last %u tried, %u refused", points, own, refused);
	if (CHECK(refused > 0, "no load was refused"))
		CHECK(!fault_pages_lost(repeat, &last, REPEATS), "point %u: pages are lost", last);
	fault_leak_scan();
	REQUIRE_OK(load());
}
