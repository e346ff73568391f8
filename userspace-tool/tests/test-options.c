// SPDX-License-Identifier: GPL-2.0-only
/* The command line of "vitro run". */
#include <string.h>

#include "../../selftests/lib/ktap.h"
#include "cmd/run-options.h"

#define MAX_ARGS 40

static int parse(struct run_options *o, const char *line)
{
	static char copy[1024];
	char *argv[MAX_ARGS] = { "vitro run" };
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && argc < MAX_ARGS - 1; word = strtok(NULL, " "))
		argv[argc++] = word;
	return run_options_parse(o, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS);
}

TEST(defaults)
{
	struct run_options o;

	REQUIRE_EQ(parse(&o, "--kernel k"), 0);
	CHECK(!strcmp(o.kernel, "k"), "got %s", o.kernel);
	CHECK(!o.initrd, "got %s", o.initrd);
	CHECK(!strcmp(o.append, "console=ttyS0"), "got %s", o.append);
	CHECK(!strcmp(o.device, "/dev/vitro"), "got %s", o.device);
	CHECK_EQ(o.cpus, 1);
	CHECK_EQ(o.mem, 512ULL << 20);
	CHECK_EQ(o.nr_disks, 0);
	CHECK_EQ(o.boot, BOOT_AUTO);
	CHECK_EQ(o.restart, false);
	CHECK_EQ(o.stats, false);
	CHECK_EQ(o.timeout, 0);
	run_options_free(&o);
}

TEST(all_options)
{
	struct run_options o;

	REQUIRE_EQ(parse(&o, "-k k -i i -a quiet -c 4 -m 3G -d a -d b,ro -d ,ro --device /dev/kvm "
			 "--boot pvh --on-reboot restart --stats --timeout 7"), 0);
	CHECK(!strcmp(o.initrd, "i") && !strcmp(o.append, "quiet"), "got %s, %s", o.initrd, o.append);
	CHECK(!strcmp(o.device, "/dev/kvm"), "got %s", o.device);
	CHECK_EQ(o.cpus, 4);
	CHECK_EQ(o.mem, 3ULL << 30);
	REQUIRE_EQ(o.nr_disks, 3);
	CHECK(!strcmp(o.disks[0].path, "a") && !o.disks[0].read_only, "got %s", o.disks[0].path);
	CHECK(!strcmp(o.disks[1].path, "b") && o.disks[1].read_only, "got %s", o.disks[1].path);
	CHECK(!strcmp(o.disks[2].path, ",ro"), "got %s", o.disks[2].path);
	CHECK_EQ(o.boot, BOOT_PVH);
	CHECK_EQ(o.restart, true);
	CHECK_EQ(o.stats, true);
	CHECK_EQ(o.timeout, 7);
	run_options_free(&o);
}

TEST(bad_lines)
{
	static const char * const lines[] = {
		"", "vmlinux", "-k k extra", "-k k --mem 0", "-k k --mem 15M", "-k k --mem x",
		"-k k --mem 16777217", "-k k --mem 33T", "-k k --mem 99999999999T", "-k k --mem -1",
		"-k k --cpus 0", "-k k --cpus 255", "-k k --cpus 9999", "-k k --cpus x",
		"-k k --cpus -1", "-k k --timeout 0", "-k k --timeout -1", "-k k --timeout x",
		"-k k --boot bios", "-k k --on-reboot never", "-k k --nonsense", "-k",
		"-k k -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9",
	};
	struct run_options o;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		CHECK(parse(&o, lines[i]) != 0, "of \"%s\"", lines[i]);
		run_options_free(&o);
	}
}
