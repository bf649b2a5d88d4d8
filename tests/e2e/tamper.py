"""tamper - the journal's records read, hashed and written by somebody who has nothing of Scrip's
code: what an owner of the database can do.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import struct
import subprocess

NAMES = {10: "account_open", 14: "balance_set", 19: "settings_set", 30: "order_place",
         67: "order_report"}
REPORT, BALANCE_SET = 67, 14


# ---- msgpack, as far as it is used ---------------------------------------------------------------


def unpack(data, at=0):
    """(value, where it ends)"""
    head = data[at]
    at += 1
    if head <= 0x7f:
        return head, at
    if head <= 0x8f:
        return unpack_map(data, at, head & 15)
    if head <= 0x9f:
        return unpack_list(data, at, head & 15)
    if head <= 0xbf:
        return data[at:at + (head & 31)].decode(), at + (head & 31)
    if head in (0xc2, 0xc3):
        return head == 0xc3, at
    if head == 0xd9:
        return data[at + 1:at + 1 + data[at]].decode(), at + 1 + data[at]
    if head == 0xdc:
        return unpack_list(data, at + 2, struct.unpack_from(">H", data, at)[0])
    if head == 0xde:
        return unpack_map(data, at + 2, struct.unpack_from(">H", data, at)[0])
    numbers = {0xcc: ">B", 0xcd: ">H", 0xce: ">I", 0xcf: ">Q",
               0xd0: ">b", 0xd1: ">h", 0xd2: ">i", 0xd3: ">q"}
    if head in numbers:
        return struct.unpack_from(numbers[head], data, at)[0], at + struct.calcsize(numbers[head])
    if head >= 0xe0:
        return head - 256, at
    raise ValueError("msgpack type %#x" % head)


def unpack_map(data, at, count):
    out = {}
    for _ in range(count):
        key, at = unpack(data, at)
        out[key], at = unpack(data, at)
    return out, at


def unpack_list(data, at, count):
    out = []
    for _ in range(count):
        value, at = unpack(data, at)
        out.append(value)
    return out, at


def pack(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if 0 <= value <= 0x7f:
            return bytes([value])
        return struct.pack(">BQ", 0xcf, value) if value >= 0 else struct.pack(">Bq", 0xd3, value)
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0xa0 | len(raw)]) if len(raw) < 32 else bytes([0xd9, len(raw)])) + raw
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(pack(item) for item in value)
    return struct.pack(">BH", 0xde, len(value)) + b"".join(
        pack(key) + pack(item) for key, item in value.items())


# ---- Records -------------------------------------------------------------------------------------


class Record:
    def __init__(self, row):
        self.shard, self.seq, self.time_us, self.kind = (int(x) for x in row[:4])
        self.source, self.corr = row[4], int(row[5])
        self.payload, self.hash = bytes.fromhex(row[6]), bytes.fromhex(row[7])

    def body(self):
        return unpack(self.payload)[0]

    def hashed(self, before):
        text = before
        for number in (self.shard, self.seq, self.time_us, self.kind):
            text += struct.pack(">q", number)
        text += self.source.encode().ljust(24, b"\0")
        text += struct.pack(">Q", self.corr % 2 ** 64)
        return hashlib.sha256(text + self.payload).digest()


class Database:
    """One database of a stopped stack's PostgreSQL."""

    def __init__(self, socket, name):
        self.socket, self.name = socket, name

    def conninfo(self):
        return "host=%s dbname=%s user=scrip" % (self.socket, self.name)

    def sql(self, text, user="postgres"):
        out = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-d",
             "host=%s dbname=%s user=%s" % (self.socket, self.name, user), "-c", text],
            check=True, capture_output=True, text=True).stdout
        return [line.split("\x1f") for line in out.splitlines()]

    def records(self, shard):
        return [Record(row) for row in self.sql(
            "SELECT shard, seq, time_us, kind, source, corr, encode(payload, 'hex'), "
            "encode(hash, 'hex') FROM ledger.journal WHERE shard = %d ORDER BY seq" % shard)]

    def write(self, record):
        self.sql("UPDATE ledger.journal SET payload = '\\x%s', hash = '\\x%s' WHERE shard = %d AND "
                 "seq = %d" % (record.payload.hex(), record.hash.hex(), record.shard, record.seq))

    def rehash(self, shard, changed):
        """Writes a changed record, and all hashes behind it so that they fit."""
        before = bytes(32)
        for record in self.records(shard):
            if record.seq == changed.seq:
                record = changed
            fresh = record.hashed(before)
            if fresh != record.hash:
                record.hash = fresh
                self.write(record)
            before = fresh
