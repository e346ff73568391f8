// SPDX-License-Identifier: GPL-2.0-only
/* Kernels and initial RAM disks, whole and damaged. */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../selftests/lib/ktap.h"
#include "core/util.h"
#include "loader/image.h"
#include "loader/layout.h"

#define MEM		(64 * MIB)
#define RSDP		0xe0000
#define BASE		0x1000000u	/* where the kernels here want to be */

static struct guest_mem mem;

static void need_memory(void)
{
	REQUIRE_OK(guest_mem_init(&mem, MEM));
}

/* Messages of the loader are expected; they would only clutter the report. */
static void quiet(void)
{
	REQUIRE(freopen("/dev/null", "w", stderr), "cannot silence messages");
}

/* A file with these contents, and its name. */
static const char *file_of(const void *data, size_t len)
{
	static char name[64];
	int fd = memfd_create("image", 0);

	REQUIRE(fd >= 0 && write(fd, data, len) == (ssize_t)len, "cannot make a file");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return name;
}

static int load(const char *kernel, const char *initrd, enum boot_protocol protocol,
		const char *cmdline, struct boot_entry *entry)
{
	struct load_request req = {
		.kernel = kernel,
		.initrd = initrd,
		.cmdline = cmdline,
		.protocol = protocol,
		.rsdp = RSDP,
	};

	return load_guest(&req, &mem, entry);
}

#define SETUP_SECTS	3
#define PAYLOAD		4096
#define BZIMAGE_SIZE	((SETUP_SECTS + 1) * 512 + PAYLOAD)

static uint8_t bzimage[BZIMAGE_SIZE];

static struct setup_header *make_bzimage(void)
{
	struct setup_header *h = (void *)(bzimage + 0x1f1);

	memset(bzimage, 0, sizeof(bzimage));
	memset(bzimage + BZIMAGE_SIZE - PAYLOAD, 0x5a, PAYLOAD);
	h->setup_sects = SETUP_SECTS;
	h->syssize = PAYLOAD / 16;
	h->boot_flag = 0xaa55;
	h->jump = 0x66eb;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 2047;
	h->pref_address = BASE;
	h->init_size = 0x100000;
	return h;
}

TEST(bzimage_loads)
{
	const struct boot_params *bp;
	struct boot_entry e;

	need_memory();
	make_bzimage();
	REQUIRE_OK(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "quiet x=1", &e));
	CHECK_EQ(e.protocol, BOOT_LINUX64);
	CHECK_EQ(e.rip, BASE + 0x200);
	CHECK_EQ(e.info, BOOT_PARAMS);
	CHECK_EQ(*(uint8_t *)guest_mem_at(&mem, BASE, 1), 0x5a);
	CHECK_EQ(*(uint8_t *)guest_mem_at(&mem, BASE + PAYLOAD - 1, 1), 0x5a);
	CHECK_EQ(*(uint8_t *)guest_mem_at(&mem, BASE + PAYLOAD, 1), 0);
	bp = guest_mem_at(&mem, e.info, sizeof(*bp));
	CHECK_EQ(bp->hdr.boot_flag, 0xaa55);
	CHECK_EQ(bp->hdr.type_of_loader, 0xff);
	CHECK_EQ(bp->hdr.init_size, 0x100000);
	CHECK_EQ(bp->acpi_rsdp_addr, RSDP);
	CHECK_EQ(bp->hdr.ramdisk_size, 0);
	CHECK(!strcmp(guest_mem_at(&mem, bp->hdr.cmd_line_ptr, 16), "quiet x=1"), "another command line");
	REQUIRE_EQ(bp->e820_entries, 4);
	CHECK_EQ(bp->e820_table[3].addr, 0x100000);
	CHECK_EQ(bp->e820_table[3].size, MEM - 0x100000);
	CHECK_EQ(bp->e820_table[3].type, E820_RAM);
	for (int i = 0; i + 1 < bp->e820_entries; i++)
		CHECK(bp->e820_table[i].addr + bp->e820_table[i].size <= bp->e820_table[i + 1].addr,
		      "entries %d and %d overlap", i, i + 1);
}

TEST(initrd_is_placed)
{
	static uint8_t initrd[10000];
	const struct boot_params *bp;
	char kernel[64];
	struct boot_entry e;
	uint64_t at;

	need_memory();
	make_bzimage();
	memset(initrd, 0x77, sizeof(initrd));
	snprintf(kernel, sizeof(kernel), "%s", file_of(bzimage, sizeof(bzimage)));
	REQUIRE_OK(load(kernel, file_of(initrd, sizeof(initrd)), BOOT_AUTO, "", &e));
	bp = guest_mem_at(&mem, e.info, sizeof(*bp));
	at = bp->hdr.ramdisk_image;
	CHECK_EQ(bp->hdr.ramdisk_size, sizeof(initrd));
	CHECK_EQ(at % 4096, 0);
	CHECK(at >= BASE + 0x100000, "at %#llx it overlaps the kernel", (unsigned long long)at);
	CHECK(!memcmp(guest_mem_at(&mem, at, sizeof(initrd)), initrd, sizeof(initrd)), "other contents");
}

