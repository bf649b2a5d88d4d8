"""ws_api - the WebSocket API of spot: requests, answers, and subscriptions to user data.

A request is {"id","method","params"}; signed ones carry apiKey, timestamp and a signature over the
parameters sorted by name and not encoded. Only what follows accounts and the clock is here: orders
go over REST.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import json

from aiohttp import web

from gate import Moment, allow, check_signature, find_key
from limits import Sliding
from signing import READ, websocket_payload
from streams import Connection, converse, is_request_id
from user_streams import encoded, topic_of
from wire import Refusal, frame

CONNECT_WEIGHT = 2
ACTIVE_MAX, LIFETIME_MAX = 1000, 65535
WHOLE, NUMBER, TEXT_, TRUTH = "whole", "number", "text", "truth"


class Repeated(ValueError):
    pass


def once(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Repeated("a name is there twice")
    return dict(pairs)


class Decimals(str):
    """A number with decimals, as it was written: that is what was signed."""


def refuse(code, message, status=400, violation="parameter"):
    raise Refusal(code, message, status, violation=violation)


def check_params(params, spec):
    """Whether exactly what the method takes is there, and of the right type."""
    if set(params) - set(spec):
        refuse(-1101, "Too many parameters; expected '%d' and received '%d'."
               % (len(spec), len(params)))
    for name, (is_required, kind) in spec.items():
        value = params.get(name)
        if value is None:
            if name in params or is_required:
                refuse(-1102, "Mandatory parameter '%s' was not sent, was empty/null, or "
                       "malformed." % name)
            continue
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        is_right = is_whole if kind == WHOLE else isinstance(value, bool) if kind == TRUTH else \
            is_whole or isinstance(value, Decimals) if kind == NUMBER else \
            isinstance(value, str) and not isinstance(value, Decimals)
        if not is_right:
            refuse(-1100, "Illegal characters found in parameter '%s'." % name)
        if value == "":
            refuse(-1105, "Parameter '%s' was empty." % name)


def owner(venue, params):
    """The account that signed these params."""
    key = find_key(venue.users.accounts, params["apiKey"])
    window = params.get("recvWindow")
    Moment(venue, str(params["timestamp"]), None if window is None else str(window)).check()
    check_signature(key, websocket_payload(params), params["signature"])
    allow(key, READ)
    return key.account


class ApiConnection(Connection):
    """One client of the WebSocket API."""

    is_private = True

    def __init__(self, venue, settings, shows_limits, transport):
        super().__init__(venue, "ws-api", False, settings, transport)
        self.pace = Sliding(1 << 30, 1.0)  # weights count here, not messages
        self.shows_limits = shows_limits
        self.subscriptions = {}            # topic: id
        self.next_subscription = 0

    # Out.

    def hear(self, stream, payload):
        number = self.subscriptions.get(stream.rpartition("@")[0])
        if number is not None:
            self.put(frame(b'{"subscriptionId":%d,"event":%s}' % (number, payload)))

    def answer(self, number, status, is_shown=True, **more):
        body = {"id": number, "status": status, **more}
        if self.shows_limits and is_shown:
            weights = self.venue.weights.window
            body["rateLimits"] = [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
                 "limit": weights.limit, "count": weights.used}]
        self.say(body)

    def shutdown(self, grace_ms):
        self.put(frame(encoded({"event": {"e": "serverShutdown", "E": self.venue.clock_ms()}})))
        self.later(asyncio.get_running_loop(), grace_ms, self.close, 1001, "shut down")

    def terminate(self, topic):
        """The subscription is over; its last event says so."""
        number = self.subscriptions.pop(topic)
        self.streams.pop(topic, None)
        self.hub.unlisten(self, topic)
        event = {"e": "eventStreamTerminated", "E": self.venue.clock_ms()}
        self.say({"subscriptionId": number, "event": event})

    # In.

    def wrong(self, number, code, words):
        self.counters.violation("request", "connection %d: %s" % (self.number, words))
        self.answer(number, 400, error={"code": code, "msg": words})

    def request(self, text):
        self.requests += 1
        self.counters.add("api_requests")
        try:
            r = json.loads(text, parse_float=Decimals, object_pairs_hook=once)
        except Repeated:
            self.wrong(None, -1101, "Duplicate values for a parameter detected.")
            return
        except ValueError:
            self.wrong(None, -1135, "Invalid JSON Request")
            return
        if not isinstance(r, dict) or set(r) - {"id", "method", "params"} \
                or not isinstance(r.get("params", {}), dict) \
                or not isinstance(r.get("method"), str) \
                or not ("id" in r and is_request_id(r["id"])):
            self.wrong(None, -1102, "A request is an object of id, method and params")
            return
        self.take_request(r["id"], r["method"], dict(r.get("params", {})))

    def take_request(self, number, method, params):
        found = METHODS.get(method)
        if found is None:
            self.wrong(number, -1020, "This operation is not supported.")
            return
        call, spec, weight = found
        verdict = self.venue.weights.ask(weight, self.counters)
        if verdict.status:
            self.limited(number, verdict)
            return
        fault = self.venue.faults.rest(method)
        if fault:
            self.broken(fault, number, call, spec, params)
        else:
            self.result(number, call, spec, params)

    def result(self, number, call, spec, params):
        is_shown = params.get("returnRateLimits", True) is not False
        try:
            check_params(params, {**spec, "returnRateLimits": (False, TRUTH)})
            self.answer(number, 200, is_shown, result=call(self, params))
        except Refusal as e:
            if e.violation:
                self.counters.violation(e.violation, "connection %d: %d %s"
                                        % (self.number, e.code, e.message))
            self.answer(number, e.status, is_shown, error={"code": e.code, "msg": e.message})

    def limited(self, number, verdict):
        """429 or 418; who is banned is disconnected, too."""
        now = self.venue.clock_ms()
        until = verdict.banned_until_ms or now + verdict.retry_after_s * 1000
        words = "Way too much request weight used; IP banned until %d." % until \
            if verdict.status == 418 else "Too much request weight used; current limit is %d " \
            "request weight per 1 MINUTE." % self.venue.weights.window.limit
        self.answer(number, verdict.status, error={
            "code": -1003, "msg": words, "data": {"serverTime": now, "retryAfter": until}})
        if verdict.status == 418:
            self.close(1008, "banned")

    def banned(self):
        """The address was banned by what it did elsewhere."""
        self.later(asyncio.get_running_loop(), 0, self.close, 1008, "banned")

    def broken(self, fault, number, call, spec, params):
        """What a fault does instead of an answer."""
        arguments = (number, call, spec, params)
        if fault.kind == "rest_error":
            self.answer(number, fault.status, error={"code": fault.code, "msg": fault.words})
        elif fault.kind == "rest_slow":
            self.later(asyncio.get_running_loop(), fault.seconds * 1000, self.result, *arguments)
        elif fault.kind == "rest_half":
            self.is_half = True
            self.result(*arguments)
        elif fault.kind == "rest_cut":
            self.cut("a fault")
        # rest_timeout: nothing, ever.

    def subscribe_user(self, params):
        account = owner(self.venue, params)
        topic = topic_of(account)
        if topic in self.subscriptions:
            refuse(-2035, "User Data Stream subscription already active.", 400, "subscription")
        if len(self.subscriptions) >= ACTIVE_MAX or self.next_subscription >= LIFETIME_MAX:
            refuse(-1000, "Too many subscriptions.", 400, "subscription")
        number = self.next_subscription
        self.next_subscription += 1
        self.subscriptions[topic] = number
        self.streams[topic] = True
        self.hub.listen(self, topic)
        self.counters.add("user_subscriptions")
        return {"subscriptionId": number}

    def unsubscribe_user(self, params):
        """One subscription, or all."""
        wanted = params.get("subscriptionId")
        topics = [t for t, n in self.subscriptions.items() if wanted in (None, n)]
        if wanted is not None and not topics:
            raise Refusal(-2036, "User Data Stream subscription not active.")
        for topic in topics:
            self.terminate(topic)
        return {}

    def list_subscriptions(self, params):
        del params
        return [{"subscriptionId": number} for number in self.subscriptions.values()]

    def server_time(self, params):
        del params
        return {"serverTime": self.venue.clock_ms()}

    def no_result(self, params):
        del self, params
        return {}


SIGNED = {"apiKey": (True, TEXT_), "timestamp": (True, WHOLE), "recvWindow": (False, NUMBER),
          "signature": (True, TEXT_)}
# method: (answer, parameters, weight)
METHODS = {
    "ping": (ApiConnection.no_result, {}, 1),
    "time": (ApiConnection.server_time, {}, 1),
    "userDataStream.subscribe.signature": (ApiConnection.subscribe_user, SIGNED, 2),
    "userDataStream.unsubscribe": (ApiConnection.unsubscribe_user,
                                   {"subscriptionId": (False, WHOLE)}, 2),
    "session.subscriptions": (ApiConnection.list_subscriptions, {}, 2),
}


async def enter_api(request, venue):
    """/ws-api/v3[?returnRateLimits=false][&timeUnit=MILLISECOND]."""
    query = dict(request.query)
    shows_limits = query.pop("returnRateLimits", "true")
    unit = query.pop("timeUnit", "MILLISECOND").upper()
    if query or shows_limits not in ("true", "false") or unit != "MILLISECOND":
        venue.counters.violation("query", request.path_qs)
        return web.Response(status=400, text="unknown parameter")
    verdict = venue.weights.ask(CONNECT_WEIGHT, venue.counters)
    if verdict.status:
        return web.Response(status=verdict.status,
                            headers={"Retry-After": str(verdict.retry_after_s)})
    return await converse(request, venue, venue.settings, [], lambda transport: ApiConnection(
        venue, venue.settings, shows_limits == "true", transport))
