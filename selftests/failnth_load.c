// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading the module with each of the allocations of its initialisation failing
 * once: it is refused, nothing stays behind, and it loads right after.
 *
 * FAILNTH_MODULE names the module's file; it is unloaded first, and loaded in the
 * end. FAILNTH_STEP: only every so many-th point.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "vm.h"

/* Of the points of a load, the kernel's own come first: the module's are among the last. */
#define OWN_POINTS	240

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

/* The number of points in one load, found by bisection of what is too many. */
static unsigned int count_points(void)
{
	unsigned int low = 1, high = 4096, n;
	long ret;

	while (low < high) {
		n = (low + high) / 2;
		fault_arm(n);
		ret = load();
		if (fault_disarm())
			low = n + 1;
		else
			high = n;
		if (!ret)
			REQUIRE_OK(unload());
	}
	return low - 1;
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

TEST_LIMIT(load_module, 2400)
{
	const char *path = getenv("FAILNTH_MODULE"), *step = getenv("FAILNTH_STEP");
	unsigned int n, points, refused = 0, tried = 0;
	long ret;

	fault_setup();
	if (!path)
		test_skip("FAILNTH_MODULE is not set");
	read_image(path);
	REQUIRE_OK(unload());
	points = count_points();
	for (n = points; n > 0 && points - n < OWN_POINTS; n -= step ? atoi(step) : 1) {
		fault_arm(n);
		ret = load();
		if (!fault_disarm())
			test_note("point %u of %u was not met", n, points);
		tried++;
		if (ret < 0) {
			refused++;
			CHECK(ret == -ENOMEM || ret == -EFAULT, "point %u: %s", n,
			      strerror(-ret));
			CHECK(access(test_device(), F_OK), "point %u: the device is there",
			      n);
			ret = load();
		}
		REQUIRE(!ret, "point %u, again: %s", n, strerror(-ret));
		check_works(n);
		REQUIRE_OK(unload());
	}
	test_note("%u points in a load, %u tried, %u refused", points, tried, refused);
	CHECK(refused > 0, "no load was refused");
	fault_leak_scan();
	REQUIRE_OK(load());
}
