/*
 * verify_jobs.c - see verify_jobs.h.
 *
 * Each process gets every n-th shard, reads from a snapshot of its own, and sends what it found
 * through a pipe: its verdicts, then the differences.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/verify_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scripctl/places.h"
#include "scripctl/shadow.h"

#define JOBS_MAX 64

/* What a process says first. */
struct report {
    bool is_well;
    char why[WHY_BYTES];
    struct proof proofs[LEDGER_SHARDS];
    uint32_t differences; /* that follow */
};

struct job {
    pid_t pid;
    int from;
    bool shards[LEDGER_SHARDS];
};

static void
keep(void *arg, const struct tables_difference *d)
{
    struct verify_found *f = arg;
    f->items = array_room(f->items, f->count, &f->max, sizeof *f->items);
    f->items[f->count++] = *d;
}

/* ---- One ---------------------------------------------------------------------------------- */

static bool
run(const struct proof_options *o, const bool shards[LEDGER_SHARDS], bool is_quiet,
    struct proof proofs[LEDGER_SHARDS], struct verify_found *found, char why[WHY_BYTES])
{
    struct progress progress;
    progress_begin(&progress, "verifying", "records", 0, is_quiet);
    bool is_well = proof_run(o, shards, &progress, keep, found, proofs, why);
    progress_end(&progress);
    return is_well;
}

/* ---- Several ------------------------------------------------------------------------------ */

static bool
write_all(int to, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = write(to, (const char *)bytes + done, length - done);
        if (n <= 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool
read_all(int from, void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = read(from, (char *)bytes + done, length - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* Table names are constants of this program, and those of its children: they are the same. */
static _Noreturn void
work(const struct proof_options *o, const struct job *job, bool is_quiet, int to)
{
    static struct report report;
    struct verify_found found = {.items = NULL};
    report.is_well = run(o, job->shards, is_quiet, report.proofs, &found, report.why);
    report.differences = found.count;
    bool is_sent = write_all(to, &report, sizeof report) &&
                   write_all(to, found.items, found.count * sizeof *found.items);
    _exit(is_sent ? 0 : 1);
}

static bool
begin(const struct proof_options *o, struct job *job, bool is_quiet)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    job->pid = fork();
    if (job->pid == 0) {
        close(ends[0]);
        work(o, job, is_quiet, ends[1]);
    }
    close(ends[1]);
    job->from = ends[0];
    return job->pid > 0;
}

static bool
finish(struct job *job, struct proof proofs[LEDGER_SHARDS], struct verify_found *found,
       char why[WHY_BYTES])
{
    static struct report report;
    struct tables_difference d;
    bool is_well = read_all(job->from, &report, sizeof report);
    if (!is_well)
        shadow_wrong(why, "a process that verified has ended early");
    for (uint32_t i = 0; is_well && i < report.differences; i++) {
        is_well = read_all(job->from, &d, sizeof d);
        if (is_well)
            keep(found, &d);
    }
    close(job->from);
    waitpid(job->pid, NULL, 0);
    if (!is_well)
        return false;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        if (job->shards[i])
            proofs[i] = report.proofs[i];
    return report.is_well || shadow_wrong(why, "%s", report.why);
}

static void
share_out(const bool shards[LEDGER_SHARDS], struct job *jobs, uint32_t count)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++)
        if (shards[i])
            jobs[next++ % count].shards[i] = true;
}

bool
verify_shards(const struct proof_options *o, const bool shards[LEDGER_SHARDS], uint32_t count,
              bool is_quiet, struct proof proofs[LEDGER_SHARDS], struct verify_found *found,
              char why[WHY_BYTES])
{
    static struct job jobs[JOBS_MAX];
    uint32_t begun = 0;
    bool is_well = true;
    if (count <= 1)
        return run(o, shards, is_quiet, proofs, found, why);
    count = count < JOBS_MAX ? count : JOBS_MAX;
    memset(jobs, 0, sizeof jobs);
    share_out(shards, jobs, count);
    fflush(NULL);
    while (begun < count && begin(o, &jobs[begun], is_quiet || begun > 0))
        begun++;
    if (begun < count)
        is_well = shadow_wrong(why, "a process cannot be started: %s", strerror(errno));
    for (uint32_t i = 0; i < begun; i++) {
        char own[WHY_BYTES];
        if (!finish(&jobs[i], proofs, found, own) && is_well)
            is_well = shadow_wrong(why, "%s", own);
    }
    return is_well;
}
