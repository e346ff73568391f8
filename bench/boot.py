# SPDX-License-Identifier: GPL-2.0-only
"""What booting a guest in the emulated machine takes: programs and files."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
MACHINES = os.path.join(TOP, "machines")


def output(*command):
    """What a program prints; its messages go to ours."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def build():
    """The programs that run in L1, and the guest's folder."""
    for part in ("bench", "userspace-tool"):
        os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
        subprocess.run(["flock", os.path.join(TOP, "build", part + ".lock"),
                        "make", "-s", "-C", os.path.join(TOP, part)],
                       check=True, stdout=sys.stderr)
    return output(os.path.join(MACHINES, "guest-image")).strip()


def boot_files(guest):
    """Options that put what booting a guest needs into the machine."""
    files = (os.path.join(TOP, "userspace-tool", "vitro"), os.path.join(guest, "initrd"),
             os.path.join(guest, "vmlinuz"),
             os.path.join(guest, "intel", "kernel") + ":/root/vmlinux")
    return [word for file in files for word in ("--file", file)]
