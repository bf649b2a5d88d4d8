"""gate - who asks, with what, signed and in time: what stands before every call of an account.

The signature is tried over the very bytes that came, query and body without anything between them
and without the signature itself. Nothing is encoded anew.

SPDX-License-Identifier: Apache-2.0
"""
import re
import urllib.parse

from signing import verify
from wire import Refusal

RECV_WINDOW_MS, RECV_WINDOW_MAX_MS = 5000, 60000
AHEAD_MS = 1000
MICROSECONDS = 10 ** 14  # a time above this is not in milliseconds
FORM = "application/x-www-form-urlencoded"
MISSING = "Mandatory parameter '%s' was not sent, was empty/null, or malformed."
HEX_OR_ESCAPED = re.compile(r"(?:[A-Za-z0-9]|%(?:2[Bb]|2[Ff]|3[Dd]))*")  # of a signature's value
# What may stand in a query by RFC 3986; all else has to be escaped.
WELL_ENCODED = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")


def wrong(code, message, violation, status=400):
    raise Refusal(code, message, status, violation)


class Sent:
    """The parameters of a request as they came."""

    def __init__(self, query, body, content_type=FORM):
        self.query, self.body = query, body
        self.content_type = content_type
        self.pairs, self.signature = [], None
        self.is_signed_last = True

    def read(self):
        """Fills pairs (the query's win over the body's) and signature."""
        if self.body and self.content_type != FORM:
            wrong(-1100, "Illegal characters found in a parameter.", "body")
        named = set()
        for part in (self.query, self.body):
            if not WELL_ENCODED.fullmatch(part):
                wrong(-1022, "Signature for this request is not valid.", "encoding")
            found = self.pairs_of(part)
            self.pairs += [(name, text) for name, text in found if name not in named]
            named.update(name for name, _ in found)
        return self

    def pairs_of(self, part):
        found = []
        words = part.split("&") if part else []
        for at, word in enumerate(words):
            name, equals, text = word.partition("=")
            if name == "signature" and not HEX_OR_ESCAPED.fullmatch(text):
                wrong(-1022, "Signature for this request is not valid.", "encoding")
            try:
                name, text = (urllib.parse.unquote_plus(t, errors="strict") for t in (name, text))
            except UnicodeDecodeError:
                wrong(-1100, "Illegal characters found in a parameter.", "encoding")
            if not equals or not name:
                wrong(-1101, "Too many parameters; expected '0' and received '1'.", "encoding")
            if name != "signature":
                found.append((name, text))
            elif self.signature is None:
                self.signature, self.is_signed_last = text, at == len(words) - 1
            else:
                wrong(-1101, "Duplicate values for parameter 'signature'.", "signature")
        return found

    def payload(self):
        return "".join("&".join(word for word in part.split("&")
                                if not word.startswith("signature="))
                       for part in (self.query, self.body)).encode()

    def taken(self, name):
        """The value of a parameter, which is then no longer among the pairs; None when absent."""
        found = [text for n, text in self.pairs if n == name]
        if len(found) > 1:
            wrong(-1101, "Duplicate values for parameter '%s'." % name, "parameter")
        self.pairs = [(n, text) for n, text in self.pairs if n != name]
        return found[0] if found else None


def find_key(accounts, api_key):
    key = accounts.key(api_key) if api_key else None
    if key is not None and key.is_enabled:
        return key
    if key is None and not re.fullmatch(r"[A-Za-z0-9]{64}", api_key or ""):
        wrong(-2014, "API-key format invalid.", "key", 401)
    return wrong(-2015, "Invalid API-key, IP, or permissions for action.", "key", 401)


def check_time_unit(unit):
    """Answers are in milliseconds here, and nobody asks for others."""
    if unit is not None and unit.upper() != "MILLISECOND":
        wrong(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
              "parameter")


def allow(key, permission):
    if permission not in key.permissions:
        wrong(-2015, "Invalid API-key, IP, or permissions for action.", "permission", 401)


class Moment:
    """When a request was made, and for how long it may be executed."""

    def __init__(self, venue, timestamp, recv_window):
        self.venue = venue
        if timestamp is None:
            wrong(-1102, MISSING % "timestamp", "parameter")
        decimals = r"(\.\d{1,3})?" if venue.is_spot else ""
        recv_window = str(RECV_WINDOW_MS) if recv_window is None else recv_window
        for name, text, form in (("timestamp", timestamp, r"\d{1,17}"),
                                 ("recvWindow", recv_window, r"\d{1,20}" + decimals)):
            if text == "":
                wrong(-1105, "Parameter '%s' was empty." % name, "parameter")
            if not re.fullmatch(form, text):
                wrong(-1100, "Illegal characters found in parameter '%s'; legal range is "
                      "'^[0-9]{1,20}$'." % name, "parameter")
        # On its way to the engine: what is too late then is no fault of the client, and is said by
        # futures in words of their own.
        self.is_held_up = False
        self.at_ms = int(timestamp)
        if venue.is_spot and self.at_ms > MICROSECONDS:
            self.at_ms /= 1000
        self.window_ms = float(recv_window)
        if self.window_ms > RECV_WINDOW_MAX_MS:
            if venue.is_spot:
                wrong(-1102, "Parameter 'recvWindow' cannot be greater than 60000.", "parameter")
            wrong(-1131, "recvWindow must be less than 60000", "parameter")

    def check(self):
        """Again just before the engine."""
        now = self.venue.clock_ms()
        # A clock that was turned on purpose is no fault of the client.
        violation = None if self.venue.was_skewed or self.is_held_up else "timestamp"
        if self.at_ms >= now + AHEAD_MS:
            wrong(-1021, "Timestamp for this request was 1000ms ahead of the server's time.",
                  violation)
        if now - self.at_ms <= self.window_ms:
            return
        if self.is_held_up and not self.venue.is_spot:
            wrong(-5028, "Timestamp for this request is outside of the ME recvWindow.", violation)
        wrong(-1021, "Timestamp for this request is outside of the recvWindow.", violation)


def check_signature(key, payload, signature):
    if not signature:
        wrong(-1102, MISSING % "signature", "signature")
    if not verify(key, payload, signature):
        wrong(-1022, "Signature for this request is not valid.", "signature")


def authenticate(accounts, venue, sent, api_key, permission):
    """(key, moment) of a signed REST request."""
    key = find_key(accounts, api_key)
    sent.read()
    moment = Moment(venue, sent.taken("timestamp"), sent.taken("recvWindow"))
    moment.check()
    if not sent.is_signed_last:
        wrong(-1022, "Signature for this request is not valid.", "signature")
    check_signature(key, sent.payload(), sent.signature)
    allow(key, permission)
    return key, moment
