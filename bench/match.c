/*
 * match.c - how fast the matching core is: ns per operation, its spread, memory per resting order.
 *
 *   match [RUNS]
 *
 * The streams of flow.h with 100, ten thousand and a million orders resting, through the book
 * alone (what other engines' figures cover) and through the whole core: messages in, reports with
 * evidence out. Each one operation after the other, and again in batches of AHEAD operations that
 * are looked at ahead, as the matcher does with those of one frame. The ratio takes the first.
 * Times are processor time, but for the spread of single operations. Every run's trades are checked
 * against the stream's answer. SCRIP_BENCH may name a folder with d100.flow, d10k.flow and
 * d1m.flow; otherwise the same streams are made here. Prints one JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "clock.h"
#include "flow.h"
#include "matcher/core/ahead.h"

#define SEED     20260801
#define OPS      2000000
#define TICK     1000000 /* 0.01 */
#define LOT      100000  /* 0.001 */
#define RUNS_MAX 50
#define AIM      1.5 /* times as fast as CppTrader */
#define AHEAD    BOOKS_AHEAD_MAX

struct stream {
    const char *name;
    uint64_t depth;
    uint32_t mean;
    uint64_t hash; /* of the published stream with this seed */
    /* ns an operation on the machine where docs/decisions/ has them from: of CppTrader, and of the
     * fastest of the engines that check what they are told */
    double cpptrader_ns, fastest_ns;
};

static const struct stream streams[] = {
    {"d100", 100, 10, UINT64_C(0x2263ad90bae08360), 59, 30},
    {"d10k", 10000, 100, UINT64_C(0xeab853c238ae8ddb), 85, 38},
    {"d1m", 1000000, 1000, UINT64_C(0x2f690b2f4d6a9d06), 378, 243},
};

/* The engine under measurement and what it said. */
struct engine {
    void *memory;
    size_t size;
    struct match *match; /* its books are also used alone */
    struct outbox out;
    struct frame frame;
    uint64_t hash, trades;
};

typedef void engine_op(struct engine *e, const struct flow_op *op);
typedef void engine_batch(struct engine *e, const struct flow_op *ops, uint32_t count);

/* The ways to run a stream. */
struct way {
    const char *name;
    bool is_core, is_ahead;
};

