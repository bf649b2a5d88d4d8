#!/usr/bin/python3
"""The plan of migrations goes there and back, and rows of an earlier version are read by this one.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import subprocess

import recording
from books import check_account, check_journal, check_zero_sums
from load import Load
from stack import ROOT, SERVICES, Stack, check, tell

# What the tables were before orders had terms and accounts had fill rules.
EARLIER = "ledger_batches"
SCHEMAS = ("bridge", "gateway", "ledger", "marketdata")


class Database:
    """A database of the stack's PostgreSQL, for sqitch."""

    def __init__(self, stack, name, folder=os.path.join(ROOT, "db")):
        self.folder = folder
        self.socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
        self.name = name
        self.home = os.path.join(stack.dir, "run")

    def sqitch(self, verb, *words):
        run = subprocess.run(
            ["sqitch", verb, *words, "db:pg://scrip@/%s?host=%s" % (self.name, self.socket)],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
            env=dict(os.environ, HOME=self.home, SQITCH_FULLNAME="scrip",
                     SQITCH_EMAIL="scrip@localhost"))
        check(run.returncode == 0, "sqitch %s %s succeeds" % (verb, " ".join(words)), run.stdout)

    def planned(self):
        """Names of the migrations, from the first on."""
        with open(os.path.join(self.folder, "sqitch.plan"), encoding="utf-8") as plan:
            return [line.split()[0] for line in plan if line[:1] not in "%#\n"]

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


def rows(stack, columns):
    """{table: digest of its rows}, by those columns."""
    return {table: stack.sql("SELECT count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM "
                             "(SELECT %s FROM %s) AS r" % (", ".join(names), table))[0]
            for table, names in columns.items()}


def columns_of(stack):
    """{table: its columns}, of all that the services write; parts of a table are in the table."""
    found = {}
    for table, column in stack.sql(
            "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name), "
            "quote_ident(column_name) "
            "FROM information_schema.columns JOIN pg_class AS c ON c.relname = table_name AND "
            "c.relnamespace = to_regnamespace(table_schema) WHERE c.relkind IN ('r', 'p') AND "
            "NOT c.relispartition AND table_schema IN ('%s') ORDER BY 1, ordinal_position"
            % "', '".join(SCHEMAS)):
        found.setdefault(table, []).append(column)
    return found


def data_stay(stack):
    """Each migration is taken back, from the last on, and all are made again: what the tables of
    before had columns for is there as it was."""
    # As `./scrip up` lets the migrations into the bridge's schema.
    stack.sql("GRANT scrip_bridge TO scrip", user="postgres")
    before = columns_of(stack)
    database = Database(stack, "scrip")
    full, names = rows(stack, before), database.planned()
    for name in reversed(names[names.index(EARLIER):-1]):
        database.sqitch("revert", "-y", "--to", name)
        kept = columns_of(stack)
        both = {table: [c for c in columns if c in kept.get(table, ())]
                for table, columns in before.items() if table in kept}
        check(len(both) >= 10, "most tables stay", sorted(both))
        before = both
    were = rows(stack, before)
    database.sqitch("deploy", "--verify")
    check(rows(stack, before) == were, "what was kept is there after all of it", were)
    same = [table for table, columns in before.items() if columns == columns_of(stack)[table]]
    check("ledger.journal" in same and "ledger.balance" in same, "whole tables", same)
    for table in same:
        check(were[table] == full[table], "no row of %s was lost" % table, were[table], full[table])


def candles_of_before(stack):
    """Candles of each kind; those that the table of before can hold stay when it is back."""
    stack.sql("SELECT marketdata.partitions_for('{1, 1, 6, 13, 15}', "
              "'{1709251140000000, 1709251200000000, 1709251200000000, 1709251200000000, "
              "1708905600000000}')")
    stack.sql("INSERT INTO marketdata.candle SELECT 'OLDUSDT', width, time_us, 5, 6, 4, 5, 0, 0, "
              "trades, 0, 0, true, 0 FROM (VALUES (1, 1709251140000000, 3), "
              "(1, 1709251200000000, 0), (6, 1709251200000000, 3), (13, 1709251200000000, 1), "
              "(15, 1708905600000000, 9)) AS v(width, time_us, trades)")
    return lambda: [int(width) for width, in stack.sql(
        "SELECT width FROM marketdata.candle WHERE symbol = 'OLDUSDT' ORDER BY width")]


def rows_of_an_earlier_version(stack, users):
    """Takes the last changes away and gives them back, with the rows staying where they are."""
    for user in users:
        user.place("BUY", "LIMIT", quantity="0.002", price="40000", time_in_force="GTC")
    before = [far_orders(user) for user in users]
    for name in reversed(SERVICES):
        stack.stop(name)
    candles = candles_of_before(stack)
    check(candles() == [1, 1, 6, 13, 15], "candles of each kind", candles())
    data_stay(stack)
    check(candles() == [1, 6], "what an earlier table holds of them stays", candles())
    stack.up()
    for user, orders in zip(users, before):
        check(orders and far_orders(user) == orders, "orders are open as before", orders,
              far_orders(user))
    # What was taken away with its columns, such as fill rules, the journal knows.
    stack.stop("ledger")
    stack.sql('TRUNCATE ledger.shard, ledger.account, ledger.settings, ledger.balance, '
              'ledger."order", ledger.trade, ledger.balance_change, ledger.order_story')
    stack.start("ledger")
    stack.wait_serving(users[0])
    for user, orders in zip(users, before):
        check(far_orders(user) == orders, "and by the journal alone", orders, far_orders(user))
        for order_id in orders:
            check(user.cancel(order_id)["status"] == "CANCELED", "each can be canceled", order_id)
        check(user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
              "a new order fills")


def with_another(stack, text):
    """Migrations with one more, in a folder of the stack."""
    folder = os.path.join(stack.dir, "db")
    shutil.copytree(os.path.join(ROOT, "db"), folder)
    with open(os.path.join(folder, "sqitch.plan"), "a", encoding="utf-8") as plan:
        plan.write("hard 2026-12-31T00:00:00Z Scrip <scrip@localhost> # more than it should\n")
    for verb, sql in (("deploy", text), ("revert", "BEGIN; COMMIT;"), ("verify", "SELECT 1;")):
        with open(os.path.join(folder, verb, "hard.sql"), "w", encoding="utf-8") as file:
            file.write(sql)
    return folder


def under_load(stack, load):
    """A migration that does more than add finds the services stopped, in order."""
    old = {name: stack.pid(name) for name in SERVICES}
    load.progress()
    stack.environment["SCRIP_DB"] = with_another(
        stack, "-- Services must be stopped.\nBEGIN;\n\nDO $$ BEGIN ASSERT (SELECT count(*) = 0 "
        "FROM pg_locks WHERE locktype = 'advisory' AND classid = 1); END $$;\n\nCOMMIT;\n")
    stack.up()
    del stack.environment["SCRIP_DB"]
    load.progress()
    for name in SERVICES:
        check(stack.pid(name) != old[name], name + " was started anew", old[name])
    check("projection_refused" not in stack.log("ledger"), "no row was refused")
    check("drain_ended" not in stack.log("ledger"), "the ledger ended in its time")
    Database(stack, "scrip", stack.dir + "/db").sqitch("revert", "-y", "--to", "@HEAD^")


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
