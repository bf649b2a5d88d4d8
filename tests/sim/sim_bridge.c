/*
 * sim_bridge.c - bridges as they may behave, and the exchange behind them, which is the truth.
 *
 * A bridge keeps nothing: it dies with all that it was doing, its requests arrive late or not at
 * all, and so do the exchange's answers. It sends an order until its last moment and never later,
 * tells what it hears until the ledger answers, and says that an order was not placed only when the
 * exchange does not have it and nobody may send it any more. The exchange fills as it likes.
 *
 * An order that arrives there twice, one that no ledger knows, one that is lost, a fill that counts
 * twice or never: each of them is a failure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define AGAIN_US  500000  /* a report is told again so often */
#define WINDOW_US 1000000 /* a request that is older counts for nothing at the exchange */
#define MARGIN_US 2500000 /* behind it, for clocks that are apart */
#define SKEW_US   400000

/* ---- The exchange ---------------------------------------------------------------------------- */

static struct sim_placed *
placed_of(struct sim *s, uint64_t order_id)
{
    uint32_t at = map_get(&s->exchange.by_order, order_id);
    return at == MAP_NONE ? NULL : &s->exchange.placed[at];
}

static bool
is_working(const struct sim_placed *p)
{
    return p->status == ORDER_STATUS_NEW || p->status == ORDER_STATUS_PARTIALLY_FILLED;
}

/* An order that was sent has arrived. */
static void
arrive(struct sim *s, const struct bridge_place *m)
{
    struct sim_exchange *x = &s->exchange;
    struct sim_placed *p = placed_of(s, m->order.order_id);
    if (p != NULL) {
        p->received++;
        sim_fail(s, "order %llu was placed twice", (unsigned long long)m->order.order_id);
        return;
    }
    CHECK(x->count < x->max);
    p = &x->placed[x->count];
    *p = (struct sim_placed){.as = *m, .received = 1, .quantity = m->order.quantity};
    if (p->quantity.v == 0)
        p->quantity.v = 1000 * (1 + (int64_t)sim_draw(s, 1000));
    p->status = sim_chance(s, 120) ? ORDER_STATUS_REJECTED : ORDER_STATUS_NEW;
    map_set(&x->by_order, m->order.order_id, x->count++);
    s->counts.real_placed++;
    s->counts.real_refused += p->status == ORDER_STATUS_REJECTED;
}

static void
fill(struct sim *s, struct sim_placed *p)
{
    int64_t rest = p->quantity.v - p->executed.v;
    bool is_last = p->fills_count == SIM_REAL_FILLS - 1 || sim_chance(s, 500);
    int64_t quantity = is_last ? rest : 1 + (int64_t)sim_draw(s, (uint64_t)rest);
    struct exchange_fill *f = &p->fills[p->fills_count++];
    p->executed.v += quantity;
    *f = (struct exchange_fill){.trade_id = ++s->exchange.trades,
                                .price = {1 + (int64_t)sim_draw(s, 1000 * DECIMAL_ONE)},
                                .quantity = {quantity},
                                .executed_after = p->executed,
                                .fee = {(int64_t)sim_draw(s, 1000)},
                                .fee_asset = code_of("BNB"),
                                .is_maker = sim_chance(s, 500),
                                .time_us = s->now_us};
    int64_t quote = (int64_t)((__int128)f->price.v * quantity / DECIMAL_ONE);
    f->quote_quantity.v = quote;
    p->status =
        p->executed.v == p->quantity.v ? ORDER_STATUS_FILLED : ORDER_STATUS_PARTIALLY_FILLED;
    s->counts.real_fills++;
}

/* ---- What bridges tell ----------------------------------------------------------------------- */

static struct sim_said *
said_new(struct sim *s, struct sim_bridge *b, enum msg_type type, uint64_t account_id)
{
    for (uint32_t i = 0; i < SIM_ERRANDS; i++) {
        struct sim_said *said = &b->said[i];
        if (said->is_used)
            continue;
        memset(said, 0, sizeof *said);
        said->is_used = true;
        said->msg.type = type;
        said->msg.corr = ++s->next_corr;
        said->group = ledger_shard_of(account_id) % s->groups_count;
        return said;
    }
    return NULL; /* it is asked again */
}

