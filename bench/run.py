#!/usr/bin/python3
"""run - measures what is named, or all: bridge, bridge-rate, cost, e2e, journal, marketdata, match,
realism, recovery, replay, sensitivity, tick.

What follows a name and is none is for that measurement: `realism FILE`, `marketdata feed`.
`storm` and `bridge-faults` take minutes and kill services all along, so they run only when they are
named.

Prints each figure as a ratio with the medians it comes from and writes BENCH/NAME.json with
`name`, `ratio` (bigger is better), `aim`, `unit` and the raw figures. The exit status is 0
whatever the figures are.

SPDX-License-Identifier: Apache-2.0
"""
import importlib
import sys
import traceback

from figures import Failed, say

NAMES = ("bridge", "bridge-rate", "cost", "e2e", "journal", "marketdata", "match", "realism",
         "recovery", "replay", "sensitivity", "tick")
NAMED_ONLY = ("bridge-faults", "storm")
WITH_WORDS = ("marketdata", "realism", "sensitivity", "storm")


def main():
    asked = []
    for word in sys.argv[1:] or NAMES:
        if word in NAMES + NAMED_ONLY:
            asked.append((word, []))
        elif asked and asked[-1][0] in WITH_WORDS:
            asked[-1][1].append(word)
        else:
            print("bench: there is no '%s'; there are %s" % (word, ", ".join(NAMES + NAMED_ONLY)),
                  file=sys.stderr)
            return 2
    for name, words in asked:
        say("== %s" % name)
        try:
            importlib.import_module(name.replace("-", "_")).main(*words)
        except Failed as failure:
            say("%s could not be measured: %s" % (name, failure))
        except Exception:  # one that breaks must not take the others with it
            traceback.print_exc(file=sys.stdout)
            say("%s could not be measured" % name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
