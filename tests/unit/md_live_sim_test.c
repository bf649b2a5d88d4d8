/*
 * md_live_sim_test.c - the live source's core against a made-up exchange with every fault, by seed.
 *
 * Judged while it runs: every trade is given once, in order and as it was, or counted as lost; a
 * book that sync.c calls true is the exchange's at that update id; connections, messages and
 * requests keep to their limits. When the faults are over, everything is whole again.
 *
 * LIVE_SIM_SEEDS=N runs so many; LIVE_SIM_FIRST=N begins there: a failure names its seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/instrument.h"
#include "marketdata/core/binance.h"
#include "marketdata/core/live.h"
#include "md_live_model.h"

#define STEP_MS    20
#define FAULTS_MS  60000
#define HEAL_MS    200000
#define CALM_MS    60000
#define ASKS_MAX   4
#define LEVELS_MAX 64
#define SILENCE_MS 3000

struct follower {
    code_t name;
    bool is_followed, was_removed;
    uint64_t last_id, gap_skipped, lost_told;
    bool has_gap, is_away;
    uint64_t quote_id;
    int64_t kline_us;
    struct sync sync;
    uint64_t compared, trades, diff_id;
    uint64_t gap_ms; /* since when; 0 = none */
};

struct stage {
    struct model model;
    struct live live;
    void *memory;
    struct follower followers[MODEL_SYMBOLS];
    struct arena sync_memory;
    void *sync_bytes;
    uint64_t seed, lost_ms[MODEL_SOCKS]; /* when a connection was last lost */
};

#define holds(g, condition, ...)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %" PRIu64 " %s at %" PRIu64 ": ", (g)->seed,                     \
                    (g)->model.is_spot ? "spot" : "usdm", (g)->model.now_ms);                      \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, " (%s:%d)\n", __FILE__, __LINE__);                                     \
            cr_assert(false, "seed %" PRIu64, (g)->seed);                                          \
        }                                                                                          \
    } while (0)

/* ---- The judge -------------------------------------------------------------------------- */

static struct follower *
follower_of(struct stage *g, code_t name)
{
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        if (code_same(g->followers[i].name, name))
            return &g->followers[i];
    }
    return NULL;
}

static const struct model_symbol *
truth_of(const struct stage *g, const struct follower *f)
{
    return &g->model.symbols[f - g->followers];
}

static bool
trade_is_true(const struct model_trade *t, const struct md_event *e)
{
    return t != NULL && e->trade.price.v == (int64_t)t->price * 100000000 &&
           e->trade.quantity.v == (int64_t)t->quantity * 100000000 + 50000000 &&
           e->trade.time_us == (int64_t)t->time_ms * 1000 &&
           e->trade.buyer_is_maker == t->buyer_is_maker &&
           (!e->is_aggregate || (e->first_trade == t->first && e->last_trade == t->last));
}

static void
judge_trade(struct stage *g, struct follower *f, const struct live_given *given)
{
    const struct md_event *e = &given->event;
    uint64_t id = e->trade.trade_id;
    holds(g, trade_is_true(model_trade_of(truth_of(g, f), id), e), "trade %" PRIu64 " is not so",
          id);
    holds(g, given->text != NULL, "trade %" PRIu64 " has no record", id);
    if (!given->has_event) {
        holds(g, id <= f->last_id, "a late trade is not late");
        return;
    }
    holds(g, f->last_id == 0 || id > f->last_id, "trade %" PRIu64 " after %" PRIu64, id,
          f->last_id);
    if (f->last_id != 0 && id > f->last_id + 1) {
        holds(g, f->has_gap, "trades before %" PRIu64 " are missing and it was not told", id);
        f->gap_skipped += id - f->last_id - 1;
    }
    f->last_id = id;
    f->trades++;
}

/* What is recorded must say the same again. */
static void
judge_record(struct stage *g, const struct live_given *given)
{
    struct level levels[2 * LEVELS_MAX];
    struct binance_room room = {levels, LEVELS_MAX};
    struct md_event again;
    if (given->text == NULL)
        return;
    holds(g, binance_json(given->text, given->length, &room, &again) == OK, "a record is broken");
    if (!given->has_event) {
        holds(g, again.kind == MD_EVENT_NONE, "what came late is an event");
        return;
    }
    const struct md_event *e = &given->event;
    holds(g, again.kind == e->kind && again.time_us == e->time_us, "a record says otherwise");
    if (e->kind == MD_EVENT_TRADE)
        holds(g,
              again.trade.trade_id == e->trade.trade_id &&
                  again.trade.price.v == e->trade.price.v && again.last_trade == e->last_trade,
              "a trade's record says otherwise");
    if (e->kind == MD_EVENT_KLINE)
        holds(g,
              again.kline.open_time_us == e->kline.open_time_us &&
                  again.kline.is_closed == e->kline.is_closed && again.interval == e->interval &&
                  again.kline.trades == e->kline.trades,
              "a kline's record says otherwise");
}

