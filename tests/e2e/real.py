"""real - a stack with stand-in exchanges behind it: one as testnet, one as the live exchange.

    with Exchanges() as x, x.stack("testnet") as stack:
        user = user_of(stack)
        keys = x.testnet.add_account(spot={"USDT": "1000"})
        put_key(user, "spot", keys)
        user.call("PUT", "/api/settings/trading/spot", {"mode": "REAL", "confirm_real": True})
        ...
        x.live_is_untouched()

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import sys

from stack import ROOT, HttpError, Stack, check, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "exchange"))
from standin import StandIn, StandInError  # noqa: E402, F401

# Short times: a story waits for what the bridge waits for. Not so short that a slow machine, which
# answers late, is taken for an exchange that is silent.
QUICK = "timeout_ms = 3000\npatience_ms = 3000\n"


class Exchanges:
    """Two exchanges that know nothing of each other."""

    def __init__(self, more="", **options):
        self.more = more
        self.testnet = StandIn(synthetic=7, **options)
        self.live = StandIn(synthetic=8, **options)

    def __enter__(self):
        with contextlib.ExitStack() as begun:
            for exchange in (self.testnet, self.live):
                begun.enter_context(exchange)
            self.begun = begun.pop_all()
        return self

    def __exit__(self, kind, value, trace):
        self.begun.close()

    def addresses(self):
        lines = []
        for name, x in (("testnet", self.testnet), ("live", self.live)):
            lines += ["spot_%s_rest_url = %s" % (name, x.spot_rest_url),
                      "spot_%s_ws_url = %s/ws-api/v3" % (name, x.spot_stream_url),
                      "usdm_%s_rest_url = %s" % (name, x.usdm_rest_url),
                      "usdm_%s_ws_url = %s/private" % (name, x.usdm_stream_url)]
        return "\n".join(lines) + "\n"

    def settings(self, **settings):
        """Of a stack whose bridge knows these two exchanges and no other."""
        bridge = QUICK + self.addresses() + self.more + settings.get("bridge", "")
        return dict(settings, bridge=bridge)

    @contextlib.contextmanager
    def stack(self, mode, **settings):
        """A stack in that TRADING_MODE."""
        before = os.environ.get("TRADING_MODE")
        os.environ["TRADING_MODE"] = mode
        try:
            with Stack(settings=self.settings(**settings)) as stack:
                yield stack
        finally:
            if before is None:
                del os.environ["TRADING_MODE"]
            else:
                os.environ["TRADING_MODE"] = before

    @staticmethod
    def orders_sent(exchange):
        """Requests that would change something of an account."""
        return sum(count for (method, path), count in exchange.calls().items()
                   if method != "GET" and path.endswith("/order"))

    def live_is_untouched(self):
        calls = self.live.calls()
        check(calls == {}, "nothing ever went to the live exchange", calls)

    def no_violations(self, *expected):
        """`expected`: kinds that a story means to provoke."""
        for exchange in (self.testnet, self.live):
            counters = exchange.counters()
            others = set(counters["violations_by_kind"]) - set(expected)
            check(not others, "the exchange is spoken to as it asks to be",
                  counters["violations_by_kind"], counters["violations_told"][:5])


def patient(client):
    """The client, asking again while the ledger is away for a moment, as when the whole machine
    stands still: nothing was done then, and it says so."""
    ask = client.ask

    def answer(*words, **more):
        status, value = ask(*words, **more)
        is_away = status == 503 and HttpError("", status, value).code == "LEDGER_UNAVAILABLE"
        return None if is_away else (status, value)

    client.ask = lambda *words, **more: wait_for(lambda: answer(*words, **more),
                                                 "the ledger is there")
    return client


def user_of(stack):
    """A patient user of the stack."""
    return patient(wait_for(lambda: user_or_none(stack), "the ledger is there"))


def user_or_none(stack):
    try:
        return stack.user()
    except HttpError as error:
        if error.code != "LEDGER_UNAVAILABLE":
            raise
        return None


def put_key(user, market, keys, environment=None, expect=200):
    body = {"api_key": keys.api_key, "api_secret": keys.secret}
    if environment:
        body["environment"] = environment
    return user.call("PUT", "/api/settings/exchange-keys/" + market, body, expect=expect)


def go_real(user, market="spot", **more):
    return user.call("PUT", "/api/settings/trading/" + market,
                     {"mode": "REAL", "confirm_real": True, **more})
