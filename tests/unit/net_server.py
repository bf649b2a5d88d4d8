#!/usr/bin/python3
"""net_server.py - a small HTTP and WebSocket server with faults, for the tests of the clients.

usage: net_server.py FOLDER      prints "PORT TLS-PORT"; ends when its standard input ends

FOLDER gets ca.pem, which vouches for the certificate of "localhost". Written by hand over asyncio,
so that it can say exactly the wrong bytes. What each path does stands at its function.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import base64
import gzip
import hashlib
import os
import ssl
import struct
import subprocess
import sys

connections = 0
requests = 0


# ---- HTTP --------------------------------------------------------------------------------------

def reply(body, status="200 OK", headers=()):
    head = ["HTTP/1.1 " + status, "Content-Length: %d" % len(body), *headers]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


async def serve_http(path, query, head, body, writer):
    """Answers one request; False to close the connection."""
    method = head[0].split()[0]
    if path == "/echo":
        lines = "".join(h + "\n" for h in head[1:] if h.lower().startswith("x-test"))
        writer.write(reply(("%s %s\n%s" % (method, query, lines)).encode() + body))
    elif path == "/accepts":
        lines = [h for h in head[1:] if h.lower().startswith("accept-encoding")]
        writer.write(reply("".join(lines).encode()))
    elif path == "/counts":
        writer.write(reply(("%d connections, %d requests" % (connections, requests)).encode()))
    elif path == "/limits":
        writer.write(reply(b"{}", "429 Too Many Requests", [
            "retry-after: 7", "x-mbx-used-weight-1m: 1234", "X-MBX-ORDER-COUNT-10S: 5",
            "X-MBX-ORDER-COUNT-1M: 6", "X-MBX-ORDER-COUNT-1D: 70",
            "Date: Thu, 01 Jan 1970 00:01:40 GMT"]))
    elif path == "/chunked":
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one ", b"two ", b"three"):
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    elif path == "/gzip":
        writer.write(reply(gzip.compress(b"a" * int(query)), headers=["Content-Encoding: gzip"]))
    elif path == "/long":
        writer.write(reply(b"b" * int(query)))
    elif path == "/redirect":
        writer.write(reply(b"", "302 Found", ["Location: /counts"]))
    elif path == "/half":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.")
        return False
    elif path == "/garbage":
        writer.write(b"\x00\xff\x16 this is no HTTP\r\n\r\n")
        return False
    elif path == "/close":
        return False
    elif path == "/never":
        await asyncio.Event().wait()
    elif path == "/then-close":
        writer.write(reply(b"the next request will not be answered"))
        await writer.drain()
        return None
    else:
        writer.write(reply(b"", "404 Not Found"))
    await writer.drain()
    return True


# ---- WebSocket ---------------------------------------------------------------------------------

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode, payload, is_last=True):
    size = len(payload)
    head = bytes([(0x80 if is_last else 0) | opcode])
    if size < 126:
        head += bytes([size])
    elif size < 65536:
        head += bytes([126]) + struct.pack(">H", size)
    else:
        head += bytes([127]) + struct.pack(">Q", size)
    return head + payload


async def read_frame(reader):
    first, second = await reader.readexactly(2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", await reader.readexactly(8))[0]
    mask = await reader.readexactly(4)  # a client that does not mask breaks here
    payload = await reader.readexactly(size)
    return first & 15, bytes(b ^ mask[i & 3] for i, b in enumerate(payload))


async def echo(reader, writer):
    """Answers pings and says every text back, until it is told to close."""
    while True:
        opcode, payload = await read_frame(reader)
        if opcode == TEXT:
            writer.write(frame(TEXT, payload))
        elif opcode == PING:
            writer.write(frame(PONG, payload))
        elif opcode == CLOSE:
            writer.write(frame(CLOSE, payload))
            await writer.drain()
            return payload
        await writer.drain()


async def serve_ws(path, query, reader, writer):
    if path == "/ws/echo":
        await echo(reader, writer)
    elif path == "/ws/fragments":  # a text in three fragments, a ping between, byte by byte
        data = (frame(TEXT, b"alpha ", False) + frame(PING, b"between") + frame(0, b"beta ", False)
                + frame(0, b"gamma") + frame(TEXT, b"") + frame(TEXT, b"end"))
        for at in range(len(data)):
            writer.write(data[at:at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        await echo(reader, writer)
    elif path == "/ws/many":  # N texts at once, in writes that cut frames anywhere
        data = b"".join(frame(TEXT, b"%d " % n + b"x" * (n % 700)) for n in range(int(query)))
        for at in range(0, len(data), 50021):
            writer.write(data[at:at + 50021])
            await writer.drain()
        await echo(reader, writer)
    elif path == "/ws/long":
        writer.write(frame(TEXT, b"c" * int(query)))
        await echo(reader, writer)
    elif path == "/ws/binary":
        writer.write(frame(BINARY, b"\x00\x01"))
        await echo(reader, writer)
    elif path == "/ws/ping":  # tells which pong came
        writer.write(frame(PING, b"payload 7"))
        while True:
            opcode, payload = await read_frame(reader)
            if opcode == PONG:
                writer.write(frame(TEXT, b"pong " + payload))
                await writer.drain()
    elif path == "/ws/pings":  # nothing but pings
        while True:
            writer.write(frame(PING, b"are you there"))
            await writer.drain()
            await asyncio.sleep(0.03)
    elif path == "/ws/deaf":  # reads nothing and says nothing
        await asyncio.Event().wait()
    elif path == "/ws/close":
        writer.write(frame(CLOSE, struct.pack(">H", int(query)) + "going\n away".encode()))
        await writer.drain()
        await reader.read()
    elif path == "/ws/cut":
        return
    elif path == "/ws/garbage":
        writer.write(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        await writer.drain()
        await reader.read()
    elif path == "/ws/told":  # the close code that the client sends, as a text on the other one
        told.append(await echo(reader, writer))
        told_event.set()
    elif path == "/ws/tell":
        await told_event.wait()
        writer.write(frame(TEXT, b"code %d" % struct.unpack(">H", told[-1][:2])))
        await echo(reader, writer)


told = []
told_event = asyncio.Event()


# ---- Connections -------------------------------------------------------------------------------

async def serve(reader, writer):
    global connections, requests
    connections += 1
    keep = True
    while keep:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = {k.lower(): v.strip() for k, v in (h.split(":", 1) for h in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        requests += 1
        path, _, query = head[0].split()[1].partition("?")
        if keep is None:
            return
        if path.startswith("/ws/") and path not in ("/ws/refused", "/ws/never"):
            key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
                          % accept).encode())
            await writer.drain()
            await serve_ws(path, query, reader, writer)
            return
        if path == "/ws/refused":
            path = "/limits"
        if path == "/ws/never":
            path = "/never"
        keep = await serve_http(path, query, head, body, writer)
        if keep is None:  # the next request on this connection gets no answer
            await reader.readuntil(b"\r\n\r\n")
            requests += 1
            return


async def on_connection(reader, writer):
    try:
        await serve(reader, writer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


# ---- Certificates ------------------------------------------------------------------------------

def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def certificates(folder):
    at = lambda name: os.path.join(folder, name)
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-days", "2")
    openssl(*new, "-subj", "/CN=Test CA", "-keyout", at("ca.key"), "-out", at("ca.pem"))
    openssl(*new, "-subj", "/CN=Somebody else", "-keyout", at("x.key"), "-out", at("other.pem"))
    openssl(*new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-keyout", at("server.key"),
            "-out", at("server.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(at("server.pem"), at("server.key"))
    return context


async def main():
    tls = certificates(sys.argv[1])
    plain = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    secure = await asyncio.start_server(on_connection, "127.0.0.1", 0, ssl=tls)
    print(plain.sockets[0].getsockname()[1], secure.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


try:
    asyncio.run(asyncio.wait_for(main(), 300))
except asyncio.TimeoutError:
    sys.exit("nobody ended this server")
