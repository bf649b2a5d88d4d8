"""replay - records a second of a verification with everything, on one core, out of segment files.

The journal is what the real cores of ledger and matcher make of drawn orders: markets, limits,
stops, icebergs, lists, amendments, replacements, cancels, settings (bench/replay make). `verify` is
what `scripctl verify` does: checksums, hash chain, core, second account of the books, evidence of
each fill. Beside it, less and less of that, and the same from PostgreSQL.

What counts is processor time, the kernel's included, so that other work on the machine does not; of
PostgreSQL, which is another process, it is the time of the clock.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import shutil
import tempfile

from figures import BUILD, RUNS, median, program, run, say, settle
from journal import Server

AIM_PER_SECOND = 300000
RECORDS = os.environ.get("SCRIP_BENCH_RECORDS", "500000")
MODES = ("verify", "books", "hash", "read")


def measure(ours, source, mode):
    return json.loads(run([ours, "run", source, "--mode", mode]))


def from_files(ours, folder):
    rows = {mode: [] for mode in MODES}
    for number in range(RUNS):
        for mode in MODES:
            rows[mode].append(measure(ours, folder, mode))
        say("  run %d: %d records/s verified; %d without the second account, %d hashed, %d read" % (
            (number + 1,) + tuple(rows[mode][-1]["per_processor_second"] for mode in MODES)))
    return rows


def from_database(ours, folder):
    rows = []
    with Server() as server:
        run([os.path.join(BUILD, "tools", "scripctl", "scripctl"), "import", folder, "--quiet",
             "--database", server.conninfo])
        for number in range(RUNS):
            rows.append(measure(ours, server.conninfo, "verify"))
            say("  run %d: %d records/s verified from PostgreSQL" % (number + 1,
                                                                   rows[-1]["per_second"]))
    return rows


def folder_bytes(folder):
    return sum(os.path.getsize(os.path.join(at, name))
               for at, _, names in os.walk(folder) for name in names)


def main():
    ours = program("replay")
    folder = tempfile.mkdtemp(prefix="scrip-bench-")
    try:
        say("  making a journal of %s records" % RECORDS)
        made = json.loads(run([ours, "make", folder, "--records", RECORDS]))
        rows = from_files(ours, folder)
        rows["verify_postgresql"] = from_database(ours, folder)
        per_record = folder_bytes(folder) / made["records"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    per_second = {name: median([row["per_processor_second"] for row in rows[name]])
                  for name in MODES}
    per_second["verify_by_the_clock"] = median([row["per_second"] for row in rows["verify"]])
    per_second["verify_postgresql"] = median([row["per_second"]
                                              for row in rows["verify_postgresql"]])
    settle("replay", per_second["verify"] / AIM_PER_SECOND, 1,
           "records/s verified on one core over %d" % AIM_PER_SECOND,
           {"per_second": per_second, "records": made["records"],
            "fills": rows["verify"][0]["fills"], "postings": rows["verify"][0]["postings"],
            "payload_bytes_per_record": made["payload_bytes_per_record"],
            "file_bytes_per_record": round(per_record, 1), "runs": rows},
           "%d records/s; from PostgreSQL %d, without the second account %d, hashing alone %d" % (
               per_second["verify"], per_second["verify_postgresql"], per_second["books"],
               per_second["hash"]))
