"""parts - a stack for storms: each service's clock can be set, its network cut, its process killed.

Programs run through a wrapper that preloads the clock (skew.c). In a corner of its own (apart.py)
the links of matcher and market data run over TCP, where they can be cut; ledger and gateway stay
on unix sockets, because a standby on the same machine must be able to take the ledger's place.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shlex
import signal
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tools")]
from stack import SERVICES, Stack  # noqa: E402, tests/e2e/stack.py

STANDBY = "standby-1"
LEDGERS = ("ledger", STANDBY)
PORTS = {"matcher": (7301,), "market": (7401, 7402)}
LEDGER_PORTS = (7201, 7202)
TCP = {
    "SCRIP_MATCHER_SERVE_ENDPOINT": "tcp://127.0.0.1:7301",
    "SCRIP_LEDGER_MATCHER_ENDPOINTS": "tcp://127.0.0.1:7301",
    **{"SCRIP_%s_MARKET_ENDPOINT" % name: "tcp://127.0.0.1:7401"
       for name in ("MATCHER", "LEDGER", "GATEWAY")},
    **{"SCRIP_%s_MARKET_ASK_ENDPOINT" % name: "tcp://127.0.0.1:7402"
       for name in ("MATCHER", "LEDGER", "GATEWAY")},
    "SCRIP_MARKETDATA_PUBLISH_ENDPOINT": "tcp://127.0.0.1:7401",
    "SCRIP_MARKETDATA_SERVE_ENDPOINT": "tcp://127.0.0.1:7402",
}
TCP_LEDGER = {
    "SCRIP_LEDGER_SERVE_ENDPOINT": "tcp://127.0.0.1:7201",
    "SCRIP_LEDGER_PUBLISH_ENDPOINT": "tcp://127.0.0.1:7202",
    "SCRIP_GATEWAY_LEDGER_ENDPOINTS": "0-63=tcp://127.0.0.1:7201",
    "SCRIP_GATEWAY_LEDGER_EVENT_ENDPOINTS": "0-63=tcp://127.0.0.1:7202",
}
PROBE_S = 1  # a part that is stopped does not answer
# The sessions of whoever holds the lease: what the database's own time-outs would end in time.
CUT_OFF = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1)"""
WRAPPER = """#!/bin/sh
export LD_PRELOAD=%s STORM_CLOCK=%s/$(basename "$2" .conf)
export ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0
exec %s "$@"
"""


class StormStack(Stack):
    def __init__(self, tcp=(), **more):
        os.environ.update(tcp)  # also of those who start a standby
        super().__init__(**more)
        self.build = self.environment["SCRIP_BUILD"]
        self.clocks = os.path.join(self.dir, "clocks")
        self.environment["SCRIP_BUILD"] = self.wrap()

    def wrap(self):
        """A folder of programs like the build's, whose clocks can be set."""
        skew = os.path.join(self.build, "tests", "storm", "libskew.so")
        if not os.path.exists(skew):
            raise RuntimeError(skew + " is missing: ./scrip build")
        os.makedirs(self.clocks)
        programs = os.path.join(self.dir, "programs")
        for name in SERVICES:
            folder = "exchange-bridge" if name == "bridge" else name
            inner = os.path.join("services", folder, "scrip-" + name)
            path = os.path.join(programs, inner)
            os.makedirs(os.path.dirname(path))
            with open(path, "w", encoding="ascii") as file:
                file.write(WRAPPER % (shlex.quote(skew), shlex.quote(self.clocks),
                                      shlex.quote(os.path.join(self.build, inner))))
            os.chmod(path, 0o755)
            self.set_clock(name, 0)
        self.set_clock(STANDBY, 0)
        os.symlink(os.path.join(self.build, "tools"), os.path.join(programs, "tools"))
        return programs

    def set_clock(self, name, offset_s):
        """Steps the wall clock of a service to so many seconds from the true time."""
        with open(os.path.join(self.clocks, name), "r+b" if os.path.exists(
                os.path.join(self.clocks, name)) else "wb", buffering=0) as file:
            file.write(struct.pack("=q", int(offset_s * 1_000_000)))

    # ---- Processes ----

    def send(self, name, number):
        """Sends a signal to a part that runs; its pid, or None when it does not run just now."""
        pid = self.pid(name)
        try:
            if pid is not None:
                os.kill(pid, number)
        except ProcessLookupError:
            return None
        return pid

    @staticmethod
    def children(pid):
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % entry, encoding="ascii", errors="replace") as file:
                    if int(file.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(entry))
            except (OSError, ValueError):
                continue
        return found

    def kill_part(self, name):
        """kill -9; of PostgreSQL all processes. The pid, or None when it did not run."""
        children = self.children(self.pid(name)) if name == "postgres" and self.pid(name) else []
        pid = self.send(name, signal.SIGKILL)
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return pid

    def is_up(self, name, old=None):
        """Whether a part serves again, in another process than `old`."""
        pid = self.pid(name)
        if pid is None or pid == old:
            return False
        if name == "redis":
            return os.path.exists(os.path.join(self.socket_folder(), "redis.sock"))
        if name == "postgres":
            try:
                return self.sql("SELECT 1") == [["1"]]
            except Exception:  # psql said no
                return False
        if name in LEDGERS and STANDBY in self.extras:
            return self.owner() is not None
        return self.ready(name, PROBE_S)[0]

    def socket_folder(self):
        return os.path.join(self.dir, "run")

    def owner(self):
        """Which of the two ledgers serves; None in between."""
        for name in LEDGERS:
            if self.pid(name) and self.ready(name, PROBE_S)[0]:
                return name
        return None