static void
judge_book(struct stage *g, struct follower *f, const struct md_event *e)
{
    enum sync_step step = sync_apply(&f->sync, e);
    if (e->kind == MD_EVENT_BOOK) {
        holds(g, step == SYNC_BEGUN, "a snapshot that is of no use is given");
    } else {
        holds(g, e->last_id > f->diff_id, "a diff is given twice");
        f->diff_id = e->last_id;
    }
    if (f->sync.state != SYNC_TRUE)
        return;
    const struct model_book *b = model_book_at(truth_of(g, f), f->sync.last_id);
    if (b == NULL)
        return;
    uint32_t quantity[2][MODEL_LEVELS] = {{0}};
    const struct book_side *sides[2] = {&f->sync.book.bids, &f->sync.book.asks};
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < sides[side]->count; i++) {
            int64_t price = sides[side]->levels[i].price.v / 100000000;
            int64_t n = side == 0 ? 1000 - price : price - 1001;
            holds(g, n >= 0 && n < MODEL_LEVELS, "a level that never was");
            quantity[side][n] = (uint32_t)(sides[side]->levels[i].quantity.v / 100000000);
        }
    }
    holds(g, model_digest((const uint32_t(*)[MODEL_LEVELS])quantity) == b->digest,
          "the book of %s is not the exchange's at %" PRIu64, f->name.text, f->sync.last_id);
    f->compared++;
}

static void
judge_gap(struct stage *g, struct follower *f, const struct md_event *e)
{
    if (e->kind == MD_EVENT_GAP) {
        holds(g,
              e->first_id == f->last_id + 1 || f->last_id == 0 || f->gap_skipped == 0 || f->has_gap,
              "a gap begins elsewhere");
        f->has_gap = true;
        f->gap_ms = g->model.now_ms;
        /* A kline told which trade came before the first one. */
        if (f->last_id == 0)
            f->last_id = e->first_id - 1;
        return;
    }
    holds(g, f->has_gap, "healed, and nothing was missing");
    if (g->model.is_spot && e->last_id > f->last_id) {
        f->gap_skipped += e->last_id - f->last_id;
        f->last_id = e->last_id;
    }
    holds(g, e->lost == f->gap_skipped || (!g->model.is_spot && e->lost >= f->gap_skipped),
          "lost %" PRIu64 ", skipped %" PRIu64, e->lost, f->gap_skipped);
    f->lost_told += e->lost;
    f->gap_skipped = 0;
    f->gap_ms = 0;
    f->has_gap = false;
}

static void
judge(struct stage *g, const struct live_given *given)
{
    const struct md_event *e = &given->event;
    struct follower *f = follower_of(g, e->symbol);
    holds(g, f != NULL && f->is_followed, "an event of a symbol that nobody follows");
    judge_record(g, given);
    switch (e->kind) {
    case MD_EVENT_TRADE:
        judge_trade(g, f, given);
        break;
    case MD_EVENT_QUOTE:
        holds(g, e->quote.update_id > f->quote_id || f->is_away, "a quote of the past");
        f->quote_id = e->quote.update_id;
        break;
    case MD_EVENT_DIFF:
    case MD_EVENT_BOOK:
        judge_book(g, f, e);
        break;
    case MD_EVENT_GAP:
    case MD_EVENT_HEALED:
        judge_gap(g, f, e);
        break;
    case MD_EVENT_AWAY:
        holds(g, !f->is_away, "away twice");
        f->is_away = true;
        break;
    case MD_EVENT_ALIVE:
        f->is_away = false;
        break;
    default:
        break;
    }
}

/* ---- The wires -------------------------------------------------------------------------- */

static void
drain(struct stage *g)
{
    struct live_given given;
    struct live_do what;
    while (live_next(&g->live, &given))
        judge(g, &given);
    while (live_poll(&g->live, &what) != LIVE_DO_NOTHING) {
        if (what.kind == LIVE_DO_CONNECT) {
            holds(g, g->model.now_ms - g->lost_ms[what.conn] >= 100, "connected without a pause");
            model_connect(&g->model, what.conn, what.text);
        } else if (what.kind == LIVE_DO_SEND)
            model_send(&g->model, what.conn, what.text);
        else if (what.kind == LIVE_DO_CLOSE)
            model_close(&g->model, what.conn);
        else
            model_ask(&g->model, what.ask, what.text);
        while (live_next(&g->live, &given))
            judge(g, &given);
    }
}

