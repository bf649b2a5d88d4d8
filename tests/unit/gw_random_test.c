/*
 * gw_random_test.c - requests in flight to a ledger and to three bridges, whatever links come and
 * go and whoever is silent: against a list of who was sent what and has said what.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "gateway/core/gateway.h"

#define MS       INT64_C(1000)
#define CALLS    24
#define SERVERS  4 /* a ledger, and three bridges */
#define BRIDGE   1
#define RESEND   (500 * MS)
#define TIMEOUT  (5000 * MS)
#define PATIENCE (12000 * MS) /* of bridges */

/* What became of one request, as its owner and the servers see it. */
struct wish {
    uint64_t corr; /* 0 = free */
    bool mutates, is_secret, is_probe;
    uint32_t first; /* of its group */
    int64_t began_us;
    uint32_t copies, refusals;
    uint32_t unanswered[SERVERS]; /* copies that have reached a server */
    uint32_t length;
};

static struct gw gw;
static struct wish wishes[CALLS];
static uint64_t corrs, seed;
static uint64_t passed_on; /* corr of a call that was just turned away, */
static uint32_t passed_by; /* by this server; another one works */
static int64_t now_us;
static uint8_t bytes[GW_SECRET_MAX];

static uint32_t
dice(uint32_t sides)
{
    seed = map_mix(seed + 1);
    return (uint32_t)(seed >> 33) % sides;
}

static struct wish *
wish_of(uint64_t corr)
{
    for (struct wish *w = wishes; w < wishes + CALLS; w++)
        if (w->corr == corr)
            return w;
    return NULL;
}

static void
bytes_of(uint64_t corr, uint32_t length)
{
    memset(bytes, (int)(1 + corr % 255), length);
}

static void
sent(struct wish *w, uint32_t server)
{
    cr_assert(gw_is_linked(&gw, server));
    cr_assert_eq(gw.servers[server].first, w->first, "to its own group only");
    w->copies++;
    w->unanswered[server]++;
}

/* ---- What happens ---- */

static enum err
start(const struct wish *w, uint32_t server)
{
    bytes_of(w->corr, w->length);
    if (w->is_probe)
        return gw_start_probe(&gw, now_us, server, w->corr, bytes, w->length);
    if (w->is_secret)
        return gw_start_secret(&gw, now_us, server, w->corr, w->corr * 10, bytes, w->length);
    return gw_start(&gw, now_us, server, w->corr, w->corr * 10, w->mutates, bytes, w->length);
}

static void
begin(uint32_t server, bool is_probe)
{
    struct wish *w = wish_of(0);
    bool is_secret = !is_probe && dice(3) == 0;
    struct wish wish = {.corr = ++corrs,
                        .mutates = is_secret || (!is_probe && dice(3) > 0),
                        .is_secret = is_secret,
                        .is_probe = is_probe,
                        .first = gw.servers[server].first,
                        .began_us = now_us,
                        .length = 1 + dice(is_secret ? GW_SECRET_MAX : GW_PACKED_MAX)};
    if (!is_probe)
        server = gw_replica_from(&gw, now_us, server);
    bool is_away = !is_probe && gw_is_away(&gw, now_us, server);
    uint32_t secrets = 0;
    for (const struct wish *other = wishes; other < wishes + CALLS; other++)
        secrets += other->corr != 0 && other->is_secret;
    bool is_full = w == NULL || (is_secret && secrets == GW_SECRETS);
    enum err e = start(&wish, server);
    cr_assert_eq(e, is_away ? gw.servers[server].away_error : is_full ? ERR_GATEWAY_BUSY : OK);
    if (e != OK)
        return;
    *w = wish;
    if (gw_is_linked(&gw, server))
        sent(w, server);
}

static void
given_up(const struct gw_due *due)
{
    struct wish *w = wish_of(due->corr);
    int64_t patience = w->first == BRIDGE ? PATIENCE : TIMEOUT;
    bool was_sent = w->copies > 0;
    enum err away = gw.servers[w->first].away_error;
    cr_assert_eq(due->error, w->mutates && was_sent ? ERR_OUTCOME_UNKNOWN : away);
    cr_assert(now_us - w->began_us >= patience ||
              ((!w->mutates || !was_sent) && gw_is_away(&gw, now_us, due->server)));
    w->corr = 0;
}

static void
tick(void)
{
    for (int things = 0;; things++) {
        cr_assert_lt(things, 10 * CALLS, "it comes to rest");
        struct gw_due due = gw_due(&gw, now_us);
        gw_check(&gw);
        if (due.kind == GW_DUE_NOTHING)
            break;
        if (due.kind == GW_DUE_PROBE) {
            begin(due.server, true);
            continue;
        }
        struct wish *w = wish_of(due.corr);
        cr_assert_not_null(w, "nobody is told twice");
        cr_assert_eq(due.owner, w->is_probe ? 0 : w->corr * 10);
        if (due.kind == GW_DUE_EXPIRED) {
            given_up(&due);
            continue;
        }
        bytes_of(w->corr, w->length);
        cr_assert(due.is_secret == w->is_secret && due.length == w->length);
        cr_assert_eq(memcmp(due.packed, bytes, w->length), 0);
        cr_assert(w->corr != passed_on || due.server != passed_by, "by the next one");
        sent(w, due.server);
    }
    passed_on = 0;
}

