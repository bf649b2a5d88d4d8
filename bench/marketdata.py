"""marketdata - ticks through market data, beside what its libraries do bare.

  feed     a recording played at full speed through the core to a follower over PUB, and bare
           libzmq PUB/SUB with one message of the same size each: ticks a second, ratio
  cache    tickers written to Redis, and the same commands through bare hiredis in pipelines
  crowd    a thousand WebSocket clients that hear every trade of a played market through the
           gateway, and libwebsockets alone writing messages of that size to as many: processor
           time a message, and messages a second
  symbols  five hundred symbols of the stand-in exchange at live rates, market data on one
           processor: how much of it that takes, and how late ticks are at a follower

Each is five runs or more of both sides in turn, medians.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import lzma
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from figures import BUILD, ROOT, RUNS, Failed, cpu_s, data, medians, program, run, say, settle

sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tools"),
                os.path.join(ROOT, "tests", "exchange")]
import recording  # noqa: E402
from stack import Stack, wait_for  # noqa: E402
from standin import StandIn  # noqa: E402

SECONDS = int(os.environ.get("SCRIP_BENCH_SECONDS", "4"))
RECORDED = ("l2_raw/spot_btcusdt_20240808.txt.xz", "l2_raw/spot_btcusdt_20240809.txt.xz")


def free_ports(count):
    ports = os.path.join(ROOT, "tools", "dev", "ports")
    return int(subprocess.check_output([ports, str(24000 + os.getpid() % 500 * 10), str(count)]))


def market_file(folder):
    """A plain recording: the real one where there is one."""
    path = os.path.join(folder, "market.txt")
    found = data(*RECORDED)
    if found is None:
        say("  played instead: a made-up recording of quotes and trades")
        recording.write(path)
        return path
    with open(path, "wb") as out:
        for name in found:
            with lzma.open(name) as file:
                out.write(file.read())
    return path


class Service:
    """scrip-marketdata alone, with these settings."""

    def __init__(self, folder, settings, processor=None):
        self.base = free_ports(3)
        self.publish = "tcp://127.0.0.1:%d" % self.base
        path = os.path.join(folder, "marketdata.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("publish_endpoint = %s\nserve_endpoint = tcp://127.0.0.1:%d\n"
                       "probe_endpoint = 127.0.0.1:%d\nrules_file = %s\n%s\n"
                       % (self.publish, self.base + 1, self.base + 2,
                          os.path.join(ROOT, "config", "symbols.json"), settings))
        self.words = [os.path.join(BUILD, "services", "marketdata", "scrip-marketdata"),
                      "--config", path]
        if processor is not None:
            self.words[:0] = ["taskset", "-c", str(processor)]
        self.log = os.path.join(folder, "marketdata.log")
        self.process = None

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def follow(endpoint, seconds):
    """A follower that has subscribed, and the figures of it later."""
    process = subprocess.Popen([program("market_feed"), "follow", endpoint, str(seconds)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if process.stderr.readline().strip() != "follows":
        raise Failed("the follower did not start")
    return process


def figures_of(process):
    out, errors = process.communicate()
    if process.returncode != 0:
        raise Failed(errors)
    return json.loads(out)


# ---- Ticks to a follower ------------------------------------------------------------------------


def feed_once(folder, path):
    service = Service(folder, "redis =\nsources = playback:%s:speed=max:loop=1" % path)
    follower = follow(service.publish, SECONDS + 1)
    with service:
        row = figures_of(follower)
        cpu = cpu_s(service.process.pid)
    if row["messages"] == 0 or row["missed"] > 0:
        raise Failed("%d ticks, %d missing; %s" % (row["messages"], row["missed"], service.log))
    return {"per_second": row["messages"] * 1e9 / row["ns"],
            "cpu_us": cpu * 1e6 / row["messages"]}


def tick_bytes(folder, path):
    """What a tick of this market is in bytes once it is packed, its share of a frame's head too."""
    with Service(folder, "redis =\nsources = playback:%s:speed=max" % path) as service:
        with follow(service.publish, 2) as follower:
            figures_of(follower)
        text = subprocess.check_output(
            ["curl", "-s", "http://127.0.0.1:%d/metrics" % (service.base + 2)], text=True)
    values = dict(line.split(" ")[:2] for line in text.splitlines() if line[:1] != "#")
    return round(float(values["scrip_marketdata_published_bytes_total"]) /
                 float(values["scrip_marketdata_published_total"]))


