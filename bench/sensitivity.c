/*
 * sensitivity.c - the same orders in the same market under each preset of fill rules.
 *
 *   sensitivity RULES SOURCE SECONDS SEED
 *
 * RULES is the file of symbols, SOURCE a line as in marketdata's `sources`, with one symbol. The
 * market goes through marketdata's core into one matcher for each preset. A seeded flow of orders
 * is decided by what the market shows at that moment, never by what became of earlier orders, so
 * that all three get the very same ones; latency and rejection are the ledger's draws. Prints one
 * JSON object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backtest/stage.h"
#include "backtest/tape.h"
#include "base/map.h"
#include "base/msg_stream.h"
#include "ledger/core/fill_rules.h"

#define EVERY_US   100000             /* mean time between two orders */
#define LIFE_US    15000000           /* mean time until an order's cancel */
#define BEHIND     500                /* mean distance of those behind the touch, in ticks */
#define QUANTITY   (DECIMAL_ONE / 50) /* mean of what an order wants beyond the least */
#define LEAST      (DECIMAL_ONE / 1000)
#define ORDERS_MAX 100000
#define NEVER_US   INT64_MAX

enum kind { MARKET, INSIDE, AT_TOUCH, BEHIND_TOUCH, KINDS };

static const char *const kind_names[KINDS] = {"market", "inside", "touch", "behind"};
static const enum fill_preset presets[] = {FILL_PRESET_optimistic, FILL_PRESET_realistic,
                                           FILL_PRESET_harsh};
static const char *const preset_names[] = {"optimistic", "realistic", "harsh"};

enum { PRESETS = 3 };

/* As it was decided. */
struct decision {
    enum kind kind;
    enum side side;
    int64_t price, quantity, middle; /* the middle is doubled: bid + ask */
    int64_t at_us, cancel_us;
};

/* What became of it under one preset. */
struct fate {
    int64_t filled, quote; /* quote amount of its fills */
    int64_t done_us;       /* 0 = it never had all */
    bool is_rejected, has_ended;
};

struct run {
    struct stage stage;
    struct fill_rules rules;
    struct fate *fates;
};

struct bench {
    struct tape *tape;
    const struct symbol_rules *rules;
    struct run runs[PRESETS];
    struct decision *decisions;
    uint32_t count, first_open; /* all before first_open are canceled */
    uint64_t seed;
    int64_t began_us, next_us, last_us;
};

static void
fail(const char *why)
{
    fprintf(stderr, "sensitivity: %s\n", why);
    exit(1);
}

/* ---- The flow -------------------------------------------------------------------------------- */

/* Exponential with this mean, from the ledger's own table. */
static int64_t
exponential(const struct bench *b, uint32_t mean, uint64_t number)
{
    const struct fill_rules rules = {.latency_spread_us = mean, .seed = b->seed};
    return fill_rules_draw(&rules, number).latency_us;
}

/* The n-th random number of order i. */
static uint64_t
random_of(const struct bench *b, uint32_t i, uint64_t n)
{
    return map_mix(b->seed ^ map_mix(i * UINT64_C(8) + n));
}

/* 20 of a hundred take, 20 come inside the touch, 30 join it, 30 stand behind it. */
static enum kind
kind_of(uint64_t random)
{
    uint64_t dice = (random >> 32) * 100 >> 32;
    return dice < 20 ? MARKET : dice < 40 ? INSIDE : dice < 70 ? AT_TOUCH : BEHIND_TOUCH;
}

