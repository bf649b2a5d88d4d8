#!/usr/bin/python3
"""scripctl market load: history from an exchange and from archive files, once, and folded.

The stand-in exchange says what was loaded and how often it was asked; what is folded is folded
again here. SCRIP_DATA names the folder of recorded klines: hours folded to four hours are held
against the exchange's own.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from decimal import Decimal

import recording
from stack import ROOT, Stack, check, tell

sys.path.insert(0, os.path.join(ROOT, "tests", "exchange"))
from standin import StandIn  # noqa: E402

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
COLUMNS = ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume",
           "taker_buy_quote_volume")
AUGUST = 1722816000000  # 2024-08-05T00:00:00Z


def load(stack, *words, status=0):
    """Runs market load: its rows as dicts, and what it said on standard error."""
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", "market", "load", "--json", "--quiet",
                          *map(str, words)], env=stack.environment, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, check=False)
    check(run.returncode == status, "market load %s ends with %d" % (" ".join(map(str, words)),
                                                                    status),
          run.returncode, run.stdout, run.stderr)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return [row for row in rows if "symbol" in row], run.stderr


def stored(stack, symbol, interval, width, final="true"):
    """{opening time in ms: values as text}, as the table has them."""
    found = stack.sql("SELECT open_time_us / 1000, %s FROM marketdata.candle WHERE symbol = '%s' "
                      "AND width = %d AND is_final IN (%s)"
                      % (", ".join(COLUMNS), symbol, width, final))
    check(found, "there are candles of %s" % interval, symbol)
    return {int(row[0]): row[1:] for row in found}


def units(text):
    return str(int(Decimal(text) * 10 ** 8))


def as_stored(row):
    """A REST row or a line of an archive as the table's values."""
    amounts = [units(value) for value in (row[1], row[2], row[3], row[4], row[5], row[7])]
    return amounts + [str(row[8]), units(row[9]), units(row[10])]


def utc(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))


def folded(minutes, width_ms):
    """Longer candles from {time: values}; parts without trades are neutral."""
    out = {}
    for at in sorted(minutes):
        row = [int(value) for value in minutes[at]]
        opens = at - at % width_ms
        if opens not in out or (out[opens][6] == 0 and row[6] > 0):
            out[opens] = row
        elif row[6] > 0:
            was = out[opens]
            out[opens] = [was[0], max(was[1], row[1]), min(was[2], row[2]), row[3],
                          *(a + b for a, b in zip(was[4:], row[4:]))]
    return {at: [str(value) for value in row] for at, row in out.items()}


# ---- From an exchange ----


def from_an_exchange(stack):
    until = int(time.time()) * 1000 // HOUR_MS * HOUR_MS - HOUR_MS
    since = until - 20 * HOUR_MS
    with StandIn(synthetic=7, tls=True, spot="BTCUSDT,ETHUSDT", usdm="BTCUSDT") as x:
        words = ["--symbol", "ETHUSDT", "--interval", "1m", "--since", utc(since), "--until",
                 utc(until), "--url", x.spot_rest_url, "--ca-file", x.ca_file]
        told, _ = load(stack, *words)
        check(told[0]["read"] == told[0]["written"] == 1200, "a candle a minute", told)
        truth = {row[0]: as_stored(row) for row in x.klines("ETHUSDT", start=since, limit=1500)
                 if row[0] < until}
        check(stored(stack, "ETHUSDT", "1m", 1) == truth, "they are the exchange's", len(truth))
        asked = x.count("rest_klines")
        told, _ = load(stack, *words)
        check(told[0]["read"] == told[0]["written"] == 0 and x.count("rest_klines") == asked,
              "a second time there is nothing to do", told)
        stack.sql("DELETE FROM marketdata.candle WHERE symbol = 'ETHUSDT' AND open_time_us BETWEEN "
                  "%d AND %d" % ((since + HOUR_MS) * 1000, (since + 2 * HOUR_MS) * 1000 - 1))
        stack.sql("UPDATE marketdata.candle SET is_final = false, trades = 1, high = high + 1 "
                  "WHERE symbol = 'ETHUSDT' AND open_time_us = %d" % (since * 1000))
        told, _ = load(stack, *words)
        check(told[0]["read"] == 61 and x.count("rest_klines") == asked + 2,
              "what is missing, or was only seen in part, is loaded", told)
        check(stored(stack, "ETHUSDT", "1m", 1) == truth, "and is the exchange's again")
        weight_is_shared(stack, x)
        a_full_window(stack, x, since, until)
        of_futures(stack, x, since, until)
        _, said = load(stack, "--symbol", "NOSUCH", "--interval", "1m", "--since", "-1d", "--url",
                       x.spot_rest_url, "--ca-file", x.ca_file, status=3)
        check("Invalid symbol" in said, "a symbol that is not there is told", said)
        check(x.counters()["violations"] == 0, "nothing was asked wrongly", x.counters())
    klines_are_folded(stack, truth, since)


