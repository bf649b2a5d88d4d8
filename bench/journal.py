"""journal - durable ledger commands a second next to `pgbench -N -c 16` on the same PostgreSQL.

A private server with everything durable. In each run pgbench and then bench/journal (the ledger's
core, journal writer and tables, fed as fast as it takes) work on it for the same time.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

from figures import ROOT, RUNS, median, medians, program, run, say, settle

SECONDS = os.environ.get("SCRIP_BENCH_SECONDS", "4")
PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
SCRIPT = """
set -euo pipefail
command=
. "$SCRIP_ROOT/tools/dev/lib.sh"
. "$SCRIP_ROOT/tools/dev/database.sh"
mkdir -p "$log_dir" "$run_dir" "$etc_dir"
pg_start
pg_wait
pg_prepare
pg_migrate
printf 'CONNINFO %s\\n%s\\n' "$pg_admin" "$pg_conninfo"
"""


class Server:
    """A PostgreSQL of one's own, migrated; use as a context manager."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="scrip-bench-")
        os.chmod(self.dir, 0o711)
        self.environment = dict(os.environ, SCRIP_VAR=self.dir, SCRIP_ROOT=ROOT)
        out = run(["bash", "-c", SCRIPT], env=self.environment)
        self.admin, self.conninfo = out.split("CONNINFO ")[1].strip().split("\n")
        return self

    def __exit__(self, *_):
        subprocess.run([os.path.join(ROOT, "scrip"), "down", "--wipe"], env=self.environment,
                       capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def pgbench(server, *words):
    return run([PGBENCH, *words, server.admin], quiet=True)


def main():
    ours_program = program("journal")
    raw = {"pgbench": [], "journal": []}
    with Server() as server:
        pgbench(server, "-i", "-q", "-s", "10")
        for number in range(RUNS):
            out = pgbench(server, "-n", "-N", "-c", "16", "-j", "2", "-T", SECONDS)
            raw["pgbench"].append(float(re.search(r"tps = ([0-9.]+)", out).group(1)))
            out = run([ours_program, "--database", server.conninfo, "--seconds", SECONDS])
            raw["journal"].append(json.loads(out))
            say("  run %d: %d commands/s beside pgbench's %d transactions/s" % (
                number + 1, raw["journal"][-1]["per_second"], raw["pgbench"][-1]))
    row = medians(raw["journal"])
    theirs = median(raw["pgbench"])
    ratio = median([ours["per_second"] / tps
                    for ours, tps in zip(raw["journal"], raw["pgbench"])])
    settle("journal", ratio, 15, "durable ledger commands/s over pgbench -N -c 16 transactions/s",
           {"medians": {"journal": row, "pgbench_per_second": theirs}, "runs": raw},
           "%d commands/s, %d transactions/s" % (row["per_second"], theirs))
