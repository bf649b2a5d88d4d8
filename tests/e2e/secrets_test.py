#!/usr/bin/python3
"""Keys of all kinds are stored, used, rotated and put into wrong places: no word of them is kept.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import secrets
import signal
import subprocess
from decimal import Decimal

import leaks
from real import Exchanges, go_real, put_key
from stack import BROKEN, SERVICES, Client, check, tell, wait_for
from standin import make_key

KEYS = "/api/settings/exchange-keys/"
SETTINGS = "/api/settings/trading/"
KINDS = ("HMAC", "ED25519", "RSA")


class Listener:
    """Keeps every answer that any client gets."""

    def __init__(self, folder):
        self.folder, self.count, self.exchange = folder, 0, Client.exchange

    def __enter__(self):
        def exchange(client, *words):
            status, headers, data = self.exchange(client, *words)
            self.keep("reply", str(headers).encode() + data)
            return status, headers, data
        Client.exchange = exchange
        return self

    def __exit__(self, kind, value, trace):
        Client.exchange = self.exchange

    def keep(self, what, data):
        self.count += 1
        with open(os.path.join(self.folder, "%s.%d" % (what, self.count)), "wb") as file:
            file.write(data)


def finder_finds(folder):
    """The search itself sees what it should, in each disguise."""
    for kind in KINDS:
        secret, _ = make_key(kind)
        body = "".join(line for line in secret.splitlines() if not line.startswith("-----"))
        part = body[-40:-8] if kind != "HMAC" else secret[7:39]
        for text in (part, part.encode().hex()) if kind == "HMAC" else (part,):
            path = os.path.join(folder, "planted")
            with open(path, "w", encoding="utf-8") as file:
                file.write("somewhere in a line: %s and more\n" % text)
            check(leaks.found(folder, [("k" * 64, secret)]) == [path], "a leak is found", kind)
            os.unlink(path)


def use(x, stack, user, keys):
    """What a key is for: proved, read with, traded with, looked at, rotated elsewhere."""
    stored = put_key(user, "spot", keys)["keys"][0]
    check(stored["kind"] == keys.kind and stored["api_key_tail"] == keys.api_key[-4:], "masked",
          stored)
    user.call("GET", KEYS + "spot", query={"check": "true"})
    user.call("POST", "/api/settings/sync-paper-balance/spot")
    go_real(user)
    best = Decimal(x.testnet.truth("BTCUSDT")["bids"][0][0])
    order = user.place("BUY", "LIMIT", quantity="0.001", price="%d" % (best * Decimal("0.9")),
                       time_in_force="GTC")
    check(order["exchange_state"] == "PLACED", "it trades", order)
    status, body = user.ask("DELETE", KEYS + "spot")
    check((status, body["error"]["code"]) == (409, "KEY_IN_USE"), "in use", body)
    status, body = user.ask("PUT", SETTINGS + "spot", {"mode": "PAPER"})
    check((status, body["error"]["code"]) == (409, "REAL_ORDERS_OPEN"), "orders are open", body)
    user.call("POST", "/api/paper-trading/orders/sync", {})
    user.cancel(order["order_id"])
    wait_for(lambda: not user.open_orders(), "the order is canceled")


def misuse(user, keys):
    """The secret where it does not belong."""
    key, secret = keys.api_key, keys.secret
    bodies = [
        {"api_key": secret[:120], "api_secret": key}, {"api_key": key, "api_sekret": secret},
        {secret[:60]: key, "api_secret": secret}, {"api_key": key, "api_secret": [secret]},
        {"api_key": key, "api_secret": secret, "environment": secret},
        {"api_key": key, "api_secret": secret, "note": secret},
        {"api_key": key, "api_secret": secret * 70}, {"api_key": secret * 3, "api_secret": secret},
        {"api_key": key, "api_secret": secret[:-9]},
    ]
    texts = [json.dumps(body) for body in bodies]
    whole = json.dumps({"api_key": key, "api_secret": secret})
    texts += [whole[:-1], whole + whole, whole.replace(":", ";"), secret, '"%s"' % secret[:40],
              json.dumps({"api_key": key, "api_secret": secret * 200})]
    for text in texts:
        status, body = user.ask("PUT", KEYS + "spot", text)
        check(400 <= status < 500, "refused", status, body)
    flat = re.sub(r"[^A-Za-z0-9]", "", secret)[-90:]
    for method, path, body in (
            ("PUT", KEYS + flat, whole), ("PUT", KEYS + "spot?api_secret=" + flat, whole),
            ("DELETE", KEYS + "spot?environment=" + flat, None), ("GET", "/api/" + flat, None),
            ("PUT", SETTINGS + "spot", whole), ("POST", "/api/paper-trading/orders", whole),
            ("PUT", SETTINGS + "spot", json.dumps({"mode": flat})),
            ("POST", "/api/auth/login", json.dumps({"username": flat, "password": secret}))):
        status, answer = user.ask(method, path, body)
        check(400 <= status < 500, "refused", method, status, answer)
    token, user.token = user.token, flat
    status, _ = user.ask("GET", KEYS + "spot")
    check(status == 401, "no token", status)
    user.token = token


def rotate(stack):
    """A new master key first, then all is sealed by it; the old one goes."""
    path = os.path.join(stack.dir, "etc", "master-keys")
    with open(path, encoding="ascii") as file:
        before = file.read()
    with open(path, "w", encoding="ascii") as file:
        file.write("second:%s\n%s" % (secrets.token_hex(32), before))
    tried = json.loads(stack.scrip("ctl", "bridge", "rotate", "--dry-run", "--json"))
    done = json.loads(stack.scrip("ctl", "bridge", "rotate", "--json"))
    check(tried["rotated"] == done["rotated"] == len(KINDS) and done["key_id"] == "second",
          "all are sealed anew", tried, done)
    again = json.loads(stack.scrip("ctl", "bridge", "rotate", "--json"))
    check((again["rotated"], again["current"]) == (0, len(KINDS)), "once", again)
    with open(path, encoding="ascii") as file:
        first = file.readline()
    with open(path, "w", encoding="ascii") as file:
        file.write(first)
    stack.kill("bridge")
    stack.wait_ready("bridge")
    return before + first


def refused_to_others(stack):
    """Only the bridge's role reads its schema."""
    for role in ("scrip", "scrip_audit"):
        try:
            stack.sql("SELECT * FROM bridge.exchange_key", user=role)
        except subprocess.CalledProcessError as error:
            check("permission denied" in error.stderr, "refused for want of a right", error.stderr)
        else:
            check(False, "%s may not read keys" % role)