TEST(initrd_below_its_limit)
{
	static uint8_t initrd[10000];
	const struct boot_params *bp;
	char kernel[64];
	struct boot_entry e;

	need_memory();
	make_bzimage()->initrd_addr_max = 0x2ffffff;
	snprintf(kernel, sizeof(kernel), "%s", file_of(bzimage, sizeof(bzimage)));
	REQUIRE_OK(load(kernel, file_of(initrd, sizeof(initrd)), BOOT_AUTO, "", &e));
	bp = guest_mem_at(&mem, e.info, sizeof(*bp));
	CHECK(bp->hdr.ramdisk_image + bp->hdr.ramdisk_size <= 0x3000000, "at %#x", bp->hdr.ramdisk_image);
}

TEST(initrd_without_room)
{
	char kernel[64], initrd[64];
	struct boot_entry e;
	int fd = memfd_create("initrd", 0);

	need_memory();
	quiet();
	make_bzimage();
	snprintf(kernel, sizeof(kernel), "%s", file_of(bzimage, sizeof(bzimage)));
	snprintf(initrd, sizeof(initrd), "/proc/self/fd/%d", fd);
	REQUIRE_OK(ftruncate(fd, MEM - BASE - 0x100000 + 1));
	CHECK_ERR(load(kernel, initrd, BOOT_AUTO, "", &e), ENOMEM);
	REQUIRE_OK(ftruncate(fd, MEM + 1));
	CHECK_ERR(load(kernel, initrd, BOOT_AUTO, "", &e), ENOMEM);
	REQUIRE_OK(ftruncate(fd, 0));
	CHECK_ERR(load(kernel, initrd, BOOT_AUTO, "", &e), EINVAL);
	CHECK_ERR(load(kernel, "/nonexistent", BOOT_AUTO, "", &e), ENOENT);
	CHECK_ERR(load(kernel, "/", BOOT_AUTO, "", &e), EISDIR);
}

TEST(command_line_too_long)
{
	static char line[3000];
	const char *kernel;
	struct boot_entry e;

	need_memory();
	quiet();
	make_bzimage();
	kernel = file_of(bzimage, sizeof(bzimage));
	memset(line, 'a', 2047);
	CHECK_RET(load(kernel, NULL, BOOT_AUTO, line, &e), 0);
	memset(line, 'a', 2048);
	CHECK_ERR(load(kernel, NULL, BOOT_AUTO, line, &e), E2BIG);
}

TEST(bzimage_truncated)
{
	struct boot_entry e;

	need_memory();
	quiet();
	make_bzimage();
	for (size_t len = 0; len < sizeof(bzimage) - 15; len += 13)
		CHECK(load(file_of(bzimage, len), NULL, BOOT_AUTO, "", &e) < 0, "of %zu bytes", len);
}

TEST(bzimage_bad_headers)
{
	struct boot_entry e;

	need_memory();
	quiet();
	make_bzimage()->version = 0x20b;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), EINVAL);
	make_bzimage()->xloadflags = 0;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), EINVAL);
	make_bzimage()->loadflags = 0;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), EINVAL);
	make_bzimage()->pref_address = 0x1000;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), EINVAL);
	make_bzimage()->pref_address = ~0ULL & ~0xfffULL;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), ENOMEM);
	make_bzimage()->init_size = 0xffffffff;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), ENOMEM);
	make_bzimage()->syssize = 0;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), EINVAL);
	make_bzimage()->syssize = 0xffffffff;
	CHECK(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e) < 0, "a huge syssize");
	make_bzimage()->header = 0;
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_AUTO, "", &e), ENOEXEC);
	make_bzimage();
	CHECK_ERR(load(file_of(bzimage, sizeof(bzimage)), NULL, BOOT_PVH, "", &e), EINVAL);
}

struct elf_file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	struct {
		Elf64_Nhdr nh;
		char name[4];
		uint64_t entry;
	} note;
	uint8_t text[64];
};

static struct elf_file make_elf(bool with_note)
{
	struct elf_file f = {
		.eh = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = BASE + 8,
			.e_phoff = offsetof(struct elf_file, ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = with_note ? 2 : 1,
		},
		.ph = {
			{
				.p_type = PT_LOAD,
				.p_offset = offsetof(struct elf_file, text),
				.p_paddr = BASE,
				.p_filesz = 64,
				.p_memsz = 0x2000,
			}, {
				.p_type = PT_NOTE,
				.p_offset = offsetof(struct elf_file, note),
				.p_filesz = 24,
			},
		},
		.note = {
			.nh = { .n_namesz = 4, .n_descsz = 8, .n_type = 18 },
			.name = "Xen",
			.entry = BASE + 16,
		},
	};

	memset(f.text, 0xab, sizeof(f.text));
	return f;
}

static int load_elf(const struct elf_file *f, enum boot_protocol protocol, struct boot_entry *e)
{
	return load(file_of(f, sizeof(*f)), NULL, protocol, "quiet", e);
}

