#!/usr/bin/python3
"""storm - a whole Scrip under load while its parts are killed, stopped, cut off and set to wrong
times, by a plan made from a seed; afterwards a judge looks whether anything was lost or doubled.

usage: storm.py [--seconds S] [--seed N] [--kills N] [--rate N] [--json FILE]

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import apart  # noqa: E402
from faults import KILLED, KINDS, Faults, plan  # noqa: E402
from parts import LEDGERS, STANDBY, TCP, StormStack  # noqa: E402
import recording  # noqa: E402, tests/e2e
from client import PASSWORD  # noqa: E402, tools
from crash_test import fills_after_the_crash  # noqa: E402, tests/e2e
from judge import Judge, check_parts  # noqa: E402
from stack import HttpError, StoryFailed, check, wait_for  # noqa: E402

SETTINGS = {"gateway": "\n".join([
    "token_minutes = 1440", "account_requests_per_second = 1000000",
    "account_requests_burst = 10000000", "public_requests_per_second = 10000000",
    "public_requests_burst = 10000000"])}
LANES, PROCESSES = 4, 2
ORDERS_A_TURN = 0.74  # what the traders' mix makes of a turn
FOLLOWED = 2  # accounts, by two followers each
OPENING = "650000"
SETTLE_S = 120


def say(text):
    print(text, flush=True)


class Child:
    """A program of the storm's own, started with a job."""

    def __init__(self, program, path, job):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(job, file)
        self.name = os.path.basename(path)
        with open(path + ".log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([sys.executable, os.path.join(HERE, program), path],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, start_new_session=True, text=True)
        check(self.process.stdout.readline() == "ready\n", self.name + " is ready")

    def lives(self):
        return self.process.poll() is None

    def tell_to_end(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        try:
            status = self.process.wait(SETTLE_S + 60)
        except subprocess.TimeoutExpired as error:
            raise StoryFailed("%s does not settle what it asked for" % self.name) from error
        check(status == 0, self.name + " ended well", status)

    def kill(self):
        if self.lives():
            self.process.kill()
        self.process.wait()


class Storm:
    def __init__(self, stack, options):
        self.stack, self.options = stack, options
        self.dir = os.path.join(stack.dir, "storm")
        os.mkdir(self.dir, 0o700)
        self.children = []
        self.traders, self.followers = [], []
        self.files, self.streams = [], []

    # ---- Load ----

    def make_users(self):
        self.clients = [self.stack.user(balance=OPENING) for _ in range(self.options.users)]
        self.users = []
        for client in self.clients:
            client.place("BUY", "MARKET", quantity="1")
            account = client.account()["account_id"]
            self.users.append({"name": client.name, "token": client.token,
                               "account_id": account})

    def start(self, program, name, **job):
        job.update(port=self.stack.url_port, seed=self.options.seed, password=PASSWORD,
                   file=os.path.join(self.dir, name + ".jsonl"))
        child = Child(program, os.path.join(self.dir, name + ".job"), job)
        self.children.append(child)
        return child, job["file"]

    def start_load(self):
        share = self.options.users // PROCESSES
        for index in range(PROCESSES):
            child, path = self.start(
                "trader.py", "trader-%d" % index, users=self.users[index * share:][:share],
                lanes=LANES, first_lane=index * share * LANES,
                rate=self.options.rate / ORDERS_A_TURN / PROCESSES)
            self.traders.append(child)
            self.files.append(path)
        child, path = self.start("follower.py", "follower", users=self.users[:FOLLOWED])
        self.followers.append(child)
        self.streams.append(path)

    def progress(self, what):
        """Waits until every process of traders is answered again."""
        sizes = {path: os.path.getsize(path) for path in self.files}
        wait_for(lambda: all(os.path.getsize(path) > size + 20000
                             for path, size in sizes.items()), what)

    def end_load(self):
        for group in (self.traders, self.followers):
            for child in group:
                child.tell_to_end()
            for child in group:
                child.wait()

    def alive(self):
        dead = [child.name for child in self.children if not child.lives()]
        check(not dead, "the clients live through it", dead)
        return True

    # ---- The whole ----

    def run(self):
        options = self.options
        self.stack.start_standby(STANDBY)
        wait_for(lambda: "standby" in self.stack.ready(STANDBY)[1], "the second ledger waits")
        keeper = self.stack.user(balance="100000")
        keeper.place("BUY", "MARKET", quantity="0.5")
        resting = keeper.place("SELL", "LIMIT", quantity="0.2", price="50300")
        self.make_users()
        self.start_load()
        self.progress("orders are acknowledged before the storm")
        kinds = [kind for kind in KINDS if kind != "cut" or options.can_cut]
        faults = Faults(self.stack, options.can_cut, apart.Cut)
        faults.run(plan(options.seed, options.seconds, options.kills, kinds), self.alive)
        say("  the storm is over: %d kills, %s" % (len(faults.kills), faults.counts))
        judge = Judge(self.stack, self.files, self.streams, self.users)
        check_parts(judge, self.stack)
        self.progress("orders are acknowledged after the storm")
        self.end_load()
        return self.judge(judge, faults, keeper, resting)

    def judge(self, judge, faults, keeper, resting):
        say("  judging")
        judge.read_files()
        judge.read_tables()
        judge.check_told()
        judge.check_answers()
        judge.check_balances_set()
        judge.check_once()
        judge.check_books()
        judge.check_api(random.Random(self.options.seed).sample(self.clients, 3))
        events = judge.check_streams(2 * FOLLOWED)
        verify = judge.verify()
        try:
            fills_after_the_crash(self.stack, keeper, resting)
        except (StoryFailed, HttpError) as failure:
            judge.problem("open orders do not fill any more: %s" % failure)
        by_part = {name: 0 for name in KILLED}
        for kill in faults.kills:
            by_part[kill["name"]] += 1
        report = {"seed": self.options.seed, "kills": len(faults.kills), "by_part": by_part,
                  "faults": faults.counts, "lost": judge.lost, "doubled": judge.doubled,
                  "verify": verify, "events_followed": events,
                  "journal_records": int(self.stack.sql(
                      "SELECT count(*) FROM ledger.journal")[0][0]),
                  "fenced": sum(self.stack.log(name).count("event=fenced") for name in LEDGERS),
                  "problems": judge.problems, "problems_count": judge.problems_count}
        report.update(judge.figures())
        report["recovery"] = judge.recoveries(faults.kills)
        # What recoveries() found is among them too.
        report["problems_count"] = judge.problems_count
        with open(os.path.join(self.dir, "faults.json"), "w", encoding="utf-8") as file:
            json.dump({"done": faults.done, "kills": faults.kills}, file, indent=1)
        return report


def run_storm(options):
    """The report of one storm; a failed one keeps its folder where SCRIP_E2E_KEEP is set."""
    with StormStack(tcp=TCP if options.can_cut else {}, settings=SETTINGS,
                    market=recording.write) as stack:
        storm = Storm(stack, options)
        try:
            report = storm.run()
        except KeyboardInterrupt:
            os.environ.pop("SCRIP_E2E_KEEP", None)
            raise
        finally:
            for child in storm.children:
                child.kill()
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=1)
        if report["problems_count"] or report["verify"] == "failed":
            raise StoryFailed("storm of seed %d: %d problems\n%s\n%s" % (
                options.seed, report["problems_count"], "\n".join(report["problems"]),
                json.dumps({k: v for k, v in report.items() if k != "problems"})))
        return report


def parse(words):
    parser = argparse.ArgumentParser(prog="storm", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=420, help="how long it blows (420)")
    parser.add_argument("--seed", type=int, default=None, help="of the plan (default: the time)")
    parser.add_argument("--kills", type=int, default=210, help="at least so many (210)")
    parser.add_argument("--rate", type=float, default=800, help="orders a second (800)")
    parser.add_argument("--users", type=int, default=16, help="accounts that trade (16)")
    parser.add_argument("--json", help="file for the report")
    options = parser.parse_args(words)
    if options.seed is None:
        options.seed = int(time.time()) % 1_000_000
    options.can_cut = apart.is_apart()
    return options


def tell(report):
    took = report["recovery"]
    say("  %d orders acknowledged (%d/s), %d lost, %d doubled, verify %s" % (
        report["acknowledged"], report["orders_per_second"], report["lost"], report["doubled"],
        report["verify"]))
    say("  %d kills: %s" % (report["kills"], ", ".join(
        "%s %d" % pair for pair in report["by_part"].items())))
    for name, what in (("orders", "first new acknowledgement"), ("ready", "the part serves")):
        say("  from a kill to %-26s median %.2f s, p99 %.2f s, max %.2f s" % (
            what, took[name]["median_s"], took[name]["p99_s"], took[name]["max_s"]))


def main():
    os.environ["SCRIP_E2E_KEEP"] = "1"
    apart.go(needed=False)
    options = parse(sys.argv[1:])
    say("storm: seed %d, %.0f s, %d kills" % (options.seed, options.seconds, options.kills))
    try:
        report = run_storm(options)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except (StoryFailed, HttpError) as failure:
        say("FAILED (again: --seed %d --seconds %g --kills %d): %s" % (
            options.seed, options.seconds, options.kills, failure))
        return 1
    tell(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
