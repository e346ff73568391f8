# SPDX-License-Identifier: GPL-2.0-only
"""What the programs here that use the emulated machine share."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
MACHINES = os.path.join(TOP, "machines")


def output(*command):
    """What a program prints; its messages go to ours."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make(part):
    """Run make in a folder of the tree, one at a time, for those that run side by side."""
    os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
    subprocess.run(["flock", os.path.join(TOP, "build", part + ".lock"),
                    "make", "-s", "-C", os.path.join(TOP, part)],
                   check=True, stdout=sys.stderr)


def build():
    """The programs that run in L1, and the guest's folder."""
    for part in ("bench", "userspace-tool"):
        make(part)
    return output(os.path.join(MACHINES, "guest-image")).strip()


def boot_files(guest):
    """Options that put what booting a guest needs into the machine."""
    files = (os.path.join(TOP, "userspace-tool", "vitro"), os.path.join(guest, "initrd"),
             os.path.join(guest, "vmlinuz"),
             os.path.join(guest, "intel", "kernel") + ":/root/vmlinux")
    return [word for file in files for word in ("--file", file)]


def tolerated(machine, mitigations):
    """Options for what a machine's kernel complains of whatever it runs."""
    # It cannot protect Bochs' old model from RETBleed, and warns.
    return ["--allow-splat"] if (machine, mitigations) == ("intel", "default") else []