TEST(elf_linux64)
{
	struct elf_file f = make_elf(false);
	struct boot_entry e;

	need_memory();
	REQUIRE_OK(load_elf(&f, BOOT_AUTO, &e));
	CHECK_EQ(e.protocol, BOOT_LINUX64);
	CHECK_EQ(e.rip, BASE + 8);
	CHECK_EQ(e.info, BOOT_PARAMS);
	CHECK_EQ(*(uint8_t *)guest_mem_at(&mem, BASE + 63, 1), 0xab);
	CHECK_EQ(*(uint8_t *)guest_mem_at(&mem, BASE + 64, 1), 0);
	CHECK_EQ(((struct boot_params *)guest_mem_at(&mem, e.info, 4096))->hdr.header, 0x53726448);
	quiet();
	CHECK_ERR(load_elf(&f, BOOT_PVH, &e), EINVAL);
}

TEST(elf_pvh)
{
	struct elf_file f = make_elf(true);
	struct boot_entry e;
	uint32_t *info;

	need_memory();
	REQUIRE_OK(load_elf(&f, BOOT_AUTO, &e));
	CHECK_EQ(e.protocol, BOOT_PVH);
	CHECK_EQ(e.rip, BASE + 16);
	info = guest_mem_at(&mem, e.info, 56);
	CHECK_EQ(info[0], 0x336ec578);
	CHECK_EQ(info[1], 1);
	CHECK_EQ(info[6], BOOT_CMDLINE);
	CHECK_EQ(info[8], RSDP);
	CHECK_EQ(info[12], 4);			/* entries of the memory map */
	REQUIRE_OK(load_elf(&f, BOOT_LINUX64, &e));
	CHECK_EQ(e.protocol, BOOT_LINUX64);
}

TEST(elf_truncated)
{
	struct elf_file f = make_elf(true);
	struct boot_entry e;

	need_memory();
	quiet();
	for (size_t len = 0; len < sizeof(f); len++)
		CHECK(load(file_of(&f, len), NULL, BOOT_AUTO, "", &e) < 0, "of %zu bytes", len);
}

/* Every byte of the file replaced in turn: an error or a load, never a crash. */
TEST(elf_damaged)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct elf_file good = make_elf(true);
	unsigned int refused = 0;
	struct boot_entry e;

	need_memory();
	quiet();
	for (size_t i = 0; i < sizeof(good); i++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			struct elf_file f = good;
			int fd;

			((uint8_t *)&f)[i] = values[v];
			refused += load_elf(&f, BOOT_AUTO, &e) < 0;
			/* file_of() leaves its file open. */
			fd = dup(0);
			close(fd);
			close(fd - 1);
		}
	}
	CHECK(refused > 100, "only %u were refused", refused);
}

TEST(elf_bad_headers)
{
	struct boot_entry e;
	struct elf_file f;

	need_memory();
	quiet();
	f = make_elf(false);
	f.eh.e_ident[EI_CLASS] = ELFCLASS32;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.eh.e_machine = EM_AARCH64;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.eh.e_type = ET_REL;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.eh.e_phnum = 0;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.eh.e_phoff = ~0ULL - 8;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), ENODATA);
	f = make_elf(false);
	f.ph[0].p_paddr = 0x8000;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.ph[0].p_memsz = 8;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.ph[0].p_memsz = ~0ULL;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), ENOMEM);
	f = make_elf(false);
	f.ph[0].p_paddr = ~0ULL - 0x1000;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), ENOMEM);
	f = make_elf(false);
	f.ph[0].p_offset = ~0ULL;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), ENODATA);
	f = make_elf(false);
	f.eh.e_entry = 0;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(false);
	f.ph[0].p_type = PT_NULL;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
	f = make_elf(true);
	f.note.nh.n_namesz = 0xffffffff;
	CHECK_RET(load_elf(&f, BOOT_AUTO, &e), 0);
	CHECK_EQ(e.protocol, BOOT_LINUX64);
	f = make_elf(true);
	f.note.nh.n_descsz = 0xfffffffc;
	CHECK_RET(load_elf(&f, BOOT_AUTO, &e), 0);
	CHECK_EQ(e.protocol, BOOT_LINUX64);
	f = make_elf(true);
	f.ph[1].p_filesz = 1ULL << 40;
	CHECK_ERR(load_elf(&f, BOOT_AUTO, &e), EINVAL);
}

TEST(not_a_kernel)
{
	struct boot_entry e;

	need_memory();
	quiet();
	CHECK_ERR(load("/nonexistent", NULL, BOOT_AUTO, "", &e), ENOENT);
	CHECK_ERR(load("/", NULL, BOOT_AUTO, "", &e), EISDIR);
	CHECK_ERR(load("/dev/null", NULL, BOOT_AUTO, "", &e), EINVAL);
	CHECK_ERR(load(file_of("", 0), NULL, BOOT_AUTO, "", &e), EINVAL);
	CHECK_ERR(load(file_of("#!/bin/sh\n", 10), NULL, BOOT_AUTO, "", &e), ENOEXEC);
}
