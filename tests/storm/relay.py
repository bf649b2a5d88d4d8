"""relay - stands between a ledger and its matcher and passes their frames on, not always well.

It speaks just enough of ZeroMQ's wire protocol to tell frames apart: greetings and commands pass
untouched; messages are now and then sent twice, again much later, in the wrong order, or not at
all. What each side then does is its own affair; the relay only counts what it did.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import random
import struct
import threading

GREETING_BYTES = 64
COMMAND, LONG = 4, 2
LATE_FRAMES = 30
# Of a thousand messages in each direction.
DEEDS = {"twice": 6, "late": 6, "swapped": 3, "lost": 3}


class Relay:
    """Listens on a port of 127.0.0.1; use as a context manager."""

    def __init__(self, port, path, seed):
        self.port, self.path = port, path
        self.random = random.Random(seed)
        self.counts = dict.fromkeys(DEEDS, 0)
        self.passed = 0
        self.ways = set()
        self.is_true = True  # passes everything on as it came
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.open(), self.loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def close(self):
        self.server.close()
        for way in list(self.ways):
            way.cancel()
        while self.ways:
            await asyncio.sleep(0)

    async def open(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)

    async def serve(self, reader, writer):
        try:
            other_reader, other_writer = await asyncio.open_unix_connection(self.path)
        except OSError:
            writer.close()
            return
        ways = {asyncio.ensure_future(self.way(reader, other_writer)),
                asyncio.ensure_future(self.way(other_reader, writer))}
        self.ways |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, other_writer):
            one.close()  # ends the other way
        await asyncio.wait(ways)
        self.ways -= ways

    @staticmethod
    async def greeting(reader, writer):
        """As it comes: each side waits for the beginning of the other's before it goes on."""
        left = GREETING_BYTES
        while left > 0:
            data = await reader.read(left)
            if not data:
                raise EOFError
            writer.write(data)
            left -= len(data)

    @staticmethod
    async def frame(reader):
        """(flags, the frame as it came)"""
        flags = await reader.readexactly(1)
        head = await reader.readexactly(8 if flags[0] & LONG else 1)
        length = struct.unpack(">Q", head)[0] if flags[0] & LONG else head[0]
        return flags[0], flags + head + await reader.readexactly(length)

    async def way(self, reader, writer):
        try:
            await self.greeting(reader, writer)
            held, again = None, []  # a frame that waits for the next; (after so many, frame)
            while True:
                flags, data = await self.frame(reader)
                deed = None if flags & COMMAND or self.is_true else self.deed()
                again = [(left - 1, late) for left, late in again]
                if deed == "swapped" and held is None:
                    held = data
                    continue
                if deed != "lost":
                    writer.write(data)
                if deed == "twice":
                    writer.write(data)
                if deed == "late":
                    again.append((LATE_FRAMES, data))
                if held is not None:
                    writer.write(held)
                    held = None
                for left, late in again:
                    if left <= 0:
                        writer.write(late)
                again = [(left, late) for left, late in again if left > 0]
                self.passed += 1
                await writer.drain()
        except (OSError, EOFError):
            pass

    def deed(self):
        draw = self.random.randrange(1000)
        for name, share in DEEDS.items():
            if draw < share:
                self.counts[name] += 1
                return name
            draw -= share
        return None
