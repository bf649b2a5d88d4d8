"""accounts - who trades here: an account has API keys, a spot side and a USD-M side.

Whatever changes is told at once to everybody who listens: account.listen(fn) and then
fn(kind, what), before the answer of the request that caused it is written.

  kind           what
  spot_order     order, execution (NEW TRADE CANCELED EXPIRED REJECTED), trade or None, time_ms,
  usdm_order       execution_id (rises), cancel_id (of a cancel, else None)
  spot_balances  assets: {asset: (free, locked)} of those that may have changed, time_ms
  spot_balance   asset, delta: a deposit or withdrawal, time_ms
  usdm_account   reason (ORDER, DEPOSIT, ..), assets: {asset: (wallet, delta without profit and
                 commission)}, positions: [Position], time_ms
  usdm_config    symbol, leverage, time_ms

Amounts are integers at 10^-8. Accounts.listen(fn) hears of all of them as fn(account, kind, what).

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import secrets
import string

from side_spot import Spot
from side_usdm import Usdm

LISTEN_KEY_MS = 60 * 60000
LETTERS = string.ascii_letters + string.digits


def invented(length=64):
    return "".join(secrets.choice(LETTERS) for _ in range(length))


class Account:
    """One owner of keys, balances, orders, trades and positions."""

    def __init__(self, number, venues):
        self.number = number
        self.keys = []
        self.listeners = []
        self.execution_ids = itertools.count(10 ** 9 + number * 10 ** 6)
        self.spot, self.usdm = Spot(self, venues["spot"]), Usdm(self, venues["usdm"])

    def side(self, market):
        return self.spot if market == "spot" else self.usdm

    def listen(self, call):
        self.listeners.append(call)

    def unlisten(self, call):
        self.listeners.remove(call)

    def emit(self, kind, what):
        for call in list(self.listeners):
            call(kind, what)


class ListenKeys:
    """The listenKeys of USD-M. They carry nothing: whoever streams on one asks find() and hears of
    its end by on_end(key, account, reason), reason being closed or expired."""

    def __init__(self, venue):
        self.venue = venue
        self.life_ms = LISTEN_KEY_MS
        self.by_key = {}      # key: account
        self.by_account = {}  # account: [key, valid until]
        self.on_end = lambda key, account, reason: None

    def open(self, account):
        """A live key is handed out again and lives anew."""
        self.sweep()
        if account not in self.by_account:
            key = invented()
            self.by_key[key], self.by_account[account] = account, [key, 0]
        return self.keep(account)

    def keep(self, account):
        """The key, or None when there is none to be kept."""
        self.sweep()
        entry = self.by_account.get(account)
        if entry is None:
            return None
        entry[1] = self.venue.now_ms() + self.life_ms
        return entry[0]

    def close(self, account, reason="closed"):
        entry = self.by_account.pop(account, None)
        if entry is not None:
            del self.by_key[entry[0]]
            self.on_end(entry[0], account, reason)
        return entry is not None

    def find(self, key):
        self.sweep()
        return self.by_key.get(key)

    def sweep(self):
        """Ends what was not kept; called by the clock, too."""
        now = self.venue.now_ms()
        for account in [a for a, (_, until) in self.by_account.items() if until and now >= until]:
            self.close(account, "expired")


class Accounts:
    """All accounts of the exchange, found by their keys."""

    def __init__(self, venues):
        self.venues = venues
        self.all = []
        self.keys = {}       # API key: Key
        self.listeners = []  # of every account
        self.listen_keys = ListenKeys(venues["usdm"])

    def listen(self, call):
        self.listeners.append(call)
        for account in self.all:
            self.connect(account, call)

    @staticmethod
    def connect(account, call):
        account.listen(lambda kind, what: call(account, kind, what))

    def open(self, key):
        """A new account with this key."""
        account = Account(len(self.all) + 1, self.venues)
        self.all.append(account)
        for call in self.listeners:
            self.connect(account, call)
        self.add_key(account, key)
        return account

    def add_key(self, account, key):
        if key.api_key in self.keys:
            raise ValueError("that key is taken")
        key.account = account
        account.keys.append(key)
        self.keys[key.api_key] = key

    def key(self, api_key):
        """The Key of this name, or None."""
        return self.keys.get(api_key)
