#!/usr/bin/python3
"""A short storm: all parts are killed, stopped, cut off and set to wrong times under load.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "storm"), HERE]
import apart  # noqa: E402, tests/storm
import storm  # noqa: E402
from faults import KILLED, KINDS  # noqa: E402
from stack import check, tell  # noqa: E402

# Sanitizers and other stories beside it: fewer clients than the measurement has.
WORDS = ("--seconds", "50", "--kills", "28", "--rate", "120", "--users", "8", "--seed",
         os.environ.get("SCRIP_STORM_SEED", "7"))


def story():
    """A short storm loses nothing and doubles nothing"""
    options = storm.parse(WORDS)
    print("seed %d" % options.seed, flush=True)
    report = storm.run_storm(options)
    storm.tell(report)
    wanted = [kind for kind in KINDS if kind != "cut" or options.can_cut]
    missing = [kind for kind in wanted if not report["faults"].get(kind)]
    check(len(missing) <= 1, "the storm had faults of each kind", missing, report["faults"])
    killed = [name for name in KILLED if report["by_part"][name]]
    check(len(killed) >= 6, "nearly every part was killed", report["by_part"])
    check(report["acknowledged"] > 500, "there was a load", report["acknowledged"])


if __name__ == "__main__":
    apart.go(needed=False)
    tell(story)