def a_full_window(stack, x, since, until):
    x.post("settings", window_ms=2000)
    x.fault("weight_full")
    told, _ = load(stack, "--symbol", "ETHUSDT", "--interval", "1h", "--since", utc(since),
                   "--until", utc(until), "--url", x.spot_rest_url, "--ca-file", x.ca_file)
    check(told[0]["written"] == 20, "it waits until it may ask", told)
    check(x.count("rest_429") == 1, "it was refused once, and obeyed", x.counters())


def weight_is_shared(stack, x):
    """What was spent stands where the services of the stack look."""
    with socket.socket(socket.AF_UNIX) as redis:
        redis.connect(os.path.join(stack.dir, "run", "redis.sock"))
        redis.sendall(b"KEYS scrip:budget:*\r\nQUIT\r\n")
        said = redis.makefile("rb").read()
    check(b"scrip:budget:127.0.0.1:%d" % x.ports["spot"] in said, "the weight is counted in Redis",
          said)


def of_futures(stack, x, since, until):
    told, _ = load(stack, "--symbol", "BTCUSDT_PERP", "--interval", "5m", "--since", utc(since),
                   "--until", utc(until), "--url", x.usdm_rest_url, "--ca-file", x.ca_file)
    check(told[0]["written"] == 240, "a perpetual's are those of USD-M futures", told)
    truth = x.klines("BTCUSDT", market="usdm", interval="5m", start=since, limit=3)
    found = stored(stack, "BTCUSDT_PERP", "5m", 3)
    check([found[row[0]] for row in truth] == [as_stored(row) for row in truth], "as it says",
          truth)


