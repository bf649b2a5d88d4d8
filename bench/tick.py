"""tick - a market tick's time with a thousand and with a million orders resting away from it.

SPDX-License-Identifier: Apache-2.0
"""
import json

from figures import RUNS, program, run, settle


def main():
    figure = json.loads(run([program("tick"), str(RUNS)]))
    settle("tick", figure["ratio"], figure["aim"], figure["unit"], figure["raw"],
           "%.0f ns a tick with 1,000 orders resting, %.0f with 1,000,000" % (
               figure["raw"]["ns_1k"], figure["raw"]["ns_1m"]))
