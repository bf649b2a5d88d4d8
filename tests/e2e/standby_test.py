#!/usr/bin/python3
"""A standby ledger takes over from one that died and from one that was frozen, which stays fenced.

SPDX-License-Identifier: Apache-2.0
"""
import signal

import recording
from books import check_account, check_journal, check_zero_sums
from load import Load
from stack import Stack, check, tell, wait_for

OTHER = "standby-1"
# The sessions of whoever holds the lease: what the database's own time-outs would end in time.
CUT_OFF = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1)"""


def epoch(stack):
    return int(stack.sql("SELECT max(epoch) FROM ledger.lease")[0][0])


def owner_stops(stack, load):
    before = epoch(stack)
    stack.stop("ledger")
    stack.wait_ready(OTHER)
    check(epoch(stack) > before, "the standby has a new epoch", before, epoch(stack))
    load.progress()
    stack.start("ledger")
    wait_for(lambda: "standby" in stack.ready("ledger")[1], "the first one waits as the standby")


def owner_freezes(stack, load):
    """The frozen owner knows nothing of its end; when it thaws it must not write."""
    before = epoch(stack)
    frozen = stack.signal(OTHER, signal.SIGSTOP)
    stack.sql(CUT_OFF, user="postgres")
    stack.wait_ready("ledger")
    check(epoch(stack) > before, "the standby has a new epoch", before, epoch(stack))
    load.progress()
    stack.signal(OTHER, signal.SIGCONT)
    wait_for(lambda: stack.pid(OTHER) not in (None, frozen) or
             "standby" in stack.ready(OTHER)[1], "the deposed one steps back")
    load.progress()


def story():
    """A standby ledger takes over"""
    with Stack(market=recording.write) as stack:
        stack.start_standby(OTHER)
        wait_for(lambda: "standby" in stack.ready(OTHER)[1], "the second ledger is a standby")
        with Load(stack) as load:
            load.progress()
            owner_stops(stack, load)
            owner_freezes(stack, load)
        print("requests that had to be repeated, by status: %s" % load.troubles())
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
