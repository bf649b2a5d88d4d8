/*
 * ledger_match_test.c - the ledger's core and the matcher's, wired to each other, over a market
 * that walks: whatever the matcher says of any order, the ledger takes.
 *
 * After each step, when nothing is under way, both must know the same orders with the same rest.
 * Sessions break now and then and begin from the books. SCRIP_SEED picks another seed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cores.h"

#define SEEDS    6u
#define STEPS    6000u
#define ACCOUNTS 5u

/* ---- Comparing ---------------------------------------------------------------------------- */

/* What the matcher still has of an order; -1 when it is not there. */
static int64_t
rest_at_matcher(const struct cores *w, const struct ledger_order *o)
{
    const struct resting_pool *p = &w->match->books.orders;
    uint32_t i = resting_find(p, o->id);
    if (i == RESTING_NONE)
        return -1;
    return p->at[i].quantity + (p->at[i].has_more ? p->more[i].hidden : 0);
}

static void
must_agree(const struct cores *w)
{
    const struct ledger *l = &w->ledger;
    uint32_t live = 0;
    text_t why;
    cr_assert_str_empty(w->wrong.text, "seed %llu step %u: %s", (unsigned long long)w->o.seed,
                        w->step, w->wrong.text);
    cr_assert(ledger_check(l, &why), "seed %llu step %u: %s", (unsigned long long)w->o.seed,
              w->step, why.text);
    for (uint32_t i = ledger_next_open(l, 0); i != LEDGER_NONE; i = ledger_next_open(l, i + 1)) {
        const struct ledger_order *o = &l->orders[i];
        int64_t rest = o->quantity.v - o->executed.v - o->prevented.v;
        int64_t theirs = rest_at_matcher(w, o);
        cr_assert(theirs >= 0, "seed %llu step %u: order %llu is not at the matcher",
                  (unsigned long long)w->o.seed, w->step, (unsigned long long)o->id);
        cr_assert(o->quantity.v == 0 || theirs == rest,
                  "seed %llu step %u: order %llu has %lld left, at the matcher %lld",
                  (unsigned long long)w->o.seed, w->step, (unsigned long long)o->id,
                  (long long)rest, (long long)theirs);
        live++;
    }
    cr_assert_eq(w->match->books.orders.used, live, "seed %llu step %u: the matcher has %u orders",
                 (unsigned long long)w->o.seed, w->step, w->match->books.orders.used);
    const char *wrong = match_check(w->match);
    cr_assert(wrong == NULL, "seed %llu step %u: %s", (unsigned long long)w->o.seed, w->step,
              wrong);
}

Test(ledger_match, whatever_the_matcher_says_the_ledger_takes)
{
    const char *chosen = getenv("SCRIP_SEED");
    uint64_t ends[32] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cores *w = cores_new(
            &(struct cores_options){.seed = chosen == NULL ? seed : strtoull(chosen, NULL, 10),
                                    .accounts = ACCOUNTS,
                                    .orders_max = 20000});
        while (w->step < STEPS) {
            cores_step(w);
            must_agree(w);
        }
        for (uint32_t i = 0; i < 32; i++)
            ends[i] += w->ends[i];
        cores_destroy(&w);
    }
    for (uint32_t i = ORDER_END_COMPLETE; i <= ORDER_END_CANCEL_FAILED; i++)
        if (ends[i] > 0)
            printf("%s %llu\n", msg_enum_name(MSG_ENUM_order_end, i), (unsigned long long)ends[i]);
    /* That the test is about something: */
    cr_expect(ends[ORDER_END_COMPLETE] > 1000 && ends[ORDER_END_CLIENT_CANCEL] > 300);
    cr_expect(ends[ORDER_END_SELF_TRADE] > 20 && ends[ORDER_END_GTD_REACHED] > 50);
}
