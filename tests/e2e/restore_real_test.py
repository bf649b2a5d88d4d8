#!/usr/bin/python3
"""What became of a real order is found out after a restore, too, by the name it was sent under.

The exchange executes an order while nobody can hear of it, and one more after the moment that the
stack is restored to. Of the second the restored one knows nothing; its number is given to another
order, and neither may be taken for the other.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import tempfile
from decimal import Decimal

from real import Exchanges, go_real, put_key, user_of
from stack import Stack, check, flat, tell, wait_for

ORDERS = "/api/paper-trading/orders"


class Restored(Stack):
    """A stack whose database comes from a backup, with the master keys of before."""

    def __init__(self, folder, moment, keys, settings):
        super().__init__(settings=settings)
        self.folder, self.moment, self.keys = folder, moment, keys

    def up(self):
        print(self.scrip("restore", self.folder, "--until", self.moment).rstrip())
        os.makedirs(os.path.join(self.dir, "etc"), exist_ok=True)
        shutil.copy2(self.keys, os.path.join(self.dir, "etc", "master-keys"))
        super().up()


class Story:
    def __init__(self, x, stack, folder):
        self.exchange, self.stack, self.folder = x.testnet, stack, folder
        self.user = user_of(stack)
        self.account = self.exchange.add_account(spot={"USDT": "100000", "BTC": "5"})
        put_key(self.user, "spot", self.account)
        go_real(self.user)

    def named(self, stack):
        """How the orders of a stack begin at the exchange."""
        row = stack.sql("SELECT id FROM bridge.deployment", user="scrip_bridge")[0]
        return "scrip-%s-" % row[0]

    def truth(self, name, order_id):
        return self.exchange.order_truth("%s%d" % (name, order_id), market="spot")

    def unheard(self):
        """An order that the exchange executes, and nobody hears of."""
        status, answer = self.user.ask("POST", ORDERS, self.user.order(
            "BUY", "MARKET", quantity="0.01", client_order_id="unheard"))
        check(status == 504 and answer["error"]["code"] == "OUTCOME_UNKNOWN", "nobody knows",
              answer)
        order = flat(self.user.call("GET", ORDERS + "/by-client-id/unheard"))
        check(order["exchange_state"] in ("SENDING", "UNKNOWN"), "unresolved", order)
        return order["order_id"]

    def lost(self):
        """Two orders, and a moment between them; then the stack is gone."""
        faults = [self.exchange.fault("stale", stream="user@%d@*" % self.account.number),
                  self.exchange.fault("rest_timeout", path="order", method="POST", when="after",
                                      seconds=30),
                  self.exchange.fault("rest_error", path="order", method="GET", count=100000,
                                      status=503, code=-1001)]
        self.known = self.unheard()
        self.moment = self.stack.sql("SELECT clock_timestamp()")[0][0]
        self.gone = self.user.place("BUY", "MARKET", quantity="0.02")["order_id"]
        wal = self.stack.sql("SELECT pg_walfile_name(pg_switch_wal())", user="postgres")[0][0]
        wait_for(lambda: os.path.exists(os.path.join(self.folder, "wal", wal + ".gz")),
                 "the log is archived")
        self.before = self.named(self.stack)
        self.stack.scrip("down")
        for fault in faults:
            self.exchange.end_fault(fault["fault"])
        for order_id in (self.known, self.gone):
            truth = self.truth(self.before, order_id)
            check(truth["received"] == truth["executed"] == 1, "executed, once", truth)

    def found(self, other):
        user = other.client()
        user.token, user.name = self.user.token, self.user.name
        now = self.named(other)
        check(now != self.before, "new orders have other names", now)
        got = wait_for(lambda: self.filled(user, self.known), "it is found by its name of before",
                       120)
        check(got["exchange_state"] == "PLACED" and got["executed_quantity"] == "0.01000000",
              "and was executed", got)
        there = self.truth(self.before, self.known)
        check(there["received"] == 1 and got["exchange_order_id"] == there["orders"][0]["order_id"],
              "once, there", there)
        again = user.place("BUY", "MARKET", quantity="0.03")
        check(again["order_id"] == self.gone, "the number of the one that is gone", again)
        got = wait_for(lambda: self.filled(user, again["order_id"]), "is another order's now")
        check(Decimal(got["executed_quantity"]) == Decimal("0.03"), "with its own fills", got)
        there = self.truth(now, again["order_id"])
        check(there["received"] == 1 and got["exchange_order_id"] == there["orders"][0]["order_id"],
              "and a name of its own", there)

    @staticmethod
    def filled(user, order_id):
        got = user.get_order(order_id)
        check(got["status"] != "REJECTED", "it is not taken for one that was never placed", got)
        return got if got["status"] == "FILLED" else None


def story():
    """What nobody knew at the moment is asked for by its name of then; what is new has another"""
    folder = tempfile.mkdtemp(prefix="scrip-backup-", dir=os.environ.get("SCRIP_E2E_DIR"))
    try:
        with Exchanges() as x, x.stack("testnet") as stack:
            s = Story(x, stack, folder)
            keys = os.path.join(stack.dir, "etc", "master-keys")
            print(stack.scrip("backup", folder).rstrip())
            s.lost()
            with Restored(folder, s.moment, keys, x.settings()) as other:
                s.found(other)
            x.live_is_untouched()
            x.no_violations()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    tell(story)