static int64_t
price_of(const struct bench *b, enum kind kind, enum side side, uint32_t i)
{
    const struct md_touch *t = tape_touch(b->tape, b->rules->symbol);
    int64_t tick = b->rules->tick_size.v, sign = side == SIDE_BUY ? 1 : -1;
    int64_t own = side == SIDE_BUY ? t->bid.v : t->ask.v;
    int64_t away = exponential(b, BEHIND, random_of(b, i, 5)) + 1;
    switch (kind) {
    case MARKET: /* the worst price it may take: 5 % off */
        return side == SIDE_BUY ? t->ask.v / 100 * 105 : t->bid.v / 100 * 95;
    case INSIDE:
        return t->ask.v - t->bid.v > tick ? own + sign * tick : own;
    case BEHIND_TOUCH:
        return own - sign * away * tick;
    case AT_TOUCH:
    case KINDS:
        break;
    }
    return own;
}

static void
decide(struct bench *b, struct decision *d, uint32_t i)
{
    int64_t step = b->rules->step_size.v;
    int64_t quantity = LEAST + exponential(b, QUANTITY, random_of(b, i, 3));
    const struct md_touch *t = tape_touch(b->tape, b->rules->symbol);
    *d = (struct decision){
        .kind = kind_of(random_of(b, i, 1)),
        .side = (random_of(b, i, 2) >> 63) != 0 ? SIDE_BUY : SIDE_SELL,
        .quantity = quantity - quantity % step,
        .middle = t->bid.v + t->ask.v,
        .at_us = b->next_us,
        .cancel_us = b->next_us + exponential(b, LIFE_US, random_of(b, i, 4)),
    };
    d->price = price_of(b, d->kind, d->side, i);
    if (d->kind == MARKET)
        d->cancel_us = NEVER_US;
}

static void
place(struct bench *b, struct run *r, uint32_t i)
{
    const struct decision *d = &b->decisions[i];
    const struct fill_draw draw = fill_rules_draw(&r->rules, i + 1);
    if (draw.is_refused) {
        r->fates[i].is_rejected = r->fates[i].has_ended = true;
        return;
    }
    struct msg m = {.type = MSG_order_work};
    m.order_work = (struct order_work){
        .order_id = i + 1,
        .account_id = 1,
        .symbol = b->rules->symbol,
        .side = d->side,
        .type = d->kind == MARKET ? ORDER_TYPE_MARKET : ORDER_TYPE_LIMIT,
        .time_in_force = d->kind == MARKET ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_GTC,
        .price = {d->price},
        .quantity = {d->quantity},
        .time_us = d->at_us,
        .fill_model = r->rules.fill_model,
        .latency_us = draw.latency_us,
        .slippage_bps = r->rules.slippage_bps,
    };
    stage_until(&r->stage, d->at_us);
    stage_ledger(&r->stage, &m, d->at_us);
}

static void
cancel(struct bench *b, struct run *r, uint32_t i)
{
    int64_t at_us = b->decisions[i].cancel_us;
    stage_until(&r->stage, at_us);
    if (r->fates[i].has_ended)
        return;
    struct msg m = {.type = MSG_order_pull};
    m.order_pull =
        (struct order_pull){.order_id = i + 1,
                            .symbol = b->rules->symbol,
                            .latency_us = fill_rules_draw(&r->rules, i + 1).cancel_latency_us};
    stage_ledger(&r->stage, &m, at_us);
}

/* The order whose cancel is due first; ORDERS_MAX when none is open. */
static uint32_t
first_cancel(const struct bench *b)
{
    uint32_t first = ORDERS_MAX;
    for (uint32_t i = b->first_open; i < b->count; i++)
        if (b->decisions[i].cancel_us != NEVER_US &&
            (first == ORDERS_MAX || b->decisions[i].cancel_us < b->decisions[first].cancel_us))
            first = i;
    return first;
}

