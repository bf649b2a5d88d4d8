"""bridge - signed requests through the bridge's caller, beside plain GETs of libcurl.

Both ask the same server, which says one thing and is written to be fast, with as many requests
under way and connections kept open. The caller's are counted in Redis, their keys are opened and
the requests signed with HMAC; what Ed25519 and RSA cost beside it is measured alone. Short runs of
both sides take turns; the ratio is the median of those of neighbours, which met the same machine.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import subprocess

from bridge_rate import redis_server
from figures import RUNS, Failed, median, medians, program, run, say, settle

SECONDS = os.environ.get("SCRIP_BENCH_SECONDS", "1")
PAIRS = 3 * RUNS
UNDER_WAY = os.environ.get("SCRIP_BENCH_UNDER_WAY", "64")
KINDS = ("HMAC", "ED25519", "RSA2048", "RSA4096")


@contextlib.contextmanager
def bare_server():
    server = subprocess.Popen([program("http_bare")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        port = server.stdout.readline().strip()
        if not port:
            raise Failed("http_bare did not start")
        yield "http://127.0.0.1:" + port
    finally:
        server.stdin.close()
        server.wait()
        server.stdout.close()


def figures_of(words):
    row = json.loads(run([program("bridge_calls"), *words]))
    return {"per_second": row["calls"] * 1e9 / row["ns"], "cpu_us": row["cpu_ns"] / 1e3 /
            row["calls"]}


def main():
    signing = {}
    for kind in KINDS:
        row = json.loads(run([program("bridge_calls"), "sign", kind, "1"]))
        signing[kind] = round(row["signatures"] * 1e9 / row["ns"])
    say("  signatures a second, opening the key included: %s" % json.dumps(signing))
    ours, plain = [], []
    with redis_server() as redis, bare_server() as url:
        for _ in range(PAIRS):
            plain.append(figures_of(["plain", url, UNDER_WAY, SECONDS]))
            ours.append(figures_of(["ours", url, redis, "HMAC", UNDER_WAY, SECONDS]))
    ratios = [a["per_second"] / b["per_second"] for a, b in zip(ours, plain)]
    say("  ratios of %d pairs: %.2f to %.2f" % (PAIRS, min(ratios), max(ratios)))
    ours, plain = medians(ours), medians(plain)
    raw = {"signed_per_second": ours["per_second"], "cpu_us_per_call": ours["cpu_us"],
           "plain_per_second": plain["per_second"], "plain_cpu_us_per_call": plain["cpu_us"],
           "under_way": int(UNDER_WAY), "signatures_per_second": signing}
    settle("bridge", median(ratios), 0.8,
           "signed requests/s over plain GETs/s of libcurl", raw,
           "%.0f signed and counted requests a second, %.1f us of processor each, beside %.0f "
           "plain ones, %.1f us each" % (ours["per_second"], ours["cpu_us"], plain["per_second"],
                                   plain["cpu_us"]), runs=PAIRS, more={"ratios": ratios})