def abort(stack):
    """A bridge and a gateway that die on the spot leave no core, and nobody reads their memory."""
    for name in ("bridge", "gateway"):
        pid = stack.pid(name)
        with open("/proc/%d/limits" % pid, encoding="ascii") as file:
            core = next(line for line in file if line.startswith("Max core file size"))
        check(core.split()[4:6] == ["0", "0"], "no core", core)
        owner = os.stat("/proc/%d/mem" % pid).st_uid
        check(owner == 0, "its memory is root's alone", name, owner)
        stack.signal(name, signal.SIGABRT)
        wait_for(lambda n=name, p=pid: stack.pid(n) not in (None, p), name + " runs again")
    stack.wait_ready()


def collect(stack, listener):
    """What is not in files of the stack's folder: dumps and metrics."""
    socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
    listener.keep("dump", subprocess.run(
        ["pg_dump", "host=%s dbname=scrip user=postgres" % socket], check=True,
        capture_output=True).stdout)
    redis = os.path.join(listener.folder, "redis.rdb")
    subprocess.run(["redis-cli", "-s", os.path.join(stack.dir, "run", "redis.sock"), "--rdb",
                    redis], check=True, capture_output=True)
    check(os.path.getsize(redis) > 0, "Redis was dumped")
    for name in SERVICES:
        client = Client(stack.probe_port(name))
        listener.keep("metrics." + name, client.raw("GET", "/metrics")[2])
        client.close()
    dump = open(os.path.join(listener.folder, next(
        name for name in os.listdir(listener.folder) if name.startswith("dump"))), "rb").read()
    check(b"COPY bridge.exchange_key" in dump and b"COPY ledger.journal" in dump, "all is in it")


def search(stack, folder, keys, masters):
    material = [(key.api_key, key.secret) for key in keys]
    hexes = re.findall(r"[0-9a-f]{64}", masters)
    check(len(hexes) == 2, "both master keys are looked for, too", len(hexes))
    material += [("", bytes.fromhex(text).decode("latin-1")) for text in hexes]
    material += [("", text) for text in hexes]
    for place in (folder, stack.dir, os.path.realpath(os.path.join(stack.dir, "pg"))):
        found = leaks.found(place, material, but=("master-keys",))
        check(not found, "no key material anywhere", found)


def story():
    """Keys are stored, used, rotated and misplaced, and nothing keeps a word of them"""
    loud = "log_level = debug\n"
    with Exchanges() as x, x.stack("testnet", **{name: loud for name in SERVICES}) as stack:
        folder = os.path.join(stack.dir, "heard")
        os.mkdir(folder)
        finder_finds(folder)
        with Listener(folder) as listener:
            users = [stack.user() for _ in KINDS]
            keys = [x.testnet.add_account(kind, spot={"USDT": "1000"}) for kind in KINDS]
            for user, key in zip(users, keys):
                misuse(user, key)
                use(x, stack, user, key)
                misuse(user, key)
            masters = rotate(stack)
            refused_to_others(stack)
            for user in users:
                wait_for(lambda u=user: u.ask("GET", KEYS + "spot", query={"check": "true"})[0] ==
                         200, "the new bridge reads its keys")
            abort(stack)
            for user in users:
                user.close()  # its connection ended with the gateway
                stack.wait_serving(user)
                wait_for(lambda u=user: u.ask("PUT", SETTINGS + "spot",
                                              {"mode": "PAPER"})[0] == 200, "back on paper")
            users[0].call("DELETE", KEYS + "spot")
            collect(stack, listener)
            search(stack, folder, keys, masters)
        check(listener.count > 100, "answers were kept", listener.count)
        x.live_is_untouched()
        # That they were aborted is no trouble here.
        told, stack.complaints = stack.complaints, lambda: [
            line for line in told() if BROKEN.search(line) and "SIGABRT" not in line]


if __name__ == "__main__":
    tell(story)