static void
rules_heard(struct stage *g, const char *names)
{
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        if (strstr(names, g->model.symbols[i].name) != NULL)
            live_rules_known(&g->live, g->followers[i].name);
    }
}

static void
rests_turn(struct stage *g)
{
    for (uint32_t i = 0; i < MODEL_RESTS; i++) {
        struct model_rest *r = &g->model.rests[i];
        /* What gets no answer is given up by the shell's own clock. */
        bool is_lost = r->is_used && r->due_ms == UINT64_MAX && model_dice(&g->model, 300) == 0;
        if (!r->is_used || (r->due_ms > g->model.now_ms && !is_lost))
            continue;
        struct model_rest done = *r;
        memset(r, 0, sizeof(*r));
        enum live_reply reply = LIVE_REPLY_OK;
        if (done.is_refused)
            reply = LIVE_REPLY_REFUSED;
        else if (is_lost || done.status == 0)
            reply = LIVE_REPLY_FAILED;
        const char *body = done.body == NULL || reply != LIVE_REPLY_OK ? "" : done.body;
        if (body[0] >= 'A' && body[0] <= 'Z')
            rules_heard(g, body);
        live_answer(&g->live, done.ask, reply, done.status, body, strlen(body),
                    done.is_refused ? 300000 : 0);
        drain(g);
        free(done.body);
    }
}

/* A connection ended: who hears nothing any more says so at once. */
static void
sock_lost(struct stage *g, uint32_t i)
{
    uint32_t open = 0;
    model_close(&g->model, i);
    live_closed(&g->live, i);
    g->lost_ms[i] = g->model.now_ms;
    drain(g);
    for (uint32_t n = 0; n < MODEL_SOCKS; n++)
        open += g->model.socks[n].is_open;
    for (int n = 0; open == 0 && n < MODEL_SYMBOLS; n++) {
        const struct follower *f = &g->followers[n];
        holds(g, !f->is_followed || f->is_away || f->quote_id == 0, "%s is away and says nothing",
              f->name.text);
    }
}

/* The shell's part of a connection: what is silent is given up. */
static void
sock_turn(struct stage *g, uint32_t i)
{
    struct model *m = &g->model;
    struct model_sock *c = &m->socks[i];
    if (c->is_opening && c->due_ms <= m->now_ms) {
        if (m->now_ms < m->refuse_until_ms) {
            sock_lost(g, i);
        } else {
            c->is_opening = false;
            c->is_open = true;
            c->heard_ms = m->now_ms;
            live_opened(&g->live, i);
        }
        drain(g);
    }
    while (c->is_open && c->count > 0 && c->queue[c->head].due_ms <= m->now_ms) {
        char *text = c->queue[c->head].text;
        c->head = (c->head + 1) % MODEL_QUEUE;
        c->count--;
        c->heard_ms = m->now_ms;
        live_text(&g->live, i, text, strlen(text));
        drain(g);
        free(text);
    }
    bool is_cut = c->cut_ms != 0 && c->cut_ms <= m->now_ms;
    if (c->is_open && (is_cut || m->now_ms - c->heard_ms > 2 * SILENCE_MS)) {
        sock_lost(g, i);
    } else if (c->is_open && !c->is_silent && m->now_ms - c->heard_ms >= SILENCE_MS) {
        c->heard_ms = m->now_ms;
        live_alive(&g->live, i);
        drain(g);
    }
}

static void
symbol_change(struct stage *g)
{
    int i = (int)model_dice(&g->model, MODEL_SYMBOLS);
    struct follower *f = &g->followers[i];
    if (f->is_followed) {
        f->is_followed = false;
        live_symbol_remove(&g->live, f->name);
    } else {
        struct follower begins = {.name = f->name, .is_followed = true, .sync = f->sync};
        *f = begins;
        sync_reset(&f->sync);
        cr_assert(live_symbol_add(&g->live, f->name, model_dice(&g->model, 2) == 0) == OK);
    }
    drain(g);
}

