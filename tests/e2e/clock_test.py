#!/usr/bin/python3
"""The wall clocks of services are set forward and back under load, each by itself and all at once.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "storm"), HERE]
import recording  # noqa: E402
from books import check_account, check_journal, check_zero_sums  # noqa: E402
from load import Load  # noqa: E402
from parts import StormStack  # noqa: E402, tests/storm
from stack import SERVICES, check, tell, wait_for  # noqa: E402

HOUR_S, DAY_S = 3600, 86400
STEPS_S = (5, -5, HOUR_S, -HOUR_S, 0)
FAR_S = 30 * DAY_S


def falls(stack):
    """Records of the journal whose time is before that of the record they follow."""
    return int(stack.sql("SELECT count(*) FROM (SELECT time_us < lag(time_us) OVER"
                         " (PARTITION BY shard ORDER BY seq) AS fell FROM ledger.journal) j"
                         " WHERE fell")[0][0])


def steps(stack, load):
    for name in ("ledger", "matcher", "marketdata", "bridge"):
        for step in STEPS_S:
            stack.set_clock(name, step)
            load.progress()
    for step in (HOUR_S, -HOUR_S, 0):
        for name in ("ledger", "matcher", "marketdata", "bridge"):
            stack.set_clock(name, step)
        load.progress()


def tokens(stack):
    """A gateway that is set forward finds tokens expired; signed in again, its user goes on."""
    user = stack.user(balance="100000")
    stack.set_clock("gateway", HOUR_S)
    status, answer = user.ask("GET", "/api/paper-trading/account")
    check(status == 401 and answer["error"]["code"] == "TOKEN_EXPIRED", "its token is over", status,
          answer)
    user.log_in(user.name)
    done = user.place("BUY", "MARKET", quantity="0.001")
    check(done["status"] == "FILLED", "signed in again it trades", done)
    stack.set_clock("gateway", 0)
    wait_for(lambda: user.ask("GET", "/api/paper-trading/account")[0] == 200 or
             user.log_in(user.name), "set back, it serves")
    check_account(user, "100000")


def far_ahead(stack, load):
    """A month ahead: no place of the journal is ready for it; then back, over a restart."""
    for name in ("ledger", "matcher"):
        stack.set_clock(name, FAR_S)
    load.progress()
    for name in ("ledger", "matcher"):
        stack.set_clock(name, 0)
    load.progress()
    stack.kill("ledger")
    stack.wait_ready()
    load.progress()


def story():
    """Clocks that are wrong lose nothing"""
    with StormStack(market=recording.write) as stack:
        pids = {name: stack.pid(name) for name in SERVICES}
        with Load(stack) as load:
            load.progress()
            steps(stack, load)
            for name, pid in pids.items():
                check(stack.pid(name) == pid, name + " lived through it", pid, stack.pid(name))
            far_ahead(stack, load)
        print("requests that had to be repeated, by status: %s" % load.troubles())
        tokens(stack)
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)
        check(falls(stack) == 0, "the journal's time never falls", falls(stack))


if __name__ == "__main__":
    tell(story)