/* Everything that the flow does until then, in the order of its times. */
static void
flow_until(struct bench *b, int64_t now_us)
{
    for (;;) {
        uint32_t i = first_cancel(b);
        bool cancels = i < ORDERS_MAX && b->decisions[i].cancel_us <= now_us &&
                       b->decisions[i].cancel_us <= b->next_us;
        if (!cancels && b->next_us > now_us)
            return;
        if (cancels) {
            for (int p = 0; p < PRESETS; p++)
                cancel(b, &b->runs[p], i);
            b->decisions[i].cancel_us = NEVER_US;
            while (b->first_open < b->count && b->decisions[b->first_open].cancel_us == NEVER_US)
                b->first_open++;
            continue;
        }
        if (b->count == ORDERS_MAX)
            fail("too many orders: fewer SECONDS");
        decide(b, &b->decisions[b->count], b->count);
        for (int p = 0; p < PRESETS; p++)
            place(b, &b->runs[p], b->count);
        b->next_us += exponential(b, EVERY_US, random_of(b, b->count, 6)) + 1;
        b->count++;
    }
}

static void
on_said(void *arg, const struct msg *m)
{
    struct run *run = arg;
    const struct order_report *r = &m->order_report;
    CHECK(m->type == MSG_order_report); /* nobody asks for more */
    struct fate *f = &run->fates[r->order_id - 1];
    for (uint32_t i = 0; i < r->fills_count; i++) {
        int64_t quote = 0;
        f->filled += r->fills[i].quantity.v;
        CHECK(decimal_mul_floor(r->fills[i].price.v, r->fills[i].quantity.v, &quote) == OK);
        f->quote += quote;
    }
    f->has_ended |= r->end != ORDER_END_NONE;
    if (r->end == ORDER_END_COMPLETE)
        f->done_us = run->stage.match->now_us;
}

/* ---- The market ------------------------------------------------------------------------------ */

/* A matcher without a book gets one, as soon as there is one. */
static void
give_book(struct bench *b, struct run *r, int64_t now_us)
{
    if (!stage_lacks_book(&r->stage, b->rules->symbol))
        return;
    const struct msg *m = tape_book(b->tape, b->rules->symbol);
    if (m != NULL)
        stage_market(&r->stage, m, now_us);
}

static void
hear(struct bench *b, int64_t now_us)
{
    const struct msg *m;
    for (uint32_t i = 0; (m = tape_msg(b->tape, i)) != NULL; i++)
        for (int p = 0; p < PRESETS && msg_stream_symbol(m) != NULL; p++) {
            stage_until(&b->runs[p].stage, now_us);
            stage_market(&b->runs[p].stage, m, now_us);
        }
    for (int p = 0; p < PRESETS; p++)
        give_book(b, &b->runs[p], now_us);
}

static bool
is_live(const struct bench *b)
{
    const struct stage *s = &b->runs[0].stage;
    const struct md_touch *t = tape_touch(b->tape, b->rules->symbol);
    return match_book(s->match, b->rules->symbol) != NULL &&
           !stage_lacks_book(s, b->rules->symbol) && t->bid.v > 0 && t->ask.v > t->bid.v;
}

/* Until the source ends, or the market was live for that long. */
static void
play(struct bench *b, int64_t length_us)
{
    int64_t end_us = INT64_MAX, now_us;
    while (tape_peek(b->tape, &now_us)) {
        if (b->began_us != 0)
            flow_until(b, now_us < end_us ? now_us : end_us);
        if (now_us >= end_us)
            break;
        tape_take(b->tape);
        hear(b, now_us);
        b->last_us = now_us;
        if (b->began_us == 0 && is_live(b)) {
            b->began_us = b->next_us = now_us;
            end_us = now_us + length_us;
        }
    }
    if (b->began_us == 0)
        fail("the source shows no book");
    for (int p = 0; p < PRESETS; p++)
        if (match_check(b->runs[p].stage.match) != NULL)
            fail(match_check(b->runs[p].stage.match));
}

