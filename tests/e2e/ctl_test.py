#!/usr/bin/python3
"""scripctl on a stack that trades: lives add up to what REST says, to the last decimal.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import shutil
import signal
import subprocess
from collections import defaultdict
from decimal import Decimal

import recording
from books import amount, still_picture
from stack import ROOT, Stack, check, tell, wait_for

LINES_S = 60


def ctl(stack, *words, status=0, says=True, **options):
    """Runs ./scrip ctl; its standard output. What fails says why."""
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", *map(str, words)],
                         env=stack.environment, stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False, **options)
    said = " ".join(map(str, words))
    check(run.returncode == status, "scripctl %s ends with %d" % (said, status),
          run.returncode, run.stdout[-500:], run.stderr[-500:])
    check(status == 0 or not says or run.stderr.startswith("scripctl: "), "and says why",
          run.stderr)
    return run.stdout


def rows(stack, *words, **options):
    """The JSON lines of a command."""
    return [json.loads(line) for line in ctl(stack, *words, "--json", **options).splitlines()]


def trade(user):
    """A bit of everything; the ids of the orders."""
    ids = [user.place("BUY", "MARKET", quantity="0.5")["order_id"],
           user.place("BUY", "MARKET", quote_order_quantity="1000")["order_id"],
           user.place("SELL", "MARKET", quantity="0.123")["order_id"]]
    resting = user.place("BUY", "LIMIT", quantity="0.1", price="40000", client_order_id="low")
    user.amend(resting["order_id"], "0.07")
    user.cancel(resting["order_id"])
    ids.append(resting["order_id"])
    ids.append(user.place("SELL", "STOP_LOSS", quantity="0.01", stop_price="30000")["order_id"])
    pair = user.place_list("OCO", ("SELL", "LIMIT_MAKER", {"quantity": "0.02", "price": "90000"}),
                           ("SELL", "STOP_LOSS", {"quantity": "0.02", "stop_price": "30000"}))
    user.cancel_list(pair["list"]["list_id"])
    ids += [o["order_id"] for o in pair["orders"]]
    old = user.place("BUY", "LIMIT", quantity="0.2", price="41000")
    ids.append(old["order_id"])
    ids.append(user.replace(old["order_id"], "BUY", "LIMIT", quantity="0.1",
                            price="42000")["order_id"])
    return ids


# ---- Lives ----

def sums_of(entries):
    """{(wallet, asset): (free, held)} that the postings of a life come to, step by step."""
    sums = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for entry in entries:
        for posting in entry["postings"]:
            key = posting["wallet"], posting["asset"]
            free, held = sums[key]
            sums[key] = (free + amount(posting["free_change"]),
                         held + amount(posting["held_change"]))
            check(sums[key] == (amount(posting["free"]), amount(posting["held"])),
                  "each posting goes on from the one before", entry, posting)
    return sums


def nonzero(balances):
    """The same of a list of balances."""
    found = {(b["wallet"], b["asset"]): (amount(b["free"]), amount(b["held"])) for b in balances}
    return {key: value for key, value in found.items() if any(value)}


def account_life(stack, user):
    account_id = user.account()["account_id"]
    trades, balances, orders, _ = still_picture(user)
    life = rows(stack, "account", account_id)
    check(len(life) == 1, "one object", life)
    sums = sums_of(life[0]["entries"])
    for asset, (free, held) in balances.items():
        check(sums["spot", asset] == (free, held), "the life of an account leads to its balances",
              asset, sums["spot", asset], free, held)
    told = nonzero(life[0]["account"]["balances"])
    check(told == {k: v for k, v in sums.items() if any(v)}, "and says them at its end", told, sums)
    fills = [f for e in life[0]["entries"] for f in e["fills"]]
    check({f["trade_id"]: (amount(f["price"]), amount(f["quantity"]), amount(f["fee"]))
           for f in fills} ==
          {t["trade_id"]: (amount(t["price"]), amount(t["quantity"]), amount(t["fee"]))
           for t in trades}, "it has every trade", fills, trades)
    placed = {o["order_id"] for e in life[0]["entries"] for o in e["orders"]}
    check(placed == {o["order_id"] for o in orders}, "and every order", placed)
    for entry in life[0]["entries"]:
        check(entry["words"], "each record is told in words", entry)
    text = ctl(stack, "account", account_id)
    check("bought 0.5 at" in text or "bought" in text, "a fill is told", text)
    check("its client amended it: 0.07 in place of 0.1" in text, "an amendment is told", text)
    check("against " in text and " #" in text, "with its evidence", text)
    return life[0]


def order_lives(stack, user, ids):
    for order_id in ids:
        order = user.get_order(order_id)
        life = rows(stack, "order", order_id)[0]
        own = [f for e in life["entries"] for f in e["fills"] if f["order_id"] == order_id]
        for field, name in (("quantity", "executed_quantity"),
                            ("quote_quantity", "executed_quote_quantity")):
            check(sum((amount(f[field]) for f in own), Decimal(0)) == amount(order[name]),
                  "the fills of an order's life come to what REST says", field, life, order)
        for fill in own:
            check(fill["evidence"]["source"] and amount(fill["evidence"]["price"]) > 0,
                  "each with its evidence", fill)
        for field in ("status", "side", "type", "symbol", "client_order_id", "end_reason"):
            check(life["order"].get(field) == order.get(field),
                  "and it ends as REST says: " + field, life["order"], order)
        check(amount(life["order"]["held"]) == amount(order["held"]), "and holds as much", life)
        check(life["next"] is None, "the whole of it", life)


def pages(stack, life):
    """Page by page it is the same life."""
    entries, after = [], 0
    while after is not None:
        page = rows(stack, "account", life["account_id"], "--limit", 4, "--after", after)[0]
        check(1 <= len(page["entries"]) <= 4, "a page has its length", page)
        entries += page["entries"]
        after = page["next"]
    check(entries == life["entries"], "pages make up the whole", len(entries))
    noon = life["entries"][3]["time"]
    then = rows(stack, "account", life["account_id"], "--until", noon)[0]
    check(then["entries"] == life["entries"][:3], "a life up to a time", then)
    check(nonzero(then["account"]["balances"]) == sums_of(life["entries"][:3]),
          "says what there was then", then)


# ---- Records ----

def filters(stack, life, order_id):
    account = life["account_id"]
    everything = rows(stack, "journal", "list")
    times = [(r["time"], r["shard"], r["seq"]) for r in everything]
    check(times == sorted(times), "records are listed by time", times)
    mine = rows(stack, "journal", "list", "--account", account)
    check([r["seq"] for r in mine] == [e["seq"] for e in life["entries"]],
          "--account finds what the life has", mine)
    check({r["hash"] for r in mine} == {e["hash"] for e in life["entries"]}, "the same", mine)
    check(all(r["account_id"] == account for r in mine), "and says whose", mine)
    check(len({r["shard"] for r in mine}) == 1, "in one shard", mine)
    by_order = rows(stack, "journal", "list", "--order", order_id)
    check([r["kind"] for r in by_order][0] == "order_place" and
          all(r["order_id"] == order_id and r["account_id"] == account for r in by_order),
          "--order finds its records", by_order)
    corr = mine[-1]["corr"]
    check(rows(stack, "journal", "list", "--corr", corr) ==
          [r for r in everything if r["corr"] == corr], "--corr", corr)
    kind = rows(stack, "journal", "list", "--kind", "balance_set")
    check(kind == [r for r in everything if r["kind"] == "balance_set"], "--kind", kind)
    since = everything[len(everything) // 2]["time"]
    late = rows(stack, "journal", "list", "--since", since)
    check(late == [r for r in everything if r["time"] >= since], "--since", late)
    early = rows(stack, "journal", "list", "--until", since)
    check(early + late == everything, "--until and --since make up the whole", early)
    none = rows(stack, "journal", "list", "--symbol", "ETHUSDT")
    check(none == [], "nothing was traded in that symbol", none)
    reports = rows(stack, "journal", "list", "--symbol", "BTCUSDT", "--kind", "order_report")
    check([r["hash"] for r in reports] ==
          [r["hash"] for r in everything if r["kind"] == "order_report"], "--symbol", reports)
    shard, seq = mine[0]["shard"], mine[2]["seq"]
    some = rows(stack, "journal", "list", "--shard", shard, "--after", seq, "--limit", 2)
    check([r["seq"] for r in some] == [seq + 1, seq + 2], "--after and --limit", some)
    last = rows(stack, "journal", "tail", "-n", 5)
    check(last == everything[-5:], "tail shows the last ones", last)
    last = rows(stack, "journal", "tail", "-n", 2, "--kind", "account_open")
    check(last == [r for r in everything if r["kind"] == "account_open"][-2:], "of a kind", last)


def show(stack, life):
    entry = life["entries"][2]
    shown = rows(stack, "journal", "show", entry["shard"], entry["seq"], entry["seq"] + 1)
    check([s["seq"] for s in shown] == [entry["seq"], entry["seq"] + 1], "two records", shown)
    check(shown[0]["hash"] == entry["hash"] and shown[0]["command"] == entry["command"],
          "the same as in the life", shown[0], entry)
    check(shown[1]["hash_before"] == shown[0]["hash"] and all(s["fits"] for s in shown),
          "a chain that fits", shown)
    first = rows(stack, "journal", "show", entry["shard"], 1)[0]
    check(first["hash_before"] == "0" * 64 and first["fits"], "the first follows zeros", first)
    text = ctl(stack, "journal", "show", entry["shard"], entry["seq"])
    check(entry["hash"] in text and "account_id" in text and "Fits" in text, "for people", text)


def database_of(stack, role="scrip"):
    socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
    return "host=%s dbname=scrip user=%s" % (socket, role)


def follower(stack, *words):
    """A tail --follow that runs, without a shell around it."""
    program = os.path.join(stack.environment["SCRIP_BUILD"], "tools", "scripctl", "scripctl")
    return subprocess.Popen(
        [program, "journal", "tail", "--follow", "--json", "-n", "1", *map(str, words),
         "--database", database_of(stack)], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def follow(stack, user):
    """tail --follow tells of an order while it waits, and ends by Ctrl-C."""
    account = user.account()["account_id"]
    process = follower(stack, "--account", account)
    try:
        first = json.loads(process.stdout.readline())
        check(first["account_id"] == account, "the last record comes first", first)
        order = user.place("BUY", "LIMIT", quantity="0.01", price="40000", client_order_id="seen")
        user.cancel(order["order_id"])
        found = []
        while len(found) < 3:
            found.append(json.loads(process.stdout.readline()))
        check([r["kind"] for r in found] == ["order_place", "order_report", "order_report"],
              "then what happens", found)
        check({r["order_id"] for r in found} == {order["order_id"]}, "of this order", found)
        process.send_signal(signal.SIGINT)
        check(process.wait(LINES_S) == -signal.SIGINT, "Ctrl-C ends it", process.returncode)
    finally:
        process.kill()
        process.communicate()


# ---- The rest ----

def overview(stack, users):
    def all_known():
        found = [r for r in rows(stack, "shards") if "shard" in r and r["last"]]
        return found if all(r["lag_records"] == 0 for r in found) else None

    found = wait_for(all_known, "the tables have caught up")
    count = len(rows(stack, "journal", "list"))
    check(sum(r["records"] for r in found) == count, "shards count the records", found, count)
    group = rows(stack, "shards")[0]
    check(group["is_there"] and group["epoch"] >= 1 and group["records"] == count,
          "the owner of the group is there", group)
    listed = {r["account_id"]: r for r in rows(stack, "accounts") if "account_id" in r}
    for user in users:
        account = user.account()
        mine = listed[account["account_id"]]
        check(mine["open_orders"] == len(user.open_orders()), "open orders", mine)
        told = {b["asset"]: (amount(b["free"]), amount(b["held"])) for b in mine["balances"]
                if b["wallet"] == "spot"}
        check(told == user.balances(), "accounts have their balances", told)
    assets = [r for r in rows(stack, "accounts") if "asset" in r]
    check(assets and all(r["is_zero"] for r in assets), "assets sum to zero", assets)
    found = rows(stack, "accounts", "story.")
    check(len(found) == len(users) and all("balances" in r for r in found), "by name", found)
    ctl(stack, "accounts")
    ctl(stack, "shards")


def as_auditor(stack):
    """The role that may read the books, and not who signs in."""
    database = database_of(stack, "scrip_audit")
    account = rows(stack, "accounts", "--database", database)[0]
    check(account["user"] is None and account["balances"], "accounts without names", account)
    life = rows(stack, "account", account["account_id"], "--database", database)[0]
    check(life["entries"], "lives", life)
    check(rows(stack, "shards", "--database", database), "shards")


def archived(stack, life):
    """Segment files tell the same as the database they were made of, without it."""
    folder = os.path.join(stack.dir, "segments")
    ctl(stack, "export", folder)
    alone = ("--archive", folder, "--database=")
    check(rows(stack, "account", life["account_id"], *alone)[0] == life, "the same life")
    everything = rows(stack, "journal", "list")
    for words in (("journal", "list"), ("journal", "list", "--kind", "order_report"),
                  ("journal", "tail", "-n", "7"), ("journal", "list", "--symbol", "BTCUSDT")):
        check(rows(stack, *words, *alone) == rows(stack, *words), "the same records", words)
    check(rows(stack, "journal", "list", "--archive", folder) == everything, "and as both together")
    entry = life["entries"][1]
    where = (entry["shard"], entry["seq"], 1)
    check(rows(stack, "journal", "show", *where, *alone) == rows(stack, "journal", "show", *where),
          "the same record")
    found = [r for r in rows(stack, "shards", *alone) if r["last"]]
    check(sum(r["records"] for r in found) == len(everything) and
          all(r["lag_records"] is None for r in found), "shards of segments", found)


def tampered(stack, life):
    """A record that somebody changed: where it is told, and that nothing behind it is believed."""
    entry = life["entries"][4]
    where = "shard = %d AND seq = %d" % (entry["shard"], entry["seq"])
    stack.sql("UPDATE ledger.journal SET corr = corr + 1 WHERE " + where)
    answer = rows(stack, "account", life["account_id"], status=1)
    named = "shard %d record %d" % (entry["shard"], entry["seq"])
    check(answer[0]["error"]["code"] == "JOURNAL_WRONG" and named in answer[0]["error"]["message"],
          "the life ends at the record that was changed", answer)
    shown = rows(stack, "journal", "show", entry["shard"], entry["seq"], status=1, says=False)
    check(shown[0]["fits"] is False, "whose hash does not fit", shown)
    before = rows(stack, "account", life["account_id"], "--upto", entry["seq"] - 1)[0]
    check(before["entries"] == life["entries"][:4], "what is before it is told", before)
    stack.sql("UPDATE ledger.journal SET corr = corr - 1 WHERE " + where)


def refusals(stack):
    for words, status, code in (
            (("order", 5207287069199999), 1, "ORDER_NOT_FOUND"),
            (("account", 4711), 1, "ACCOUNT_NOT_FOUND"),
            (("accounts", "nobody.at.all"), 1, "ACCOUNT_NOT_FOUND"),
            (("journal", "show", 63, 999999), 1, "RECORD_NOT_FOUND"),
            (("order", "x"), 2, "USAGE"), (("account", 0), 2, "USAGE"),
            (("journal", "show", 64, 1), 2, "USAGE"),
            (("journal", "list", "--corr", "?"), 2, "USAGE"),
            (("journal", "list", "--kind", "order_plac"), 2, "USAGE"),
            (("journal", "tail", "--follow", "--upto", 5), 2, "USAGE"),
            (("journal", "lsit"), 2, "USAGE"),
            (("shards", "--database", "host=/nowhere"), 3, "SOURCE_UNREADABLE"),
            (("accounts", "--database="), 3, "NO_SOURCE")):
        answer = rows(stack, *words, status=status)
        check([a["error"]["code"] for a in answer] == [code] and answer[0]["error"]["message"],
              "an error is one JSON object", words, answer)
    run = subprocess.run("./scrip ctl journal list >&-", shell=True, cwd=ROOT, check=False,
                         env=stack.environment, capture_output=True, text=True)
    check(run.returncode == 3, "a closed output is noticed", run)
    run = subprocess.run(["bash", "-c", "./scrip ctl journal list | head -n 1; "
                          "echo ${PIPESTATUS[0]}"], cwd=ROOT, check=True, env=stack.environment,
                         capture_output=True, text=True)
    check(run.stderr == "", "a reader that has enough is no error to tell of", run)


def shells(stack):
    script = os.path.join(stack.dir, "completion")
    with open(script, "w", encoding="ascii") as file:
        file.write(ctl(stack, "completion", "bash"))
    subprocess.run(["bash", "-n", script], check=True)

    def completed(*words):
        line = "COMP_WORDS=(scripctl %s); COMP_CWORD=%d; _scripctl; echo ${COMPREPLY[@]}" % (
            " ".join("'%s'" % w for w in words), len(words))
        return subprocess.run(["bash", "-c", ". %s; %s" % (script, line)], check=True,
                              capture_output=True, text=True).stdout.split()

    check(completed("jour") == ["journal"], "a command is completed", completed("jour"))
    check(completed("journal", "") == ["list", "show", "tail"], "and its second word",
          completed("journal", ""))
    check("--follow" in completed("journal", "tail", "--fo"), "and an option",
          completed("journal", "tail", "--fo"))
    check(completed("journal", "list", "-n", "5", "--kind", "=", "acc") == ["account_open"],
          "and a kind of record", completed("journal", "list", "-n", "5", "--kind", "=", "acc"))
    check(completed("--limit", "5", "completion", "z") == ["zsh"], "and an argument",
          completed("--limit", "5", "completion", "z"))
    check(completed("shards", "--kin") == [], "but none that it does not take")
    ctl(stack, "completion", "zsh")
    page = ctl(stack, "man")
    check("--follow" in ctl(stack, "help", "journal", "tail"), "help of a command")
    group = ctl(stack, "help", "market")
    check("market seek TIME" in group and "journal" not in group, "help of a group", group)
    check(rows(stack, "man") == [{"text": page}], "as JSON too", page[:80])
    if shutil.which("groff"):
        run = subprocess.run(["groff", "-ww", "-man", "-Tutf8"], input=page, check=True,
                             capture_output=True, text=True)
        text = re.sub(".\b", "", run.stdout)  # bold is printed twice
        check(run.stderr == "" and "journal tail" in text, "the manual is good roff", run.stderr)


def without_database(stack):
    process = follower(stack)
    process.stdout.readline()
    stack.stop("postgres")
    said = process.communicate(timeout=LINES_S)[1]
    check(process.returncode == 3 and said.startswith("scripctl: following the journal: "),
          "a follower whose database ends says so", process.returncode, said)
    run = subprocess.run([os.path.join(ROOT, "scrip"), "ctl", "shards"], env=stack.environment,
                         capture_output=True, text=True, check=False)
    check(run.returncode == 3 and "./scrip up" in run.stderr, "a stack that does not run", run)
    check("shards" in ctl(stack, "--help"), "help needs none")


def story():
    """scripctl on a stack that trades"""
    with Stack(market=recording.write) as stack:
        users = [stack.user(balance="500000"), stack.user(balance="1000.00000001")]
        ids = trade(users[0])
        users[1].place("BUY", "MARKET", quote_order_quantity="500")
        life = account_life(stack, users[0])
        order_lives(stack, users[0], ids)
        pages(stack, life)
        filters(stack, life, ids[0])
        show(stack, life)
        follow(stack, users[1])
        overview(stack, users)
        as_auditor(stack)
        archived(stack, life)
        tampered(stack, life)
        refusals(stack)
        shells(stack)
        without_database(stack)


if __name__ == "__main__":
    tell(story)
