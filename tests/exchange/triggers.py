"""triggers - when a stop begins to work: prices it waits for, and the trail behind the market.

SPDX-License-Identifier: Apache-2.0
"""
from orders import NEVER_MS

BIPS = 10000


def is_above(order):
    """Whether it waits for the price to rise."""
    return order.original_type.startswith("STOP_LOSS") == order.is_buy


def is_met(order, price):
    return price >= order.stop_price if is_above(order) else price <= order.stop_price


def heard(order, price, now_ms):
    """A trade at this price; whether the order begins to work."""
    if not order.trailing_delta:
        return is_met(order, price)
    if order.trailing_ms == NEVER_MS:
        if is_met(order, price):
            order.trailing_ms, order.extreme = now_ms, price
        return False
    best = min if order.is_buy else max
    order.extreme = best(order.extreme, price) if order.extreme else price
    away = order.extreme * order.trailing_delta // BIPS
    return price >= order.extreme + away if order.is_buy else price <= order.extreme - away
