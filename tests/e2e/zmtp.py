"""zmtp - just enough of ZeroMQ's wire protocol to send a service what no Scrip process would.

SPDX-License-Identifier: Apache-2.0
"""
import socket
import struct

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\0" + b"NULL".ljust(20, b"\0") + b"\0" * 32


def metadata(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


class Peer:
    """A DEALER on a unix socket (path) or on TCP ((host, port))."""

    def __init__(self, where):
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(where)
        self.socket.sendall(GREETING)
        self.read(64)
        ready = b"\x05READY" + metadata(b"Socket-Type", b"DEALER") + metadata(b"Identity", b"odd")
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
