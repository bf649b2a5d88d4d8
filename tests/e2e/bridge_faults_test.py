#!/usr/bin/python3
"""Whatever goes wrong at the exchange, the ledger has every real order and every fill once.

SPDX-License-Identifier: Apache-2.0
"""
import concurrent.futures

import matrix
from live import StandIn
from stack import Stack, check, tell

FAULTS = ("no answer, done", "no answer, not done", "503 unknown, done", "502 of a proxy, done",
          "half a body", "connection lost, not done", "events lost", "cut")


def bridge_faults():
    """Faults of the exchange lose no real order and execute none twice"""
    with StandIn(synthetic=7, **matrix.EXCHANGE) as x, matrix.Trading(x) as trading:
        with Stack(settings=trading.settings) as stack:
            matrix.add_bridge(stack)
            m = matrix.Matrix(stack, x)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                stuck = pool.submit(m.stuck, ("spot",))
                m.play(matrix.cells(faults=FAULTS) + matrix.calm(12), every_s=5.0,
                       kills=("bridge", "bridge-2", "ledger"))
                listed, settled = stuck.result()
            verdict = m.judge()
            counters = x.counters()
    check(verdict.lost == verdict.doubled == verdict.open == 0 and not verdict.problems,
          "the ledger and the exchange agree", verdict.problems)
    check(listed == settled, "what was unresolved was listed and settled", listed, settled)
    # That a busy machine kept back a request for longer than its recvWindow is no fault of it.
    wrong = set(counters["violations_by_kind"]) - {"timestamp"}
    check(not wrong, "no request was wrong", wrong, counters["violations_told"])
    print("%d runs, %d orders, %s" % (len(m.runs), verdict.orders, dict(m.troubles)))


if __name__ == "__main__":
    tell(bridge_faults)
