#!/usr/bin/python3
"""Auditors read the life of any order and any account over REST: proved, bounded, and changing
nothing; nobody else does, and trading goes on meanwhile.

SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import stat
import subprocess
import threading
from collections import defaultdict
from decimal import Decimal

import recording
from books import still_picture
from load import Load
from stack import HttpError, Stack, check, tell, wait_for

ORDERS = "/api/audit/orders/%s"
ACCOUNTS = "/api/audit/accounts/%s"
# Enough for any machine and short enough to wait for.
SETTINGS = {"gateway": "audit_seconds = 20\naudit_running_max = 2\naudit_bytes_max = 131072\n"}
# Runs scripctl; while there is a gate, only once that was opened.
WRAPPER = """#!/bin/sh
[ ! -p '{gate}' ] || /bin/cat '{gate}'
exec '{program}' "$@"
"""
FORBIDDEN_SQL = (
    "INSERT INTO ledger.lease VALUES (9, 1, 'x', 1)",
    "UPDATE ledger.balance SET free = free + 1",
    "DELETE FROM ledger.journal",
    "TRUNCATE ledger.anchor",
    "SELECT ledger.lease_take(9, 'x', 1)",
    "SELECT pg_advisory_lock(2, 0)",
    "SELECT * FROM gateway.users",
    "CREATE TABLE ledger.mine (a int)",
    "CREATE TABLE public.mine (a int)",
    "CREATE TEMP TABLE mine (a int)",
    "ALTER ROLE scrip_audit SUPERUSER",
)


class Gate:
    """The program that audits, which can be made to wait."""

    def __init__(self, stack):
        self.path = os.path.join(stack.dir, "gate")
        self.program = os.path.join(stack.dir, "audit-program")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(WRAPPER.format(gate=self.path, program=os.path.join(
                stack.environment["SCRIP_BUILD"], "tools", "scripctl", "scripctl")))
        os.chmod(self.program, 0o755)
        stack.environment["SCRIP_GATEWAY_AUDIT_PROGRAM"] = self.program

    def __enter__(self):
        os.mkfifo(self.path)
        return self

    def __exit__(self, *_):
        os.unlink(self.path)

    def waiting(self):
        """Processes that wait at the gate: the programs, not what they wait with."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if self.program.encode() in words[:2]:
                found.append(int(pid))
        return found

    def until(self, count):
        wait_for(lambda: len(self.waiting()) == count, "%d audits wait" % count)
        return self.waiting()


class Asker(threading.Thread):
    """A request that is answered later."""

    def __init__(self, stack, auditor, path):
        super().__init__(daemon=True)
        self.client = stack.client()
        self.client.timeout = 120
        self.client.token = auditor.token
        self.path = path
        self.answer = None
        self.start()

    def run(self):
        try:
            self.answer = self.client.ask("GET", self.path)
        except HttpError as error:
            self.answer = (None, error)

    def result(self):
        self.join(120)
        return self.answer


def refused(client, path, status, code, **query):
    there, answer = client.ask("GET", path, query=query or None)
    check(there == status and answer["error"]["code"] == code, "%s is refused with %d %s"
          % (path, status, code), there, answer)
    return answer["error"]


def roles(stack, trader):
    """Only auditors may; a role counts at once, because the sessions end."""
    order_id = next(iter(trader.acknowledged.values()))[1]["order_id"]
    refused(stack.client(), ORDERS % order_id, 401, "TOKEN_MISSING")
    auditor = stack.user(balance=None)
    refused(auditor, ORDERS % order_id, 403, "FORBIDDEN")
    refused(auditor, ACCOUNTS % 1, 403, "FORBIDDEN")
    for role in ("auditor", "admin", "user", "auditor"):
        stack.scrip("ctl", "user", "role", auditor.name, role)
        wait_for(lambda: auditor.ask("GET", "/api/user/me")[0] == 401, "its sessions have ended")
        auditor.log_in(auditor.name)
        check(auditor.call("GET", "/api/user/me")["role"] == role, "it is " + role)
        if role == "user":
            refused(auditor, ORDERS % order_id, 403, "FORBIDDEN")
        else:
            auditor.call("GET", ORDERS % order_id)
    return auditor


