# SPDX-License-Identifier: GPL-2.0-only
"""The cache outside the tree: where it is, and small things built into it once."""
import hashlib
import os
import subprocess
import tempfile

MACHINES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Failure(Exception):
    """The machine could not do its work; the message says why and what to do."""


def cache_dir():
    """The folder of the cache, created when it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.environ.get("VITRO_CACHE") or os.path.join(base, "vitro")
    os.makedirs(path, exist_ok=True)
    return path


def script(*arguments):
    """Run a script of machines/ and return the line that it prints."""
    command = [os.path.join(MACHINES, arguments[0]), *arguments[1:]]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise Failure(f"machines/{arguments[0]} failed, see above")
    return result.stdout.strip()


def built(name, source, commands, headers=()):
    """The path of a program made from a source file of machines/ by commands.

    The name in the cache holds a digest of the source, of the headers that it includes, and
    of the commands: what is there is current.  {source} and {target} in the commands stand
    for the two paths.
    """
    source = os.path.join(MACHINES, source)
    digest = hashlib.sha256(repr(commands).encode())
    for part in (source, *headers):
        with open(os.path.join(MACHINES, part), "rb") as file:
            digest.update(file.read())
    folder = os.path.join(cache_dir(), "built")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{name}-{digest.hexdigest()[:16]}")
    if os.path.exists(path):
        return path
    with tempfile.TemporaryDirectory(dir=folder) as work:
        target = os.path.join(work, name)
        for command in commands:
            words = [word.format(source=source, target=target) for word in command]
            result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    text=True, check=False)
            if result.returncode:
                raise Failure(f"{' '.join(words)} failed:\n{result.stdout}")
        os.rename(target, path)
    return path
