# SPDX-License-Identifier: GPL-2.0-only
"""Reads a VM's screen: pictures by QMP's screendump or by VNC, and the text on them."""
import socket
import struct

FONT_OF = "/usr/share/seabios/vgabios-stdvga.bin"
# How the letter A looks in the font of 8 by 16 dots of a VGA's BIOS.
LETTER_A = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")
# What an American keyboard has only with the shift key, and that key.
SHIFTED = '~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ'
SHIFT = 0xffe1


class Picture:
    """Dots of 3 bytes each: red, green, blue."""

    def __init__(self, width, height, dots):
        self.width = width
        self.height = height
        self.dots = dots

    def dot(self, column, row):
        """One of them."""
        at = 3 * (row * self.width + column)
        return self.dots[at:at + 3]

    def share(self, colour):
        """The part of the screen that has this colour, from 0 to 1."""
        found = sum(1 for at in range(0, len(self.dots), 3) if self.dots[at:at + 3] == colour)
        return found / (self.width * self.height)

    def text(self):
        """The characters of a text mode of 80 columns: cells of 9 or 8 by 16 dots."""
        glyphs = font()
        cell = self.width // 80
        lines = []
        for top in range(0, self.height - 15, 16):
            line = ""
            for left in range(0, 80 * cell, cell):
                line += self._character(glyphs, left, top)
            lines.append(line.rstrip())
        return "\n".join(lines)

    def _character(self, glyphs, left, top):
        background = self.dot(left, top)
        rows = bytearray()
        for row in range(top, top + 16):
            at = 3 * (row * self.width + left)
            line = self.dots[at:at + 24]
            bits = 0
            if line != background * 8:
                for column in range(8):
                    bits = bits << 1 | (line[3 * column:3 * column + 3] != background)
            rows.append(bits)
        return glyphs.get(bytes(rows), "?")


def font():
    """Characters by their dots."""
    with open(FONT_OF, "rb") as file:
        content = file.read()
    start = content.index(LETTER_A) - 16 * ord("A")
    return {content[start + 16 * code:start + 16 * code + 16]: chr(code)
            for code in range(126, 31, -1)}


def screendump(vm):
    """The screen by QMP."""
    path = f"{vm.folder}/screen.ppm"
    vm.qmp("screendump", filename=path)
    with open(path, "rb") as file:
        kind, width, height, _, dots = file.read().split(maxsplit=4)
        assert kind == b"P6"
        # Where the white space before the dots is a dot itself, split() took too much.
        file.seek(-3 * int(width) * int(height), 2)
        return Picture(int(width), int(height), file.read())


class Vnc:
    """A viewer: RFB 3.8 without a password, dots as they are."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        assert self._receive(12).startswith(b"RFB 003.")
        self.socket.sendall(b"RFB 003.008\n")
        assert 1 in self._receive(self._receive(1)[0]), "VNC without a password is not offered"
        self.socket.sendall(b"\1")
        assert self._receive(4) == bytes(4)
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self._receive(4))
        self._receive(16)
        self._receive(struct.unpack(">I", self._receive(4))[0])
        # 32 bits for a dot: blue, green, red; encodings: raw, and that the size may change.
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255,
                                        16, 8, 0))
        self.socket.sendall(struct.pack(">BxHii", 2, 2, 0, -223))

    def _receive(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            assert chunk, "QEMU closed the VNC connection"
            data += chunk
        return data

    def picture(self):
        """All of the screen."""
        self.socket.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        dots = bytearray(3 * self.width * self.height)
        missing = self.width * self.height
        while missing > 0:
            kind, count = struct.unpack(">BxH", self._receive(4))
            assert kind == 0, f"VNC message {kind}"
            for _ in range(count):
                left, top, width, height, encoding = struct.unpack(">HHHHi", self._receive(12))
                if encoding == -223:
                    self.width, self.height = width, height
                    return self.picture()
                raw = self._receive(4 * width * height)
                plain = bytearray(3 * width * height)
                plain[0::3], plain[1::3], plain[2::3] = raw[2::4], raw[1::4], raw[0::4]
                for row in range(height):
                    at = 3 * ((top + row) * self.width + left)
                    dots[at:at + 3 * width] = plain[3 * width * row:3 * width * (row + 1)]
                missing -= width * height
        return Picture(self.width, self.height, bytes(dots))

    def type(self, text):
        """Press and release the keys of a text, on an American keyboard."""
        for character in text:
            keys = [{"\n": 0xff0d, "\x1b": 0xff1b}.get(character, ord(character))]
            if character in SHIFTED:
                keys.insert(0, SHIFT)
            for key in keys:
                self._key(key, 1)
            for key in reversed(keys):
                self._key(key, 0)

    def _key(self, key, down):
        self.socket.sendall(struct.pack(">BBxxI", 4, down, key))

