#!/usr/bin/python3
"""Three replicas of the bridge's caller never ask an exchange for more than it allows.

The short form of `./scrip bench bridge-rate`: the same processes, exchange and judge. Asserted is
what holds at any speed; how much of the limit is used is for the benchmark to say.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

from stack import ROOT, check, tell

sys.path.insert(0, os.path.join(ROOT, "bench"))
import bridge_rate  # noqa: E402

CALLS = 800
UNDER_WAY = 32  # requests of one replica at a time


def story():
    """Rate limits are kept by all replicas together, and used"""
    found = bridge_rate.measure(CALLS)
    check(found["answered"] == found["calls"], "every call is answered in the end", found)
    check(found["over_limit"] == 0, "no window goes over the limit", found)
    check(found["used_up_by_others"] and found["refused_429_before"] == 0,
          "nobody is refused before somebody else uses the address up", found)
    check(found["refused_429"] <= found["replicas"] * UNDER_WAY,
          "then one hears of it for all, but for what was under way", found)
    check(found["out_of_order"] == 0, "the more urgent call leaves first", found)
    # On a machine that is slow enough, all that was under way is one too many for the exchange.
    wrong = {kind: count for kind, count in found["violations"].items() if kind != "banned"}
    check(not wrong, "every request was right", found)


if __name__ == "__main__":
    tell(story)
