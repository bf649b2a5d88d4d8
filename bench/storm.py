"""storm - 200 and more kills under load in one run: what was acknowledged is there, once, or not.

A stack of its own, tests/storm: every service, its standby, PostgreSQL and Redis are killed,
stopped, cut off and set to wrong times by a plan made from a seed, while clients trade and write
down all they are told; then a judge compares. The ratio is 1 when there were at least KILLS kills
at ORDERS acknowledged orders a second and nothing was lost, doubled or refused by `scripctl
verify`; otherwise it is 0, the stack's folder is kept and the seed is printed.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import tempfile

from figures import BUILD, ROOT, Failed, say, settle

KILLS, ORDERS = 200, 500
PROGRAM = os.path.join(ROOT, "tests", "storm", "storm.py")


def main(*words):
    if not os.path.exists(os.path.join(BUILD, "tests", "storm", "libskew.so")):
        raise Failed("the storm's clock is not built: ./scrip build")
    with tempfile.TemporaryDirectory(prefix="scrip-bench-") as folder:
        path = os.path.join(folder, "report.json")
        # A program of its own: it moves itself into a network of its own, where that is allowed.
        done = subprocess.run(["/usr/bin/python3", PROGRAM, "--json", path, *words], check=False,
                              env=dict(os.environ, SCRIP_BUILD=BUILD))
        if not os.path.exists(path):
            raise Failed("the storm ended with status %d before its judgement" % done.returncode)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    is_whole = (report["kills"] >= KILLS and report["orders_per_second"] >= ORDERS and
                report["lost"] == report["doubled"] == report["problems_count"] == 0 and
                report["verify"] == "clean")
    more = {name: report[name] for name in (
        "kills", "acknowledged", "lost", "doubled", "verify", "by_part", "faults",
        "orders_per_second", "recovery")}
    for problem in report["problems"]:
        say("  " + problem)
    settle("storm", int(is_whole), 1,
           "1: at least %d kills at %d orders/s, nothing lost, nothing doubled, verify clean" % (
               KILLS, ORDERS), report,
           "%d kills, %d orders acknowledged at %d/s, %d lost, %d doubled, verify %s" % (
               report["kills"], report["acknowledged"], report["orders_per_second"],
               report["lost"], report["doubled"], report["verify"]), runs=1, more=more)
