#!/usr/bin/python3
"""A newer version takes the place of this one, and this one of it, under load: no request notices.

The newer version (next.py; CTest builds it) has more fields in its messages and rows, and a
migration that adds columns and a table. The database is migrated while the old services run, the
services are replaced one after the other, and versions run side by side in between.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess
import sys
import time

import recording
from books import check_account, check_journal, check_zero_sums
from load import Load
from stack import ROOT, SERVICES, Stack, check, tell, wait_for

TRADERS = 6
NEXT = os.environ.get("SCRIP_NEXT", "")
# An order placed by the newer gateway at the newer ledger carries its mood into the journal.
MOODY = ("SELECT count(*) FROM ledger.journal "
         "WHERE kind = 30 AND position('%s'::bytea in payload) > 0")

# A market order may come between the first word of a new market data and its snapshot: it ends
# MARKET_STALE (14), which is what the matcher is to do with a market that it is not sure of.
UNFILLED = ('SELECT count(*) FROM ledger."order" WHERE type = 1 AND status <> 3 '
            'AND end_reason <> 14')
STALE = 'SELECT count(*) FROM ledger."order" WHERE type = 1 AND status <> 3 AND end_reason = 14'


def folder_of(stack, name):
    """Where the program of a running service was built."""
    with open("/proc/%d/cmdline" % stack.pid(name), encoding="utf-8") as file:
        return os.path.realpath(file.read().split("\0")[0])


def runs_next(stack):
    return {name for name in SERVICES if folder_of(stack, name).startswith(NEXT + "/")}


def choose(stack, build, database):
    stack.environment["SCRIP_BUILD"] = build
    stack.environment["SCRIP_DB"] = database


def no_trouble(load, when):
    check(not load.troubles(), "every request was answered, " + when, load.troubles(),
          [trader.unexpected[:1] for trader in load.traders if trader.unexpected])


def replace(stack, load, name):
    stack.start(name)
    load.progress()
    no_trouble(load, "with another " + name)


def forward(stack, load):
    """Migrates, and goes on with services of both versions until all are new."""
    old = stack.environment["SCRIP_BUILD"]
    choose(stack, old, NEXT + "/db")
    stack.up()
    check(stack.sql("SELECT count(*) FROM ledger.mood") == [["0"]], "the database is migrated")
    check(not runs_next(stack), "and no service was replaced for it", runs_next(stack))
    load.progress()
    no_trouble(load, "with the database of the newer version")
    choose(stack, NEXT + "/build", NEXT + "/db")
    for name in ("gateway", "matcher"):
        replace(stack, load, name)
    check(runs_next(stack) == {"gateway", "matcher"}, "two versions run", runs_next(stack))
    stack.up()
    check(runs_next(stack) == set(SERVICES), "all are of the newer version", runs_next(stack))
    load.progress()
    no_trouble(load, "with all of the newer version")


def back(stack, load, old):
    """This version takes over again, from a ledger that knew more than it does."""
    choose(stack, old, os.path.join(ROOT, "db"))
    for name in ("ledger", "marketdata"):
        replace(stack, load, name)
    check(runs_next(stack) == set(SERVICES) - {"ledger", "marketdata"}, "two versions run",
          runs_next(stack))
    stack.up()
    check(not runs_next(stack), "all are of this version again", runs_next(stack))
    load.progress()
    no_trouble(load, "with all of this version again")


def fields_travel(stack, user):
    """What only the newer version knows reaches the journal and the tables by it alone."""
    def moody(mood):
        user.close()  # a connection that rested while gateways followed each other has ended
        user.place("BUY", "LIMIT", quantity="0.001", price="40000", mood=mood)
        return stack.sql(MOODY % mood)[0][0]

    choose(stack, NEXT + "/build", NEXT + "/db")
    stack.start("gateway")
    check(moody("brave") == "0", "an old ledger skips what it does not know")
    stack.up()
    check(moody("merry") == "1", "a new one keeps it")
    wait_for(lambda: stack.sql("SELECT count(*) FROM ledger.\"order\" WHERE "
                               "position('calm'::bytea in terms) > 0")[0][0] != "0",
             "rows of orders have the new field")
    check(user.open_orders()[0]["mood"] == "calm", "and answers show it", user.open_orders()[0])


def prove(stack, build):
    """The journal alone is right. Rows that this version wrote lack what the next one makes of
    their records, and the other way round, so the tables are of both and of neither."""
    stack.is_proved = False
    socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
    folder = os.path.join(stack.dir, "segments")
    for words in (["export", folder, "--database", "host=%s dbname=scrip user=scrip" % socket],
                  ["verify", "--archive", folder]):
        run = subprocess.run([os.path.join(build, "tools", "scripctl", "scripctl"), *words,
                              "--quiet"], capture_output=True, text=True, check=False)
        check(run.returncode == 0, "the journal of both versions is proved", words, run.stdout,
              run.stderr)


def story():
    """An upgrade and the way back under load lose and refuse nothing"""
    if not os.access(NEXT + "/build/services/ledger/scrip-ledger", os.X_OK):
        print("SKIPPED: SCRIP_NEXT names no build of a newer version; ctest makes one")
        sys.exit(77)
    with Stack(market=recording.write) as stack:
        old = stack.environment["SCRIP_BUILD"]
        user = stack.user()
        with Load(stack, traders=TRADERS) as load:
            load.progress()
            began, before = time.monotonic(), load.count()
            forward(stack, load)
            back(stack, load, old)
            orders, seconds = load.count() - before, time.monotonic() - began
        print("%d orders acknowledged in %.1f s of upgrade and back, %d/s; repeated: %s" % (
            orders, seconds, orders / seconds, load.troubles()))
        load.check_nothing_lost()
        check(stack.sql(UNFILLED) == [["0"]], "every market order was filled", stack.sql(UNFILLED))
        stale = int(stack.sql(STALE)[0][0])
        print("market orders that met a market not yet sure: %d" % stale)
        check(stale * 20 < orders, "and those are few", stale, orders)
        fields_travel(stack, user)
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)
        prove(stack, old)
        check("chain is broken" not in stack.log("ledger"), "the chain holds")


if __name__ == "__main__":
    tell(story)
