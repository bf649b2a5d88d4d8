#!/usr/bin/python3
"""The plan of migrations goes there and back, and rows of an earlier version are read by this one.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess

import recording
from books import check_account, check_journal, check_zero_sums
from load import Load
from stack import ROOT, SERVICES, Stack, check, tell

# What the tables were before orders had terms and accounts had fill rules.
EARLIER = "ledger_batches"
SCHEMAS = ("gateway", "ledger", "marketdata")


class Database:
    """A database of the stack's PostgreSQL, for sqitch."""

    def __init__(self, stack, name):
        self.socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
        self.name = name
        self.home = os.path.join(stack.dir, "run")

    def sqitch(self, verb, *words):
        run = subprocess.run(
            ["sqitch", verb, *words, "db:pg://scrip@/%s?host=%s" % (self.name, self.socket)],
            cwd=os.path.join(ROOT, "db"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
            env=dict(os.environ, HOME=self.home, SQITCH_FULLNAME="scrip",
                     SQITCH_EMAIL="scrip@localhost"))
        check(run.returncode == 0, "sqitch %s %s succeeds" % (verb, " ".join(words)), run.stdout)

    def schema(self):
        """The schema as SQL, without what differs from one dump to the next."""
        dump = subprocess.run(
            ["pg_dump", "--schema-only", *("--schema=" + name for name in SCHEMAS),
             "host=%s dbname=%s user=scrip" % (self.socket, self.name)],
            check=True, capture_output=True, text=True).stdout
        return [line for line in dump.splitlines() if not line.startswith(("\\", "--"))]


def there_and_back(stack):
    stack.sql("CREATE DATABASE trip OWNER scrip", user="postgres")
    trip = Database(stack, "trip")
    trip.sqitch("deploy", "--verify")
    schema = trip.schema()
    check(any("CREATE TABLE ledger.journal" in line for line in schema), "there is a schema",
          len(schema))
    trip.sqitch("revert", "-y")
    trip.sqitch("deploy", "--verify")
    check(trip.schema() == schema, "deployed again it is what it was before")
    trip.sqitch("verify")


def far_orders(user):
    """Open orders that the market will not come to, and what they hold."""
    return {order["order_id"]: (order["status"], order["quantity"], order["held"])
            for order in user.open_orders() if order["price"] == "40000.00000000"}


def rows_of_an_earlier_version(stack, users):
    """Takes the last changes away and gives them back, with the rows staying where they are."""
    for user in users:
        user.place("BUY", "LIMIT", quantity="0.002", price="40000", time_in_force="GTC")
    before = [far_orders(user) for user in users]
    for name in reversed(SERVICES):
        stack.stop(name)
    Database(stack, "scrip").sqitch("revert", "-y", "--to", EARLIER)
    os.unlink(os.path.join(stack.dir, "run", "migrated"))
    stack.up()
    for user, orders in zip(users, before):
        check(orders and far_orders(user) == orders, "orders are open as before", orders,
              far_orders(user))
        for order_id in orders:
            check(user.cancel(order_id)["status"] == "CANCELED", "each can be canceled", order_id)
        check(user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
              "a new order fills")


def under_load(stack, load):
    """A running stack is migrated: its services end in order before the tables change."""
    old = {name: stack.pid(name) for name in SERVICES}
    load.progress()
    os.unlink(os.path.join(stack.dir, "run", "migrated"))
    stack.up()
    load.progress()
    for name in SERVICES:
        check(stack.pid(name) != old[name], name + " was started anew", old[name])
    check("projection_refused" not in stack.log("ledger"), "no row was refused")
    check("drain_ended" not in stack.log("ledger"), "the ledger ended in its time")


def story():
    """Migrations go there and back, and rows of an earlier version are read"""
    with Stack(market=recording.write) as stack:
        there_and_back(stack)
        with Load(stack) as load:
            under_load(stack, load)
        load.check_nothing_lost()
        rows_of_an_earlier_version(stack, [trader.user for trader in load.traders])
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
