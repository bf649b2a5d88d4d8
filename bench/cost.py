"""cost - what one market order costs, filled and durable, in each process that has a hand in it.

With one client, where nothing is shared with another order, and with 64, where frames, commits and
writes to sockets are. Processor time, messages and bytes come from one stack; system calls (strace
counts them, which slows all) and allocations (counted by a library put before libc) from a second.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import struct
import subprocess
import tempfile

from e2e import NO_LIMITS, ORDERS, Bench
from figures import BUILD, RUNS, Failed, cpu_s, medians, say, settle
import recording  # e2e has said where
from stack import Stack

SERVICES = ("gateway", "ledger", "matcher")
BUS = ("messages_out", "frames_out", "bytes_out")
CLIENTS = (1, 64)


def family(pid):
    """A process and all that descend from it."""
    found = [pid]
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as file:
                for child in file.read().split():
                    found += family(int(child))
    except FileNotFoundError:
        pass  # it has ended
    return found


def pids(stack):
    """{part: its processes}; PostgreSQL's are many."""
    found = {name: [stack.pid(name)] for name in SERVICES}
    found["postgres"] = family(stack.pid("postgres"))
    return found


def switches(pid):
    """Times that its threads slept."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task), encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file
                         if line.startswith("voluntary_ctxt_switches"))
    return total


def of_those_alive(figure, numbers):
    """Of PostgreSQL's processes some come and go."""
    for pid in numbers:
        try:
            yield figure(pid)
        except FileNotFoundError:
            pass


def reading(stack):
    """All counters now, as {(part, what): value}."""
    now = {}
    for part, numbers in pids(stack).items():
        now[part, "cpu_us"] = sum(of_those_alive(cpu_s, numbers)) * 1e6
        now[part, "sleeps"] = sum(of_those_alive(switches, numbers))
        if part != "postgres":
            for what in BUS:
                now[part, what] = stack.metric(part, "scrip_bus_%s_total" % what)
    now["postgres", "wal_bytes"], now["postgres", "syncs"] = map(float, stack.sql(
        "SELECT pg_current_wal_lsn() - '0/0', wal_sync FROM pg_stat_wal")[0])
    now["ledger", "records"] = stack.metric("ledger", "scrip_ledger_records_total")
    now["ledger", "commits"] = stack.metric("ledger", "scrip_ledger_commits_total")
    return now


def per_order(before, after, orders):
    return {"%s_%s" % key: (after[key] - before[key]) / orders for key in before}


def measured(bench, clients):
    before = reading(bench.stack)
    row = bench.wrk(ORDERS, clients)
    bench.placed()  # the tables have caught up: what follows an order is of its cost
    return {"per_second": row["per_second"],
            **per_order(before, reading(bench.stack), row["requests"] - row["refused"])}


# ---- System calls and allocations --------------------------------------------------------------


def calls_of(text):
    """The number of calls in the last line of strace -c."""
    for line in text.splitlines():
        words = line.split()
        if words and words[-1] == "total":
            return int(words[1])
    raise Failed("strace said nothing:\n" + text)


class Traced:
    """System calls of all parts while a block runs."""

    def __init__(self, stack):
        self.stack, self.found, self.tracers = stack, {}, {}

    def __enter__(self):
        for part, numbers in pids(self.stack).items():
            words = ["strace", "-f", "-c", "-U", "time,calls,name"]
            for pid in numbers:
                words += ["-p", str(pid)]
            self.tracers[part] = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
            for _ in numbers:
                line = self.tracers[part].stderr.readline()
                if "attached" not in line:
                    raise Failed("strace cannot look at %s: %s" % (part, line.strip()))
        return self

    def __exit__(self, kind, value, trace):
        for part, tracer in self.tracers.items():
            tracer.send_signal(signal.SIGINT)
            text = tracer.communicate()[1]
            if kind is None:
                self.found[part] = calls_of(text)


def allocations(folder, stack):
    found = {}
    for part in SERVICES:
        with open(os.path.join(folder, str(stack.pid(part))), "rb") as file:
            found[part] = struct.unpack("=Q", file.read(8))[0]
    return found


def counted(bench, folder, clients):
    before = allocations(folder, bench.stack)
    row = bench.wrk(ORDERS, clients)
    orders = row["requests"] - row["refused"]
    after = allocations(folder, bench.stack)
    found = {part + "_allocations": (after[part] - before[part]) / orders for part in SERVICES}
    with Traced(bench.stack) as traced:
        row = bench.wrk(ORDERS, clients)
    orders = row["requests"] - row["refused"]
    found.update((part + "_calls", n / orders) for part, n in traced.found.items())
    return found


# ---- The table ---------------------------------------------------------------------------------

COLUMNS = (("cpu_us", "processor, us"), ("calls", "system calls"), ("sleeps", "sleeps"),
           ("allocations", "allocations"), ("messages_out", "messages sent"),
           ("frames_out", "in frames"), ("bytes_out", "bytes sent"))


def table(clients, row):
    say("  %d client%s, %.0f orders/s; for each order:" % (
        clients, "" if clients == 1 else "s", row["per_second"]))
    say("  " + " ".join(["%-9s" % ""] + ["%14s" % title for _, title in COLUMNS]))
    for part in (*SERVICES, "postgres"):
        found = [row.get("%s_%s" % (part, what)) for what, _ in COLUMNS]
        say("  " + " ".join(["%-9s" % part] + ["%14s" % ("" if value is None else "%.2f" % value)
                                               for value in found]))
    say("  %.2f records in %.3f commits, %.0f bytes of the database's log, %.3f syncs of it" % (
        row["ledger_records"], row["ledger_commits"], row["postgres_wal_bytes"],
        row["postgres_syncs"]))


def a_stack():
    return Stack({"gateway": NO_LIMITS}, market=recording.write, buffers="256MB")


def start_counted(stack, folder, counter):
    """Only our own: Redis brings an allocator of its own."""
    stack.environment.update(LD_PRELOAD=counter, SCRIP_ALLOCATIONS=folder)
    for part in SERVICES:
        stack.stop(part)
        stack.start(part)
    stack.wait_ready()


def main():
    os.environ["SCRIP_BUILD"] = BUILD
    counter = os.path.join(BUILD, "bench", "libcount_malloc.so")
    if not os.path.exists(counter):
        raise Failed("%s is missing: ./scrip build" % counter)
    raw = {}
    with a_stack() as stack:
        bench = Bench(stack)
        bench.wrk(ORDERS, 64)
        for clients in CLIENTS:
            raw[clients] = medians([measured(bench, clients) for _ in range(RUNS)])
    with tempfile.TemporaryDirectory() as folder:
        with a_stack() as stack:
            start_counted(stack, folder, counter)
            bench = Bench(stack)
            bench.wrk(ORDERS, 64)
            for clients in CLIENTS:
                raw[clients].update(counted(bench, folder, clients))
    for clients in CLIENTS:
        table(clients, raw[clients])
    crowd = raw[CLIENTS[-1]]
    total = sum(crowd[part + "_cpu_us"] for part in (*SERVICES, "postgres"))
    settle("cost", None, None, "per order", {str(clients): row for clients, row in raw.items()},
           "%.1f us of processor an order, %.0f bytes of the database's log" % (
               total, crowd["postgres_wal_bytes"]))