static const struct way ways[] = {
    {"book_ns", false, false},
    {"book_ahead_ns", false, true},
    {"core_ns", true, false},
    {"core_ahead_ns", true, true},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

struct result {
    double ns[WAYS][RUNS_MAX];
    double bytes_per_order;
    double p50_ns, p99_ns, max_ns; /* of single operations in the book */
    bool is_right;
};

/* What this program itself got of the processor: whoever else wants it does not count. */
static int64_t
worked_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t
anonymous_bytes(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoull(line + 8, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kib * 1024;
}

/* ---- The book alone ------------------------------------------------------------------------- */

static void
book_op(struct engine *e, const struct flow_op *op)
{
    struct books *s = &e->match->books;
    struct book *b = &e->match->book[0];
    if (op->kind == FLOW_CANCEL) {
        uint32_t record = resting_seek(&s->orders, op->id);
        CHECK(record != RESTING_NONE);
        book_unlink(s, b, record);
        resting_free(&s->orders, record);
        return;
    }
    struct taker t = {.side = op->side == FLOW_BUY ? SIDE_BUY : SIDE_SELL,
                      .limit = (int64_t)op->price * TICK,
                      .quantity = (int64_t)op->quantity * LOT};
    struct fill f;
    while (taker_next(s, b, &t, &f)) {
        e->hash = flow_hash(e->hash, f.maker.order_id, op->id, (uint64_t)f.price / TICK,
                            (uint64_t)f.quantity / LOT);
        e->trades++;
    }
    if (t.quantity == 0)
        return;
    uint32_t record = resting_new(&s->orders, op->id);
    CHECK(record != RESTING_NONE);
    struct resting *r = &s->orders.at[record];
    r->rank = books_next_rank(s);
    r->quantity = t.quantity;
    r->price = t.limit;
    r->side = t.side & 3;
    r->ledger = 0;
    r->state = RESTING_IN_BOOK;
    CHECK(book_link(s, b, record, RESTING_NONE));
}

/* ---- The whole core ------------------------------------------------------------------------- */

static void
count_reports(struct engine *e, const struct flow_op *op)
{
    uint64_t taker = op->id;
    for (uint32_t i = 0; i < e->out.count; i++) {
        const struct msg *m = &e->out.slots[i].msg;
        if (m->type != MSG_order_report || m->order_report.order_id == taker)
            continue;
        for (uint32_t k = 0; k < m->order_report.fills_count; k++) {
            const struct match_fill *f = &m->order_report.fills[k];
            e->hash = flow_hash(e->hash, m->order_report.order_id, taker,
                                (uint64_t)f->price.v / TICK, (uint64_t)f->quantity.v / LOT);
            e->trades++;
        }
    }
    outbox_clear(&e->out);
}

/* The message of an operation. */
static void
core_say(const struct flow_op *op, struct msg *m)
{
    static const code_t symbol = {"BTCUSDT"};
    if (op->kind == FLOW_CANCEL) {
        m->type = MSG_order_pull;
        m->order_pull = (struct order_pull){.order_id = op->id, .symbol = symbol};
        return;
    }
    m->type = MSG_order_work;
    m->order_work = (struct order_work){
        .order_id = op->id,
        .account_id = op->user,
        .symbol = symbol,
        .side = op->side == FLOW_BUY ? SIDE_BUY : SIDE_SELL,
        .type = ORDER_TYPE_LIMIT,
        .time_in_force = TIME_IN_FORCE_GTC,
        .price = {(int64_t)op->price * TICK},
        .quantity = {(int64_t)op->quantity * LOT},
    };
}

static void
core_apply(struct engine *e, const struct flow_op *op, const struct msg *m)
{
    match_apply(e->match, 1, &e->frame, m, 1, &e->out);
    count_reports(e, op);
    while (match_busy(e->match)) {
        match_resume(e->match, &e->out);
        count_reports(e, op);
    }
}

static void
core_op(struct engine *e, const struct flow_op *op)
{
    struct msg m = {.corr = 0};
    core_say(op, &m);
    core_apply(e, op, &m);
}

/* ---- Measuring ------------------------------------------------------------------------------ */

static void
engine_open(struct engine *e, uint32_t orders_max)
{
    const struct match_limits limits = {
        .books = {.orders_max = orders_max,
                  .levels_max = 200000,
                  .house_levels_max = 1000,
                  .books_max = 16},
        .ledgers_max = 4,
        .silence_us = INT64_MAX,
        .ask_again_us = 1000000,
    };
    *e = (struct engine){.hash = FLOW_HASH_INIT, .size = match_bytes(&limits)};
    e->memory = mmap(NULL, e->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(e->memory != MAP_FAILED);
    (void)madvise(e->memory, e->size, MADV_HUGEPAGE);
    e->match = match_init(&limits, e->memory);
    static struct out outs[256];
    static uint8_t lists[1u << 20] __attribute__((aligned(16)));
    outbox_init(&e->out, outs, 256, lists, sizeof(lists));
    e->frame =
        (struct frame){.sender = code_of("ledger-0"), .epoch = 1, .session = 1, .sequence = 1};
    struct msg m = {.type = MSG_link_hello};
    match_apply(e->match, 1, &e->frame, &m, 1, &e->out);
    m.type = MSG_link_synced;
    match_apply(e->match, 1, &e->frame, &m, 1, &e->out);
    match_watch(e->match, code_of("BTCUSDT"), 1, &e->out);
    outbox_clear(&e->out);
}

static void
engine_close(struct engine *e)
{
    munmap(e->memory, e->size);
}

static void
book_look_ahead(struct engine *e, const struct flow_op *ops, uint32_t count)
{
    struct book_ahead soon[AHEAD];
    for (uint32_t i = 0; i < count; i++)
        soon[i] = (struct book_ahead){.id = ops[i].id,
                                      .book = ops[i].kind != FLOW_CANCEL ? e->match->book : NULL,
                                      .side = ops[i].side == FLOW_BUY ? SIDE_BUY : SIDE_SELL,
                                      .price = (int64_t)ops[i].price * TICK};
    books_ahead(&e->match->books, soon, count);
}

static void
book_batch(struct engine *e, const struct flow_op *ops, uint32_t count)
{
    if (books_are_deep(&e->match->books))
        book_look_ahead(e, ops, count);
    for (uint32_t i = 0; i < count; i++)
        book_op(e, &ops[i]);
}

/* As the shell does it with the messages of a frame. */
static void
core_batch(struct engine *e, const struct flow_op *ops, uint32_t count)
{
    static struct msg msgs[AHEAD];
    if (!match_may_look_ahead(e->match, MSG_order_work)) {
        for (uint32_t i = 0; i < count; i++)
            core_op(e, &ops[i]);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        core_say(&ops[i], &msgs[i]);
    match_look_ahead(e->match, msgs, count);
    for (uint32_t i = 0; i < count; i++)
        core_apply(e, &ops[i], &msgs[i]);
}

/* ns per operation of the measured part. */
static double
run(const struct flow *f, const struct way *way, struct result *r)
{
    struct engine e;
    engine_op *op = way->is_core ? core_op : book_op;
    engine_batch *batch = way->is_core ? core_batch : book_batch;
    engine_open(&e, f->id_max);
    uint64_t before = anonymous_bytes(), end = f->preload + f->count;
    for (uint64_t i = 0; i < f->preload; i++)
        op(&e, &f->ops[i]);
    r->bytes_per_order = (double)(anonymous_bytes() - before) / (double)f->preload;
    int64_t start = worked_ns();
    if (way->is_ahead) {
        for (uint64_t i = f->preload; i < end; i += AHEAD)
            batch(&e, &f->ops[i], end - i < AHEAD ? (uint32_t)(end - i) : AHEAD);
    } else {
        for (uint64_t i = f->preload; i < end; i++)
            op(&e, &f->ops[i]);
    }
    int64_t took = worked_ns() - start;
    r->is_right = r->is_right && e.hash == f->hash && e.trades == f->trades &&
                  e.match->book[0].orders == f->resting && match_check(e.match) == NULL;
    engine_close(&e);
    return (double)took / (double)f->count;
}

static int
compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The clock itself costs as much as an operation: its own median is taken off. */
static void
measure_spread(const struct flow *f, struct result *r)
{
    struct engine e;
    uint32_t *took = calloc(f->count, sizeof(*took)), clock[1001];
    CHECK(took != NULL);
    engine_open(&e, f->id_max);
    for (uint64_t i = 0; i < f->preload; i++)
        book_op(&e, &f->ops[i]);
    for (int i = 0; i < 1001; i++) {
        int64_t start = now_ns();
        clock[i] = (uint32_t)(now_ns() - start);
    }
    for (uint64_t i = 0; i < f->count; i++) {
        int64_t start = now_ns();
        book_op(&e, &f->ops[f->preload + i]);
        took[i] = (uint32_t)(now_ns() - start);
    }
    qsort(clock, 1001, sizeof(*clock), compare);
    for (uint64_t i = 0; i < f->count; i++)
        took[i] -= took[i] < clock[500] ? took[i] : clock[500];
    qsort(took, f->count, sizeof(*took), compare);
    r->p50_ns = took[f->count / 2];
    r->p99_ns = took[f->count * 99 / 100];
    r->max_ns = took[f->count - 1];
    free(took);
    engine_close(&e);
}

static int
compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double
median(double *values, long count)
{
    qsort(values, (size_t)count, sizeof(*values), compare_double);
    return values[count / 2];
}

static void
stream_open(struct flow *f, const struct stream *s)
{
    const char *folder = getenv("SCRIP_BENCH");
    char path[4096];
    if (folder != NULL) {
        snprintf(path, sizeof(path), "%s/%s.flow", folder, s->name);
        if (flow_read(f, path))
            return;
    }
    flow_make(f, SEED, s->depth, OPS, s->mean);
    if (f->hash != s->hash)
        fprintf(stderr, "match: the stream %s is not the published one\n", s->name);
}

static void
measure(const struct flow *f, long runs, struct result *r)
{
    *r = (struct result){.is_right = true};
    /* By turns, so that what else the machine does falls on all of them. */
    for (long k = 0; k < runs; k++)
        for (size_t w = 0; w < WAYS; w++)
            r->ns[w][k] = run(f, &ways[w], r);
    measure_spread(f, r);
}

static void
print_stream(const struct stream *s, struct result *r, long runs)
{
    printf("\"%s\":{\"resting\":%llu,", s->name, (unsigned long long)s->depth);
    for (size_t w = 0; w < WAYS; w++)
        printf("\"%s\":%.1f,", ways[w].name, median(r->ns[w], runs));
    printf("\"book_p50_ns\":%.0f,\"book_p99_ns\":%.0f,\"book_max_ns\":%.0f,"
           "\"cpptrader_ns\":%.0f,\"fastest_ns\":%.0f,",
           r->p50_ns, r->p99_ns, r->max_ns, s->cpptrader_ns, s->fastest_ns);
    /* Pages are too large a measure for small books. */
    if (s->depth >= 100000)
        printf("\"bytes_per_order\":%.0f,", r->bytes_per_order);
    printf("\"trades_right\":%s}", r->is_right ? "true" : "false");
}

int
main(int argc, char **argv)
{
    char *end = NULL;
    long runs = argc > 1 ? strtol(argv[1], &end, 10) : 5;
    if (runs < 1 || runs > RUNS_MAX || (end != NULL && *end != '\0')) {
        fprintf(stderr, "RUNS is 1 to %d\n", RUNS_MAX);
        return 2;
    }
    double ratio = 1e9;
    bool all_right = true;
    printf("{\"name\":\"match\",\"aim\":%.1f,\"unit\":\"CppTrader's ns per operation over "
           "ours, at the depth where that is least\",\"raw\":{",
           AIM);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        static struct result r;
        struct flow f;
        stream_open(&f, &streams[i]);
        measure(&f, runs, &r);
        printf("%s", i > 0 ? "," : "");
        print_stream(&streams[i], &r, runs);
        double here = streams[i].cpptrader_ns / median(r.ns[0], runs);
        ratio = here < ratio ? here : ratio;
        all_right = all_right && r.is_right;
        flow_free(&f);
    }
    printf("},\"ratio\":%.4f}\n", ratio);
    return all_right ? 0 : 3;
}