/* ---- Figures --------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Of the orders of one kind, or of all. */
static void
print_kind(const struct bench *b, const struct run *r, int kind, int64_t *times)
{
    uint32_t orders = 0, rejected = 0, done = 0, touched = 0;
    double wanted = 0, filled = 0, cost = 0, worth = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct decision *d = &b->decisions[i];
        const struct fate *f = &r->fates[i];
        if (kind != KINDS && d->kind != (enum kind)kind)
            continue;
        double at_middle = (double)d->middle / 2 / DECIMAL_ONE * (double)f->filled;
        orders++;
        rejected += f->is_rejected;
        touched += f->filled > 0;
        wanted += (double)d->quantity;
        filled += (double)f->filled;
        worth += at_middle;
        cost += d->side == SIDE_BUY ? (double)f->quote - at_middle : at_middle - (double)f->quote;
        if (f->done_us != 0)
            times[done++] = f->done_us - d->at_us;
    }
    qsort(times, done, sizeof(*times), compare);
    printf("\"%s\":{\"orders\":%u,\"rejected\":%u,\"filled\":%u,\"complete\":%u,\"ratio\":%.6f,"
           "\"slippage_bps\":%.4f,\"time_us_p50\":",
           kind == KINDS ? "all" : kind_names[kind], orders, rejected, touched, done,
           wanted > 0 ? filled / wanted : 0, worth > 0 ? cost / worth * 10000 : 0);
    if (done > 0)
        printf("%lld}", (long long)times[done / 2]);
    else
        printf("null}");
}

static void
print_all(const struct bench *b)
{
    int64_t *times = malloc(ORDERS_MAX * sizeof(*times));
    CHECK(times != NULL);
    printf("{\"seed\":%llu,\"symbol\":\"%s\",\"seconds\":%lld,\"events\":%llu,\"skipped\":%llu,"
           "\"orders\":%u",
           (unsigned long long)b->seed, b->rules->symbol.text,
           (long long)(b->last_us - b->began_us) / 1000000,
           (unsigned long long)tape_events(b->tape), (unsigned long long)tape_skipped(b->tape),
           b->count);
    for (int p = 0; p < PRESETS; p++) {
        printf(",\"%s\":{", preset_names[p]);
        for (int kind = 0; kind <= KINDS; kind++) {
            print_kind(b, &b->runs[p], kind, times);
            printf("%s", kind < KINDS ? "," : "}");
        }
    }
    printf("}\n");
    free(times);
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void *
memory(size_t size)
{
    void *at = calloc(1, size);
    CHECK(at != NULL);
    return at;
}

static void
open_runs(struct bench *b)
{
    const struct books_limits limits = {.orders_max = 10000,
                                        .levels_max = 10000,
                                        .house_levels_max = 40000,
                                        .books_max = 1,
                                        .queues_max = 10000};
    b->decisions = memory(ORDERS_MAX * sizeof(*b->decisions));
    for (int p = 0; p < PRESETS; p++) {
        struct run *r = &b->runs[p];
        r->rules = fill_rules_of(presets[p]);
        r->rules.seed = b->seed;
        r->fates = memory(ORDERS_MAX * sizeof(*r->fates));
        stage_init(&r->stage, &limits, r, on_said);
        stage_begin(&r->stage, 1);
    }
}

static void
close_all(struct bench *b)
{
    for (int p = 0; p < PRESETS; p++) {
        stage_fini(&b->runs[p].stage);
        free(b->runs[p].fates);
    }
    free(b->decisions);
    tape_close(&b->tape);
}

int
main(int argc, char **argv)
{
    static struct bench b;
    long seconds = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    if (seconds < 1 || seconds > 86400) {
        fprintf(stderr, "usage: sensitivity RULES SOURCE SECONDS SEED\n");
        return 2;
    }
    b.seed = strtoull(argv[4], NULL, 10);
    char why[TAPE_WHY_BYTES];
    b.tape = tape_open(argv[1], argv[2], why);
    if (b.tape == NULL)
        fail(why);
    b.rules = tape_only(b.tape);
    if (b.rules == NULL)
        fail("one source with one symbol is needed");
    open_runs(&b);
    play(&b, seconds * 1000000);
    print_all(&b);
    close_all(&b);
    return 0;
}
