#!/usr/bin/python3
"""The network between services is cut under load, link by link and all at once, and mended again.

Runs in a network of its own, as root; SKIPPED where that is not allowed.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "storm"), HERE]
import apart  # noqa: E402, tests/storm
import recording  # noqa: E402
from books import check_account, check_journal, check_zero_sums  # noqa: E402
from load import Load  # noqa: E402
from parts import LEDGER_PORTS, PORTS, TCP, TCP_LEDGER, StormStack  # noqa: E402
from stack import check, tell, wait_for  # noqa: E402

SETTINGS = {"matcher": "market_silence_ms = 1500"}


def working(stack):
    return stack.metric("ledger", "scrip_ledger_links_working")


def from_matcher(stack, load, user):
    """The ledger notices by silence; orders wait, and their open ones are sent again."""
    sessions = stack.metric("ledger", "scrip_ledger_link_sessions_total")
    cut = apart.Cut(*PORTS["matcher"])
    wait_for(lambda: working(stack) == 0, "the ledger notices that the matcher is silent")
    status, answer = user.ask("GET", "/api/paper-trading/account")
    check(status == 200, "reads go on", status, answer)
    cut.heal()
    wait_for(lambda: working(stack) == 1, "the link works again")
    check(stack.metric("ledger", "scrip_ledger_link_sessions_total") > sessions,
          "in a new session", sessions)
    load.progress()


def from_ledger(stack, load, user):
    """The gateway says so, and what it was asked meanwhile is not lost."""
    cut = apart.Cut(*LEDGER_PORTS)
    wait_for(lambda: user.ask("GET", "/api/paper-trading/account")[0] == 503,
             "the gateway says that the ledger is away")
    status, answer = user.ask("GET", "/api/market/depth", query={"symbol": "BTCUSDT"})
    check(status == 200, "market data goes on", status, answer)
    cut.heal()
    wait_for(lambda: user.ask("GET", "/api/paper-trading/account")[0] == 200, "it is back")
    load.progress()


def from_market(stack, load, user):
    """A market that is not heard is withdrawn, and back after a snapshot."""
    gaps = stack.metric("matcher", "scrip_matcher_gaps_total")
    cut = apart.Cut(*PORTS["market"])
    wait_for(lambda: stack.metric("matcher", "scrip_matcher_gaps_total") > gaps,
             "the matcher withdraws the market")
    cut.heal()
    wait_for(lambda: user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
             "the market fills again")
    load.progress()


def all_at_once(stack, load, user):
    cut = apart.Cut(*PORTS["matcher"], *PORTS["market"], *LEDGER_PORTS)
    wait_for(lambda: user.ask("GET", "/api/paper-trading/account")[0] == 503, "nobody is there")
    cut.heal()
    stack.wait_ready()
    load.progress()


def story():
    """Cuts of the network lose nothing"""
    with StormStack(tcp={**TCP, **TCP_LEDGER}, market=recording.write,
                    settings=SETTINGS) as stack:
        user = stack.user(balance="100000")
        pids = {name: stack.pid(name) for name in ("gateway", "ledger", "matcher", "marketdata")}
        with Load(stack) as load:
            load.progress()
            for fault in (from_matcher, from_ledger, from_market, all_at_once):
                fault(stack, load, user)
                print("%s: %d orders acknowledged so far" % (fault.__name__, load.count()))
        print("requests that had to be repeated, by status: %s" % load.troubles())
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_account(user, "100000")
        check_zero_sums(stack)
        check_journal(stack)
        for name, pid in pids.items():
            check(stack.pid(name) == pid, name + " lived through it", pid, stack.pid(name))


if __name__ == "__main__":
    apart.go()
    tell(story)
