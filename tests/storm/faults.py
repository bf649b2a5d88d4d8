"""faults - what a storm does to a stack: a plan made from a seed, and the hand that carries it out.

A plan is a list of (second, fault, arguments). It depends on the seed alone; what a fault finds
when its time has come (who owns the lease, whether a part runs just now) does not.

SPDX-License-Identifier: Apache-2.0
"""
import heapq
import random
import signal
import threading
import time

from parts import CUT_OFF, LEDGERS, PORTS, STANDBY
from stale import send_stale

KILLED = ("gateway", "ledger", STANDBY, "matcher", "marketdata", "bridge", "postgres", "redis")
# Nothing can be acknowledged without the database, whose supervisor waits longer each time.
RARER = {"postgres": 5}  # beside 10 of each other part
STOPPED = ("gateway", "ledger", STANDBY, "matcher", "marketdata", "bridge", "redis")
SKEWED = ("gateway", "ledger", STANDBY, "matcher", "marketdata", "bridge")
# How often each kind comes, of a hundred.
KINDS = {"kill": 55, "kill_several": 12, "stop": 10, "quit_postgres": 2, "freeze_owner": 3,
         "cut": 6, "clock": 6, "stale": 5}
STOP_S = (0.1, 4.0)
CUT_S = (0.2, 4.0)
STEP_S = (1, 5, 60, 290)
RETRY_S = 0.05
PATIENCE_S = 10  # a part that is to be killed may be on its way back for so long


def plan(seed, seconds, kills, kinds=None):
    """[(second, kind, arguments)] with at least that many kills, spread over that time."""
    chance = random.Random(seed)
    kinds = list(kinds or KINDS)
    first = list(kinds)  # each kind at least once
    chance.shuffle(first)
    faults, killed, at = [], 0, 0.0
    while killed < kills or first:
        kind = first.pop() if first else chance.choices(kinds, [KINDS[k] for k in kinds])[0]
        at += chance.uniform(0.3, 1.7)
        arguments, deaths = draw(chance, kind)
        faults.append((at, kind, arguments))
        killed += deaths
    scale = seconds / (at + 1)
    return [(second * scale, kind, arguments) for second, kind, arguments in faults]


def draw(chance, kind):
    """(arguments, how many kills) of a fault."""
    if kind == "kill":
        return tuple(chance.choices(KILLED, [RARER.get(name, 10) for name in KILLED])), 1
    if kind == "kill_several":
        names = tuple(chance.sample(KILLED, chance.randrange(2, 5)))
        return names, len(names)
    if kind == "stop":
        return (chance.choice(STOPPED), chance.uniform(*STOP_S)), 0
    if kind == "cut":
        return (chance.choice(tuple(PORTS)), chance.uniform(*CUT_S)), 0
    if kind == "clock":
        return (chance.choice(SKEWED), chance.choice(STEP_S) * chance.choice((-1, 1))), 0
    return (chance.randrange(1 << 30),), 0


