"""stale - messages of the past and messages of nobody, sent to the sockets of ledger and matcher.

SPDX-License-Identifier: Apache-2.0
"""
import os
import struct

from parts import PORTS
from zmtp import Peer

FRAME, REFUSED, LINK_READY, LINK_BEAT, LINK_LOST, LINK_SYNCED = 1, 2, 61, 63, 64, 62
ORDER_WORK, ORDER_PULL, ORDER_REPORT = 65, 66, 67


def pack(value):
    """msgpack of what messages hold: whole numbers, text, lists, maps."""
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(
            ">q", value)
    if isinstance(value, str):
        return bytes([0xd9, len(value)]) + value.encode("ascii")
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(pack, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(
        pack(tag) + pack(field) for tag, field in value.items())


def frame(sender, epoch, session, sequence, *messages):
    """A frame as services send it: its head, then (number, body) of each message."""
    head = {1: sender, 2: epoch, 3: session, 4: sequence}
    return b"".join(pack([number, 0, body])
                    for number, body in ((FRAME, head),) + messages)


def where(stack, name):
    """The socket of a service that others ask."""
    if name == "matcher" and os.environ.get("SCRIP_MATCHER_SERVE_ENDPOINT", "").startswith("tcp"):
        return ("127.0.0.1", PORTS["matcher"][0])
    return os.path.join(stack.dir, "run", name)


def order_work(order_id):
    return (ORDER_WORK, {1: order_id, 2: 1, 3: "BTCUSDT", 4: 1, 5: 2, 6: 1,
                         7: 5_000_000_000_000, 8: 100_000})


def stale_frames(chance, epoch):
    """To a matcher, as from a ledger that was deposed: an epoch below the present one."""
    past = chance.randrange(epoch) if epoch > 0 else 0
    session = chance.randrange(1, 50)
    bodies = [(LINK_BEAT, {1: 7}), (LINK_SYNCED, {1: 0}), order_work(1 << 40),
              (ORDER_PULL, {1: 1 << 40, 2: "BTCUSDT"})]
    for _ in range(5):
        yield frame("ledger-0", past, session, chance.randrange(1, 1000), chance.choice(bodies))
    repeated = frame("ledger-0", past, session, 9, order_work((1 << 40) + 1))
    yield repeated
    yield repeated


def garbage(chance):
    good = frame("odd", 0, 0, 1, (ORDER_REPORT, {1: 1 << 40, 4: 1}))
    cut = good[:chance.randrange(1, len(good))]
    flipped = bytearray(good)
    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return [cut, bytes(flipped), chance.randbytes(chance.randrange(1, 400)), b"\x93\x01\x00"]


def send_all(address, frames):
    """How many of them went; none when nobody listens just now."""
    sent = 0
    try:
        peer = Peer(address)
        for one in frames:
            peer.send(one)
            sent += 1
        peer.close()
    except OSError:
        pass
    return sent


def send_stale(stack, chance):
    try:
        epoch = int(stack.sql("SELECT max(epoch) FROM ledger.lease")[0][0])
    except Exception:  # the database is away: then with the first epoch, which is past too
        epoch = 1
    sent = send_all(where(stack, "matcher"), list(stale_frames(chance, epoch)) + garbage(chance))
    sent += send_all(where(stack, "ledger"), garbage(chance) + [
        frame("matcher-0", 0, chance.randrange(1, 50), 1, (ORDER_REPORT, {1: 1 << 40, 4: 1}))])
    return sent