static void
step(struct stage *g, bool has_faults)
{
    struct model *m = &g->model;
    m->now_ms += STEP_MS;
    live_time(&g->live, (int64_t)m->now_ms * 1000, (int64_t)m->now_ms * 1000);
    model_step(m, false);
    if (has_faults && model_dice(m, 25) == 0)
        model_fault(m);
    if (has_faults && model_dice(m, 700) == 0)
        symbol_change(g);
    for (uint32_t i = 0; i < MODEL_SOCKS; i++)
        sock_turn(g, i);
    rests_turn(g);
    if (m->now_ms % 60 < STEP_MS) {
        live_tick(&g->live);
        drain(g);
    }
    if (m->now_ms % 1000 == 0) {
        live_check(&g->live);
        uint64_t limit_ms = (uint64_t)g->live.o.heal_us / 1000 + 500;
        for (int i = 0; i < MODEL_SYMBOLS; i++)
            holds(g,
                  !g->followers[i].is_followed || g->followers[i].gap_ms == 0 ||
                      m->now_ms - g->followers[i].gap_ms < limit_ms,
                  "a gap is waited for too long");
    }
    holds(g, m->broken[0] == '\0', "a limit was broken: %s", m->broken);
}

/* ---- Whole again ------------------------------------------------------------------------ */

static const char *
what_is_wrong(struct stage *g)
{
    static char why[160];
    if (!live_is_complete(&g->live))
        return "not every stream is there";
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        const struct follower *f = &g->followers[i];
        const struct model_symbol *s = &g->model.symbols[i];
        if (!f->is_followed)
            continue;
        uint64_t last = s->trade_count > 0 ? s->trades[s->trade_count - 1].id : 0;
        const char *what = NULL;
        if (f->is_away)
            what = "away";
        else if (f->has_gap)
            what = "a gap";
        else if (f->sync.state == SYNC_WAITING || (f->sync.state == SYNC_EMPTY && i < 2))
            what = "no book";
        else if (last > f->last_id + 40)
            what = "trades behind";
        else if (f->sync.last_id + 2000 < s->published_id)
            what = "the book is behind";
        else if (f->quote_id + 3000 < s->quote_update)
            what = "quotes are behind";
        if (what == NULL)
            continue;
        snprintf(why, sizeof(why), "%s: %s", f->name.text, what);
        return why;
    }
    return NULL;
}

static void
stage_open(struct stage *g, bool is_spot, uint64_t seed, int64_t swap_us)
{
    memset(g, 0, sizeof(*g));
    g->seed = seed;
    model_init(&g->model, is_spot, seed);
    struct live_options o = {.market = is_spot ? TRADING_TYPE_spot : TRADING_TYPE_futures,
                             .symbols_max = MODEL_SYMBOLS,
                             .streams_max = seed % 3 == 0   ? 4
                                            : seed % 3 == 1 ? 8
                                                            : 100,
                             .attempts_max = 60,
                             .asks_max = ASKS_MAX,
                             .held_max = seed % 5 == 0 ? 4 : 512,
                             .levels_max = LEVELS_MAX,
                             .snapshot_levels = 1000,
                             .kept_levels_max = seed % 2 == 0 ? 100 : 16384,
                             .swap_us = swap_us > 0 ? swap_us : INT64_C(36000000000),
                             .overlap_us = 5000000,
                             .heal_us = seed % 4 == 0 ? 1500000 : 30000000,
                             .seed = seed};
    g->memory = malloc(live_bytes(&o));
    live_init(&g->live, &o, g->memory);
    uint32_t levels = 2 * MODEL_LEVELS + 1, kept = o.kept_levels_max;
    size_t bytes = MODEL_SYMBOLS * (2 * levels + kept + 8) * sizeof(struct level);
    g->sync_bytes = malloc(bytes);
    arena_init(&g->sync_memory, g->sync_bytes, bytes);
    live_time(&g->live, (int64_t)g->model.now_ms * 1000, (int64_t)g->model.now_ms * 1000);
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        struct follower *f = &g->followers[i];
        cr_assert(instrument_from_exchange(o.market, code_of(g->model.symbols[i].name), &f->name));
        sync_init(&f->sync, levels, kept, &g->sync_memory);
        f->is_followed = true;
        cr_assert(live_symbol_add(&g->live, f->name, i != 1) == OK);
    }
    drain(g);
}

static void
stage_close(struct stage *g)
{
    model_fini(&g->model);
    free(g->memory);
    free(g->sync_bytes);
}

struct total {
    uint64_t trades, compared, gaps, heals, lost, late, swaps, reconnects, doubled, renewals;
    uint64_t healing_ms_max, patient_trades, patient_lost;
};