def bare_once(size):
    base = free_ports(1)
    row = json.loads(run([program("market_feed"), "bare", "tcp://127.0.0.1:%d" % base, str(size),
                          str(SECONDS)]))
    return {"per_second": row["messages"] * 1e9 / row["ns"]}


def feed():
    with tempfile.TemporaryDirectory(prefix="scrip-bench-") as folder:
        path = market_file(folder)
        size = tick_bytes(folder, path)
        ours, bare = [], []
        for _ in range(RUNS):
            bare.append(bare_once(size))
            ours.append(feed_once(folder, path))
    ours, bare = medians(ours), medians(bare)
    raw = {"ticks_per_second": ours["per_second"], "cpu_us_per_tick": ours["cpu_us"],
           "bare_per_second": bare["per_second"], "bytes": size}
    settle("marketdata", ours["per_second"] / bare["per_second"], 0.5, "ticks/s over bare libzmq",
           raw, "%.0f ticks a second read, applied, numbered and published to a follower, beside "
           "%.0f messages of %d bytes through bare PUB/SUB" % (
               ours["per_second"], bare["per_second"], size))


# ---- Tickers to Redis ----------------------------------------------------------------------------


def cache_once(port, who):
    row = json.loads(run([program("market_cache"), "127.0.0.1:%d" % port, who, str(SECONDS)]))
    return {"per_second": row["written"] * 1e9 / row["ns"]}


def cache():
    port = free_ports(1)
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save",
                              "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: listens(port), "Redis listens", 10)
        ours, bare = [], []
        for _ in range(RUNS):
            bare.append(cache_once(port, "bare"))
            ours.append(cache_once(port, "ours"))
    finally:
        redis.terminate()
        redis.wait()
    ours, bare = medians(ours)["per_second"], medians(bare)["per_second"]
    settle("marketdata-cache", ours / bare, 0.8, "tickers/s over bare hiredis",
           {"tickers_per_second": ours, "bare_per_second": bare},
           "%.0f tickers a second, before they are coalesced, beside %.0f of the same commands in "
           "pipelines of bare hiredis" % (ours, bare))


# ---- A thousand WebSocket clients ---------------------------------------------------------------

CLIENTS = int(os.environ.get("SCRIP_BENCH_CLIENTS", "1000"))


