/*
 * replay.c - records a second of a verification, on one core.
 *
 *   replay make FOLDER [--records 1000000] [--accounts 2000] [--seed 7]
 *       segment files of what the real cores of ledger and matcher do with drawn orders: markets,
 *       limits, stops, icebergs, lists, amendments, replacements, cancels, settings
 *   replay run FOLDER|CONNINFO [--mode verify]
 *       verify   all that `scripctl verify` does: chain, core, second account, evidence
 *       books    chain and core alone: no second account
 *       hash     the hash of each record, nothing else
 *       read     only reads them
 *
 * Prints one JSON object: records by processor time, as the machine may have other work, and by the
 * clock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "clock.h"
#include "scripctl/manifest.h"
#include "scripctl/proof.h"
#include "unit/ctl_journal.h"

#define ORDERS_MAX 200000

static _Noreturn void
fail(const char *why)
{
    fprintf(stderr, "replay: %s\n", why);
    exit(1);
}

/* ---- Making ------------------------------------------------------------------------------- */

/* The records of a shard into one file, and its line into the manifest. */
static void
write_shard(const struct ctl_journal *j, const char *folder, uint16_t shard, struct manifest *m)
{
    struct segment s = {.shard = shard, .first = 1};
    char why[WHY_BYTES];
    for (uint32_t i = 0; i < j->count; i++)
        if (j->records[i].shard == shard)
            s.last = j->records[i].seq;
    if (s.last == 0)
        return;
    struct segment_writer *w = segment_create(folder, &s, why);
    if (w == NULL)
        fail(why);
    for (uint32_t i = 0; i < j->count; i++)
        if (j->records[i].shard == shard && !segment_write(w, &j->records[i]))
            fail("a segment cannot be written");
    if (!segment_keep(w, &s) || !manifest_add(m, &s, why))
        fail("a segment cannot be kept");
    segment_writer_end(&w);
}

static void
add(void *arg, const struct msg *cmd, int64_t now_us)
{
    ctl_journal_add(arg, cmd, now_us);
}

static void
make(const char *folder, uint32_t records, uint32_t accounts, uint64_t seed)
{
    struct ctl_journal j;
    struct manifest m = {.files = NULL};
    char why[WHY_BYTES];
    uint64_t bytes = 0;
    ctl_journal_init(&j);
    struct cores *w = cores_new(&(struct cores_options){.seed = seed,
                                                        .accounts = accounts,
                                                        .orders_max = ORDERS_MAX,
                                                        .arg = &j,
                                                        .on_changed = add});
    while (j.count < records)
        cores_step(w);
    if (w->wrong.text[0] != '\0')
        fail(w->wrong.text);
    (void)mkdir(folder, 0700);
    for (uint16_t shard = 0; shard < LEDGER_SHARDS; shard++)
        write_shard(&j, folder, shard, &m);
    if (!manifest_write(folder, &m, why))
        fail(why);
    for (uint32_t i = 0; i < j.count; i++)
        bytes += j.records[i].payload_length;
    printf("{\"records\": %u, \"payload_bytes_per_record\": %" PRIu64 "}\n", j.count,
           bytes / j.count);
    manifest_free(&m);
    cores_destroy(&w);
    ctl_journal_fini(&j);
}

/* ---- Running ------------------------------------------------------------------------------ */

enum mode { MODE_VERIFY, MODE_BOOKS, MODE_HASH, MODE_READ, MODES };
static const char *const mode_names[MODES] = {"verify", "books", "hash", "read"};

struct counts {
    uint64_t records, fills, postings;
};

static void
ignore(void *arg, const struct tables_difference *d)
{
    (void)arg, (void)d;
}

