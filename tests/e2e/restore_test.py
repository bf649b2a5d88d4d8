#!/usr/bin/python3
"""A stack is backed up while it trades and restored to a moment on another, which trades on.

SPDX-License-Identifier: Apache-2.0
"""
import os
import shutil
import subprocess
import tempfile

import recording
from books import check_account, check_journal, check_zero_sums
from load import ORDERS, Load
from stack import ROOT, Stack, check, tell, wait_for


class Restored(Stack):
    """A stack whose database comes from a backup."""

    def __init__(self, folder, moment):
        super().__init__(market=recording.write)
        self.folder, self.moment = folder, moment

    def up(self):
        print(self.scrip("restore", self.folder, "--until", self.moment).rstrip())
        super().up()


def refused(stack, *words):
    """What ./scrip says when it does not do it."""
    run = subprocess.run([os.path.join(ROOT, "scrip"), *words], env=stack.environment,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    check(run.returncode == 1, "./scrip %s is refused" % " ".join(words), run.stdout)
    return run.stdout


def picture(users):
    return [(user.balances(), user.orders(), user.trades(), user.open_orders()) for user in users]


def still_moment(stack, users):
    """A time of the database and what the accounts were then: nothing happened around it."""
    def moment():
        before = [user.account()["event_sequence"] for user in users]
        seen = picture(users)
        at = stack.sql("SELECT clock_timestamp()")[0][0]
        after = [user.account()["event_sequence"] for user in users]
        return (at, seen) if before == after else None

    return wait_for(moment, "a moment without a fill")


def archived(stack, folder):
    """Waits until the log of all that happened is in the archive."""
    name = stack.sql("SELECT pg_walfile_name(pg_switch_wal())", user="postgres")[0][0]
    wait_for(lambda: os.path.exists(os.path.join(folder, "wal", name + ".gz")),
             "the log is archived")


def traders_again(stack, load):
    """The traders of before, at the restored stack; its keys know their tokens."""
    users = []
    for trader in load.traders:
        user = stack.client()
        user.token, user.name = trader.user.token, trader.user.name
        users.append(user)
    return users


def goes_on(stack, load, seen):
    users = traders_again(stack, load)
    now = picture(users)
    for user, was, there in zip(users, seen, now):
        for what, old, new in zip(("balances", "orders", "trades", "open orders"), was, there):
            check(old == new, "the %s of %s are those of the moment" % (what, user.name), old, new)
    check_zero_sums(stack)
    check_journal(stack)
    print(stack.scrip("ctl", "verify").rstrip().splitlines()[-1])
    for user in users:
        check(user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
              "an order fills", user.name)
        check_account(user, load.balance)
    check(stack.user("newcomer").place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
          "and one of a new user")


def refusals(stack, folder):
    check("has a database" in refused(stack, "restore", folder) or
          "a stack runs" in refused(stack, "restore", folder), "a database is not written over")
    check("is no time" in refused(stack, "restore", folder, "--until", "soonish"), "a time is one")
    check("no folder of" in refused(stack, "restore", ROOT + "/docs"), "a backup is one")
    check("is not empty" in refused(stack, "backup", ROOT + "/docs"),
          "a backup is not mixed with other files")


def deployment(stack):
    """What ids of orders are told apart by at an exchange: those after the moment come again."""
    return stack.sql("SELECT id FROM bridge.deployment", user="scrip_bridge")[0][0]


def story():
    """A stack restored to a moment has the books of that moment and trades on"""
    folder = tempfile.mkdtemp(prefix="scrip-backup-", dir=os.environ.get("SCRIP_E2E_DIR"))
    try:
        with Stack(market=recording.write) as stack:
            with Load(stack) as load:
                load.progress()
                print(stack.scrip("backup", folder).rstrip())
                load.progress()
            for trader in load.traders:  # what the market would come to as soon as it runs there
                for order in trader.user.open_orders():
                    if order["price"] != "40000.00000000":
                        trader.user.ask("DELETE", "%s/%s" % (ORDERS, order["order_id"]))
            moment, seen = still_moment(stack, [trader.user for trader in load.traders])
            for trader in load.traders:
                trader.user.place("BUY", "MARKET", quantity="0.01")
            archived(stack, folder)
            print(stack.scrip("backup", "--status").rstrip())
            refusals(stack, folder)
            with Restored(folder, moment) as other:
                check(deployment(other) != deployment(stack), "its real orders have other names")
                goes_on(other, load, seen)
                check("is of another database" not in other.scrip("backup", folder),
                      "it may be backed up where it came from")
            stack.scrip("backup", "--off")
            with Stack(market=recording.write) as stranger:
                check("is of another database" in refused(stranger, "backup", folder),
                      "no other database is")
            future = refused(stack, "restore", folder, "--until", "2100-01-01")
            check("a stack runs" in future, "nor is a running stack", future)
            print("restored to %s" % moment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    tell(story)
