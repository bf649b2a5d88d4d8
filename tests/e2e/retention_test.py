#!/usr/bin/python3
"""Old partitions of the journal are archived and dropped, and nothing that was in them is missed.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import shutil
import subprocess
import tempfile

import recording
from books import check_account, check_zero_sums
from load import Load
from stack import Stack, check, tell, wait_for

# The partition with the newest records becomes three, cut at record times, as if it had taken weeks
# to write them.
SPLIT = """
DO $$
DECLARE
    whole record;
    cuts bigint[];
BEGIN
    SELECT * INTO whole FROM ledger.partitions
        WHERE from_us <= ledger.newest_us() AND to_us > ledger.newest_us();
    SELECT percentile_disc(ARRAY[0.3, 0.6]) WITHIN GROUP (ORDER BY time_us) INTO cuts
        FROM ledger.journal;
    EXECUTE format('ALTER TABLE ledger.journal DETACH PARTITION ledger.%I', whole.name);
    EXECUTE format('ALTER TABLE ledger.%I RENAME TO whole', whole.name);
    EXECUTE format('CREATE TABLE ledger.first PARTITION OF ledger.journal '
                   'FOR VALUES FROM (%s) TO (%s)', whole.from_us, cuts[1]);
    EXECUTE format('CREATE TABLE ledger.second PARTITION OF ledger.journal '
                   'FOR VALUES FROM (%s) TO (%s)', cuts[1], cuts[2]);
    EXECUTE format('CREATE TABLE ledger.third PARTITION OF ledger.journal '
                   'FOR VALUES FROM (%s) TO (%s)', cuts[2], whole.to_us);
    ALTER TABLE ledger.first ADD PRIMARY KEY (shard, seq);
    ALTER TABLE ledger.second ADD PRIMARY KEY (shard, seq);
    ALTER TABLE ledger.third ADD PRIMARY KEY (shard, seq);
    INSERT INTO ledger.journal SELECT * FROM ledger.whole;
    DROP TABLE ledger.whole;
END $$
"""

DETACHING = """SELECT 1 FROM pg_stat_activity
    WHERE query LIKE 'ALTER TABLE ledger.journal DETACH%' AND pid <> pg_backend_pid()"""


class Operator:
    """Somebody with scripctl, the anchors' public key, and a folder for the archive."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.folder = folder
        self.archive = os.path.join(folder, "archive")
        self.key = os.path.join(stack.dir, "etc", "anchor-key.pub.pem")
        self.program = os.path.join(stack.environment["SCRIP_BUILD"], "tools", "scripctl",
                                    "scripctl")
        self.socket = os.path.join(os.path.realpath(os.path.join(stack.dir, "pg")), "socket")
        self.database = "host=%s dbname=scrip user=scrip" % self.socket

    def command(self, *words, database=True):
        where = ["--database", self.database] if database else []
        return [self.program, *words, *where, "--quiet"]

    def ctl(self, *words, status=0, **options):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("SCRIPCTL_")}
        run = subprocess.run(self.command(*words, **options), env=environment,
                             capture_output=True, text=True, check=False)
        check(run.returncode == status, "scripctl %s ends with %d" % (" ".join(words), status),
              run.returncode, run.stdout[-2000:], run.stderr[-2000:])
        return run.stdout + run.stderr

    def archiving(self, key=None):
        return "archive", "--to", self.archive, "--anchor-key", key or self.key

    def records(self, *words, **options):
        """Every record of the journal, from wherever it is told to be."""
        return self.ctl("journal", "list", "--json", *words, **options).splitlines()


def wait_anchored(operator):
    """Until an anchor vouches for all that is in the journal."""
    heads = dict(operator.stack.sql("SELECT shard, max(seq) FROM ledger.journal GROUP BY shard"))

    def is_covered():
        rows = operator.stack.sql("SELECT text FROM ledger.anchor ORDER BY number DESC LIMIT 1")
        lines = rows and operator.stack.sql(
            "SELECT split_part(l, ' ', 2), split_part(l, ' ', 3) FROM (SELECT "
            "regexp_split_to_table(text, '\\n') AS l FROM (SELECT text FROM ledger.anchor "
            "ORDER BY number DESC LIMIT 1) AS a) AS b WHERE l LIKE 'shard %'")
        anchored = dict(lines or [])
        return all(int(anchored.get(shard, 0)) >= int(seq) for shard, seq in heads.items())

    wait_for(is_covered, "an anchor of everything")


def partitions(stack):
    return [name for (name,) in stack.sql(
        "SELECT name FROM ledger.partitions AS p WHERE from_us <= ledger.newest_us() "
        "ORDER BY from_us")]


def refusals(operator):
    """What is not vouched for stays."""
    operator.ctl("archive", "--to", operator.archive, status=2)
    other = os.path.join(operator.folder, "other")
    operator.ctl("anchor", "keygen", other, database=False)
    said = operator.ctl(*operator.archiving(other + ".pub.pem"), status=1)
    check("anchor" in said, "anchors of another key count for nothing", said)
    check(not os.path.exists(operator.archive), "and nothing was written")
    check(len(partitions(operator.stack)) == 3, "and nothing went", partitions(operator.stack))