static struct counts
run_verify(const struct records_options *from)
{
    static struct proof proofs[LEDGER_SHARDS];
    struct progress progress;
    struct counts sum = {.records = 0};
    struct anchor_keys *keys = anchor_keys_new();
    struct anchors *anchors = anchors_new(keys);
    const struct proof_options o = {.source = *from, .anchors = anchors};
    bool shards[LEDGER_SHARDS];
    char why[WHY_BYTES];
    memset(shards, true, sizeof shards);
    progress_begin(&progress, "", "", 0, true);
    if (!anchors_judge(anchors, why) ||
        !proof_run(&o, shards, &progress, ignore, NULL, proofs, why))
        fail(why);
    for (uint32_t i = 0; i < LEDGER_SHARDS; i++) {
        if (proofs[i].wrong[0] != '\0')
            fail(proofs[i].wrong);
        sum.records += proofs[i].records;
        sum.fills += proofs[i].fills;
        sum.postings += proofs[i].postings;
    }
    anchors_destroy(&anchors);
    anchor_keys_destroy(&keys);
    return sum;
}

static void
take(enum mode mode, struct twin *t, struct journal_hasher *h, const struct journal_record *r,
     uint8_t hash[HASH_BYTES])
{
    if (mode == MODE_BOOKS && !twin_apply(t, r))
        fail(twin_why(t));
    if (mode != MODE_HASH)
        return;
    journal_hash(h, hash, r, hash);
    if (memcmp(hash, r->hash, HASH_BYTES) != 0)
        fail("a hash does not fit");
}

static struct counts
run_less(const struct records_options *from, enum mode mode)
{
    char why[WHY_BYTES];
    struct counts sum = {.records = 0};
    struct records *records = records_open(from, why);
    struct journal_hasher *h = journal_hasher_new();
    if (records == NULL)
        fail(why);
    for (uint16_t shard = 0; shard < LEDGER_SHARDS; shard++) {
        struct twin *t = twin_new(&(struct twin_options){.skips_books = true});
        struct records_cursor *c = records_read(records, shard, 0, 0);
        struct journal_record r;
        uint8_t hash[HASH_BYTES] = {0};
        while (records_next(c, &r) == RECORDS_ONE) {
            take(mode, t, h, &r, hash);
            sum.records++;
        }
        records_end(&c);
        twin_destroy(&t);
    }
    journal_hasher_destroy(&h);
    records_close(&records);
    return sum;
}

/* Of this process, the kernel's share in it included. */
static int64_t
processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t
per_second(uint64_t records, int64_t ns)
{
    return records * 1000000000 / (uint64_t)(ns > 0 ? ns : 1);
}

static void
run(const char *source, enum mode mode)
{
    struct stat is;
    bool is_folder = stat(source, &is) == 0 && S_ISDIR(is.st_mode);
    const struct records_options from = {is_folder ? NULL : source, is_folder ? source : NULL};
    struct rusage used;
    int64_t began_ns = now_ns(), before_ns = processor_ns();
    struct counts n = mode == MODE_VERIFY ? run_verify(&from) : run_less(&from, mode);
    int64_t took_ns = now_ns() - began_ns, used_ns = processor_ns() - before_ns;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"records\": %" PRIu64 ", \"fills\": %" PRIu64 ", \"postings\": %" PRIu64
           ", \"processor_seconds\": %.3f, \"per_processor_second\": %" PRIu64
           ", \"seconds\": %.3f, \"per_second\": %" PRIu64 ", \"memory_mb\": %ld}\n",
           n.records, n.fills, n.postings, (double)used_ns / 1e9, per_second(n.records, used_ns),
           (double)took_ns / 1e9, per_second(n.records, took_ns), used.ru_maxrss / 1024);
}

int
main(int argc, char **argv)
{
    int64_t records = 1000000, accounts = 2000, seed = 7;
    enum mode mode = MODE_VERIFY;
    if (argc < 3 || argc % 2 == 0)
        fail("make FOLDER, or run FOLDER|CONNINFO; see the top of its source");
    for (int i = 3; i < argc; i += 2) {
        if (strcmp(argv[i], "--records") == 0)
            records = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--accounts") == 0)
            accounts = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoll(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--mode") == 0)
            for (mode = 0; mode < MODES && strcmp(argv[i + 1], mode_names[mode]) != 0;)
                mode++;
    }
    if (mode == MODES || records < 1 || records > 100000000 || accounts < 1)
        fail("a mode or a number makes no sense");
    if (strcmp(argv[1], "make") == 0)
        make(argv[2], (uint32_t)records, (uint32_t)accounts, (uint64_t)seed);
    else
        run(argv[2], mode);
    return 0;
}
