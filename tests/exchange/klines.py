"""klines - the candles of a symbol, made from its trades, with a past that is made up once.

Minutes are kept and all longer intervals are folded from them; seconds come from the trades
themselves. A minute without trades is a flat candle; while the market is halted there is none.

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import random

from wire import product, text_of

SECOND, MINUTE, HOUR, DAY = 1000, 60000, 3600000, 86400000
FIXED = {"1s": SECOND, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
         "30m": 30 * MINUTE, "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR,
         "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY, "3d": 3 * DAY}
INTERVALS = tuple(FIXED) + ("1w", "1M")
MONDAY_MS = 4 * DAY  # 1970-01-05
PAST_DAYS = 40


def open_of(interval, time_ms):
    """When the candle that holds `time_ms` opens."""
    if interval == "1w":
        return (time_ms - MONDAY_MS) // (7 * DAY) * 7 * DAY + MONDAY_MS
    if interval == "1M":
        day = datetime.datetime.fromtimestamp(time_ms // 1000, datetime.timezone.utc)
        return int(day.replace(day=1, hour=0, minute=0, second=0).timestamp()) * 1000
    width = FIXED[interval]
    return time_ms // width * width


def end_of(interval, open_ms):
    """When the candle after it opens."""
    if interval == "1w":
        return open_ms + 7 * DAY
    if interval == "1M":
        return open_of("1M", open_ms + 31 * DAY + HOUR)
    return open_ms + FIXED[interval]


class Candle:
    __slots__ = ("open_ms", "open", "high", "low", "close", "volume", "quote", "count",
                 "taker_volume", "taker_quote", "first", "last")

    def __init__(self, open_ms, price):
        self.open_ms = open_ms
        self.open = self.high = self.low = self.close = price
        self.volume = self.quote = self.count = self.taker_volume = self.taker_quote = 0
        self.first = self.last = -1

    def trade(self, number, price, quantity, is_buyer_maker):
        if self.count == 0:
            self.open = self.high = self.low = price
            self.first = number
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.close, self.last = price, number
        self.volume += quantity
        self.quote += product(price, quantity)
        self.count += 1
        if not is_buyer_maker:
            self.taker_volume += quantity
            self.taker_quote += product(price, quantity)

    def fold(self, later):
        """Takes a later part in; one without trades says nothing unless all do."""
        if later.count == 0:
            return
        if self.count == 0:
            self.open, self.high, self.low = later.open, later.high, later.low
            self.first = later.first
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close, self.last = later.close, later.last
        for name in ("volume", "quote", "count", "taker_volume", "taker_quote"):
            setattr(self, name, getattr(self, name) + getattr(later, name))

    def row(self, interval, rules):
        """As REST answers it."""
        price, volume = rules.price_decimals, rules.quantity_decimals
        quote = 8 if rules.market == "spot" else min(8, price + volume)
        return [self.open_ms, text_of(self.open, price), text_of(self.high, price),
                text_of(self.low, price), text_of(self.close, price), text_of(self.volume, volume),
                end_of(interval, self.open_ms) - 1, text_of(self.quote, quote), self.count,
                text_of(self.taker_volume, volume), text_of(self.taker_quote, quote), "0"]

    def event(self, interval, rules, now_ms, is_closed):
        """As the stream says it."""
        r = self.row(interval, rules)
        return ('{"e":"kline","E":%d,"s":"%s","k":{"t":%d,"T":%d,"s":"%s","i":"%s","f":%d,"L":%d,'
                '"o":"%s","c":"%s","h":"%s","l":"%s","v":"%s","n":%d,"x":%s,"q":"%s","V":"%s",'
                '"Q":"%s","B":"0"}}'
                % (now_ms, rules.symbol, r[0], r[6], rules.symbol, interval, self.first, self.last,
                   r[1], r[4], r[2], r[3], r[5], r[8], "true" if is_closed else "false", r[7],
                   r[9], r[10])).encode()


class Klines:
    """All candles of one symbol."""

    def __init__(self, rules, seed, price, first_trade, past_days=PAST_DAYS):
        self.rules, self.seed, self.first_trade = rules, seed, first_trade
        self.last_price = self.first_price = price
        self.minutes = {}  # open time: candle, of this run, ascending
        self.past = None   # the same of before, made when first asked for
        self.past_days = past_days
        self.begin_ms = None
        self.open = {}     # interval: open candle, of the streams that are wanted
        self.changed = set()

    def begin(self, now_ms):
        self.begin_ms = open_of("1m", now_ms)
        self.minutes[self.begin_ms] = Candle(self.begin_ms, self.last_price)

    def trade(self, number, price, quantity, is_buyer_maker, time_ms):
        opens = time_ms // MINUTE * MINUTE
        minute = self.minutes.get(opens)
        if minute is None:
            minute = self.minutes[opens] = Candle(opens, self.last_price)
        minute.trade(number, price, quantity, is_buyer_maker)
        for interval, candle in self.open.items():
            candle.trade(number, price, quantity, is_buyer_maker)
            self.changed.add(interval)
        self.last_price = price

    def want(self, interval, now_ms):
        """Keeps the open candle of an interval from now on."""
        if interval not in self.open:
            self.open[interval] = self.folded(interval, open_of(interval, now_ms), [])

    def folded(self, interval, open_ms, seconds):
        total = None
        for part in seconds or self.between(open_ms, end_of(interval, open_ms)):
            if total is None:
                total = Candle(open_ms, part.open)
            total.fold(part)
        return total or Candle(open_ms, self.last_price)

    def ended(self, now_ms):
        """[(interval, closed candle)] of the wanted intervals that are over, and their next ones
        are begun."""
        closed = []
        for interval, candle in list(self.open.items()):
            while now_ms >= end_of(interval, candle.open_ms):
                closed.append((interval, candle))
                candle = Candle(end_of(interval, candle.open_ms), candle.close)
                self.open[interval] = candle
                self.changed.discard(interval)
        return closed

    def roll_minute(self, now_ms):
        """A flat candle stands for each minute that nothing is traded in."""
        opens = open_of("1m", now_ms)
        if opens not in self.minutes:
            self.minutes[opens] = Candle(opens, self.last_price)

    def resume(self, now_ms):
        """After a halt: no candle for the time in between."""
        self.roll_minute(now_ms)
        for interval in self.open:
            self.open[interval] = self.folded(interval, open_of(interval, now_ms), [])

    def make_past(self):
        """Minutes of today and yesterday before the start, and days before those; walked backwards
        from the first price, with trade ids that count down from the first one."""
        dice = random.Random("%s %s past" % (self.seed, self.rules.symbol))
        rules, price, number = self.rules, self.first_price, self.first_trade - 1
        minutes, days = {}, {}
        midnight = open_of("1d", self.begin_ms)
        opens = self.begin_ms - MINUTE
        while self.past_days and opens >= midnight - DAY:
            candle, price, number = past_candle(dice, rules, opens, price, number, 3, 40)
            minutes[opens] = candle
            opens -= MINUTE
        for day in range(2, 2 + max(0, self.past_days - 1)):
            opens = midnight - day * DAY
            days[opens], price, number = past_candle(dice, rules, opens, price, number, 300, 50000)
        self.past = (dict(reversed(minutes.items())), dict(reversed(days.items())))

    def between(self, start_ms, end_ms):
        """What is known of a span, oldest first: days, then minutes."""
        if self.past is None and start_ms < self.begin_ms:
            self.make_past()
        found = []
        if start_ms < self.begin_ms:
            minutes, days = self.past
            found += [c for opens, c in days.items() if start_ms <= opens < end_ms]
            found += [c for opens, c in minutes.items() if start_ms <= opens < end_ms]
        return found + [c for opens, c in sorted(self.minutes.items())
                        if start_ms <= opens < end_ms]

    def rows(self, interval, start_ms, end_ms, limit, trades):
        """Candles as REST chooses them: the oldest `limit` from a start, else the latest."""
        first, last = self.span(interval, start_ms, end_ms, limit)
        if interval == "1s":
            parts = seconds_of(trades, first, last, self.last_price)
        else:
            parts = self.between(first, last)
            if FIXED.get(interval, DAY) < DAY:
                parts = [c for c in parts if not self.past or c.open_ms not in self.past[1]]
        candles = {}
        for part in parts:
            opens = open_of(interval, part.open_ms)
            if opens not in candles:
                candles[opens] = Candle(opens, part.open)
            candles[opens].fold(part)
        chosen = [c for opens, c in candles.items()
                  if (start_ms is None or opens >= start_ms)
                  and (end_ms is None or opens <= end_ms)]
        chosen = chosen[:limit] if start_ms is not None else chosen[-limit:]
        return [c.row(interval, self.rules) for c in chosen]

    def span(self, interval, start_ms, end_ms, limit):
        """The least span of time that is to be looked at; all of it when minutes are missing."""
        newest, oldest = max(self.minutes), min(self.minutes)
        last = 1 << 62 if end_ms is None else end_of(interval, open_of(interval, end_ms))
        first = 0 if start_ms is None else start_ms
        was_halted = len(self.minutes) < (newest - oldest) // MINUTE + 1
        if interval in FIXED and interval != "1s" and not was_halted:
            width = FIXED[interval]
            if start_ms is None:
                first = open_of(interval, min(newest, last) - limit * width)
            else:
                begin = max(first, open_of(interval, self.oldest(first, width)))
                last = min(last, begin + (limit + 1) * width)
        return first, last

    def oldest(self, start_ms, width):
        """When the first part opens that candles of a width are made of."""
        if start_ms >= self.begin_ms:
            return start_ms
        if self.past is None:
            self.make_past()
        minutes, days = self.past
        known = [*minutes, *self.minutes] + (list(days) if width >= DAY else [])
        return min(known)


def seconds_of(trades, start_ms, end_ms, price):
    """1s candles from the trades that are still kept."""
    found = {}
    for number, p, quantity, time_ms, is_buyer_maker in trades:
        if not start_ms <= time_ms < end_ms:
            continue
        opens = time_ms // SECOND * SECOND
        if opens not in found:
            found[opens] = Candle(opens, price)
        found[opens].trade(number, p, quantity, is_buyer_maker)
    return list(found.values())


def past_candle(dice, rules, opens, close, number, quiet_of, trades_max):
    """(candle, the price before it, the trade id before it)."""
    candle = Candle(opens, close)
    if dice.randrange(quiet_of) == 0 and quiet_of < 100:
        return candle, close, number  # nothing was traded
    wide = max(1, close // rules.tick // 2000)
    begin = max(rules.tick, close + dice.randint(-wide, wide) * rules.tick)
    count = dice.randint(1, trades_max)
    candle.open, candle.close = begin, close
    candle.high = max(begin, close) + dice.randint(0, wide) * rules.tick
    candle.low = max(rules.tick, min(begin, close) - dice.randint(0, wide) * rules.tick)
    candle.count = count
    candle.volume = rules.step * dice.randint(count, count * 1000)
    candle.taker_volume = candle.volume // rules.step * dice.randint(0, 100) // 100 * rules.step
    candle.quote = product(begin, candle.volume)
    candle.taker_quote = product(begin, candle.taker_volume)
    candle.first, candle.last = number - count + 1, number
    return candle, begin, number - count