static struct bridge_report *
report_new(struct sim *s, struct sim_bridge *b, const struct bridge_place *about)
{
    struct sim_said *said = said_new(s, b, MSG_bridge_report, about->account_id);
    if (said == NULL)
        return NULL;
    struct bridge_report *r = &said->msg.bridge_report;
    r->account_id = about->account_id;
    r->order_id = about->order.order_id;
    r->environment = about->order.environment;
    r->time_us = s->now_us;
    r->fills = said->fills;
    return r;
}

/* As it stands, with the fills from that one on. */
static void
tell_placed(struct sim *s, struct sim_bridge *b, const struct sim_placed *p, uint32_t from)
{
    struct bridge_report *r = report_new(s, b, &p->as);
    if (r == NULL)
        return;
    if (p->status == ORDER_STATUS_REJECTED) {
        r->exchange_state = EXCHANGE_STATE_REFUSED;
        r->error = ERR_EXCHANGE_REFUSED;
        r->exchange_code = -2010;
        return;
    }
    r->exchange_state = EXCHANGE_STATE_PLACED;
    r->exchange_order_id = 1000 + p->as.order.order_id % 1000;
    r->status = p->status;
    r->executed_quantity = p->executed;
    r->placed_quantity = p->quantity;
    r->placed_price = p->as.order.price;
    for (uint32_t i = from; i < p->fills_count; i++)
        ((struct exchange_fill *)r->fills)[r->fills_count++] = p->fills[i];
}

static void
tell_state(struct sim *s, struct sim_bridge *b, const struct bridge_place *about,
           enum exchange_state state, enum err why)
{
    struct bridge_report *r = report_new(s, b, about);
    if (r == NULL)
        return;
    r->exchange_state = state;
    r->error = why;
    s->counts.real_never += state == EXCHANGE_STATE_NOT_PLACED;
}

/* What an account has there, by a clock that rises. */
static void
tell_account(struct sim *s, struct sim_bridge *b)
{
    uint32_t account = (uint32_t)sim_draw(s, s->accounts);
    uint64_t id = sim_account_id(account);
    struct sim_said *said = said_new(s, b, MSG_exchange_account, id);
    if (said == NULL)
        return;
    struct exchange_account *a = &said->msg.exchange_account;
    *a = (struct exchange_account){.account_id = id,
                                   .trading_type = TRADING_TYPE_spot,
                                   .environment = ENVIRONMENT_testnet,
                                   .as_of_us = s->now_us - (int64_t)sim_draw(s, 1000000),
                                   .is_whole = sim_chance(s, 500),
                                   .balances = said->balances,
                                   .balances_count = 1 + (uint32_t)sim_draw(s, 2)};
    for (uint32_t i = 0; i < a->balances_count; i++)
        said->balances[i] =
            (struct exchange_balance){.asset = code_of(i == 0 ? "USDT" : "BNB"),
                                      .free = {(int64_t)sim_draw(s, 1000 * DECIMAL_ONE)},
                                      .locked = {(int64_t)sim_draw(s, 10 * DECIMAL_ONE)}};
}

static void
send_frame(struct sim *s, struct wire *w, const struct msg *m)
{
    struct bytes frame = {0};
    struct frame head = {.sender = code_of("bridge")};
    msg_pack_body(&frame, MSG_frame, 0, &head);
    msg_pack_body(&frame, m->type, m->corr, msg_body_const(m));
    wire_send(s, w, frame.data, frame.length);
    bytes_free(&frame);
}

static void
tell_again(struct sim *s, struct sim_bridge *b)
{
    for (uint32_t i = 0; i < SIM_ERRANDS; i++) {
        struct sim_said *said = &b->said[i];
        if (!said->is_used || said->again_us > s->now_us)
            continue;
        said->again_us = s->now_us + AGAIN_US;
        sim_trace(s, "bridge", "tells", &said->msg);
        send_frame(s, &b->reports[s->groups[said->group].address], &said->msg);
    }
}

/* ---- What bridges do ------------------------------------------------------------------------- */

static void
errand_new(struct sim *s, struct sim_bridge *b, enum sim_errand_kind kind,
           const struct bridge_place *about)
{
    for (uint32_t i = 0; i < SIM_ERRANDS; i++)
        if (!b->errands[i].is_used) {
            int64_t most = sim_fault(s, 100) ? 3000000 : 60000;
            b->errands[i] = (struct sim_errand){.kind = kind,
                                                .about = *about,
                                                .due_us = s->now_us + (int64_t)sim_draw(s, most),
                                                .is_used = true};
            return;
        }
}