class Faults:
    """Carries out a plan on a stack and remembers what was done when."""

    def __init__(self, stack, can_cut, cut):
        self.stack, self.can_cut, self.make_cut = stack, can_cut, cut
        self.queue, self.serial = [], 0
        self.done = []       # {"at", "kind", "what"}
        self.kills = []      # {"at", "name", "pid", "ready_s"}
        self.counts = {}
        self.missed = 0
        self.frozen, self.cuts = {}, {}
        self.watchers = []

    # ---- The clockwork ----

    def at(self, when, action, *arguments):
        self.serial += 1
        heapq.heappush(self.queue, (when, self.serial, action, arguments))

    def run(self, faults, alive=lambda: True):
        """Carries all out; the storm's own clock decides when."""
        began = time.monotonic()
        for second, kind, arguments in faults:
            self.at(began + second, getattr(self, kind), *arguments)
        try:
            while self.queue and alive():
                left = self.queue[0][0] - time.monotonic()
                if left > 0:
                    time.sleep(min(left, 0.5))
                    continue
                _, _, action, arguments = heapq.heappop(self.queue)
                action(*arguments)
        finally:
            self.calm()
        for watcher in self.watchers:
            watcher.join()
        return time.monotonic() - began

    def calm(self):
        """Ends every fault that lasts."""
        for name in list(self.frozen):
            self.thaw(name)
        for what in list(self.cuts):
            self.heal(what)
        for name in SKEWED:
            self.stack.set_clock(name, 0)

    def note(self, kind, *what):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.done.append({"at": time.monotonic(), "kind": kind, "what": list(what)})

    # ---- Faults ----

    def kill(self, name, until=None):
        until = until or time.monotonic() + PATIENCE_S
        at = time.monotonic()
        pid = self.stack.kill_part(name)
        if pid is None:
            if at < until:
                self.at(at + RETRY_S, self.kill, name, until)
            else:
                self.missed += 1
            return
        self.frozen.pop(name, None)
        self.note("kill", name)
        entry = {"at": at, "name": name, "pid": pid, "ready_s": None}
        self.kills.append(entry)
        watcher = threading.Thread(target=self.watch, args=(entry,), daemon=True)
        self.watchers.append(watcher)
        watcher.start()

    def watch(self, entry):
        """Waits for the killed part to serve again."""
        while time.monotonic() < entry["at"] + 120:
            if self.stack.is_up(entry["name"], entry["pid"]):
                entry["ready_s"] = time.monotonic() - entry["at"]
                return
            time.sleep(RETRY_S)

    def kill_several(self, *names):
        self.note("kill_several", *names)
        for name in names:
            self.kill(name)

    def stop(self, name, seconds):
        if name in self.frozen or self.stack.send(name, signal.SIGSTOP) is None:
            return
        self.frozen[name] = self.stack.pid(name)
        self.note("stop", name, round(seconds, 2))
        self.at(time.monotonic() + seconds, self.thaw, name)

    def thaw(self, name):
        if self.frozen.pop(name, None) is not None:
            self.stack.send(name, signal.SIGCONT)

    def quit_postgres(self, _):
        """An immediate shutdown: no checkpoint, recovery at the next start."""
        if self.stack.send("postgres", signal.SIGQUIT) is not None:
            self.note("quit_postgres")

    def freeze_owner(self, seed, until=None):
        """Paused past its lease, while the other takes over; woken again, it must not write."""
        until = until or time.monotonic() + PATIENCE_S
        sleeps = any(name in self.frozen for name in LEDGERS)
        owner = None if sleeps else self.stack.owner()
        if owner is None or self.stack.send(owner, signal.SIGSTOP) is None:
            if time.monotonic() < until:
                self.at(time.monotonic() + RETRY_S, self.freeze_owner, seed, until)
            return
        self.frozen[owner] = self.stack.pid(owner)
        try:
            self.stack.sql(CUT_OFF, user="postgres")
        except Exception:  # the database is away itself: then its session is lost anyhow
            pass
        self.note("freeze_owner", owner)
        self.at(time.monotonic() + 3.0, self.thaw, owner)

    def cut(self, what, seconds):
        if not self.can_cut or what in self.cuts:
            return
        self.cuts[what] = self.make_cut(*PORTS[what])
        self.note("cut", what, round(seconds, 2))
        self.at(time.monotonic() + seconds, self.heal, what)

    def heal(self, what):
        gone = self.cuts.pop(what, None)
        if gone is not None:
            gone.heal()

    def clock(self, name, offset_s):
        self.stack.set_clock(name, offset_s)
        self.note("clock", name, offset_s)

    def stale(self, seed):
        """Frames of past epochs and sessions, repeated ones and garbage, to ledger and matcher."""
        sent = send_stale(self.stack, random.Random(seed))
        if sent:
            self.note("stale", sent)