class Crowd:
    def __init__(self, port, path, texts):
        self.process = subprocess.Popen(
            [program("ws_crowd"), "127.0.0.1", str(port), path, str(CLIENTS), str(SECONDS), *texts],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline().strip()
        if said != "all":
            raise Failed("the crowd: " + said)

    def figures(self, pid):
        """Messages a second and processor time of `pid` for each of them."""
        before = cpu_s(pid)
        out, errors = self.process.communicate()
        spent = cpu_s(pid) - before
        if self.process.returncode != 0:
            raise Failed("the crowd: " + errors)
        row = json.loads(out)
        return {"per_second": row["messages"] * 1e9 / row["ns"],
                "cpu_us": spent * 1e6 / row["messages"], "bytes": row["bytes"] / row["messages"]}


def crowd_bare(size, rounds):
    port = free_ports(1)
    process = subprocess.Popen([program("ws_bare"), str(port), str(CLIENTS), str(size),
                                str(rounds)], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: listens(port), "libwebsockets listens", 10)
        return Crowd(port, "/", []).figures(process.pid)
    finally:
        process.stdin.close()
        process.wait()


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def crowd_ours(stack):
    text = json.dumps({"op": "subscribe", "channel": "trades", "symbols": ["BTCUSDT"]})
    return Crowd(stack.url_port, "/ws", [text]).figures(stack.pid("gateway"))


ROOM = "stream_connections_max = 4000\nconnections_max = 4000\npublic_requests_burst = 1000000\n"


@contextlib.contextmanager
def crowd_stack(path, speed):
    """A stack whose market plays so fast."""
    os.environ["SCRIP_MARKETDATA_SOURCES"] = "playback:%s:speed=%s:loop=1" % (path, speed)
    try:
        with Stack({"gateway": ROOM}, market=recording.write) as stack:
            yield stack
    finally:
        del os.environ["SCRIP_MARKETDATA_SOURCES"]


def crowd():
    with tempfile.TemporaryDirectory(prefix="scrip-bench-") as folder:
        path = market_file(folder)
        paced, bare, most, bare_most = [], [], [], []
        with crowd_stack(path, "3") as stack:
            wait_for(stack.client().ticker, "a price")
            for _ in range(RUNS):
                paced.append(crowd_ours(stack))
                bare.append(crowd_bare(round(paced[-1]["bytes"]),
                                       max(1, round(paced[-1]["per_second"] / CLIENTS))))
        with crowd_stack(path, "30") as stack:
            wait_for(stack.client().ticker, "a price")
            for _ in range(RUNS):
                most.append(crowd_ours(stack))
                bare_most.append(crowd_bare(round(most[-1]["bytes"]), 0))
    paced, bare, most, bare_most = (medians(rows) for rows in (paced, bare, most, bare_most))
    raw = {"clients": CLIENTS, "paced": paced, "bare_paced": bare, "most": most,
           "bare_most": bare_most}
    settle("marketdata-crowd", bare["cpu_us"] / paced["cpu_us"], 0.5,
           "processor time of libwebsockets alone over the gateway's, a message", raw,
           "%d clients: %.2f us of processor a message at %.0f a second, libwebsockets alone %.2f; "
           "at most %.0f a second beside %.0f" % (
               CLIENTS, paced["cpu_us"], paced["per_second"], bare["cpu_us"], most["per_second"],
               bare_most["per_second"]))


# ---- Five hundred symbols -----------------------------------------------------------------------

SYMBOLS = int(os.environ.get("SCRIP_BENCH_SYMBOLS", "500"))
SETTLED_S = 120


def books_heard(service):
    text = subprocess.check_output(
        ["curl", "-s", "http://127.0.0.1:%d/metrics" % (service.base + 2)], text=True)
    found = re.findall(r'^scrip_marketdata_events_total\{.*kind="book"\} (\S+)$', text, re.M)
    return sum(float(value) for value in found)


def symbols_once(service):
    """What a follower hears in some seconds, and what of the processor that took."""
    with follow(service.publish, 2 * SECONDS) as follower:
        before, begun = cpu_s(service.process.pid), time.monotonic()
        row = figures_of(follower)
        spent, took = cpu_s(service.process.pid) - before, time.monotonic() - begun
    return {"ticks_per_second": row["messages"] / took, "processor": spent / took,
            "lag_p50_ms": row["lag_p50_ms"], "lag_p99_ms": row["lag_p99_ms"],
            "lag_p999_ms": row["lag_p999_ms"], "missed": row["missed"], "stale": row["stale"],
            "symbols": row["symbols"]}


def is_settled(service):
    """Every symbol has its book."""
    ready = subprocess.run(["curl", "-sf", "http://127.0.0.1:%d/readyz" % (service.base + 2)],
                           capture_output=True, check=False)
    return ready.returncode == 0 and books_heard(service) >= SYMBOLS


def symbols():
    last = str(os.cpu_count() - 1)
    with tempfile.TemporaryDirectory(prefix="scrip-bench-") as folder, \
            StandIn(flood=7, flood_spot=SYMBOLS) as exchange:
        names = [s["symbol"] for s in exchange.symbols()]
        settings = ("redis =\nsources = binance:spot:symbols=%s\nsymbols_max = 4000\n"
                    "spot_stream_url = %s\nspot_rest_url = %s\nsnapshot_levels = 100\n"
                    "weight_alone_percent = 100\n" % (
                        ",".join(names), exchange.spot_stream_url, exchange.spot_rest_url))
        with Service(folder, settings, processor=last) as service:
            wait_for(lambda: is_settled(service), "every book is true", SETTLED_S)
            rows = [symbols_once(service) for _ in range(RUNS)]
    row = medians(rows)
    if row["missed"]:
        say("  a follower missed %d ticks" % row["missed"])
    settle("marketdata-symbols", 1 / row["processor"], 1.0, "processors over what is used", row,
           "%d symbols, %.0f ticks a second on one processor: %.0f %% of it; a tick is at a "
           "follower %.1f ms after its exchange time (p50), %.1f (p99), %.1f (p99.9)" % (
               row["symbols"], row["ticks_per_second"], row["processor"] * 100, row["lag_p50_ms"],
               row["lag_p99_ms"], row["lag_p999_ms"]))


def main(*words):
    parts = {"feed": feed, "cache": cache, "crowd": crowd, "symbols": symbols}
    for word in words or parts:
        if word not in parts:
            raise Failed("there is no part '%s'; there are %s" % (word, ", ".join(parts)))
        begun = time.monotonic()
        parts[word]()
        say("  (%.0f s)" % (time.monotonic() - begun))
