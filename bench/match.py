"""match - the matching core alone: ns per operation, p99, memory per resting order.

bench/match runs the public streams with 100, ten thousand and a million resting orders and checks
every trade; figures of other engines on the same streams stand in docs/.

SPDX-License-Identifier: Apache-2.0
"""
import json

from figures import RUNS, program, run, say, settle


def main():
    figure = json.loads(run([program("match"), str(RUNS)]))
    for name, row in figure["raw"].items():
        say("  %-5s %7d resting: %6.1f ns an operation in the book (p99 %d), %6.1f through the "
            "whole core%s%s" % (
                name, row["resting"], row["book_ns"], row["book_p99_ns"], row["core_ns"],
                ", %d bytes an order" % row["bytes_per_order"] if "bytes_per_order" in row else "",
                "" if row["trades_right"] else ", TRADES ARE WRONG"))
    settle("match", figure["ratio"], figure["aim"], figure["unit"], figure["raw"],
           "%.1f ns an operation with 10,000 orders resting" % figure["raw"]["d10k"]["book_ns"])