def life(auditor, path):
    """All pages of a life."""
    entries, after = [], 0
    while True:
        page = auditor.call("GET", path, query={"after": after, "limit": 20})
        entries += page["entries"]
        if page["next"] is None:
            return page, entries
        check(page["next"] > after, "pages go on", after, page["next"])
        after = page["next"]


def same_as_the_books(auditor, trader):
    """What an auditor sees is what the user sees; and the postings add up to the balances."""
    user = trader.user
    account_id = user.call("GET", "/api/user/me")["account_id"]
    trades, balances, _, _ = still_picture(user)
    page, entries = life(auditor, ACCOUNTS % account_id)
    free, held = defaultdict(Decimal), defaultdict(Decimal)
    for entry in entries:
        for posting in entry["postings"]:
            if posting["wallet"] == "spot":
                free[posting["asset"]] += Decimal(posting["free_change"])
                held[posting["asset"]] += Decimal(posting["held_change"])
                check(Decimal(posting["free"]) == free[posting["asset"]] and
                      Decimal(posting["held"]) == held[posting["asset"]], "each adds up", posting)
    for asset, (has_free, has_held) in balances.items():
        check((free[asset], held[asset]) == (has_free, has_held), asset + " adds up",
              free[asset], held[asset], has_free, has_held)
    told = {b["asset"]: (Decimal(b["free"]), Decimal(b["held"]))
            for b in page["account"]["balances"] if b["wallet"] == "spot"}
    check(told == balances, "what it leads to are the balances", told, balances)
    check({f["trade_id"] for e in entries for f in e["fills"]} == {t["trade_id"] for t in trades},
          "it has all fills")
    for _, order in list(trader.acknowledged.values())[:3]:
        there = user.get_order(order["order_id"])
        page, entries = life(auditor, ORDERS % order["order_id"])
        check(page["account_id"] == account_id, "the order is the account's", page["account_id"])
        for field in ("status", "executed_quantity", "executed_quote_quantity"):
            check(page["order"][field] == there[field], "its %s is told" % field, page, there)
        check(entries[0]["kind"] == "order_place" and entries[0]["words"], "its life is told")


def bad_questions(auditor):
    refused(auditor, ORDERS % 5, 404, "ORDER_NOT_FOUND")
    refused(auditor, ACCOUNTS % 987654321, 404, "ACCOUNT_NOT_FOUND")
    for path in (ORDERS, ACCOUNTS):
        check(refused(auditor, path % "abc", 400, "NUMBER_SYNTAX")["field"].endswith("_id"),
              "the field is named")
        refused(auditor, path % "0", 400, "NUMBER_NOT_POSITIVE")
        refused(auditor, path % "1%3B--", 400, "NUMBER_SYNTAX")
        refused(auditor, path % "--json", 400, "NUMBER_SYNTAX")
        refused(auditor, path % 2**64, 400, "NUMBER_RANGE")
        refused(auditor, path % 1, 400, "NUMBER_RANGE", limit=1001)
        refused(auditor, path % 1, 400, "NUMBER_NOT_POSITIVE", limit=0)
        refused(auditor, path % 1, 400, "FIELD_UNKNOWN", database="x")
        refused(auditor, path % 1 + "?limit=1&limit=2", 400, "FIELD_REPEATED")
        status, _, _ = auditor.raw("POST", path % 1, "{}")
        check(status == 405, "it is only read", status)


def too_large(auditor, account_id):
    """The life is longer than what is allowed at once."""
    error = refused(auditor, ACCOUNTS % account_id, 400, "AUDIT_TOO_LARGE", limit=1000)
    check("limit" in error["detail"], "it is told what to do", error)