static void
run(bool is_spot, uint64_t seed, struct total *sum)
{
    struct stage *g = malloc(sizeof(*g));
    /* One in four never swaps: what has died must be found otherwise. */
    stage_open(g, is_spot, seed, seed % 4 == 3 ? 0 : 20000000 + (int64_t)(seed % 40) * 1000000);
    for (uint64_t ms = 0; ms < FAULTS_MS; ms += STEP_MS)
        step(g, true);
    model_faults_end(&g->model);
    const char *wrong = "";
    uint64_t ms = 0;
    for (; ms < HEAL_MS && wrong != NULL; ms += STEP_MS) {
        step(g, false);
        wrong = ms < 3000 ? "" : what_is_wrong(g);
    }
    holds(g, wrong == NULL, "not whole again: %s", wrong);
    /* And it stays so. */
    for (uint64_t more = 0; more < 2000; more += STEP_MS)
        step(g, false);
    const struct live_counts *c = &g->live.counts;
    uint64_t trades = 0;
    for (int i = 0; i < MODEL_SYMBOLS; i++) {
        trades += g->followers[i].trades;
        sum->compared += g->followers[i].compared;
    }
    sum->trades += trades;
    /* Who has time and room to heal loses little, whatever happens. */
    if (g->live.o.heal_us > 5000000 && g->live.o.held_max > 100) {
        sum->patient_trades += trades;
        sum->patient_lost += c->lost;
    }
    sum->gaps += c->gaps;
    sum->heals += c->heals;
    sum->lost += c->lost;
    sum->late += c->found_late;
    sum->swaps += c->swaps;
    sum->reconnects += c->reconnects;
    sum->doubled += c->doubled;
    sum->renewals += c->renewals;
    if (ms > sum->healing_ms_max)
        sum->healing_ms_max = ms;
    stage_close(g);
    free(g);
}

/* Nothing goes wrong but that connections grow old: not a gap, not a book anew. */
static void
run_calm(bool is_spot, uint64_t seed, struct total *sum)
{
    struct stage *g = malloc(sizeof(*g));
    stage_open(g, is_spot, seed, 12000000);
    for (uint64_t ms = 0; ms < CALM_MS; ms += STEP_MS)
        step(g, false);
    const struct live_counts *c = &g->live.counts;
    holds(g, c->gaps + c->lost + c->reconnects == 0, "%" PRIu64 " gaps in calm", c->gaps);
    holds(g, c->swaps >= 3, "connections grow old");
    sum->swaps += c->swaps;
    sum->doubled += c->doubled;
    stage_close(g);
    free(g);
}

static uint64_t
from_environment(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static void
run_all(bool is_spot)
{
    uint64_t first = from_environment("LIVE_SIM_FIRST", 1);
    uint64_t count = from_environment("LIVE_SIM_SEEDS", 100);
    struct total t = {0};
    for (uint64_t seed = first; seed < first + count; seed++)
        run(is_spot, seed, &t);
    printf("%s, %" PRIu64 " seeds: %" PRIu64 " trades once and in order, %" PRIu64
           " books compared, %" PRIu64 " gaps, %" PRIu64 " heals, %" PRIu64 " lost (%" PRIu64
           " found late), %" PRIu64 " swaps, %" PRIu64 " reconnects, %" PRIu64 " doubled, %" PRIu64
           " renewals, whole again within %" PRIu64 " ms\n",
           is_spot ? "spot" : "usdm", count, t.trades, t.compared, t.gaps, t.heals, t.lost, t.late,
           t.swaps, t.reconnects, t.doubled, t.renewals, t.healing_ms_max);
    printf("patient ones: %" PRIu64 " lost of %" PRIu64 "\n", t.patient_lost, t.patient_trades);
    cr_assert(t.compared > 0 && t.heals > 0 && t.swaps > 0);
    cr_assert(count < 20 || t.patient_lost * 30 < t.patient_trades);
}

static void
run_all_calm(bool is_spot)
{
    uint64_t count = from_environment("LIVE_SIM_SEEDS", 100) / 5 + 1;
    struct total t = {0};
    for (uint64_t seed = 1; seed <= count; seed++)
        run_calm(is_spot, seed, &t);
    printf("%s in calm, %" PRIu64 " seeds: %" PRIu64 " swaps without a gap, %" PRIu64 " doubled\n",
           is_spot ? "spot" : "usdm", count, t.swaps, t.doubled);
}

Test(md_live_sim, spot_in_calm)
{
    run_all_calm(true);
}

Test(md_live_sim, usdm_in_calm)
{
    run_all_calm(false);
}

Test(md_live_sim, spot)
{
    run_all(true);
}

Test(md_live_sim, usdm)
{
    run_all(false);
}