def klines_are_folded(stack, truth, since):
    """Only minutes and hours are stored: four hours are answered all the same."""
    answer = stack.client().call("GET", "/api/market/klines", query={
        "symbol": "ETHUSDT", "interval": "15m", "from_us": since * 1000, "limit": 80})["candles"]
    want = folded(truth, 15 * MINUTE_MS)
    check(len(answer) == 80, "candles of 15 minutes", len(answer))
    for candle in answer:
        expected = want[int(candle["open_time_us"]) // 1000]
        found = [units(candle[name]) for name in COLUMNS[:6]] + [str(candle.get("trades", 0))]
        check(found == expected[:7], "each is what its minutes are", candle, expected)


# ---- From files ----


def line_of(at_ms, price, count=5, unit=1):
    """A kline as the archive has it; since 2025 in microseconds."""
    end = (at_ms + MINUTE_MS) * unit - 1
    return ",".join(map(str, (at_ms * unit, "%.2f" % price, "%.2f" % (price + 2),
                              "%.2f" % (price - 1), "%.2f" % (price + 1), "1.50000000", end,
                              "%.8f" % (price * 1.5), count, "0.50000000", "%.8f" % (price / 2),
                              "0")))


def write_zip(folder, name, lines, checksum=None):
    path = os.path.join(folder, name + ".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name + ".csv", "\n".join(lines) + "\n")
    with open(path, "rb") as file:
        digest = checksum or hashlib.sha256(file.read()).hexdigest()
    with open(path + ".CHECKSUM", "w", encoding="ascii") as file:
        file.write("%s  %s.zip\n" % (digest, name))
    return path


def from_archives(stack):
    lines = [line_of(AUGUST + n * MINUTE_MS, 200 + n) for n in range(60) if n not in (20, 21)]
    path = write_zip(stack.dir, "SOLUSDT-1m-2024-08-05", lines)
    told, _ = load(stack, "--files", path)
    row = told[0]
    check((row["symbol"], row["interval"], row["read"], row["written"], row["gaps"],
           row["missing"]) == ("SOLUSDT", "1m", 58, 58, 1, 2), "the name tells, gaps are told", row)
    truth = {int(line.split(",")[0]): as_stored(line.split(",")) for line in lines}
    check(stored(stack, "SOLUSDT", "1m", 1) == truth, "they are the file's")
    told, _ = load(stack, "--files", path)
    check(told[0]["written"] == 0, "a second time there is nothing to do", told)
    plain = os.path.join(stack.dir, "SOLUSDT-1m-2025-01-01.csv")
    with open(plain, "w", encoding="ascii") as file:
        file.write("\n".join([line_of(1735689600000, 200, unit=1000),
                              line_of(1735689600000, 200, unit=1000),
                              line_of(1735689630000, 200, unit=1000), "1,2,nonsense"]) + "\n")
    told, said = load(stack, "--files", plain, status=1)
    check((told[0]["written"], told[0]["doubled"], told[0]["unaligned"], told[0]["unreadable"]) ==
          (1, 1, 1, 1), "what makes no sense is counted and left out", told)
    check("2 rows" in said, "and told", said)
    bad = write_zip(stack.dir, "SOLUSDT-1m-2024-08-06", lines, checksum="0" * 64)
    told, said = load(stack, "--files", bad, status=1)
    check(not told and bad in said, "nothing of a file that is damaged is taken", told, said)
    check("scripctl: its SHA-256 is not" in said, "and it is named once", said)


def trades_of_three_hours():
    """(id, price, quantity, time, is_buyer_maker): two a minute, but for one that is quiet."""
    for n in range(360):
        if n // 2 != 100:
            yield 7000 + n, 100 + n % 7, "0.5", AUGUST + n * 30_000 + 5, n % 3 == 0


def from_trades(stack):
    trades = [(number, *rest) for number, (_, *rest) in enumerate(trades_of_three_hours(), 7000)]
    lines = ["%d,%.8f,%s,%.8f,%d,%s,True" % (number, price, quantity, price * 0.5, at, maker)
             for number, price, quantity, at, maker in trades]
    path = os.path.join(stack.dir, "XRPUSDT-trades-2024-08-05.csv.gz")
    with gzip.open(path, "wt", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    told, _ = load(stack, "--files", path)
    check(told[0]["interval"] == "1m" and told[0]["written"] == 179, "folded to minutes", told)
    minutes = {}
    for _, price, quantity, at, maker in trades:
        row = [int(units(price))] * 4 + [int(units(quantity)), int(units(price * 0.5)), 1,
                                         0 if maker else int(units(quantity)),
                                         0 if maker else int(units(price * 0.5))]
        was = minutes.setdefault(at - at % MINUTE_MS, [])
        was.append(row)
    truth = {at: [str(value) for value in (
        rows[0][0], max(r[1] for r in rows), min(r[2] for r in rows), rows[-1][3],
        *(sum(r[n] for r in rows) for n in range(4, 9)))] for at, rows in minutes.items()}
    check(stored(stack, "XRPUSDT", "1m", 1, "true, false") == truth, "as they are here")
    for interval, width, minutes_of in (("3m", 2, 3), ("15m", 4, 15), ("1h", 6, 60),
                                        ("2h", 7, 120)):
        want = folded(truth, minutes_of * MINUTE_MS)
        found = stored(stack, "XRPUSDT", interval, width, "true, false")
        over = {at: row for at, row in want.items()
                if at + minutes_of * MINUTE_MS <= AUGUST + 3 * HOUR_MS}
        check(found == over, "and to " + interval, found, over)
    del lines[50:60]
    with gzip.open(path, "wt", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    stack.sql("DELETE FROM marketdata.candle WHERE symbol = 'XRPUSDT'")
    load(stack, "--files", path)
    check(stack.sql("SELECT count(*) FROM marketdata.candle WHERE symbol = 'XRPUSDT' AND width = 1 "
                    "AND NOT is_final") == [["4"]],
          "the first, the last and those beside missing trades are not final")


def recorded(stack):
    """Hours of four years, folded to four hours, are the exchange's own."""
    data = os.environ.get("SCRIP_DATA")
    if not data:
        print("SKIPPED in part: SCRIP_DATA, the folder of recorded klines, is not named")
        return
    name = os.path.join(data, "klines", "spot_BTCUSDT_%s_202202_202602.csv.gz")
    load(stack, "--files", name % "1h", "--symbol", "BTCUSDT")
    told, _ = load(stack, "--build", "--symbol", "BTCUSDT", "--until", "2026-02-08")
    check(told[0]["written"] > 30000, "all longer ones are folded", told)
    found = stored(stack, "BTCUSDT", "4h", 8, "true, false")
    with gzip.open(name % "4h", "rt", encoding="ascii") as file:
        rows = [line.rstrip().split(",") for line in file][1:]
    check(len(rows) == 8760, "the exchange's four hours", len(rows))
    # The last candle of both files was open when they were made.
    differ = [row for row in rows[:-1]
              if found.get(int(row[0]), [])[:5] != [units(value) for value in row[1:6]]]
    check(not differ, "each is the exchange's", differ[:5])


def story():
    """Candles of the past are loaded once, as they are, and folded"""
    with Stack(market=recording.write) as stack:
        from_an_exchange(stack)
        from_archives(stack)
        from_trades(stack)
        recorded(stack)


if __name__ == "__main__":
    tell(story)