def stopped_on_its_way(operator, trader):
    """A reader keeps the first partition; archive waits for it, nobody else does, and is killed."""
    stack = operator.stack
    with subprocess.Popen(["psql", "-XqAt", "-d", operator.database], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as reader:
        reader.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
                           "SELECT count(*) FROM ledger.journal;\n")
        reader.stdin.flush()
        before = int(reader.stdout.readline())
        with subprocess.Popen(operator.command(*operator.archiving()),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as archive:
            try:
                wait_for(lambda: stack.sql(DETACHING + " AND wait_event_type = 'Lock'"),
                         "the archive waits for the reader")
                check(trader.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED",
                      "orders go on meanwhile")
            finally:
                archive.kill()
        reader.stdin.write("SELECT count(*) FROM ledger.journal;\n")
        reader.stdin.flush()
        check(int(reader.stdout.readline()) == before, "the reader sees what it saw", before)
        reader.stdin.close()
    wait_for(lambda: not stack.sql(DETACHING + " AND state = 'active'"), "the server has noticed")


def archived(operator, trader):
    """Both old partitions go, and reading goes on as if they were there."""
    stack = operator.stack
    wait_anchored(operator)
    stopped_on_its_way(operator, trader)
    stack.stop("matcher")  # the market fills nothing while records are counted
    whole = operator.records("--archive", operator.archive)
    wait_anchored(operator)
    rows = [json.loads(line) for line in operator.ctl(*operator.archiving(), "--json").splitlines()]
    check([row["partition"] for row in rows] == ["first", "second"], "two partitions went", rows)
    check(partitions(stack) == ["third"], "the newest stays", partitions(stack))
    check("Nothing to archive" in operator.ctl(*operator.archiving()), "once")
    check(stack.sql("SELECT to_regclass('ledger.first'), to_regclass('ledger.second')") ==
          [["", ""]], "their tables are gone")
    seen = operator.records("--archive", operator.archive)
    check(seen == whole, "archive and database together have every record", len(seen), len(whole))
    live = operator.records()
    check(0 < len(live) < len(whole), "the database has the newest alone", len(live), len(whole))
    listed = stack.sql("SELECT sum(last_seq - first_seq + 1) FROM ledger.archive")
    check(int(listed[0][0]) == len(whole) - len(live), "the rest is what was archived", listed)
    operator.ctl("verify", "--archive", operator.archive, "--anchor-key", operator.key)
    stack.start("matcher")
    stack.wait_ready()


def restarted(operator, trader):
    """A ledger starts on what is left, and goes on where it was."""
    stack = operator.stack
    before = trader.account()
    stack.kill("ledger")
    stack.wait_serving(trader)
    after = trader.account()
    check(after["balances"] == before["balances"], "balances are what they were", before, after)
    check(trader.place("BUY", "MARKET", quantity="0.001")["status"] == "FILLED", "orders go on")
    wait_for(lambda: stack.sql("SELECT max(s.seq - j.seq) FROM ledger.shard AS s JOIN LATERAL ("
                               "SELECT seq FROM ledger.journal WHERE shard = s.shard "
                               "ORDER BY seq DESC LIMIT 1) AS j ON true") in ([["0"]],),
             "the tables have caught up")
    operator.ctl("verify", "--archive", operator.archive, "--anchor-key", operator.key)


def moved(operator):
    """Archive and live part as one export: a new deployment replays it to the same balances."""
    stack = operator.stack
    for name in ("gateway", "ledger"):
        stack.stop(name)
    folder = os.path.join(operator.folder, "export")
    operator.ctl("export", folder, "--archive", operator.archive)
    with Stack(market=recording.write) as other:
        there = Operator(other, operator.folder)
        other.stop("ledger")
        there.ctl("import", folder, "--partition-hours", "1")
        said = there.ctl("import", folder, status=3)
        check("not empty" in said, "it is imported once", said)
        other.start("ledger")
        other.wait_ready("ledger")
        check(there.records() == operator.records("--archive", operator.archive),
              "it has the same records")
        text = "SELECT account_id, wallet, asset, free, held FROM ledger.balance ORDER BY 1, 2, 3"
        wait_for(lambda: other.sql(text) == stack.sql(text), "it has the same balances")
        there.ctl("verify")


def damaged(operator):
    """A byte of an archived file is changed: whoever reads it says where."""
    with open(os.path.join(operator.archive, "manifest.json"), encoding="utf-8") as file:
        name = json.load(file)["files"][0]["path"]
    path = os.path.join(operator.archive, name)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 4]))
    said = operator.ctl("verify", "--archive", operator.archive, status=3)
    check(name in said and "SHA-256" in said, "verify names the file", said)
    os.unlink(path)
    said = operator.ctl("export", os.path.join(operator.folder, "again"), "--archive",
                        operator.archive, database=False, status=3)
    check(name in said and "No such file" in said, "export names the file that is gone", said)


def story():
    """Old partitions of the journal are archived, and nothing is missed"""
    folder = tempfile.mkdtemp(prefix="scrip-retention-")
    try:
        with Stack(settings={"ledger": "anchor_seconds = 1"}, market=recording.write) as stack:
            operator = Operator(stack, folder)
            with Load(stack) as load:
                load.progress()
            trader = load.traders[0].user
            stack.stop("ledger")
            stack.sql(SPLIT)
            stack.start("ledger")
            stack.wait_ready()
            refusals(operator)
            archived(operator, trader)
            restarted(operator, trader)
            for each in load.traders:
                check_account(each.user, load.balance)
            check_zero_sums(stack)
            moved(operator)
            damaged(operator)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    tell(story)
