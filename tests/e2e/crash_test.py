#!/usr/bin/python3
"""kill -9 of each service under load, one after the other, then all at once: nothing is lost.

SPDX-License-Identifier: Apache-2.0
"""
from decimal import Decimal

import recording
from books import amount, check_account, check_journal, check_zero_sums
from load import Load
from stack import SERVICES, Stack, check, tell, wait_for


def fills_after_the_crash(stack, seller, resting):
    """An order that rested before the crash still fills: a buyer larger than the house meets it."""
    buyer = stack.user(balance="1000000")

    def bought():
        buyer.place("BUY", "LIMIT", quantity="6", price="50400", time_in_force="IOC")
        return seller.get_order(resting["order_id"])["status"] == "FILLED"

    wait_for(bought, "an open order from before the crash fills")
    done = seller.get_order(resting["order_id"])
    check(all(amount(f["price"]) == Decimal(50300) for f in done["fills"]), "at its price", done)
    check({f["evidence"]["source"] for f in done["fills"]} == {"USER"}, "against a user", done)
    check_account(buyer, "1000000")


def story():
    """kill -9 of each service under load loses nothing"""
    with Stack(market=recording.write) as stack:
        seller = stack.user(balance="100000")
        seller.place("BUY", "MARKET", quantity="0.5")
        resting = seller.place("SELL", "LIMIT", quantity="0.2", price="50300")
        with Load(stack) as load:
            load.progress()
            for name in SERVICES:
                stack.kill(name)
                load.progress()
                print("killed %s: %d orders acknowledged so far" % (name, load.count()))
            stack.kill(*SERVICES)
            stack.wait_ready()
            load.progress()
            print("killed all: %d orders acknowledged so far" % load.count())
        print("requests that had to be repeated, by status: %s" % load.troubles())
        load.check_nothing_lost()
        for trader in load.traders:
            check_account(trader.user, load.balance)
        check(seller.get_order(resting["order_id"])["status"] == "NEW", "it still rests", resting)
        fills_after_the_crash(stack, seller, resting)
        check_account(seller, "100000")
        check_zero_sums(stack)
        check_journal(stack)


if __name__ == "__main__":
    tell(story)