/* It leaves if its time is not over, is on its way for a while, and arrives if that was not too
 * long. */
static void
do_place(struct sim *s, struct sim_bridge *b, struct sim_errand *e)
{
    if (s->now_us + b->skew_us > e->about.order.send_by_us || sim_fault(s, 60))
        return;
    e->kind = ERRAND_ARRIVES;
    e->is_used = true;
    e->sent_us = s->now_us;
    e->due_us = s->now_us + (int64_t)sim_draw(s, sim_fault(s, 100) ? 2000000 : 40000);
}

static void
do_arrive(struct sim *s, struct sim_bridge *b, const struct sim_errand *e)
{
    if (s->now_us - e->sent_us > WINDOW_US)
        return;
    arrive(s, &e->about);
    if (sim_fault(s, 150))
        return; /* the answer is lost, and the bridge with its memory of having asked */
    if (sim_fault(s, 150))
        tell_state(s, b, &e->about, EXCHANGE_STATE_UNKNOWN, ERR_EXCHANGE_TIMEOUT);
    else if (s->failure[0] == '\0')
        tell_placed(s, b, placed_of(s, e->about.order.order_id), 0);
}

static void
do_cancel(struct sim *s, struct sim_bridge *b, const struct sim_errand *e)
{
    struct sim_placed *p = placed_of(s, e->about.order.order_id);
    if (p == NULL)
        return;
    if (is_working(p))
        p->status = ORDER_STATUS_CANCELED;
    tell_placed(s, b, p, 0);
}

/* What is not there may still come: it is asked for again, until it cannot come any more. */
static void
do_ask(struct sim *s, struct sim_bridge *b, struct sim_errand *e)
{
    const struct sim_placed *p = placed_of(s, e->about.order.order_id);
    int64_t last_us = e->about.order.send_by_us + WINDOW_US + MARGIN_US;
    if (p != NULL) {
        tell_placed(s, b, p, 0);
    } else if (s->now_us > last_us) {
        tell_state(s, b, &e->about, EXCHANGE_STATE_NOT_PLACED, ERR_NOT_PLACED);
    } else {
        e->is_used = true;
        e->due_us = last_us + 1;
    }
}

static void
do_errands(struct sim *s, struct sim_bridge *b)
{
    for (uint32_t i = 0; i < SIM_ERRANDS && s->failure[0] == '\0'; i++) {
        struct sim_errand *e = &b->errands[i];
        if (!e->is_used || e->due_us > s->now_us)
            continue;
        e->is_used = false;
        if (e->kind == ERRAND_PLACE)
            do_place(s, b, e);
        else if (e->kind == ERRAND_ARRIVES)
            do_arrive(s, b, e);
        else if (e->kind == ERRAND_CANCEL)
            do_cancel(s, b, e);
        else
            do_ask(s, b, e);
    }
}

/* ---- What bridges hear ----------------------------------------------------------------------- */

static void
answered(struct sim_bridge *b, uint64_t corr)
{
    for (uint32_t i = 0; i < SIM_ERRANDS; i++)
        if (b->said[i].msg.corr == corr)
            b->said[i].is_used = false;
}

static bool
is_again(const struct msg *m)
{
    return m->type == MSG_refused && err_again(m->refused.error);
}

static void
hear(struct sim *s, struct sim_bridge *b, uint32_t ledger, const struct msg *m)
{
    struct bridge_place about = m->bridge_place; /* asks and cancels have the same fields */
    const struct msg no = {
        .type = MSG_refused, .corr = m->corr, .refused = {.error = ERR_INTERNAL}};
    switch ((int)m->type) {
    case MSG_bridge_place:
        sim_trace(s, "bridge", "is to place", m);
        errand_new(s, b, ERRAND_PLACE, &about);
        break;
    case MSG_bridge_cancel:
        errand_new(s, b, ERRAND_CANCEL, &about);
        break;
    case MSG_bridge_ask:
        sim_trace(s, "bridge", "is asked", m);
        errand_new(s, b, ERRAND_ASK, &about);
        break;
    case MSG_bridge_schedule_get:
        send_frame(s, &b->to_ledger[ledger], &no);
        break;
    default: /* bridge_reported, exchange_noted, a refusal */
        if (!is_again(m))
            answered(b, m->corr);
    }
}

