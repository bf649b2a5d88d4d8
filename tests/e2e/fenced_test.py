#!/usr/bin/python3
"""Messages that are late, twice, in the wrong order, of past epochs or of nobody are counted and
harmless; a ledger that slept past its lease writes nothing when it wakes.

SPDX-License-Identifier: Apache-2.0
"""
import os
import random
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "storm"), HERE]
import recording  # noqa: E402
from books import check_account, check_journal, check_zero_sums  # noqa: E402
from load import Load  # noqa: E402
from parts import CUT_OFF, STANDBY  # noqa: E402, tests/storm
from relay import Relay  # noqa: E402
from stack import SERVICES, Stack, check, tell, wait_for  # noqa: E402
from stale import frame, garbage, stale_frames, where  # noqa: E402
from zmtp import Peer  # noqa: E402

DEEDS_WANTED = 3
UNIT = 100_000_000
# Numbers of common/tbl/messages.def.
BALANCE_SET, ORDER_PLACE, BUY, MARKET, SPOT = 14, 30, 1, 1, 1


def epoch(stack):
    return int(stack.sql("SELECT max(epoch) FROM ledger.lease")[0][0])


def bad_messenger(stack, load, relay):
    """The relay between ledger and matcher does each of its deeds a few times, under load."""
    relay.is_true = False
    wait_for(lambda: load.progress(4) or min(relay.counts.values()) >= DEEDS_WANTED,
             "each deed is done a few times", 120)
    relay.is_true = True
    load.progress()
    stale = stack.metric("ledger", "scrip_ledger_link_stale_total")
    stale += stack.metric("matcher", "scrip_matcher_stale_total")
    sessions = stack.metric("ledger", "scrip_ledger_link_sessions_total")
    print("relayed %d, %s; dropped as stale %d, sessions %d" % (relay.passed, relay.counts, stale,
                                                                sessions))
    check(stale > 0, "late messages were counted", stale)
    check(sessions > 1, "gaps began new sessions", sessions)


def sleeper(stack, load):
    """Past its lease the owner is woken again: fenced."""
    before = epoch(stack)
    sleeping = stack.signal("ledger", signal.SIGSTOP)
    stack.sql(CUT_OFF, user="postgres")
    stack.wait_ready(STANDBY)
    check(epoch(stack) > before, "the standby has a new epoch", before, epoch(stack))
    load.progress()
    stack.signal("ledger", signal.SIGCONT)
    wait_for(lambda: stack.pid("ledger") not in (None, sleeping), "it ends itself")
    check("event=fenced" in stack.log("ledger"), "because it is fenced", stack.log("ledger")[-500:])
    load.progress()
    fell = stack.sql("SELECT count(*) FROM (SELECT epoch < lag(epoch) OVER (PARTITION BY shard"
                     " ORDER BY seq) AS fell FROM ledger.journal) j WHERE fell")
    check(fell == [["0"]], "no record of a deposed owner follows one of its successor", fell)


def say_and_stay(address, frames, heard, what):
    """Who leaves as soon as it has spoken may not be heard: it stays until it was."""
    peer = Peer(address)
    for one in frames:
        peer.send(one)
    wait_for(heard, what)
    peer.close()


