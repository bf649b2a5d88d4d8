#!/usr/bin/python3
"""Anchors come on schedule and before the end, through kills, takeovers and outages, as one chain;
who kept an old one finds a journal that was written anew.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import os
import signal
import subprocess

import recording
from load import Load
from stack import Stack, check, tell, wait_for

OTHER = "standby-1"
SETTINGS = {"ledger": "anchor_seconds = 1\n"}
CUT_OFF = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 1)"""


class Auditor:
    """Somebody with scripctl, the public key, and a drawer for anchors."""

    def __init__(self, stack):
        self.stack = stack
        self.keys = [os.path.join(stack.dir, "etc", "anchor-key.pub.pem")]
        self.drawer = os.path.join(stack.dir, "drawer")
        os.mkdir(self.drawer)

    def ctl(self, *words, database=True):
        """(status, what it said)"""
        program = os.path.join(self.stack.environment["SCRIP_BUILD"], "tools", "scripctl",
                               "scripctl")
        environment = {"LC_ALL": "C.UTF-8"}
        socket = os.path.join(os.path.realpath(os.path.join(self.stack.dir, "pg")), "socket")
        if database:
            environment["SCRIPCTL_DATABASE"] = "host=%s dbname=scrip user=scrip_audit" % socket
        run = subprocess.run([program, *words], env=environment, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
        return run.returncode, run.stdout

    def key_words(self):
        return [word for key in self.keys for word in ("--anchor-key", key)]

    def anchors(self):
        status, said = self.ctl("anchor", "list", "--json", *self.key_words())
        check(status == 0, "all signatures hold", status, said)
        return [json.loads(line) for line in said.splitlines()]

    def keep(self, name):
        path = os.path.join(self.drawer, name)
        status, said = self.ctl("anchor", "export", path)
        check(status == 0, "anchors are exported", said)
        return path

    def check(self, *paths, wanted=0, said="", database=True):
        status, text = self.ctl("anchor", "check", *paths, *self.key_words(), database=database)
        check(status == wanted and said in text, "checked with %d: %s" % (wanted, said), status,
              text)

    def more(self, than):
        """Waits until there are more anchors than so many."""
        wait_for(lambda: len(self.anchors()) > than, "another anchor")
        return len(self.anchors())


def heads(stack):
    return {int(shard): (int(seq), digest) for shard, seq, digest in stack.sql(
        "SELECT DISTINCT ON (shard) shard, seq, encode(hash, 'hex') FROM ledger.journal "
        "ORDER BY shard, seq DESC")}


def last_heads(path):
    """What the last anchor of a file says, read by itself."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    last = text[text.rindex("scrip-anchor 1"):]
    rows = [line.split(" ") for line in last.splitlines() if line.startswith("shard ")]
    return {int(row[1]): (int(row[2]), row[3]) for row in rows}


def on_schedule(stack, auditor, load):
    load.progress()
    count = auditor.more(2)
    load.progress()
    auditor.more(count)
    path = auditor.keep("early.txt")
    auditor.check(path, said="the journal is the one that was anchored")
    auditor.check(path, said="No journal was compared", database=False)
    status, said = auditor.ctl("anchor", "export", path)
    check(status == 3, "kept anchors are not written over", status, said)
    check(stack.metric("ledger", "scrip_ledger_anchors_total") > 0, "they are counted")
    return path


def through_kills(stack, auditor, load):
    for _ in range(3):
        stack.kill("ledger")
        load.progress()
        auditor.more(len(auditor.anchors()))


def through_another_key(stack, auditor, load):
    """The key is replaced while the ledger runs; with both public ones the chain is checked."""
    key = os.path.join(stack.dir, "etc", "anchor-key.pem")
    fresh = os.path.join(auditor.drawer, "fresh.pem")
    status, said = auditor.ctl("anchor", "keygen", fresh)
    check(status == 0, "a pair of keys is made", said)
    os.chmod(fresh, 0o640)
    os.rename(key, key + ".old")
    os.rename(fresh, key)
    failures = stack.metric("ledger", "scrip_ledger_anchor_failures_total")
    wait_for(lambda: stack.metric("ledger", "scrip_ledger_anchor_failures_total") > failures,
             "a key that others may read is not used")
    load.progress()
    os.chmod(key, 0o600)
    auditor.keys.append(os.path.join(auditor.drawer, "fresh.pub.pem"))
    auditor.more(len(auditor.anchors()))
    check(len({anchor["key"] for anchor in auditor.anchors()}) == 2, "both keys have signed")
    status, said = auditor.ctl("anchor", "list", "--anchor-key", auditor.keys[0])
    check(status == 1 and "of another key" in said, "one key is not enough", status, said)


def through_takeovers(stack, auditor, load):
    """A standby continues the chain; the one that was deposed adds nothing to it."""
    stack.start_standby(OTHER)
    wait_for(lambda: "standby" in stack.ready(OTHER)[1], "the second ledger is a standby")
    frozen = stack.signal("ledger", signal.SIGSTOP)
    stack.sql(CUT_OFF, user="postgres")
    stack.wait_ready(OTHER)
    load.progress()
    auditor.more(len(auditor.anchors()))
    stack.signal("ledger", signal.SIGCONT)
    wait_for(lambda: stack.pid("ledger") not in (None, frozen) or
             "standby" in stack.ready("ledger")[1], "the deposed one steps back")
    load.progress()
    auditor.more(len(auditor.anchors()))
    epochs = [anchor["epoch"] for anchor in auditor.anchors()]
    check(epochs == sorted(epochs) and len(set(epochs)) > 4, "each owner has anchors", epochs)
    stack.supervise(OTHER, "--stop")
    del stack.extras[OTHER]
    stack.wait_ready("ledger")


def through_an_outage(stack, auditor, load):
    """Without the database there are no anchors; that is told once, and nothing else waits."""
    before = stack.log("ledger").count("event=anchor_failed")
    stack.sql("ALTER TABLE ledger.anchor ADD CONSTRAINT nothing CHECK (number < 0) NOT VALID")
    wait_for(lambda: stack.metric("ledger", "scrip_ledger_anchor_failures_total") >= 2,
             "anchors fail")
    load.progress()
    told = stack.log("ledger").count("event=anchor_failed") - before
    check(told == 1, "it is told once", told)
    stack.sql("ALTER TABLE ledger.anchor DROP CONSTRAINT nothing")
    auditor.more(len(auditor.anchors()))
    stack.stop("postgres")
    wait_for(lambda: not stack.ready("ledger")[0], "the ledger misses its database")
    stack.start("postgres")
    load.progress()
    auditor.more(len(auditor.anchors()))


def before_the_end(stack, auditor):
    stack.stop("ledger")
    path = auditor.keep("end.txt")
    check(last_heads(path) == heads(stack), "all that was committed is anchored",
          last_heads(path), heads(stack))
    numbers = [anchor["number"] for anchor in auditor.anchors()]
    check(numbers == list(range(1, len(numbers) + 1)), "the chain has no gap", numbers)
    return path


def written_anew(stack):
    """Whoever owns the database changes an amount and all hashes behind it, so that they fit."""
    shard, at = stack.sql("SELECT shard, min(seq) + 1 FROM ledger.journal GROUP BY shard "
                          "ORDER BY count(*) DESC LIMIT 1")[0]
    rows = stack.sql("SELECT seq, time_us, kind, source, corr, encode(payload, 'hex'), "
                     "encode(hash, 'hex') FROM ledger.journal WHERE shard = %s "
                     "ORDER BY seq" % shard)
    before, changes = bytes(32), []
    for seq, time_us, kind, source, corr, payload, digest in rows:
        data = bytearray.fromhex(payload)
        if seq == at:
            data[-1] ^= 1
        numbers = [int(shard), int(seq), int(time_us), int(kind)]
        text = b"".join(n.to_bytes(8, "big") for n in numbers)
        text += source.encode().ljust(24, b"\0") + (int(corr) % 2**64).to_bytes(8, "big")
        fresh = hashlib.sha256(before + text + bytes(data)).digest()
        if int(seq) < int(at):
            check(fresh.hex() == digest, "the chain is computed as the ledger does", seq)
        else:
            changes.append("UPDATE ledger.journal SET payload = '\\x%s', hash = '\\x%s' "
                           "WHERE shard = %s AND seq = %s" % (data.hex(), fresh.hex(), shard, seq))
        before = fresh
    for i in range(0, len(changes), 100):
        stack.sql("; ".join(changes[i:i + 100]))
    return shard


def tampering(stack, auditor, early, end):
    auditor.check(early, end, said="the journal is the one that was anchored")
    stack.sql("CREATE TABLE public.kept AS SELECT * FROM ledger.journal")
    shard = written_anew(stack)
    auditor.check(early, wanted=1, said="shard %s record " % shard)
    auditor.check(end, wanted=1, said="is not the one anchored at")
    stack.sql("TRUNCATE ledger.journal; INSERT INTO ledger.journal SELECT * FROM public.kept")
    auditor.check(end, said="the journal is the one that was anchored")
    stack.sql("DELETE FROM ledger.journal AS j WHERE shard = %s AND seq = (SELECT max(seq) FROM "
              "public.kept WHERE shard = %s)" % (shard, shard))
    auditor.check(end, wanted=1, said="is behind the journal's end")
    stack.sql("TRUNCATE ledger.journal; INSERT INTO ledger.journal SELECT * FROM public.kept")


def forging(auditor, early, end):
    """An anchor that was changed, one signed by somebody else, and a chain begun anew."""
    with open(end, encoding="ascii") as file:
        text = file.read()
    forged = os.path.join(auditor.drawer, "forged.txt")
    with open(forged, "w", encoding="ascii") as file:
        file.write(text.replace("\nepoch 1\n", "\nepoch 2\n", 1))
    auditor.check(forged, wanted=1, said="does not hold")
    with open(forged, "w", encoding="ascii") as file:
        file.write(text[:-2])
    auditor.check(early, forged, wanted=1, said="malformed")
    status, said = auditor.ctl("anchor", "keygen", os.path.join(auditor.drawer, "mine.pem"))
    check(status == 0, "a pair of keys is made", said)
    auditor.keys, right = [os.path.join(auditor.drawer, "mine.pub.pem")], auditor.keys
    auditor.check(end, wanted=1, said="signed with another key")
    auditor.keys = right


def begun_anew(stack, auditor, end):
    """Anchors deleted behind the ledger's back: its next one contradicts the kept ones."""
    stack.sql("ALTER TABLE ledger.anchor DISABLE TRIGGER anchor_stays; DELETE FROM ledger.anchor; "
              "ALTER TABLE ledger.anchor ENABLE TRIGGER anchor_stays")
    stack.start("ledger")
    stack.wait_ready("ledger")
    stack.user()
    auditor.more(0)
    auditor.check(end, wanted=1, said="there is another one of this number")


def story():
    """Anchors: on schedule, through kills and outages, and what they find"""
    with Stack(settings=SETTINGS, market=recording.write) as stack:
        auditor = Auditor(stack)
        with Load(stack) as load:
            early = on_schedule(stack, auditor, load)
            through_kills(stack, auditor, load)
            through_another_key(stack, auditor, load)
            through_takeovers(stack, auditor, load)
            through_an_outage(stack, auditor, load)
        load.check_nothing_lost()
        end = before_the_end(stack, auditor)
        tampering(stack, auditor, early, end)
        forging(auditor, early, end)
        begun_anew(stack, auditor, end)


if __name__ == "__main__":
    tell(story)
