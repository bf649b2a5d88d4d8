"""wire - numbers, frames and refusals as Binance writes them; and what a client did wrong, counted.

Prices, quantities and sums are integers at 10^-8, so nothing is lost to binary fractions.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import struct

SCALE = 10 ** 8
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def scaled(text):
    """"61737.63000000" as an integer at 10^-8."""
    whole, _, part = text.partition(".")
    return int(whole) * SCALE + int((part + "00000000")[:8])


def text_of(number, decimals=8):
    whole, part = divmod(number, SCALE)
    if decimals == 0:
        return str(whole)
    return "%d.%0*d" % (whole, decimals, part // 10 ** (8 - decimals))


def product(price, quantity):
    return price * quantity // SCALE


def frame(payload, opcode=TEXT):
    """One unfragmented frame of a server: never masked."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, length) + payload
    return struct.pack(">BBQ", 0x80 | opcode, 127, length) + payload


def combined(stream, payload):
    return b'{"stream":"%s","data":%s}' % (stream.encode(), payload)


class Refusal(Exception):
    """What REST answers instead of a result."""

    def __init__(self, code, message, status=400, violation=None):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        # Named in the counters when only a wrong client is refused so.
        self.violation = violation


class Counters:
    """What happened; a test asks for it over the control plane."""

    def __init__(self):
        self.violations = collections.Counter()
        self.told = collections.deque(maxlen=50)  # the last violations in words
        self.counts = collections.Counter()

    def violation(self, kind, words):
        self.violations[kind] += 1
        self.told.append("%s: %s" % (kind, words))

    def add(self, name, count=1):
        self.counts[name] += count

    def view(self):
        return {"violations": sum(self.violations.values()),
                "violations_by_kind": dict(self.violations), "violations_told": list(self.told),
                "counts": dict(self.counts)}