def nothing_leaks(pid):
    """What a child gets of the gateway: its settings in the environment, and no descriptor."""
    with open("/proc/%d/environ" % pid, "rb") as file:
        names = {pair.split(b"=")[0].decode() for pair in file.read().split(b"\0") if pair}
    check(names <= {"SCRIPCTL_DATABASE", "SCRIPCTL_ARCHIVE", "LC_ALL", "PGAPPNAME", "PGOPTIONS",
                    "PGCONNECT_TIMEOUT", "PWD"}, "its environment is small", names)
    with open("/proc/%d/cmdline" % pid, "rb") as file:
        text = file.read()
    check(b"dbname" not in text, "the database is in no argument", text)
    files = {int(fd): os.readlink("/proc/%d/fd/%s" % (pid, fd))
             for fd in os.listdir("/proc/%d/fd" % pid)}
    check(not any("socket:" in name or "anon_inode" in name for name in files.values()),
          "it has no socket of ours", files)
    check(files[0] == "/dev/null" and files[1].startswith("pipe:"), "it writes to us only", files)


def bounds(stack, gate, auditor, path):
    """Two at a time, a time limit, a client that leaves, a child that is killed."""
    with gate:
        first, second = Asker(stack, auditor, path), Asker(stack, auditor, path)
        pids = gate.until(2)
        status, headers, body = auditor.raw(
            "GET", path, headers={"Authorization": "Bearer " + auditor.token})
        check(status == 503 and b"AUDIT_BUSY" in body and headers.get("Retry-After"),
              "a third is busy", status, body)
        nothing_leaks(pids[0])
        user = stack.user()
        check(user.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
              "orders fill meanwhile")
        os.kill(pids[0], signal.SIGKILL)
        answers = [asker for asker in (first, second)
                   if wait_for(lambda: not first.is_alive() or not second.is_alive(), "an answer")
                   and not asker.is_alive()]
        status, answer = answers[0].result()
        check(status == 503 and answer["error"]["code"] == "AUDIT_UNAVAILABLE" and
              "signal 9" in answer["error"]["detail"], "a killed one is told", status, answer)
        other = second if answers[0] is first else first
        other.client.connection.sock.shutdown(2)
        gate.until(0)
        late = Asker(stack, auditor, path)
        status, answer = late.result()
        check(status == 503 and answer["error"]["code"] == "AUDIT_UNAVAILABLE" and
              "longer than 20 s" in answer["error"]["detail"], "it has a limit", status, answer)
        gate.until(0)
    wait_for(lambda: stack.metric("gateway", "scrip_gateway_audits_running") == 0, "none runs")
    auditor.call("GET", path)


def restarts(stack, gate, auditor, path):
    """The gateway ends while an audit waits: it is not held up, and leaves nothing behind."""
    with gate:
        asker = Asker(stack, auditor, path)
        gate.until(1)
        stack.stop("gateway")
        gate.until(0)
        status, answer = asker.result()
        check(status in (503, None), "it is told, or cut off", status, answer)
        stack.start("gateway")
        stack.wait_ready("gateway")
        asker = Asker(stack, auditor, path)
        gate.until(1)
        stack.kill("gateway")
        with open(gate.path, "w", encoding="ascii"):
            pass  # the orphan goes on, to nobody
        gate.until(0)
        asker.result()
    stack.wait_ready("gateway")
    auditor.call("GET", path)


def reads_only(stack):
    """The role can change nothing, also where it says that it may."""
    socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
    for sql in FORBIDDEN_SQL:
        run = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d",
             "host=%s dbname=scrip user=scrip_audit" % socket, "-c",
             "SET default_transaction_read_only = off", "-c", sql],
            capture_output=True, text=True, check=False)
        check(run.returncode != 0 and ("denied" in run.stderr or "must be" in run.stderr),
              "the role may not " + sql, run.returncode, run.stderr)
    stack.sql("CREATE TABLE ledger.later (a int)")
    check(stack.sql("SELECT count(*) FROM ledger.later", user="scrip_audit") == [["0"]],
          "it reads what is made later")
    stack.sql("DROP TABLE ledger.later")


