"""signed - the calls of accounts over REST: one way in for both markets.

In this order: the address's limits, the key, the time and the signature, the parameters, a fault if
one waits, and only then the call itself. What was refused costs the weight of a refusal.

SPDX-License-Identifier: Apache-2.0
"""
import urllib.parse

import gate
from rest import read_query
from signing import FUTURES, READ, SPOT
from wire import Refusal

TRADE, USER_DATA, KEYED = "TRADE", "USER_DATA", "KEYED"


class Call:
    """One call: answer(ask) gives the value; `failed` is the weight of a refusal; `places` names
    the parameter with the client id of a placement."""

    def __init__(self, answer, spec, weight, security=USER_DATA, failed=None, places=None):
        self.answer, self.spec, self.security = answer, spec, security
        self.weight = weight if callable(weight) else lambda names: weight
        self.failed, self.places = failed, places


class Ask:
    """A request that was found to be in order."""

    def __init__(self, signed, call, key, values, moment):
        self.signed, self.call, self.values, self.moment = signed, call, values, moment
        self.key, self.account = key, key.account
        self.venue, self.engine = signed.venue, signed.engine
        self.side = key.account.side(signed.venue.name)
        self.placement = None

    def now_ms(self):
        """For what queries may see: without the skew of the clock that is shown."""
        return self.venue.now_ms()


class Signed:
    """The calls of accounts on one market."""

    def __init__(self, rest, table, accounts, engine, truth):
        self.rest, self.table = rest, table
        self.venue, self.accounts = rest.venue, accounts
        self.engine, self.truth = engine, truth

    def find(self, request):
        return self.table.get((request.method, request.path))

    async def handle(self, request, call):
        venue = self.venue
        body = (await request.read()).decode("latin-1")
        _, _, query = request.raw_path.partition("?")
        sent = gate.Sent(query, body, request.content_type)
        venue.counters.add("signed")
        names = set(urllib.parse.parse_qs(query + "&" + body, keep_blank_values=True))
        verdict = venue.weights.ask(call.weight(names), venue.counters)
        if verdict.status:
            return self.rest.limited(verdict)
        try:
            ask = self.prepare(request, call, sent)
        except Refusal as e:
            return self.refused(request, call, e)
        fault = venue.faults.rest(name_of(request.path), request.method, ask.account.number)
        if fault is None:
            return self.run(request, ask)
        if fault.kind == "rest_error" and call.failed:
            venue.weights.window.spend(call.failed)
        if ask.placement:
            ask.placement.fault = fault.kind
        if ask.moment:
            ask.moment.is_held_up = True
        return await self.rest.broken(request, fault, lambda: self.run(request, ask))

    def prepare(self, request, call, sent):
        """The Ask of a request, or a refusal."""
        api_key = request.headers.get("X-MBX-APIKEY")
        gate.check_time_unit(request.headers.get("X-MBX-TIME-UNIT"))
        if sent.body and request.method == "GET":
            gate.wrong(-1022, "Signature for this request is not valid.", "body")
        may_trade = SPOT if self.venue.is_spot else FUTURES
        if call.security == KEYED:
            key, moment = gate.find_key(self.accounts, api_key), None
            gate.allow(key, may_trade)
            sent.read()
            if sent.signature is not None:
                gate.wrong(-1104, "Not all sent parameters were read; read '0' parameter(s) but "
                           "was sent '1'.", "parameter")
        else:
            key, moment = gate.authenticate(self.accounts, self.venue, sent, api_key,
                                            may_trade if call.security == TRADE else READ)
        ask = Ask(self, call, key, read_query(sent.pairs, call.spec), moment)
        if call.places and call.places not in ask.values:
            self.venue.counters.add("orders_without_id")
        elif call.places:
            ask.placement = self.truth.receive(self.venue, ask.account, ask.values[call.places],
                                               dict(sent.pairs))
        return ask

    def run(self, request, ask):
        """The call is done, once, and its answer written."""
        try:
            self.check_moment(ask)
            value = ask.call.answer(ask)
        except Refusal as e:
            if ask.placement:
                ask.placement.code, ask.placement.message = e.code, e.message
            return self.refused(request, ask.call, e)
        headers = {}
        if ask.call.places:
            headers = {"X-MBX-ORDER-COUNT-" + name: str(window.used)
                       for name, window in ask.side.order_windows.items()}
        return self.rest.answer(200, value, headers=headers)

    @staticmethod
    def check_moment(ask):
        """Just before the engine; who comes too late there has been counted."""
        try:
            if ask.moment:
                ask.moment.check()
        except Refusal:
            if ask.call.places:
                ask.side.count_order()
            raise

    def refused(self, request, call, e):
        if e.violation:
            self.venue.counters.violation(e.violation, "%s %s: %d %s" % (
                request.method, request.path, e.code, e.message))
        if call.failed:
            self.venue.weights.window.spend(call.failed)
        return self.rest.answer(e.status, {"code": e.code, "msg": e.message},
                                getattr(e, "retry_after_s", 0))


def name_of(path):
    """How faults call it: order, v3/account."""
    for root in ("/api/v3/", "/sapi/v1/", "/fapi/v1/", "/fapi/"):
        path = path.removeprefix(root)
    return path


def check_order_count(ask):
    """Refuses a placement over the account's order limits."""
    name = ask.side.full_window()
    if name is None:
        return
    window = ask.side.order_windows[name]
    spoken = {"10S": "10 SECOND", "1M": "1 MINUTE", "1D": "1 DAY"}[name]
    refusal = Refusal(-1015, "Too many new orders; current limit is %d orders per %s."
                      % (window.limit, spoken), 429)
    refusal.retry_after_s = -(-window.left_ms() // 1000)
    ask.venue.counters.add("orders_429")
    ask.venue.weights.strike_ends(ask.side.strikes(window), ask.venue.counters)
    raise refusal