static void
take_frames(struct sim *s, struct sim_bridge *b, uint32_t ledger, struct wire *w)
{
    struct packet *p;
    while ((p = wire_take(s, w)) != NULL) {
        struct msg m;
        size_t at = 0;
        arena_reset(&s->lists);
        enum err e = msg_unpack(p->data, p->length, &at, &s->lists, &m); /* the head */
        while (e == OK && at < p->length && b->is_up) {
            e = msg_unpack(p->data, p->length, &at, &s->lists, &m);
            if (e == OK)
                hear(s, b, ledger, &m);
        }
        free(p);
    }
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* The exchange goes on by itself, and one bridge hears of it, or none. */
static void
exchange_turn(struct sim *s)
{
    struct sim_exchange *x = &s->exchange;
    if (x->count == 0 || !sim_fault(s, 600))
        return;
    struct sim_placed *p = &x->placed[x->count - 1 - sim_draw(s, x->count < 20 ? x->count : 20)];
    struct sim_bridge *b = &s->bridges[sim_draw(s, SIM_BRIDGES)];
    if (!is_working(p))
        return;
    if (sim_chance(s, 100))
        p->status = ORDER_STATUS_EXPIRED;
    else
        fill(s, p);
    if (b->is_up && sim_chance(s, 700))
        tell_placed(s, b, p, p->fills_count == 0 ? 0 : p->fills_count - 1);
}

/* Now and then all that is not over is looked at: what was missed is told. */
static void
catch_up(struct sim *s, struct sim_bridge *b)
{
    struct sim_exchange *x = &s->exchange;
    for (uint32_t i = 0; i < x->count; i++) {
        const struct sim_placed *p = &x->placed[i];
        const struct ledger *l = &s->follower.ledger;
        uint32_t at = map_get(&l->order_by_id, p->as.order.order_id);
        if (at != MAP_NONE && l->orders[at].end == ORDER_END_NONE && sim_chance(s, 300))
            tell_placed(s, b, p, 0);
    }
}

static void
bridge_crash(struct sim *s, struct sim_bridge *b)
{
    memset(b->errands, 0, sizeof b->errands);
    memset(b->said, 0, sizeof b->said);
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        wire_break(s, &b->from_ledger[i]);
        wire_break(s, &b->to_ledger[i]);
        wire_break(s, &b->reports[i]);
        wire_break(s, &b->reported[i]);
    }
    b->is_up = false;
    b->up_us = s->now_us + (int64_t)sim_draw(s, 2000000);
    s->counts.crashes_bridge++;
    sim_note(s, "bridge", (uint32_t)(b - s->bridges), "dies");
}

static void
bridge_turn(struct sim *s, struct sim_bridge *b)
{
    if (!b->is_up && (s->now_us >= b->up_us || s->is_calm)) {
        b->is_up = true;
        b->skew_us = (int64_t)sim_draw(s, 2 * SKEW_US) - SKEW_US;
    }
    for (uint32_t i = 0; i < s->ledgers_count; i++) {
        take_frames(s, b, i, &b->from_ledger[i]);
        take_frames(s, b, i, &b->reported[i]);
    }
    if (!b->is_up)
        return;
    do_errands(s, b);
    if (sim_chance(s, 30))
        catch_up(s, b);
    if (sim_fault(s, 20))
        tell_account(s, b);
    tell_again(s, b);
    if (sim_fault(s, s->is.crash_bridge))
        bridge_crash(s, b);
}

void
sim_bridges_turn(struct sim *s)
{
    for (uint32_t i = 0; i < SIM_BRIDGES && s->failure[0] == '\0'; i++)
        bridge_turn(s, &s->bridges[i]);
    exchange_turn(s);
}

void
sim_bridges_disconnect(struct sim *s, const struct sim_ledger *l)
{
    for (uint32_t i = 0; i < SIM_BRIDGES; i++) {
        wire_break(s, &s->bridges[i].from_ledger[l->index]);
        wire_break(s, &s->bridges[i].to_ledger[l->index]);
        wire_break(s, &s->bridges[i].reports[l->index]);
        wire_break(s, &s->bridges[i].reported[l->index]);
    }
}

