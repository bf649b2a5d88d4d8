"""realism - what the fill models make of real orders, beside what really became of them.

    realism [FILE] [--write PAGE]

FILE is an order-by-order message file of LOBSTER; without it the one under SCRIP_DATA/l3.

SPDX-License-Identifier: Apache-2.0
"""
import glob
import json
import os

from figures import Failed, program, run, say, settle, write_between

SAMPLE = 29  # every so many orders the short way is held against the whole stream
MODELS = ("absent", "touch", "through", "queue")
VIEWS = (("event", "every event"), ("100ms", "100 ms"))
SETS = (("all", "all"), ("hard", "hard"))


def options(words):
    words, page = list(words), None
    if "--write" in words:
        at = words.index("--write")
        if at + 1 == len(words):
            raise Failed("--write needs a page")
        page = words[at + 1]
        del words[at:at + 2]
    if len(words) > 1:
        raise Failed("one word at most, and --write PAGE: %s" % " ".join(words))
    return (words[0] if words else None), page


def recording():
    folder = os.environ.get("SCRIP_DATA")
    found = sorted(glob.glob(os.path.join(folder, "l3", "*message*.csv*"))) if folder else []
    if not found:
        say("  SKIPPED: realism needs an order-by-order recording: ./scrip bench realism FILE, or "
            "SCRIP_DATA with l3/*message*.csv.gz")
        return None
    return found[0]


def percent(share, digits=2):
    return "%.*f %%" % (digits, 100 * share)


def error(share):
    """Of a fill's time, as a share of the order's life; an order never filled is beyond all."""
    if share is None:
        return "never"
    return percent(share) if share < 10 else "%.0f lives" % share


def table(figure):
    """The models' figures, and the matrices of what was and what the model said."""
    base = [percent(figure["event"]["queue"][key]["base"]) for key, _ in SETS]
    lines = ["Hard: an order whose price came to be the best while it stood, and at whose price "
             "something was displayed when it came. \"Never filled\" alone would be right in %s of "
             "all orders and %s of the hard ones. Precision and recall are of being filled at all; "
             "the time error is a share of the order's life, of orders really filled whole." %
             tuple(base), "",
             "| orders | depth | model | right | precision | recall | exact instant | "
             "time error, median | p90 |", "|---|---|---|--:|--:|--:|--:|--:|--:|"]
    for key, which in SETS:
        for view, depth in VIEWS:
            for model in MODELS:
                row = figure[view][model][key]
                lines.append("| %s, %d | %s | %s | %s | %s | %s | %s | %s | %s |" % (
                    which, row["orders"], depth, model, percent(row["right"]),
                    percent(row["precision"]), percent(row["recall"]),
                    percent(row["exact"], 1), error(row["error_p50"]), error(row["error_p90"])))
    lines += ["", "What the model said (none, part, full) of the orders that were really:", "",
              "| orders | depth | model | not filled | filled in part | filled whole |",
              "|---|---|---|--:|--:|--:|"]
    for key, which in SETS:
        for view, depth in VIEWS:
            for model in MODELS:
                matrix = figure[view][model][key]["matrix"]
                lines.append("| %s | %s | %s | %s |" % (which, depth, model, " | ".join(
                    ", ".join("%d" % n for n in row) for row in matrix)))
    return "\n".join(lines) + "\n"


def main(*words):
    path, page = options(words)
    path = path or recording()
    if path is None:
        return
    figure = json.loads(run([program("realism"), path, str(SAMPLE)]))
    say("  %s: %d rows, %d orders; left out: %d announced late, %d open at the end; by 100 ms also "
        "%d that cross what is then shown" % (
            os.path.basename(path), figure["rows"], figure["orders"], figure["announced_late"],
            figure["open_at_end"], figure["crossing_100ms"]))
    say("  %d trials of a sample, %d of them with fills, held against the whole stream: %d "
        "differ" % (figure["compared"], figure["compared_filled"], figure["differing"]))
    text = table(figure)
    say("\n" + text)
    if page is not None:
        write_between(page, "realism", text)
    if figure["differing"] > 0:
        raise Failed("what concerns an order is not all that matters to it")
    rows = [figure[view]["queue"]["all"] for view, _ in VIEWS]
    worst = min(rows, key=lambda row: row["right"])
    late = [row["error_p50"] for row in rows if row["error_p50"] is None or row["error_p50"] >= 0.1]
    filled = [n for row in worst["matrix"][1:] for n in row]
    say("  \"never filled\" alone would be right in %s of all; of the %d orders that were filled, "
        "queue judges %s right" % (percent(worst["base"]), sum(filled),
                                   percent((filled[1] + filled[5]) / max(1, sum(filled)))))
    settle("realism", worst["right"], 0.9,
           "share of right decisions with `queue` (none, part, full), the lower of both depths",
           figure, "median error of the fill time %s, aim below 10 %%: %s" % (
               " and ".join(error(row["error_p50"]) for row in rows), "MISSED" if late else "met"),
           runs=1)
