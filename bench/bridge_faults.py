"""bridge-faults - each fault of the exchange in each call: nothing lost, nothing executed twice.

A stack of its own in TRADING_MODE testnet and the stand-in exchange. Every cell of the matrix - a
market, a call, a fault, a kind of order - is played by a user of its own, many at once; then a part
of them again while bridge and ledger are killed with -9, and calm ones while the whole exchange is
down, banned, late or wrong about the time. What nobody can find out is listed by `scripctl bridge
unresolved` and settled. The ratio is 1 when the ledger agrees with the exchange about every order
and every fill; otherwise it is 0.

SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

from figures import BUILD, ROOT, Failed, say, settle

sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tools")]
import matrix  # noqa: E402
from live import StandIn  # noqa: E402
from stack import Stack  # noqa: E402

REPEATS = int(os.environ.get("SCRIP_BENCH_REPEATS", "3"))
CALM = 30
CALLS = [(market, call) for market in matrix.MARKETS for call in matrix.CALLS]


def show(table):
    """Runs of each cell; behind the stroke those whose fault struck."""
    say("  %-26s" % "fault" + "".join("%10s" % call for _, call in CALLS))
    say("  %-26s" % "" + "".join("%10s" % market for market, _ in CALLS))
    for fault, cells in table.items():
        say("  %-26s" % fault + "".join(
            "%10s" % ("%d/%d" % cells[name] if name in cells else "")
            for name in ("%s %s" % pair for pair in CALLS)))


def main():
    os.environ["SCRIP_BUILD"] = BUILD
    if not os.access(os.path.join(BUILD, "services", "exchange-bridge", "scrip-bridge"), os.X_OK):
        raise Failed("the services are not built: ./scrip build")
    with StandIn(synthetic=7, **matrix.EXCHANGE) as x, matrix.Trading(x) as trading:
        with Stack(settings=trading.settings) as stack:
            matrix.add_bridge(stack)
            m = matrix.Matrix(stack, x)
            m.play(matrix.cells(REPEATS))
            say("  %d runs in peace" % len(m.runs))
            m.play(matrix.cells(), kills=("bridge", "bridge-2", "ledger"))
            say("  %d with those while processes are killed" % len(m.runs))
            m.play_in_weather(matrix.calm(CALM))
            say("  %d with those while the whole exchange is in trouble" % len(m.runs))
            listed, settled = m.stuck()
            verdict = m.judge()
            violations = x.counters()["violations_by_kind"]
    show(m.table())
    for problem in verdict.problems[:40]:
        say("  " + problem)
    more = {"orders": verdict.orders, "lost": verdict.lost, "doubled": verdict.doubled,
            "unresolved_listed": listed, "unresolved_settled": settled,
            "still_open": verdict.open, "troubles": dict(m.troubles),
            "problems": len(verdict.problems), "violations": violations}
    is_whole = not (verdict.lost or verdict.doubled or verdict.open or verdict.problems or
                    listed != settled)
    settle("bridge-faults", int(is_whole), 1,
           "1: no order lost, none executed twice, every open outcome listed and settled",
           {"table": m.table(), "problems": verdict.problems}, "%d runs, %d orders, %d lost, "
           "%d doubled; %d unresolved listed, %d settled; %s" % (
               len(m.runs), verdict.orders, verdict.lost, verdict.doubled, listed, settled,
               ", ".join("%s %d" % pair for pair in m.troubles.items())),
           runs=len(m.runs), more=more)