/* What a server says of a copy that has reached it; as call.c takes it. */
static void
say(struct wish *w, uint32_t server)
{
    static const enum err words[] = {OK, OK, ERR_FUNDS_TOO_LOW, ERR_LEDGER_UNAVAILABLE,
                                     ERR_BRIDGE_UNAVAILABLE};
    enum err refused = words[dice(sizeof words / sizeof words[0])];
    w->unanswered[server]--;
    w->refusals += refused != OK;
    if (gw_ask_next(&gw, now_us, server, w->corr, refused)) {
        cr_assert(refused == ERR_BRIDGE_UNAVAILABLE && w->first == BRIDGE);
        passed_on = w->corr;
        passed_by = server;
        gw_heard(&gw, now_us, server, 0);
        return;
    }
    bool is_last = w->refusals >= w->copies && refused != ERR_LEDGER_UNAVAILABLE;
    bool settles = gw_answer_settles(&gw, w->corr, refused);
    cr_assert_eq(settles, refused == OK || !w->mutates || w->copies == 1 || is_last);
    if (!settles) {
        gw_heard(&gw, now_us, server, 0);
        return;
    }
    uint64_t owner = 1;
    cr_assert(gw_answer(&gw, now_us, server, 0, w->corr, &owner));
    cr_assert_eq(owner, w->is_probe ? 0 : w->corr * 10);
    cr_assert_not(gw_answer(&gw, now_us, server, 0, w->corr, &owner), "once");
    w->corr = 0;
}

static void
say_something(uint32_t silent)
{
    struct wish *w = &wishes[dice(CALLS)];
    uint32_t server = dice(SERVERS);
    if (w->corr != 0 && server != silent && w->unanswered[server] > 0)
        say(w, server);
}

static void
give_up_first(void)
{
    gw_forget(&gw, wishes[0].corr);
    wishes[0].corr = 0;
}

/* Who went away answers nothing that it was sent. */
static void
link_turn(uint32_t server)
{
    bool is_up = gw_is_linked(&gw, server);
    for (struct wish *w = wishes; is_up && w < wishes + CALLS; w++)
        w->unanswered[server] = 0;
    gw_link(&gw, now_us, server, !is_up);
}

/* ---- What is true at all times ---- */

static void
prove(void)
{
    gw_check(&gw);
    uint32_t in_flight[SERVERS] = {0}, probes[SERVERS] = {0}, count = 0;
    for (const struct wish *w = wishes; w < wishes + CALLS; w++)
        count += w->corr != 0;
    cr_assert_eq(gw.count, count);
    for (uint32_t i = 0; i < CALLS; i++) {
        const struct gw_call *c = &gw.calls[i];
        if (c->corr == 0)
            continue;
        in_flight[c->server]++;
        probes[c->server] += c->is_probe;
        cr_assert_eq(gw.servers[c->server].first, wish_of(c->corr)->first);
    }
    for (uint32_t i = 0; i < SERVERS; i++) {
        cr_assert_eq(gw.servers[i].in_flight, in_flight[i]);
        cr_assert_eq(gw.servers[i].probes, probes[i]);
    }
    static const uint8_t wiped[GW_SECRET_MAX];
    for (uint32_t i = 0; i < GW_SECRETS; i++)
        if ((gw.secrets_used >> i & 1) == 0)
            cr_assert_eq(memcmp(gw.secrets[i], wiped, sizeof wiped), 0, "wiped");
}

static void
live(uint64_t run)
{
    const struct gw_options o = {
        .calls_max = CALLS, .resend_us = RESEND, .timeout_us = TIMEOUT, .silent_us = 1500 * MS};
    void *memory = calloc(1, gw_bytes(CALLS));
    seed = run;
    now_us = 1000 * MS;
    corrs = passed_on = 0;
    memset(wishes, 0, sizeof wishes);
    gw_init(&gw, &o, memory);
    cr_assert_eq(gw_add_server(&gw, ERR_LEDGER_UNAVAILABLE), 0);
    cr_assert_eq(gw_add_server(&gw, ERR_BRIDGE_UNAVAILABLE), BRIDGE);
    for (uint32_t i = BRIDGE + 1; i < SERVERS; i++)
        cr_assert_eq(gw_add_replica(&gw, BRIDGE), i);
    for (uint32_t i = BRIDGE; i < SERVERS; i++)
        gw_set_timeout(&gw, i, PATIENCE);
    uint32_t silent = GW_NONE;
    for (int turn = 0; turn < 1500; turn++) {
        uint32_t what = dice(100);
        if (what < 30)
            begin(dice(SERVERS), false);
        else if (what < 80)
            say_something(silent);
        else if (what < 84)
            link_turn(dice(SERVERS));
        else if (what < 86)
            silent = dice(SERVERS + 1);
        else if (what < 88 && wishes[0].corr != 0)
            give_up_first();
        else
            now_us += dice(400) * MS;
        tick();
        prove();
    }
    free(memory);
}

Test(gw_random, nobody_is_told_what_is_not_so, .timeout = 110)
{
    for (uint64_t run = 1; run <= 40; run++)
        live(run);
}
