# SPDX-License-Identifier: GPL-2.0-only
"""Builds an initramfs (cpio, newc) byte by byte, so that equal content gives equal
archives and no privilege is needed for device nodes."""
import lzma
import os
import re
import stat
import subprocess
import tempfile

from .cache import MACHINES, Failure, built

BUSYBOX = "/bin/busybox"


def read(path, opener=open):
    """The content of a file."""
    try:
        with opener(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error


class Archive:
    """A cpio archive that grows by files, folders, links and nodes."""

    def __init__(self):
        self._parts = []
        self._names = set()

    def _add(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.strip("/")
        if name in self._names:
            raise Failure(f"two files would be /{name} in the machine")
        parent = os.path.dirname(name)
        if parent and parent not in self._names:
            self._add(parent, stat.S_IFDIR | 0o755)
        self._names.add(name)
        raw = name.encode() + b"\0"
        fields = [len(self._names), mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        self._parts.append(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))

    def has(self, name):
        """Whether something of that name is there already."""
        return name.strip("/") in self._names

    def folder(self, name, mode=0o755):
        """Add an empty folder."""
        self._add(name, stat.S_IFDIR | mode)

    def link(self, name, target):
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, major, minor):
        """Add a character device."""
        self._add(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def data(self, name, content, mode=0o644):
        """Add a file of the given content."""
        self._add(name, stat.S_IFREG | mode, content)

    def copy(self, name, source):
        """Add a file or a whole folder of the host."""
        if os.path.isdir(source):
            self.folder(name)
            for entry in sorted(os.listdir(source)):
                path = os.path.join(source, entry)
                if os.path.islink(path):
                    self.link(f"{name}/{entry}", os.readlink(path))
                else:
                    self.copy(f"{name}/{entry}", path)
            return
        content = module_bytes(source) if source.endswith(".ko") else read(source)
        self.data(name, content, 0o755 if os.access(source, os.X_OK) else 0o644)
        for library in libraries(source, content):
            if not self.has(library):
                self.copy(library, os.path.realpath(library))

    def tree(self, name, source):
        """Add a folder as it is: its programs find their libraries in it."""
        self.folder(name)
        for entry in sorted(os.listdir(source)):
            path, inside = os.path.join(source, entry), f"{name}/{entry}"
            if os.path.islink(path):
                self.link(inside, os.readlink(path))
            elif os.path.isdir(path):
                self.tree(inside, path)
            else:
                self.data(inside, read(path), 0o755 if os.access(path, os.X_OK) else 0o644)

    def bytes(self):
        """The archive."""
        trailer = b"070701" + b"".join(b"%08X" % f for f in [0] * 4 + [1] + [0] * 6 + [11, 0])
        trailer += b"TRAILER!!!\0"
        data = b"".join(self._parts) + trailer
        return data + bytes(-len(data) % 512)


def libraries(path, content):
    """The shared libraries that the program at path needs, with the loader."""
    if not content.startswith(b"\x7fELF") or b"/ld-linux" not in content[:8192]:
        return []
    listing = subprocess.run(["ldd", path], stdout=subprocess.PIPE, text=True, check=False).stdout
    if "not found" in listing:
        raise Failure(f"{path} needs libraries that this computer lacks:\n{listing}")
    return re.findall(r"(/\S+) \(0x", listing)


def add_busybox(archive):
    """Add busybox and all of its names to /bin."""
    if not os.path.exists(BUSYBOX):
        raise Failure("busybox is missing; machines/ensure-deps installs it")
    archive.copy("bin/busybox", BUSYBOX)
    names = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    for name in sorted(set(names.stdout.split()) - {"busybox"}):
        archive.link(f"bin/{name}", "busybox")


def module_bytes(path):
    """The module at path, decompressed and without what only a debugger reads.

    That would be 20 times the rest, to be unpacked and read at each load, and has the path of
    the tree in it: measurements would depend on where that is."""
    if path.endswith(".xz"):
        return read(path, lzma.open)
    content = read(path)
    if b".debug_info\0" not in content:
        return content
    with tempfile.TemporaryDirectory() as work:
        stripped = os.path.join(work, "module.ko")
        result = subprocess.run(["strip", "--strip-debug", "-o", stripped, path],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=False)
        if result.returncode:
            raise Failure(f"strip {path} failed:\n{result.stdout}")
        return read(stripped)


def depends(module):
    """The names of the modules that the module (bytes) depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [name.decode() for name in found.group(1).split(b",") if name] if found else []


def find_module(kernel, name):
    """The path of a stock module in the cache's kernel."""
    wanted = {spelled + suffix for spelled in (name.replace("_", "-"), name.replace("-", "_"))
              for suffix in (".ko", ".ko.xz")}
    for folder, _, files in os.walk(os.path.join(kernel, "modules")):
        for file in wanted.intersection(files):
            return os.path.join(folder, file)
    raise Failure(f"the kernel in {kernel} has no module {name}")


def add_modules(archive, kernel, wanted):
    """Add modules and what they depend on.

    wanted holds pairs of a module's name or path and its parameters.  Returns the
    text of /etc/modules: a line for each, in the order to load them in.
    """
    lines = []

    def add(module, parameters):
        path = module if "/" in module else find_module(kernel, module)
        name = os.path.basename(path).split(".ko")[0]
        if archive.has(f"modules/{name}.ko"):
            return
        content = module_bytes(path)
        archive.data(f"modules/{name}.ko", content)
        for dependency in depends(content):
            add(dependency, "")
        lines.append(f"{name} {parameters}".strip() + "\n")

    for module, parameters in wanted:
        add(module, parameters)
    return "".join(lines)


def l1(kernel, settings, command, modules, files, root=None):
    """The initramfs of the emulated machine.

    settings is what /etc/machine holds (shell variables), command the text of
    /etc/command, files pairs of a source on the host and a name in the machine, root a folder
    of the host that is /image there.
    """
    archive = Archive()
    for folder in ("dev", "etc", "proc", "root", "sys", "modules"):
        archive.folder(folder)
    archive.folder("tmp", 0o1777)
    archive.node("dev/console", 5, 1)
    archive.node("dev/null", 1, 3)
    archive.copy("init", os.path.join(MACHINES, "l1/init"))
    add_busybox(archive)
    archive.copy("bin/agent", built("agent", "l1/agent.c", [
        ["cc", "-O2", "-Wall", "-static", "-o", "{target}", "{source}", "-lutil"]]))
    archive.data("etc/machine", settings.encode())
    archive.data("etc/command", command.encode())
    archive.data("etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    archive.data("etc/group", b"root:x:0:\n")
    for source, name in files:
        archive.copy(name, source)
    if root:
        archive.tree("image", root)
    archive.data("etc/modules", add_modules(archive, kernel, modules).encode())
    return archive.bytes()
