"""sensitivity - the same orders in the same market under each preset of fill rules.

    sensitivity [SEED] [--write PAGE]

The market is the longest recording of a book under SCRIP_DATA, or else the synthetic one.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os

from figures import ROOT, Failed, data, program, run, say, settle, write_between
from realism import options, percent

SECONDS = 3600
SEED = "7"
RECORDING = ("l2_raw/spot_btcusdt_20240808.txt.xz", "l2_raw/spot_btcusdt_20240809.txt.xz")
PRESETS = ("optimistic", "realistic", "harsh")
KINDS = (("all", "all"), ("market", "market"), ("inside", "limit inside the touch"),
         ("touch", "limit at the touch"), ("behind", "limit behind the touch"))


def milliseconds(microseconds):
    return "never" if microseconds is None else "%.0f ms" % (microseconds / 1000)


def table(figure, market):
    lines = ["%d orders, seed %d, in %s: %d s, %d events." % (
        figure["orders"], figure["seed"], market, figure["seconds"], figure["events"]), "",
             "| orders | preset | placed | rejected | quantity filled | filled whole | "
             "slippage, basis points | time to fill, median |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for key, which in KINDS:
        for preset in PRESETS:
            row = figure[preset][key]
            lines.append("| %s | %s | %d | %d | %s | %s | %+.3f | %s |" % (
                which, preset, row["orders"], row["rejected"], percent(row["ratio"], 1),
                percent(row["complete"] / max(1, row["orders"]), 1), row["slippage_bps"],
                milliseconds(row["time_us_p50"])))
    return "\n".join(lines) + "\n"


def main(*words):
    seed, page = options(words)
    seed = seed or SEED
    if not seed.isdigit():
        raise Failed("a seed is a number, not '%s'" % seed)
    found = data(*RECORDING)
    if found is not None:
        market = "recorded BTCUSDT (spot, 2024-08-08 23:54 UTC)"
        source = "playback:%s:symbols=BTCUSDT:speed=max:clock=kept" % ",".join(found)
    else:
        say("  the synthetic market takes the recording's place")
        market = "the synthetic market, seed %s" % seed
        source = "synthetic:seed=%s:symbols=BTCUSDT" % seed
    words = [program("sensitivity"), os.path.join(ROOT, "config", "symbols.json"), source,
             str(SECONDS), seed]
    text = run(words)
    if run(words) != text:
        raise Failed("two runs with one seed differ")
    figure = json.loads(text)
    if figure["seconds"] < SECONDS - 1:
        say("  the recording ends after %d s" % figure["seconds"])
    text = table(figure, market)
    say("\n" + text)
    if page is not None:
        write_between(page, "sensitivity", text)
    settle("sensitivity", None, None, "figures of the same orders under each preset", figure,
           "quantity filled " + ", ".join("%s %s" % (preset, percent(
               figure[preset]["all"]["ratio"], 1)) for preset in PRESETS), runs=2)
