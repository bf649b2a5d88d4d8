"""recovery - how soon a ledger serves: started with a million open orders, and after a kill.

A stack of its own. `bench/journal --resting` leaves a million open orders in its database, made by
the ledger's own core, journal and tables. Then, per run, a ledger is started: the time from exec to
/readyz, and to the moment at which the matcher has all open orders and works. Afterwards, on a
stack with traders, the serving ledger is killed (kill -9), with a standby and without one, and the
matcher: the time from the kill to the first acknowledgement of an order, or fill, that was sent
after it. The ratio is the worst of aim over figure.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import subprocess
import sys
import time

from figures import BUILD, ROOT, RUNS, Failed, median, program, run, say, settle

sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tools")]
import recording  # noqa: E402
from load import Load  # noqa: E402
from stack import HttpError, Stack, wait_for  # noqa: E402

START_AIM_S, KILL_AIM_S = 10.0, 2.0
ORDERS = int(os.environ.get("SCRIP_BENCH_ORDERS", "1000000"))
ACCOUNTS = 20000
KILLS = int(os.environ.get("SCRIP_BENCH_KILLS", "20"))
POLL_S = 0.005
LARGE = {"ledger": "orders_max = %d\norders_high = %d" % (ORDERS + 500000, ORDERS + 400000)}
STANDBY = "standby-1"


def seconds_until(condition, since, limit=120):
    """From `since` until condition() holds."""
    while not condition():
        if time.monotonic() - since > limit:
            raise Failed("it did not come about in %d s" % limit)
        time.sleep(POLL_S)
    return time.monotonic() - since


# ---- A start with many open orders ---------------------------------------------------------------


def fill(stack):
    socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
    began = time.monotonic()
    run([program("journal"), "--database", "host=%s dbname=scrip user=scrip" % socket,
         "--accounts", str(ACCOUNTS), "--resting", str(ORDERS), "--window", "20000"])
    say("  %d open orders placed by the ledger's core in %.0f s" % (
        ORDERS, time.monotonic() - began))


def is_linked(stack):
    return stack.metric("ledger", "scrip_ledger_links_working") == 1


def start_once(stack, user):
    """One start; the process runs by itself, so that the clock begins with exec."""
    words = [os.path.join(BUILD, "services", "ledger", "scrip-ledger"), "--config",
             os.path.join(stack.dir, "etc", "ledger.conf")]
    with open(stack.log_path("ledger"), "ab") as log:
        began = time.monotonic()
        ledger = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        row = {"ready_s": seconds_until(lambda: stack.ready("ledger")[0], began)}
        row["linked_s"] = seconds_until(lambda: is_linked(stack), began)
        row["ordered_s"] = first_answer(user, "FILLED", began)
        row["resting"] = stack.metric("matcher", "scrip_matcher_resting_orders")
    finally:
        ledger.kill()
        ledger.wait()
    if row["resting"] < ORDERS:
        raise Failed("the matcher has %d orders" % row["resting"])
    return row


def take_over_once(stack, user):
    """A kill with a standby that knows all these orders."""
    owner = serving(stack)
    other = STANDBY if owner == "ledger" else "ledger"
    wait_for(lambda: "has the lease" in stack.ready(other)[1], other + " follows", 120)
    wait_for(lambda: stack.metric(owner, "scrip_ledger_links_working") == 1, "the matcher works")
    if first_answer(user, "FILLED", time.monotonic()) > POLL_S * 200:
        say("    (it was still busy)")
    return kill_once(stack, owner, user)


def measure_starts():
    with Stack(LARGE, market=recording.write, buffers="256MB") as stack:
        user = stack.user(balance="1000000")
        stack.stop("ledger")
        fill(stack)
        rows = []
        for number in range(RUNS):
            rows.append(start_once(stack, user))
            say("  start %d: ready after %.2f s, matcher at work after %.2f s, an order filled "
                "after %.2f s" % (number + 1, rows[-1]["ready_s"], rows[-1]["linked_s"],
                                  rows[-1]["ordered_s"]))
        stack.start("ledger")
        stack.wait_ready("ledger", seconds=120)
        stack.start_standby(STANDBY)
        return rows, [take_over_once(stack, user) for _ in range(RUNS)]


# ---- Kills -----------------------------------------------------------------------------------


def first_answer(user, status, since, limit=60):
    """From `since` to the first acknowledged order, of that status; every try is a new order."""
    while time.monotonic() - since < limit:
        try:
            if user.place("BUY", "MARKET", quantity="0.001")["status"] == status:
                return time.monotonic() - since
        except HttpError:
            time.sleep(POLL_S)
    raise Failed("no order was acknowledged in %d s" % limit)


def kill_once(stack, name, user, status="FILLED"):
    pid = stack.signal(name, signal.SIGKILL)
    seconds = first_answer(user, status, time.monotonic())
    wait_for(lambda: stack.pid(name) not in (None, pid), name + " runs again")
    return seconds


def rest(stack, load, names):
    """Until all is as it was, so that each kill meets the same; supervisors, too: they wait before
    they start again what did not live for a second."""
    time.sleep(1)
    for name in names:
        wait_for(lambda n=name: stack.ready(n)[0] or "standby" in stack.ready(n)[1], name)
    load.progress()


def serving(stack):
    return wait_for(lambda: next((n for n in ("ledger", STANDBY) if stack.ready(n)[0]), None),
                    "a ledger serves")


def measure_kills(stack, load, user):
    kills = {"restart": [], "matcher": [], "standby": []}
    for _ in range(KILLS):
        kills["restart"].append(kill_once(stack, "ledger", user))
        rest(stack, load, ["ledger"])
    for _ in range(KILLS):
        kills["matcher"].append(kill_once(stack, "matcher", user))
        rest(stack, load, ["matcher"])
    stack.start_standby(STANDBY)
    for _ in range(KILLS):
        rest(stack, load, ["ledger", STANDBY])
        kills["standby"].append(kill_once(stack, serving(stack), user))
    return kills


def measure_take_over():
    with Stack(market=recording.write) as stack:
        user = stack.user(balance="1000000")
        with Load(stack, traders=8) as load:
            load.progress()
            began, before = time.monotonic(), load.count()
            kills = measure_kills(stack, load, user)
            rate = (load.count() - before) / (time.monotonic() - began)
        load.check_nothing_lost()
    return kills, rate


def show(name, seconds):
    say("  %-44s median %.2f s, most %.2f s of %d" % (name, median(seconds), max(seconds),
                                                      len(seconds)))


def main():
    os.environ["SCRIP_BUILD"] = BUILD
    if not os.access(os.path.join(BUILD, "services", "ledger", "scrip-ledger"), os.X_OK):
        raise Failed("the services are not built: ./scrip build")
    starts, large = measure_starts()
    kills, rate = measure_take_over()
    kills["standby_of_a_million"] = large
    linked = median([row["ordered_s"] for row in starts])
    show("ledger killed, the supervisor restarts it", kills["restart"])
    show("ledger killed, a standby takes over", kills["standby"])
    show("the same with %d open orders" % ORDERS, large)
    show("matcher killed, to the first fill", kills["matcher"])
    say("  traders went on with %d orders/s" % rate)
    medians = {name: median(values) for name, values in kills.items()}
    ratio = min([START_AIM_S / linked] + [KILL_AIM_S / value for value in medians.values()])
    settle("recovery", ratio, 1, "the worst of: 10 s over a start with 1,000,000 open orders, 2 s "
           "over a ledger's or matcher's kill to the first acknowledgement",
           {"orders": ORDERS, "starts": starts, "kills": kills, "medians": medians,
            "most": {name: max(values) for name, values in kills.items()},
            "orders_per_second": rate},
           "start %.2f s, restart %.2f s, standby %.2f s, matcher %.2f s" % (
               linked, medians["restart"], medians["standby"], medians["matcher"]))
