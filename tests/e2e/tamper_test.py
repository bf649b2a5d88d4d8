#!/usr/bin/python3
"""Whatever somebody changes in the journal or in the tables, `scripctl verify` names it.

The tamperer owns the database and knows the format: tamper.py reads, writes and hashes records
without any of Scrip's code. Each deed is done to a copy of the same database.

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import os
import subprocess

import recording
from stack import Stack, check, tell, wait_for
from tamper import BALANCE_SET, NAMES, REPORT, Database, pack

UNIT = 10 ** 8  # amounts are counts of 10^-8
SETTINGS = {"ledger": "anchor_seconds = 1\n"}
SELLER, LIMIT = "40000", "60000"
FINE = "Everything is right: "


def time_text(time_us):
    seconds, rest = divmod(time_us, 1000000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + ".%06dZ" % rest


def amount_text(units):
    text = "%d.%08d" % divmod(units, UNIT)
    return text.rstrip("0").rstrip(".")


def named(record, what):
    """How verify begins a sentence on a record."""
    return "shard %d record %d (%s) of %s: %s" % (record.shard, record.seq, NAMES[record.kind],
                                                 time_text(record.time_us), what)


class Deed:
    """A copy of the database for one tampering; use as a context manager."""

    def __init__(self, court, name):
        self.court, self.name = court, name

    def __enter__(self):
        self.court.admin.sql("CREATE DATABASE %s TEMPLATE scrip" % self.name)
        return Database(self.court.socket, self.name)

    def __exit__(self, *_):
        self.court.admin.sql("DROP DATABASE %s" % self.name)


class Court:
    """The stopped stack, its auditor, and what is known of the journal beforehand."""

    def __init__(self, stack):
        self.stack = stack
        self.socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
        self.admin = Database(self.socket, "postgres")
        self.scrip = Database(self.socket, "scrip")
        self.key = os.path.join(stack.dir, "etc", "anchor-key.pub.pem")
        self.old_anchor = os.path.join(stack.dir, "old-anchor.txt")
        self.shard = None
        self.deeds = 0

    def ctl(self, *words):
        program = os.path.join(self.stack.environment["SCRIP_BUILD"], "tools", "scripctl",
                               "scripctl")
        run = subprocess.run([program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        return run.returncode, run.stdout

    def verify(self, database, *words):
        status, said = self.ctl("verify", "--quiet", "--database", database.conninfo(), *words)
        return status, [line.strip() for line in said.splitlines()]

    def must_say(self, database, sentence, *words):
        """verify ends with 1 and this very sentence, and with no other about the journal."""
        status, lines = self.verify(database, *words)
        told = [line for line in lines if line.startswith("shard ") and " record " in line or
                ": ledger." in line]
        check(status == 1 and told == [sentence], "verify says: " + sentence, status, lines)

    def deed(self):
        self.deeds += 1
        return Deed(self, "deed_%d" % self.deeds)

    def records(self):
        return self.scrip.records(self.shard)

    def record(self, fits):
        return next(record for record in self.records() if fits(record))


# ---- Before ------------------------------------------------------------------------------------


def trade(stack, court):
    """A market order, a limit that takes, one that rests, an anchor in between, and more."""
    user = stack.user(balance="1000000")
    for _ in range(3):
        user.place("BUY", "MARKET", quantity="0.01")
        user.place("BUY", "LIMIT", quantity="0.02", price=LIMIT)
    user.place("BUY", "LIMIT", quantity="0.5", price=SELLER)
    sold = user.place("SELL", "MARKET", quantity="0.01")
    check(sold["status"] == "FILLED", "the orders are filled", sold)
    wait_for(lambda: court.ctl("anchor", "export", court.old_anchor, "--database",
                               court.scrip.conninfo())[0] == 0 and anchored(court),
             "an anchor of these records")
    for _ in range(4):
        user.place("SELL", "MARKET", quantity="0.005")
    user.call("PUT", "/api/settings/trading/futures", {"leverage": 25})


def anchored(court):
    """Whether the kept anchors are of the orders so far; the file is taken away when not."""
    with open(court.old_anchor, encoding="ascii") as file:
        heads = [line.split() for line in file if line.startswith("shard ")]
    newest = court.scrip.sql("SELECT shard, max(seq) FROM ledger.journal GROUP BY shard")
    if heads and [heads[-1][1], heads[-1][2]] == newest[0]:
        return True
    os.remove(court.old_anchor)
    return False


def begin(stack, court):
    trade(stack, court)
    for part in ("gateway", "matcher", "ledger", "marketdata", "bridge"):
        stack.stop(part)
    court.shard = int(court.scrip.sql("SELECT DISTINCT shard FROM ledger.journal")[0][0])
    before = bytes(32)
    for record in court.records():
        check(record.hashed(before) == record.hash, "anybody can compute the chain", record.seq)
        before = record.hash
    status, lines = court.verify(court.scrip, "--anchor", court.old_anchor, "--anchor-key",
                                 court.key)
    check(status == 0 and lines[-1].startswith(FINE), "untouched, all is right", status, lines)
    shared = court.verify(court.scrip, "--jobs", "3")
    check(shared[0] == 0 and shared[1][-1] == lines[-1], "shared out, it is the same", shared)


# ---- The journal -------------------------------------------------------------------------------


def is_taken(record):
    """A report that fills a taker."""
    fills = record.body().get(3, []) if record.kind == REPORT else []
    return len(fills) > 0 and not fills[0].get(3, False)


def with_fill(record, **more):
    """The record with its first fill changed: price and quantity are its fields 1 and 2."""
    body = record.body()
    fill = body[3][0]
    fill[1] = more.get("price", fill[1])
    fill[2] = more.get("quantity", fill[2])
    record.payload = pack(body)
    return record


def a_changed_amount(court):
    record = court.record(is_taken)
    with court.deed() as database:
        database.write(with_fill(record, quantity=record.body()[3][0][2] + 1))
        court.must_say(database, named(
            record, "its hash is not that of its contents and the record before"))


def a_deleted_record(court):
    records = court.records()
    with court.deed() as database:
        database.sql("DELETE FROM ledger.journal WHERE shard = %d AND seq = %d" % (
            court.shard, records[4].seq))
        court.must_say(database, named(records[5], "record %d before it is missing" %
                                       records[4].seq))


def a_swapped_pair(court):
    first, second = court.records()[4:6]
    with court.deed() as database:
        database.sql("UPDATE ledger.journal SET seq = 1000000 + %d - seq WHERE shard = %d AND seq "
                     "IN (%d, %d)" % (first.seq + second.seq, court.shard, first.seq, second.seq))
        database.sql("UPDATE ledger.journal SET seq = seq - 1000000 WHERE seq > 1000000")
        second.seq = first.seq
        court.must_say(database, named(
            second, "its hash is not that of its contents and the record before"))


def a_truncated_tail(court):
    last = court.records()[-1].seq
    begins = "shard %d ends with record %d, and " % (court.shard, last - 2)
    ends = " record %d: the end of the journal is missing" % last
    with court.deed() as database:
        database.sql("DELETE FROM ledger.journal WHERE shard = %d AND seq > %d" % (court.shard,
                                                                                 last - 2))
        status, lines = court.verify(database)
        check(status == 1 and begins + "its tables are of" + ends in lines,
              "the tables know of more", status, lines)
        forget_tables(database)
        status, lines = court.verify(database)
        check(status == 0, "without tables nobody misses it", status, lines)
        status, lines = court.verify(database, "--anchor-key", court.key)
        told = [line for line in lines if line.startswith(begins + "an anchor of ")]
        check(status == 1 and len(told) == 1 and told[0].endswith(" has" + ends),
              "but for an anchor", status, lines)


def forget_tables(database):
    """The ledger would make them anew from the journal."""
    database.sql("TRUNCATE ledger.shard, ledger.account, ledger.settings, ledger.balance, "
                 "ledger.\"order\", ledger.trade, ledger.balance_change, ledger.order_story")


def a_chain_written_anew(court):
    """Other money, hashes that fit, tables and anchors gone: who kept an anchor knows."""
    record = court.record(lambda r: r.kind == BALANCE_SET)
    body = record.body()
    body[3] -= 100 * UNIT
    record.payload = pack(body)
    with open(court.old_anchor, encoding="ascii") as file:
        text = file.read()
    points = [(int(part.split("shard %d " % court.shard)[1].split()[0]),
               part.split("\ntime ")[1].split("\n")[0])
              for part in text.split("scrip-anchor 1\n")[1:] if "shard %d " % court.shard in part]
    seq, time = next(point for point in points if point[0] >= record.seq)
    with court.deed() as database:
        database.rehash(court.shard, record)
        forget_tables(database)
        database.sql("ALTER TABLE ledger.anchor DISABLE TRIGGER ALL; DELETE FROM ledger.anchor")
        status, lines = court.verify(database, "--anchor-key", court.key)
        check(status == 0 and lines[-1].startswith(FINE), "the journal itself shows nothing",
              status, lines)
        found = next(r for r in database.records(court.shard) if r.seq == seq)
        court.must_say(database, named(found, "it is not the one that was anchored at %s" % time),
                       "--anchor", court.old_anchor, "--anchor-key", court.key)


# ---- Fills -------------------------------------------------------------------------------------


def is_limit_taken(court, record):
    if not is_taken(record):
        return False
    price = court.scrip.sql("SELECT price FROM ledger.\"order\" WHERE order_id = %d" %
                            record.body()[1])[0][0]
    return int(price) == int(LIMIT) * UNIT


def a_fill_that_an_insider_made_worse(court):
    """Hashes fit; the order's limit and what the fill rests on tell."""
    record = court.record(lambda r: is_limit_taken(court, r))
    order_id, fill = record.body()[1], record.body()[3][0]
    shown = fill[4][3]
    with court.deed() as database:
        database.rehash(court.shard, with_fill(record, price=(int(LIMIT) + 1) * UNIT))
        court.must_say(database, named(
            record, "fill 1 of order %d at %d is worse than its limit %s" % (
                order_id, int(LIMIT) + 1, LIMIT)))
    with court.deed() as database:
        database.rehash(court.shard, with_fill(record, price=shown + 7 * UNIT))
        court.must_say(database, named(
            record, "fill 1 of order %d at %s does not follow from its evidence at %s" % (
                order_id, amount_text(shown + 7 * UNIT), amount_text(shown))))


