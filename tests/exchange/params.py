"""params - readers of the parameters of orders; rest.py has those of market data.

SPDX-License-Identifier: Apache-2.0
"""
import re

from rest import REQUIRED, number_of, refuse, symbol_of
from wire import scaled

MISSING = "Mandatory parameter '%s' was not sent, was empty/null, or malformed."
INT64_MAX = (1 << 63) - 1


def amount_of(name, text):
    """A plain decimal, at 10^-8; more decimals than that are too many on any market."""
    if not re.fullmatch(r"\d{1,20}(\.\d{1,20})?", text):
        refuse(-1100, "Illegal characters found in parameter '%s'; legal range is "
               "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'." % name)
    if len(text.partition(".")[2]) > 8:
        refuse(-1111, "Parameter '%s' has too much precision." % name)
    return scaled(text)


def choice_of(code, words, *choices):
    """One of some words, else code and words."""
    def read(name, text):
        if text not in choices:
            refuse(code, words % name if "%s" in words else words)
        return text
    return read


def client_id_of(form):
    def read(name, text):
        if not re.fullmatch(form, text):
            refuse(-1100, "Illegal characters found in parameter '%s'; legal range is '^%s$'."
                   % (name, form))
        return text
    return read


def whole_of(name, text):
    value = number_of(name, text)
    if value > INT64_MAX:
        refuse(-1100, "Illegal characters found in parameter '%s'." % name)
    return value


side_of = choice_of(-1117, "Invalid side.", "BUY", "SELL")
boolean = choice_of(-1130, "Data sent for parameter '%s' is not valid.", "true", "false")
SPOT_ID = client_id_of("[a-zA-Z0-9-_]{1,36}")
USDM_ID = client_id_of("[.A-Z:/a-z0-9_-]{1,36}")
SYMBOL = {"symbol": (REQUIRED, symbol_of)}
ANY_SYMBOL = {"symbol": (False, symbol_of)}
TIMES = {"startTime": (False, whole_of), "endTime": (False, whole_of)}


def need(values, *names):
    """Refuses when one of them was not sent."""
    for name in names:
        if name not in values:
            refuse(-1102, MISSING % name)


def forbid(values, *names):
    """Refuses when one of them was sent."""
    for name in names:
        if name in values:
            refuse(-1106, "Parameter '%s' sent when not required." % name)


def need_order(values):
    """A query or cancel names its order in one of two ways."""
    if "orderId" not in values and "origClientOrderId" not in values:
        refuse(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were "
               "empty/null!")


def span(values, most_ms, words):
    """startTime to endTime, not further apart than is allowed."""
    start, end = values.get("startTime"), values.get("endTime")
    if start is not None and end is not None and end - start > most_ms:
        refuse(-1127, words)
    return start, end


def within(rows, time_of, values):
    """Those rows of the asked span, as many as asked: the oldest from a start, else the newest."""
    start, end = values.get("startTime"), values.get("endTime")
    chosen = [r for r in rows if (start is None or time_of(r) >= start)
              and (end is None or time_of(r) <= end)]
    limit = values.get("limit", 500)
    return chosen[:limit] if start is not None else chosen[-limit:]
