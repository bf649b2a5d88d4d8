"""tick - a market tick's time with a thousand to a million orders away from it; a day's trades.

SPDX-License-Identifier: Apache-2.0
"""
import json

from figures import RUNS, program, run, say, settle


def main():
    figure = json.loads(run([program("tick"), str(RUNS)]))
    raw = figure["raw"]
    say("  a day's trades (%s) with 10,000 orders resting: %.0f a second, %d fills in a million" % (
        "recorded" if raw["day_is_recorded"] else "made up: SCRIP_DATA names no recordings",
        raw["day_trades_per_s"], raw["day_fills"]))
    settle("tick", figure["ratio"], figure["aim"], figure["unit"], raw,
           "%.0f ns a tick with 1,000 orders resting and armed, %.0f with 100,000, %.0f with "
           "1,000,000" % (raw["ns_1k"], raw["ns_100k"], raw["ns_1m"]))