def state(stack):
    return [stack.sql(text) for text in (
        "SELECT shard, count(*), max(seq) FROM ledger.journal GROUP BY shard ORDER BY shard",
        "SELECT md5(string_agg(b::text, ',' ORDER BY account_id, wallet, asset)) "
        "FROM ledger.balance AS b",
        "SELECT role, count(*) FROM gateway.users GROUP BY role ORDER BY role")]


def a_wrong_journal(stack, auditor, path):
    """An auditor is told that the journal contradicts itself, and where."""
    row = stack.sql("SELECT shard, seq, corr FROM ledger.journal WHERE seq = 2 LIMIT 1")[0]
    account = stack.sql("SELECT account_id FROM ledger.account WHERE shard = %s LIMIT 1" % row[0])
    change = "UPDATE ledger.journal SET corr = corr # 1 WHERE shard = %s AND seq = %s"
    stack.sql(change % (row[0], row[1]))
    error = refused(auditor, ACCOUNTS % account[0][0], 500, "JOURNAL_WRONG")
    check("shard %s record %s" % (row[0], row[1]) in error["detail"], "the record is named", error)
    stack.sql(change % (row[0], row[1]))
    auditor.call("GET", path)


def not_set_up(stack, auditor, path):
    stack.environment["SCRIP_GATEWAY_AUDIT_PROGRAM"] = "/nowhere/scripctl"
    stack.up()
    refused(auditor, path, 503, "AUDIT_UNAVAILABLE")
    stack.environment["SCRIP_GATEWAY_AUDIT_PROGRAM"] = ""
    stack.up()
    error = refused(auditor, path, 503, "AUDIT_UNAVAILABLE")
    check("not set up" in error["detail"], "it is told why", error)


def from_an_archive(stack, auditor, path):
    """Archived records are read too, and no ledger has to run."""
    stack.environment["SCRIP_GATEWAY_AUDIT_PROGRAM"] = os.path.join(
        stack.environment["SCRIP_BUILD"], "tools", "scripctl", "scripctl")
    folder = stack.environment["SCRIP_GATEWAY_AUDIT_ARCHIVE"] = os.path.join(stack.dir, "archive")
    stack.stop("gateway")
    stack.stop("ledger")
    stack.scrip("ctl", "export", folder)
    stack.start("gateway")
    stack.wait_ready("gateway")
    before = auditor.call("GET", path)
    stack.is_proved = False
    stack.sql("TRUNCATE ledger.journal")
    check(auditor.call("GET", path) == before, "the archive tells the same")


def story():
    """Auditors over REST: any order, any account, and nothing else"""
    stack = Stack(settings=SETTINGS, market=recording.write)
    gate = Gate(stack)
    check(os.stat(gate.program).st_mode & stat.S_IXUSR, "the program can be run")
    with stack:
        with Load(stack) as load:
            load.progress(orders=160)
        load.check_nothing_lost()
        for one in load.traders:
            one.user.call("DELETE", "/api/paper-trading/orders")
        trader = load.traders[0]
        path = ORDERS % next(iter(trader.acknowledged.values()))[1]["order_id"]
        auditor = roles(stack, trader)
        bounds(stack, gate, auditor, path)
        before = state(stack)
        bad_questions(auditor)
        for one in load.traders:
            same_as_the_books(auditor, one)
        too_large(auditor, trader.user.call("GET", "/api/user/me")["account_id"])
        reads_only(stack)
        check(state(stack) == before, "nothing has changed", before, state(stack))
        restarts(stack, gate, auditor, path)
        a_wrong_journal(stack, auditor, path)
        not_set_up(stack, auditor, path)
        from_an_archive(stack, auditor, path)


if __name__ == "__main__":
    tell(story)
