"""zmtp - just enough of ZeroMQ's wire protocol to send a service what no Scrip process would, and
to hear what one publishes.

SPDX-License-Identifier: Apache-2.0
"""
import socket
import struct

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\0" + b"NULL".ljust(20, b"\0") + b"\0" * 32


def metadata(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


class Peer:
    """A DEALER on a unix socket (path) or on TCP ((host, port))."""

    kind = b"DEALER"

    def __init__(self, where):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(where)
        self.socket.sendall(GREETING)
        self.read(64)
        ready = b"\x05READY" + metadata(b"Socket-Type", self.kind) + metadata(b"Identity", b"odd")
        self.socket.sendall(bytes([4, len(ready)]) + ready)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def send(self, body):
        if len(body) < 256:
            self.socket.sendall(bytes([0, len(body)]) + body)
        else:
            self.socket.sendall(b"\x02" + struct.pack(">Q", len(body)) + body)

    def close(self):
        self.socket.close()


class Follower(Peer):
    """A SUB. messages() gives (type, body) of every message; a body is {tag: value}."""

    kind = b"SUB"

    def __init__(self, where, *topics):
        super().__init__(where)
        self.file = self.socket.makefile("rb", buffering=1 << 20)
        for topic in topics:
            self.send(b"\x01" + topic)

    def part(self):
        """(whether more follow, whether it is a command, bytes)"""
        flags = self.file.read(1)
        size = self.file.read(8 if flags and flags[0] & 2 else 1)
        if not size:
            raise ConnectionError("closed")
        data = self.file.read(int.from_bytes(size, "big"))
        return flags[0] & 1, flags[0] & 4, data

    def messages(self):
        while True:
            more, is_command, data = self.part()
            if is_command:
                continue
            while more:  # the last part is the frame; the one before it is its topic
                more, _, data = self.part()
            at = 0
            while at < len(data):
                (kind, _, body), at = unpack(data, at)
                yield kind, body


def pack(value):
    """msgpack of numbers, texts, lists and {tag: value}."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else \
            b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xd9" + bytes([len(text)]) + text
    if isinstance(value, dict):
        return b"\xde" + struct.pack(">H", len(value)) + \
            b"".join(pack(n) + pack(v) for n, v in sorted(value.items()))
    return b"\xdc" + struct.pack(">H", len(value)) + b"".join(pack(v) for v in value)


def pack_frame(messages, sender="ledger-0"):
    """A frame of messages (type, corr, {tag: value})."""
    return b"".join(pack(list(m)) for m in [(1, 0, {1: sender}), *messages])


def unpack(data, at):
    """(value, where it ends): the part of msgpack that messages use."""
    first = data[at]
    at += 1
    if first < 0x80:
        return first, at
    if first >= 0xe0:
        return first - 0x100, at
    if first < 0xa0:
        return items(data, at, first & 15, first < 0x90)
    if first < 0xc0:
        return data[at:at + (first & 31)], at + (first & 31)
    if first in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[first], at
    if 0xcc <= first <= 0xd3:
        size = 1 << (first & 3)
        return int.from_bytes(data[at:at + size], "big", signed=first >= 0xd0), at + size
    size = {0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2,
            0xdf: 4}[first]
    count = int.from_bytes(data[at:at + size], "big")
    at += size
    if first >= 0xdc:
        return items(data, at, count, first >= 0xde)
    return data[at:at + count], at + count


def items(data, at, count, is_map):
    found = []
    for _ in range(count * 2 if is_map else count):
        value, at = unpack(data, at)
        found.append(value)
    return (dict(zip(found[::2], found[1::2])) if is_map else found), at
