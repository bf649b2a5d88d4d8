"""match - the matching core alone: ns per operation, its spread, memory per resting order.

bench/match runs the public streams with 100, ten thousand and a million resting orders and checks
every trade. "Ahead" is the same in batches of 32 operations, each batch looked at before it is
worked. Figures of other engines on the same streams stand in docs/decisions/.

SPDX-License-Identifier: Apache-2.0
"""
import json

from figures import RUNS, program, run, say, settle


def main():
    figure = json.loads(run([program("match"), str(RUNS)]))
    rows = figure["raw"]
    for name, row in rows.items():
        say("  %-5s %7d resting, ns an operation: book %.1f (p50 %d, p99 %d, max %d), looked at "
            "ahead %.1f, whole core %.1f and %.1f%s%s" % (
                name, row["resting"], row["book_ns"], row["book_p50_ns"], row["book_p99_ns"],
                row["book_max_ns"], row["book_ahead_ns"], row["core_ns"], row["core_ahead_ns"],
                ", %d bytes an order" % row["bytes_per_order"] if "bytes_per_order" in row else "",
                "" if row["trades_right"] else ", TRADES ARE WRONG"))
    say("  a million resting cost %.1f times what 100 cost, %.1f times when looked at ahead; the "
        "fastest safe engine takes %s ns" % (
            rows["d1m"]["book_ns"] / rows["d100"]["book_ns"],
            rows["d1m"]["book_ahead_ns"] / rows["d100"]["book_ahead_ns"],
            " / ".join("%d" % row["fastest_ns"] for row in rows.values())))
    settle("match", figure["ratio"], figure["aim"], figure["unit"], rows,
           "%.1f ns an operation with 10,000 orders resting" % rows["d10k"]["book_ns"])