# ---- The tables --------------------------------------------------------------------------------


def a_changed_row(court, change, table, key, column, found, expected):
    with court.deed() as database:
        database.sql(change)
        court.must_say(database, "shard %d: %s, %s: %s is %s in the table and %s by the journal" % (
            court.shard, table, key, column, found, expected))


def changed_rows(court):
    account, free = court.scrip.sql("SELECT account_id, free FROM ledger.balance WHERE asset = "
                                    "'USDT' AND wallet = 1 AND account_id < 1::bigint << 50")[0]
    a_changed_row(court, "UPDATE ledger.balance SET free = free + 1 WHERE account_id = %s AND "
                  "wallet = 1 AND asset = 'USDT'" % account, "ledger.balance",
                  "account_id %s, wallet 1, asset USDT" % account, "free", int(free) + 1, free)
    for status in ("= 3", "= 1"):  # one that is finished, one that is open
        order, done = court.scrip.sql("SELECT order_id, executed_quantity FROM ledger.\"order\" "
                                      "WHERE status %s LIMIT 1" % status)[0]
        a_changed_row(court, "UPDATE ledger.\"order\" SET executed_quantity = executed_quantity "
                      "+ 5 WHERE order_id = %s" % order, "ledger.order",
                      "account_id %s, order_id %s" % (account, order), "executed_quantity",
                      int(done) + 5, done)
    a_changed_row(court, "UPDATE ledger.settings SET leverage = 125 WHERE wallet = 2",
                  "ledger.settings", "account_id %s, wallet 2" % account, "leverage", 125, 25)


def a_deleted_trade(court):
    trade_id, account = court.scrip.sql("SELECT trade_id, account_id FROM ledger.trade "
                                        "ORDER BY trade_id LIMIT 1")[0]
    with court.deed() as database:
        database.sql("DELETE FROM ledger.trade WHERE trade_id = %s" % trade_id)
        court.must_say(database, "shard %d: ledger.trade, account_id %s, trade_id %s: the row is "
                       "missing" % (court.shard, account, trade_id))


def story():
    """Whatever is changed in journal or tables, verify names it"""
    with Stack(SETTINGS, market=recording.write) as stack:
        court = Court(stack)
        begin(stack, court)
        a_changed_amount(court)
        a_deleted_record(court)
        a_swapped_pair(court)
        a_truncated_tail(court)
        a_chain_written_anew(court)
        a_fill_that_an_insider_made_worse(court)
        changed_rows(court)
        a_deleted_trade(court)


tell(story)