/* ---- At rest --------------------------------------------------------------------------------- */

const char *
sim_exchange_unrest(struct sim *s, const struct ledger *l, uint32_t group)
{
    struct bridge_ask ask;
    struct bridge_cancel cancel;
    for (uint32_t i = ledger_next_real(l, 0); i != LEDGER_NONE; i = ledger_next_real(l, i + 1))
        if (ledger_real_ask(l, i, &ask))
            return "what became of a real order is not known";
        else if (ledger_real_cancel(l, i, &cancel))
            return "a real order is to be cancelled";
    for (uint32_t i = 0; i < s->exchange.count; i++) {
        const struct sim_placed *p = &s->exchange.placed[i];
        if (ledger_shard_of(p->as.account_id) % s->groups_count != group)
            continue;
        uint32_t at = map_get(&l->order_by_id, p->as.order.order_id);
        if (at != MAP_NONE && l->orders[at].end == ORDER_END_NONE &&
            (!is_working(p) || l->orders[at].executed.v != p->executed.v))
            return "a real order is behind the exchange";
    }
    return NULL;
}

static void
judge_placed(struct sim *s, const struct ledger *all, const struct sim_placed *p)
{
    unsigned long long id = p->as.order.order_id;
    uint32_t at = map_get(&all->order_by_id, p->as.order.order_id);
    const struct ledger_order *o = at == MAP_NONE ? NULL : &all->orders[at];
    if (o == NULL)
        sim_fail(s, "order %llu is at the exchange and in no journal", id);
    else if (p->status == ORDER_STATUS_REJECTED && o->exchange_state != EXCHANGE_STATE_REFUSED)
        sim_fail(s, "order %llu was refused by the exchange, and no ledger knows", id);
    else if (p->status != ORDER_STATUS_REJECTED && o->exchange_state != EXCHANGE_STATE_PLACED)
        sim_fail(s, "order %llu is at the exchange and counts as %s", id,
                 msg_enum_name(MSG_ENUM_exchange_state, o->exchange_state));
    else if (o->executed.v != p->executed.v || o->fills != p->fills_count)
        sim_fail(s, "order %llu: %lld in %u fills at the exchange, %lld in %u here", id,
                 (long long)p->executed.v, p->fills_count, (long long)o->executed.v, o->fills);
    else if (p->status != ORDER_STATUS_REJECTED && o->status != p->status)
        sim_fail(s, "order %llu stands otherwise at the exchange", id);
}

void
sim_exchange_judge(struct sim *s, const struct ledger *all)
{
    for (uint32_t i = 0; i < s->exchange.count; i++)
        judge_placed(s, all, &s->exchange.placed[i]);
    for (uint32_t i = 0; i < all->orders_reached; i++) {
        const struct ledger_order *o = &all->orders[i];
        if (o->id != 0 && o->exchange_state == EXCHANGE_STATE_PLACED && placed_of(s, o->id) == NULL)
            sim_fail(s, "order %llu counts as placed and never was", (unsigned long long)o->id);
    }
}

/* ---- Life ------------------------------------------------------------------------------------ */

void
sim_bridges_new(struct sim *s)
{
    struct sim_exchange *x = &s->exchange;
    x->max = 2 * s->steps + 1000;
    x->placed = calloc(x->max, sizeof *x->placed);
    x->bytes = malloc(map_bytes(x->max));
    CHECK(x->placed != NULL && x->bytes != NULL);
    map_init(&x->by_order, x->max, x->bytes);
    for (uint32_t i = 0; i < SIM_BRIDGES; i++)
        s->bridges[i].is_up = true;
}

void
sim_bridges_free(struct sim *s)
{
    free(s->exchange.placed);
    free(s->exchange.bytes);
    for (uint32_t i = 0; i < SIM_BRIDGES; i++)
        for (uint32_t k = 0; k < SIM_LEDGERS_MAX; k++) {
            wire_clear(&s->bridges[i].from_ledger[k]);
            wire_clear(&s->bridges[i].to_ledger[k]);
            wire_clear(&s->bridges[i].reports[k]);
            wire_clear(&s->bridges[i].reported[k]);
        }
}
