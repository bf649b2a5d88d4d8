"""judge - after the storm: is all there that was acknowledged, once, and do the books add up?

Everything is computed anew, from what the clients wrote down and from the rows of the tables; none
of Scrip's own arithmetic is used. Amounts are whole numbers of 10^-8.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import random
import statistics
import subprocess
from collections import defaultdict

from books import check_account, check_journal, check_zero_sums
from parts import LEDGERS, STANDBY
from stack import HttpError, SERVICES, StoryFailed, flat, wait_for

STATUSES = ("", "NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED",
            "EXPIRED_IN_MATCH", "PENDING_NEW")
OPEN = {"PENDING_NEW": 0, "NEW": 1, "PARTIALLY_FILLED": 2}
UNIT = 100_000_000
TABLES = {
    "orders": "order_id, account_id, client_order_id, status, executed_quantity,"
              " executed_quote_quantity, quantity, held, side, base_asset, quote_asset, fills"
              ' FROM ledger."order"',
    "trades": "trade_id, order_id, account_id, side, price, quantity, quote_quantity, fee,"
              " fee_asset FROM ledger.trade",
    "changes": "account_id, wallet, old_balance, new_balance FROM ledger.balance_change",
    "balances": "account_id, wallet, asset, free, held FROM ledger.balance"
                " WHERE account_id < (1::bigint << 50)",
}
PROBLEMS_MAX = 20
SAMPLE = 60
LATE_S = 60  # an answer that took longer than this is a finding of its own


def units(text):
    """"1.50000000" as a whole number."""
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(8, "0")[:8])


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def spread(values):
    return {"count": len(values), "median_s": round(statistics.median(values), 3),
            "p99_s": round(percentile(values, 0.99), 3), "max_s": round(max(values), 3)}


class Judge:
    def __init__(self, stack, files, streams, users):
        self.stack, self.files, self.streams = stack, files, streams
        self.accounts = {user["name"]: user["account_id"] for user in users}
        self.problems = []
        self.problems_count = self.lost = self.doubled = 0
        self.answers, self.intents = [], 0
        self.names = {}  # (account, client order id): whether an answer acknowledged it

    def problem(self, text):
        self.problems_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(text)

    # ---- What the clients wrote down ----

    def read_files(self):
        open_intents = {}
        for path in self.files:
            with open(path, encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    if "i" in entry:
                        self.intents += 1
                        open_intents[path, entry["i"]] = entry
                        continue
                    intent = open_intents.pop((path, entry["a"]))
                    entry["names"], entry["body"] = intent["names"], intent["body"]
                    self.answers.append(entry)
        for entry in open_intents.values():
            self.problem("a request was never settled: %s" % entry)

    # ---- What the tables say ----

    def read_tables(self):
        """As of one moment, at least as late as all that the journal holds now."""
        wait_for(lambda: self.stack.sql(
            "SELECT count(*) FROM (SELECT shard, max(seq) AS last FROM ledger.journal"
            " GROUP BY shard) j LEFT JOIN ledger.shard s USING (shard)"
            " WHERE s.seq IS DISTINCT FROM j.last") == [["0"]], "the tables catch up")
        tables = defaultdict(list)
        for row in self.stack.sql("BEGIN ISOLATION LEVEL REPEATABLE READ;" + ";".join(
                "SELECT '%s', %s" % pair for pair in TABLES.items()) + ";COMMIT"):
            tables[row[0]].append(row[1:])
        self.orders, self.by_name = {}, defaultdict(list)
        for row in tables["orders"]:
            order = dict(zip(("id", "account"), map(int, row[:2])), name=row[2],
                         status=STATUSES[int(row[3])], executed=int(row[4]), quote=int(row[5]),
                         quantity=int(row[6]), held=int(row[7]), side=int(row[8]), base=row[9],
                         quoted=row[10], fills=int(row[11]))
            self.orders[order["id"]] = order
            self.by_name[order["account"], order["name"]].append(order)
        self.trades = [dict(zip(("id", "order", "account", "side", "price", "quantity", "quote",
                                 "fee"), map(int, row[:8])), fee_asset=row[8])
                       for row in tables["trades"]]
        self.changes = [tuple(map(int, row)) for row in tables["changes"]]
        self.balances = [(int(row[0]), int(row[1]), row[2], int(row[3]), int(row[4]))
                         for row in tables["balances"]]

    # ---- Acknowledged and there ----

    def check_told(self):
        """Each order that an answer told of is there, and at least as far as it was told."""
        trades = {trade["id"] for trade in self.trades}
        last = {}
        for entry in self.answers:
            for told in entry["told"]:
                order_id, name, status, executed, quote, quantity, fills = told
                there = self.orders.get(order_id)
                account = self.accounts[entry["user"]]
                wrong = self.compare(there, account, name, status, units(executed), units(quote),
                                     units(quantity))
                missing = [fill for fill in fills if fill not in trades]
                if wrong or missing:
                    self.lost += 1
                    self.problem("%s; told %s, there is %s, trades missing %s" % (
                        wrong or "a fill vanished", told, there, missing))
                # A connection asks for one thing after the other, so what it is told goes forward.
                before = last.get((entry["lane"], order_id))
                now = (OPEN.get(status, 9), units(executed))
                if before and (now[0] < before[0] or now[1] < before[1]):
                    self.problem("an order went back: %s, then %s" % (before, told))
                last[entry["lane"], order_id] = now
                self.names[account, name] = True

    @staticmethod
    def compare(there, account, name, status, executed, quote, quantity):
        if there is None or there["account"] != account:
            return "an acknowledged order is lost"
        if name and there["name"] != name:
            return "an order has another client's id"
        if there["executed"] < executed or there["quote"] < quote:
            return "what was executed shrank"
        if there["quantity"] > quantity:
            return "an order's quantity grew"
        final = status not in OPEN
        if final and (there["status"] != status or there["executed"] != executed):
            return "an order that was done has changed"
        if not final and OPEN.get(there["status"], 9) < OPEN[status]:
            return "an order's status went back"
        return None

    def check_answers(self):
        """Placements that were acknowledged name their orders; refused ones did nothing."""
        for entry in self.answers:
            account = self.accounts[entry["user"]]
            refused = entry.get("errors", {})
            for place, name in enumerate(entry["names"]):
                is_refused = "" in refused or str(place) in refused
                found = self.by_name.get((account, name), [])
                if is_refused and any(o["executed"] or o["status"] in OPEN for o in found):
                    self.problem("an order was refused and done: %s %s" % (entry, found))
                if not is_refused and len(found) == 0:
                    self.lost += 1
                    self.problem("an acknowledged order is lost: %s %s" % (name, entry))
            if entry.get("odd"):
                self.problem("a refusal that nobody expects: %s" % entry)
            if entry["op"] == "list_cancel" and entry["status"] == 404:
                first = self.orders.get(int(entry["path"].rpartition("/")[2]))
                if first is None or first["status"] in OPEN:
                    self.problem("a list that is there was not found: %s %s" % (entry, first))
            if entry["t"] - entry["b"] > LATE_S:
                self.problem("it took %.0f s until an answer settled it: %s" % (
                    entry["t"] - entry["b"], {k: entry[k] for k in ("op", "troubles", "status")}))

    def check_balances_set(self):
        """Each balance that was acknowledged as set is among the account's changes."""
        changes = defaultdict(set)
        for account, _, _, new in self.changes:
            changes[account].add(new)
        for entry in self.answers:
            if entry["op"] == "balance" and entry["status"] == 200 and \
                    units(entry["body"]["balance"]) not in changes[self.accounts[entry["user"]]]:
                self.lost += 1
                self.problem("a balance that was set is lost: %s" % entry["body"])

    def check_once(self):
        for key, orders in self.by_name.items():
            if len(orders) > 1:
                self.doubled += len(orders) - 1
                self.problem("a client order id has more than one order: %s %s" % (key, orders))
        if len({trade["id"] for trade in self.trades}) != len(self.trades):
            self.doubled += 1
            self.problem("a trade id stands twice")
        sums = defaultdict(lambda: [0, 0, 0])
        for trade in self.trades:
            found = sums[trade["order"]]
            found[0] += trade["quantity"]
            found[1] += trade["quote"]
            found[2] += 1
        for order in self.orders.values():
            wanted = [order["executed"], order["quote"], order["fills"]]
            if sums[order["id"]] != wanted:
                self.doubled += sums[order["id"]] > wanted
                self.problem("fills of %s add up to %s" % (order, sums[order["id"]]))
            if order["status"] not in OPEN and order["held"]:
                self.problem("an order is done and still holds: %s" % order)

    # ---- Books ----

    def check_books(self):
        """Every user's balances from his changes and trades, every hold from his open orders."""
        totals, held = defaultdict(int), defaultdict(int)
        for account, wallet, old, new in self.changes:
            totals[account, wallet, "USDT"] += new - old
        for trade in self.trades:
            order, account = self.orders.get(trade["order"]), trade["account"]
            if order is None:
                self.problem("a trade has no order: %s" % trade)
                continue
            if trade["quote"] != trade["price"] * trade["quantity"] // UNIT:
                self.problem("a quote amount is not price times quantity: %s" % trade)
            sign = 1 if trade["side"] == 1 else -1
            totals[account, 1, order["base"]] += sign * trade["quantity"]
            totals[account, 1, order["quoted"]] -= sign * trade["quote"]
            totals[account, 1, trade["fee_asset"]] -= trade["fee"]
        for order in self.orders.values():
            asset = order["quoted"] if order["side"] == 1 else order["base"]
            held[order["account"], 1, asset] += order["held"]
        seen = set()
        for account, wallet, asset, free, kept in self.balances:
            key = account, wallet, asset
            seen.add(key)
            if free + kept != totals[key]:
                self.problem("%s has %s + %s, its trades and changes make %d" % (
                    key, free, kept, totals[key]))
            if kept != held[key]:
                self.problem("%s holds %s, its open orders hold %d" % (key, kept, held[key]))
        for key, total in totals.items():
            if total and key not in seen:
                self.problem("%s is missing, %d" % (key, total))
        try:
            check_zero_sums(self.stack)
            check_journal(self.stack)
        except StoryFailed as failure:
            self.problem(str(failure))
        for name in (one for one in LEDGERS if one in self.stack.extras or one == "ledger"):
            if self.stack.metric(name, "scrip_ledger_books_violated"):
                self.problem("%s finds its books violated" % name)

    def check_api(self, clients):
        """What the tables say is what clients are told."""
        chance = random.Random(len(self.answers))
        for client in clients:
            check_account_with_changes(self, client)
            mine = [o for o in self.orders.values() if o["account"] == self.accounts[client.name]]
            for order in chance.sample(mine, min(len(mine), SAMPLE // len(clients) + 1)):
                try:
                    told = flat(client.get_order(order["id"]))
                except HttpError as error:
                    self.problem("an order cannot be read: %s" % error)
                    continue
                now = dict(order, status=told["status"], executed=units(told["executed_quantity"]),
                           quote=units(told["executed_quote_quantity"]),
                           quantity=units(told["quantity"]), name=told["client_order_id"])
                if self.compare(now, order["account"], order["name"], order["status"],
                                order["executed"], order["quote"], order["quantity"]):
                    self.problem("tables and answers differ: %s, %s" % (order, told))

    # ---- Streams ----

    def check_streams(self, followers):
        contents, done, events = {}, 0, 0
        for path in self.streams:
            with open(path, encoding="utf-8") as file:
                for line in file:
                    entry = json.loads(line)
                    if "wrong" in entry:
                        self.problem("stream of %s: %s" % (entry["user"], entry["wrong"]))
                    done += "done" in entry
                    if "n" not in entry:
                        continue
                    events += 1
                    key = entry["user"], entry["n"]
                    if contents.setdefault(key, entry["hash"]) != entry["hash"]:
                        self.problem("event %s of %s was told twice and differs" % key[::-1])
        if done != followers:
            self.problem("of %d followers %d came to their end" % (followers, done))
        return events

    # ---- scripctl ----

    def verify(self):
        """"clean", "absent" where this build has no such command, or a problem."""
        program = os.path.join(self.stack.build, "tools", "scripctl", "scripctl")
        socket = os.path.join(os.path.realpath(os.path.join(self.stack.dir, "pg")), "socket")
        database = "host=%s dbname=scrip user=scrip" % socket
        if not os.path.exists(program):
            return "absent"
        run = subprocess.run([program, "verify"], capture_output=True, text=True, check=False,
                             stdin=subprocess.DEVNULL,
                             env=dict(os.environ, SCRIPCTL_DATABASE=database))
        if run.returncode == 0:
            return "clean"
        if run.returncode == 2 and "verify" in run.stderr:
            return "absent"
        self.problem("scripctl verify: %d\n%s%s" % (run.returncode, run.stdout[-2000:],
                                                    run.stderr[-2000:]))
        return "failed"

    # ---- Figures ----

    def figures(self):
        placed = sum(1 for names in self.names if names)
        first = min(entry["b"] for entry in self.answers)
        last = max(entry["t"] for entry in self.answers)
        troubles, ops = defaultdict(int), defaultdict(int)
        for entry in self.answers:
            ops[entry["op"]] += 1
            for status, count in entry.get("troubles", {}).items():
                troubles[status] += count
        return {"acknowledged": placed, "requests": len(self.answers), "seconds": last - first,
                "orders_per_second": round(placed / (last - first), 1),
                "requests_per_second": round(len(self.answers) / (last - first), 1),
                "by_request": dict(ops), "repeated": dict(troubles)}

    def recoveries(self, kills):
        """From each kill to the first answer that acknowledges an order asked for after it."""
        fresh = sorted((entry["b"], entry["t"]) for entry in self.answers
                       if entry["status"] in (200, 201) and entry["names"])
        # The earliest answer among requests that began at or after each point.
        earliest, best = [0.0] * len(fresh), float("inf")
        for index in range(len(fresh) - 1, -1, -1):
            best = min(best, fresh[index][1])
            earliest[index] = best
        by_name = defaultdict(list)
        for kill in kills:
            low, high = 0, len(fresh)
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if fresh[middle][0] < kill["at"] else (low, middle)
            if low < len(fresh):
                by_name[kill["name"]].append(earliest[low] - kill["at"])
        every = [value for values in by_name.values() for value in values]
        ready = [kill["ready_s"] for kill in kills if kill["ready_s"] is not None]
        for kill in kills:
            if kill["ready_s"] is None:
                self.problem("%s did not come back alone" % kill["name"])
        return {"orders": spread(every), "ready": spread(ready),
                "orders_by_part": {name: spread(values) for name, values in by_name.items()}}


def check_account_with_changes(judge, client):
    """The story's own account book, on the answers that a client gets."""
    changes = client.all_pages("/api/settings/paper-balance/spot/history", "changes", limit=500)
    gained = sum(units(one["new_balance"]) - units(one["old_balance"]) for one in changes)
    opening = "%d.%08d" % divmod(gained, UNIT) if gained >= 0 else str(gained / UNIT)
    try:
        check_account(client, opening)
    except StoryFailed as failure:
        judge.problem("%s: %s" % (client.name, failure))


def check_parts(judge, stack):
    """Every part runs and serves, and nobody lent a hand."""
    for name in ("postgres", "redis") + SERVICES + ((STANDBY,) if STANDBY in stack.extras else ()):
        try:
            wait_for(lambda n=name: stack.is_up(n), name + " serves again")
        except StoryFailed as failure:
            judge.problem(str(failure))
    for line in stack.complaints():
        judge.problem("log: " + line)
