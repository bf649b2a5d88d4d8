"""bridge-rate - three replicas of the bridge's caller share one exchange's rate limit.

Each is a process of its own with a queue of calls of all four priorities, the least urgent asked
for first, against the stand-in exchange with a small budget in short windows. Said is

  used_share       of what the exchange allows, in whole windows with a queue
  over, 429s       what the exchange refused: none, but after somebody else used the address up on
                   purpose, and then one
  out_of_order     calls that left while a more urgent one of the same replica was waiting
  late_cancel_ms   how long cancels waited that came in the middle of it all

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

from figures import ROOT, Failed, program, say, settle

sys.path[:0] = [os.path.join(ROOT, "tests", "exchange")]
from standin import StandIn  # noqa: E402

REPLICAS = 3
LIMIT, WINDOW_MS = 600, 2000
ACCOUNTS = 6  # 50 orders in ten seconds each
WEIGHTS = (1, 1, 4, 20)  # of what bridge_calls.c asks, by priority
LATE_MS = 3100
EDGES = 1     # whole windows at both ends that are left out: the queue is not there all the time


@contextlib.contextmanager
def redis_server():
    """A Redis of its own, on a socket in a folder of its own: its address."""
    with tempfile.TemporaryDirectory(prefix="scrip-rate-") as folder:
        path = os.path.join(folder, "redis.sock")
        words = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly",
                 "no", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(path):
                if server.poll() is not None:
                    raise Failed("redis-server did not start")
                time.sleep(0.01)
            yield "unix:" + path
        finally:
            server.terminate()
            server.wait()


class Watch(threading.Thread):
    """Notes the exchange's own count of each window, and uses the address up once."""

    def __init__(self, x, outside):
        super().__init__(daemon=True)
        self.x, self.outside = x, outside  # weight that somebody else spends, 0 = nobody does
        self.used, self.is_over = {}, False
        self.touched, self.refused_before = None, None

    def run(self):
        while not self.is_over:
            number = int(time.time() * 1000) // WINDOW_MS
            used = self.x.weigh()["used"]
            now_ms = int(time.time() * 1000)
            if now_ms // WINDOW_MS != number:
                continue  # asked in one window, answered in the next
            self.used[number] = max(used, self.used.get(number, 0))
            is_time = len(self.used) > 4 and WINDOW_MS * 0.4 < now_ms % WINDOW_MS < WINDOW_MS * 0.5
            if self.outside and self.touched is None and is_time:
                self.refused_before = self.x.count("rest_429")
                self.x.weigh(weight=self.outside)
                self.touched = number
            time.sleep(0.01)

    def end(self):
        self.is_over = True
        self.join()


def replicas_run(x, redis, calls):
    """The rows of each replica: [priority, is_late, asked_us, sent_us, done, status, code, ..]."""
    accounts = [x.add_account(spot={"USDT": "1000000"}) for _ in range(ACCOUNTS)]
    keys = "".join("%s %s\n" % (a.api_key, a.secret) for a in accounts) + "\n"
    words = [program("bridge_calls"), "rate", x.spot_rest_url, redis, str(WINDOW_MS), str(LIMIT),
             str(calls // REPLICAS), str(LATE_MS)]
    started = []
    try:
        for _ in range(REPLICAS):
            p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.append(p)
            p.stdin.write(keys)
            p.stdin.flush()
        for p in started:
            if p.stdout.readline() != "ready\n":
                raise Failed("a replica did not start")
        for p in started:
            p.stdin.write("go\n")
            p.stdin.flush()
        return [json.loads(p.stdout.readline())["rows"] for p in started]
    finally:
        for p in started:
            p.stdin.close()
            if p.poll() is None and sys.exc_info()[0] is not None:
                p.kill()
            p.wait()
            p.stdout.close()


def out_of_order(rows):
    """Calls that left before a more urgent one that was asked for when they did."""
    queued = [r for r in rows[1:] if not r[1] and r[3] > 0]  # for the first one nobody waited
    last = {}
    for priority, _, _, sent_us, *_ in queued:
        last[priority] = max(sent_us, last.get(priority, 0))
    return sum(1 for r in queued
               if any(r[3] < at for priority, at in last.items() if priority < r[0]))


def used_share(rows, touched):
    """Of whole windows in which calls waited all the time, and nobody else spent anything: what
    left in them, by the exchange's clock."""
    used = {}
    for priority, _, _, sent_us, *_ in rows:
        number = sent_us // 1000 // WINDOW_MS
        used[number] = used.get(number, 0) + WEIGHTS[priority]
    whole = sorted(used)[1 + EDGES:-1 - EDGES]
    if touched is not None:  # its Retry-After may reach into the next one
        whole = [n for n in whole if n not in (touched, touched + 1)]
    if not whole:
        raise Failed("no whole window: %s" % used)
    return sum(used[n] for n in whole) / (len(whole) * LIMIT), len(whole)


def measure(calls, outside=True):
    options = {"synthetic": 5, "spot": "BTCUSDT", "rate": 0, "spot_weight": LIMIT,
               "window_ms": WINDOW_MS}
    with redis_server() as redis, StandIn(**options) as x:
        watch = Watch(x, LIMIT // 2 if outside else 0)
        watch.start()
        try:
            replicas = replicas_run(x, redis, calls)
        finally:
            watch.end()
        counters = x.counters()
    rows = [row for replica in replicas for row in replica]
    share, windows = used_share(rows, watch.touched)
    waits = sorted((row[3] - row[2]) / 1000 for row in rows if row[1])
    refused = counters["counts"].get("rest_429", 0)
    over = [n for n, used in watch.used.items() if used > LIMIT and n != watch.touched]
    return {"calls": len(rows), "replicas": REPLICAS, "limit": LIMIT, "window_ms": WINDOW_MS,
            "answered": sum(1 for row in rows if row[7] in ("OK", "GONE", "ABSENT")),
            "windows": windows, "used_share": round(share, 4), "over_limit": len(over),
            "refused_429": refused,
            "refused_429_before": refused if watch.touched is None else watch.refused_before,
            "used_up_by_others": watch.touched is not None,
            "out_of_order": sum(out_of_order(replica) for replica in replicas),
            "late_cancel_ms": {"median": round(waits[len(waits) // 2], 1),
                               "most": round(waits[-1], 1)},
            "violations": counters["violations_by_kind"]}


def main():
    raw = measure(int(os.environ.get("SCRIP_BENCH_CALLS", "1000")))
    say("  " + json.dumps(raw))
    settle("bridge-rate", raw["used_share"], 0.95, "share of the allowed weight that was used", raw,
           "%d calls of %d replicas: %d windows over the limit, %d times 429 (%d before somebody "
           "else used it up), %d out of order, late cancels left after %.0f ms (median)" % (
               raw["calls"], REPLICAS, raw["over_limit"], raw["refused_429"],
               raw["refused_429_before"], raw["out_of_order"], raw["late_cancel_ms"]["median"]),
           runs=1)
