#!/usr/bin/python3
"""Three replicas of the bridge's caller never ask an exchange for more than it allows.

The short form of `./scrip bench bridge-rate`: the same processes, exchange and judge.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

from stack import ROOT, check, tell

sys.path.insert(0, os.path.join(ROOT, "bench"))
import bridge_rate  # noqa: E402

CALLS = 800


def story():
    """Rate limits are kept by all replicas together, and used"""
    found = bridge_rate.measure(CALLS)
    check(found["answered"] == found["calls"], "every call is answered in the end", found)
    check(found["over_limit"] == 0, "no window goes over the limit", found)
    check(found["used_up_by_others"] and found["refused_429_before"] == 0,
          "nobody is refused before somebody else uses the address up", found)
    check(found["refused_429"] <= found["replicas"],
          "then one hears of it for all, but for what was under way", found)
    check(found["out_of_order"] == 0, "the more urgent call leaves first", found)
    check(found["used_share"] >= 0.9, "what is allowed is used", found)
    check(not found["violations"], "every request was right", found)


if __name__ == "__main__":
    tell(story)
