# SPDX-License-Identifier: GPL-2.0-only
"""Makes the disk that Bochs boots: a boot sector, boot_params with page tables, the
kernel's segments and the initramfs.  bootsector.S is its other half."""
import struct

from .cache import Failure, built

SECTOR = 512
HEADS = 16
SECTORS_PER_TRACK = 63

# Places in memory.  BOOT_DATA as in bootsector.S.
BOOT_DATA = 0x800000
BOOT_PARAMS = BOOT_DATA + 0x8000
COMMAND_LINE = BOOT_PARAMS + 0x1000
INITRAMFS_MIN = 0x8000000
# Bochs' memory has a hole for devices from 3 GiB on.
MEM_MAX = 3072

TABLE_OFFSET = 510 - 8 - 3 * 12

E820_RAM, E820_RESERVED = 1, 2


def flatten(elf):
    """The loadable segments of an ELF kernel as they lie in memory.

    Returns their lowest address, the bytes, the end of memory that they take with
    what follows them in zeroes (.bss), and the entry point.
    """
    entry, table = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    segments = []
    for i in range(count):
        kind, _, offset, _, address, filled, length, _ = struct.unpack_from(
            "<IIQQQQQQ", elf, table + i * size)
        if kind == 1:
            segments.append((address, offset, filled, length))
    low = min(segment[0] for segment in segments)
    image = bytearray(max(s[0] + s[2] for s in segments) - low)
    for address, offset, filled, _ in segments:
        image[address - low : address - low + filled] = elf[offset : offset + filled]
    # Memory is zero at power-on, so trailing zeroes need not be read from the disk.
    return low, image.rstrip(b"\0"), max(s[0] + s[3] for s in segments), entry


def page_tables():
    """An identity map of 4 GiB by 2 MiB pages: PML4, PDPT, four page directories."""
    pdpt, directories = BOOT_DATA + 0x1000, BOOT_DATA + 0x2000
    table = struct.pack("<Q", pdpt | 3).ljust(0x1000, b"\0")
    table += struct.pack("<4Q", *(directories + 0x1000 * i | 3 for i in range(4))).ljust(
        0x1000, b"\0")
    return table + struct.pack("<2048Q", *(i << 21 | 0x83 for i in range(2048)))


def boot_params(mem, initramfs, length, command_line):
    """struct boot_params and the command line after it."""
    if len(command_line) > 2046:
        raise Failure("the kernel command line is longer than 2046 characters")
    params = bytearray(0x1000)
    struct.pack_into("<H", params, 0x1FE, 0xAA55)
    struct.pack_into("<4sH", params, 0x202, b"HdrS", 0x20F)
    params[0x210] = 0xFF                                    # type_of_loader: not assigned
    params[0x211] = 1                                       # loadflags: LOADED_HIGH
    struct.pack_into("<II", params, 0x218, initramfs, length)
    struct.pack_into("<I", params, 0x228, COMMAND_LINE)
    struct.pack_into("<I", params, 0x230, 0x200000)         # kernel_alignment
    struct.pack_into("<I", params, 0x238, 2047)             # cmdline_size
    end = mem << 20
    memory = [
        (0, 0x9FC00, E820_RAM),
        (0x9FC00, 0x400, E820_RESERVED),
        (0xE8000, 0x18000, E820_RESERVED),
        (0x100000, end - 0x110000, E820_RAM),
        (end - 0x10000, 0x10000, E820_RESERVED),            # the BIOS' ACPI tables
    ]
    params[0x1E8] = len(memory)
    for i, entry in enumerate(memory):
        struct.pack_into("<QQI", params, 0x2D0 + 20 * i, *entry)
    return bytes(params) + command_line.encode() + b"\0"


def write(path, kernel, initramfs, command_line, mem):
    """Write the disk image; returns its number of cylinders."""
    if not 256 <= mem <= MEM_MAX:
        raise Failure(f"the Intel machine can have 256 to {MEM_MAX} MiB of memory, not {mem}")
    with open(kernel, "rb") as file:
        low, image, end, entry = flatten(file.read())
    place = max(INITRAMFS_MIN, (end + 0x1FFFFF) & ~0x1FFFFF)
    if place + len(initramfs) > (mem << 20) - 0x200000:
        raise Failure(f"kernel and initramfs do not fit into {mem} MiB")
    data = page_tables().ljust(BOOT_PARAMS - BOOT_DATA, b"\0")
    data += boot_params(mem, place, len(initramfs), command_line)

    table = b""
    lba = 1
    pieces = []
    for address, piece in ((BOOT_DATA, data), (low, image), (place, initramfs)):
        count = -(-len(piece) // SECTOR)
        table += struct.pack("<III", lba, address, count)
        pieces.append((lba, piece))
        lba += count
    table += struct.pack("<Q", entry)

    sector = built("bootsector", "bootsector.S", [
        ["as", "-o", "{target}.o", "{source}"],
        ["ld", "-Ttext=0x7c00", "--oformat=binary", "-m", "elf_x86_64", "-o", "{target}",
         "{target}.o"]])
    with open(sector, "rb") as file:
        code = bytearray(file.read())
    code[TABLE_OFFSET : TABLE_OFFSET + len(table)] = table
    cylinders = -(-lba // (HEADS * SECTORS_PER_TRACK))
    with open(path, "wb") as disk:
        disk.write(code)
        for start, piece in pieces:
            disk.seek(start * SECTOR)
            disk.write(piece)
        disk.truncate(cylinders * HEADS * SECTORS_PER_TRACK * SECTOR)
    return cylinders