def strangers(stack, load):
    """Frames of a deposed ledger and of nobody, while nothing else is said."""
    for trader in load.traders:  # the market may cross what rests
        trader.user.call("DELETE", "/api/paper-trading/orders")

    def counted(service):
        return {name: stack.metric(service, name) for name in (
            "scrip_matcher_stale_total", "scrip_matcher_orders_total",
            "scrip_matcher_pulls_total", "scrip_bus_malformed_total",
            "scrip_ledger_records_total")}

    # What is shown lags behind by up to a tenth of a second: two further showings, then.
    for _ in range(2):
        ticks = stack.metric("matcher", "scrip_matcher_ticks_total")
        wait_for(lambda t=ticks: stack.metric("matcher", "scrip_matcher_ticks_total") > t, "ticks")
    chance = random.Random(4)
    # Those that name the real ledger are stale; without a link of its own name, they begin one.
    frames = list(stale_frames(chance, epoch(stack)))
    before = counted("matcher")
    say_and_stay(where(stack, "matcher"), frames, lambda: (
        counted("matcher")["scrip_matcher_stale_total"] >=
        before["scrip_matcher_stale_total"] + len(frames)), "each is dropped and counted")
    after = counted("matcher")
    for name in ("scrip_matcher_orders_total", "scrip_matcher_pulls_total"):
        check(after[name] == before[name], "none was worked", name, before, after)
    for service, ledger in (("matcher", None), ("ledger", STANDBY)):
        before = counted(ledger or service)
        say_and_stay(where(stack, service), garbage(chance), lambda n=ledger or service, b=before: (
            counted(n)["scrip_bus_malformed_total"] > b["scrip_bus_malformed_total"]),
                     "garbage is counted by " + service)
        check(counted(ledger or service)["scrip_ledger_records_total"] ==
              before["scrip_ledger_records_total"], "nothing was written", before)


def late_commands(stack):
    """A gateway's commands twice, and again long after: each is carried out once."""
    user = stack.user(balance="100000")
    account = user.account()["account_id"]
    order = frame("gateway-9", 0, 0, 1, (ORDER_PLACE, {
        1: account, 2: "late-1", 3: "BTCUSDT", 4: BUY, 5: MARKET, 7: 1_000_000}))
    first, second = (frame("gateway-9", 0, 0, 1, (BALANCE_SET, {
        1: account, 2: SPOT, 3: amount * UNIT, 6: number})) for number, amount in (
            (71, 200_000), (72, 300_000)))
    for frames in ([order, order], [first, first], [second], [order, first, second]):
        before = stack.metric(STANDBY, "scrip_ledger_commands_total")
        say_and_stay(where(stack, "ledger"), frames, lambda b=before, n=len(frames): (
            stack.metric(STANDBY, "scrip_ledger_commands_total") >= b + n), "they are taken")
    orders = user.orders()
    check([o["client_order_id"] for o in orders] == ["late-1"], "one order came of it", orders)
    changes = user.call("GET", "/api/settings/paper-balance/spot/history")["changes"]
    found = [int(float(change["new_balance"])) for change in changes[:2]]
    check(found == [300_000, 200_000], "each balance was set once, the last one last", changes)


def story():
    """Late, doubled and foreign messages are harmless"""
    with Stack(market=recording.write) as stack:
        port = stack.port_base + 6
        relay = Relay(port, os.path.join(stack.dir, "run", "matcher"), 5)
        stack.stop("ledger")
        with relay:
            stack.environment["SCRIP_LEDGER_MATCHER_ENDPOINTS"] = "tcp://127.0.0.1:%d" % port
            os.environ["SCRIP_LEDGER_MATCHER_ENDPOINTS"] = "tcp://127.0.0.1:%d" % port
            stack.start("ledger")
            stack.wait_ready()
            wait_for(lambda: stack.metric("ledger", "scrip_ledger_links_working") == 1,
                     "ledger and matcher speak through the relay")
            pids = {name: stack.pid(name) for name in SERVICES if name != "ledger"}
            stack.start_standby(STANDBY)
            wait_for(lambda: "standby" in stack.ready(STANDBY)[1], "the second ledger waits")
            with Load(stack) as load:
                load.progress()
                bad_messenger(stack, load, relay)
                sleeper(stack, load)
            strangers(stack, load)
            late_commands(stack)
            print("requests that had to be repeated, by status: %s" % load.troubles())
            load.check_nothing_lost()
            for trader in load.traders:
                check_account(trader.user, load.balance)
            check_zero_sums(stack)
            check_journal(stack)
            for name, pid in pids.items():
                check(stack.pid(name) == pid, name + " lived through it", pid, stack.pid(name))


if __name__ == "__main__":
    tell(story)
