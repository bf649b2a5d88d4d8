/*
 * ctl_life_test.c - the lives of all accounts of a random journal of the real cores: every posting
 * adds up, in every entry, to what the ledger has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_journal.h"
#include "ledger/core/account.h"
#include "scripctl/life.h"
#include "scripctl/words.h"
#include "wire/json.h"

#include <json-c/json.h>

#define ACCOUNTS 5
#define STEPS    6000
#define PAIRS    64

static struct ctl_journal journal;

static void
setup(void)
{
    ctl_journal_init(&journal);
}

static void
teardown(void)
{
    ctl_journal_fini(&journal);
}

TestSuite(ctl_life, .init = setup, .fini = teardown);

/* What the postings of one account's life came to. */
struct pair {
    enum wallet wallet;
    code_t asset;
    int64_t free, held;
};

struct sums {
    struct pair pairs[PAIRS];
    uint32_t count;
};

static struct pair *
pair_of(struct sums *s, enum wallet wallet, code_t asset)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->pairs[i].wallet == wallet && code_same(s->pairs[i].asset, asset))
            return &s->pairs[i];
    cr_assert_lt(s->count, PAIRS);
    s->pairs[s->count] = (struct pair){.wallet = wallet, .asset = asset};
    return &s->pairs[s->count++];
}

/* Each posting starts where the one before it ended. */
static void
add_up(struct sums *s, const struct life_entry *e)
{
    for (uint32_t i = 0; i < e->postings_count; i++) {
        const struct life_posting *p = &e->postings[i];
        struct pair *pair = pair_of(s, p->wallet, p->asset);
        pair->free += p->free_change.v;
        pair->held += p->held_change.v;
        cr_assert_eq(pair->free, p->free.v, "%s", p->what);
        cr_assert_eq(pair->held, p->held.v, "%s", p->what);
        cr_assert_geq(p->held.v, 0);
        cr_assert_geq(p->free.v, 0, "a balance is never below zero on the way: %s", p->what);
        cr_assert_str_neq(p->what, "moved");
    }
}

static void
judge_json(const struct life_entry *e)
{
    struct bytes json = {NULL, 0, 0};
    life_entry_json(e, &json);
    struct json_object *parsed = json_parse(words_text(&json), json.length, 16);
    cr_assert_not_null(parsed, "%s", words_text(&json));
    struct json_object *postings = json_object_object_get(parsed, "postings");
    cr_assert_eq(json_object_array_length(postings), e->postings_count);
    cr_assert_eq(json_object_array_length(json_object_object_get(parsed, "words")), e->words_count);
    json_object_put(parsed);
    bytes_free(&json);
}

/* The ledger's balances are what the postings come to, and no other. */
static void
judge_balances(const struct ledger *l, uint64_t account_id, struct sums *s)
{
    const struct ledger_account *a = account_find_any(l, account_id);
    cr_assert_not_null(a);
    for (uint32_t i = a->first_balance; i != LEDGER_NONE; i = l->balances[i].next) {
        const struct ledger_balance *b = &l->balances[i];
        struct pair *pair = pair_of(s, b->wallet, l->assets[b->asset]);
        cr_assert_eq(pair->free, b->free.v);
        cr_assert_eq(pair->held, b->held.v);
    }
}

Test(ctl_life, postings_of_an_account_add_up_to_its_balances)
{
    ctl_journal_make(&journal, 11, ACCOUNTS, STEPS);
    struct twin *twin = twin_new(&(struct twin_options){.is_trusting = true});
    static struct sums sums[ACCOUNTS + 1];
    struct life_entry entry = {.step = NULL};
    uint32_t told = 0;
    for (uint32_t i = 0; i < journal.count; i++) {
        cr_assert(twin_apply(twin, &journal.records[i]), "%s", twin_why(twin));
        uint32_t whose = 0;
        for (uint64_t id = 1; id <= ACCOUNTS; id++) {
            struct life_subject subject = {.account_id = id};
            if (!life_is_of(&subject, twin_step(twin)))
                continue;
            life_entry_make(&entry, &subject, twin_step(twin));
            cr_assert_gt(entry.words_count, 0);
            add_up(&sums[id], &entry);
            if (i % 16 == 0)
                judge_json(&entry);
            whose++;
            told++;
        }
        cr_assert_eq(whose, 1, "record %u is of one account and no other", i);
    }
    cr_assert_eq(told, journal.count);
    for (uint64_t id = 1; id <= ACCOUNTS; id++)
        judge_balances(twin_ledger(twin), id, &sums[id]);
    life_entry_free(&entry);
    twin_destroy(&twin);
}

/* The fills of an order's life come to what the order says it has executed. */
Test(ctl_life, fills_of_an_order_add_up_to_it)
{
    ctl_journal_make(&journal, 12, ACCOUNTS, STEPS);
    struct life_entry entry = {.step = NULL};
    uint32_t judged = 0, filled = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        uint64_t id = (uint64_t)ledger_shard_of(1 + n % ACCOUNTS) << 47 | (n / ACCOUNTS + 1);
        struct twin *twin = twin_new(&(struct twin_options){.is_trusting = true});
        struct life_subject subject = {.order_id = id};
        struct order order = {.order_id = 0};
        int64_t executed = 0, quote = 0;
        for (uint32_t i = 0; i < journal.count; i++) {
            cr_assert(twin_apply(twin, &journal.records[i]));
            const struct twin_step *step = twin_step(twin);
            if (!life_is_of(&subject, step))
                continue;
            life_entry_make(&entry, &subject, step);
            for (uint32_t k = 0; k < step->orders_count; k++)
                if (step->orders[k].order.order_id == id)
                    order = step->orders[k].order;
            for (uint32_t k = 0; k < step->trades_count; k++)
                if (step->trades[k].trade.order_id == id) {
                    executed += step->trades[k].trade.quantity.v;
                    quote += step->trades[k].trade.quote_quantity.v;
                }
        }
        if (order.order_id != 0) {
            cr_assert_eq(order.executed_quantity.v, executed);
            cr_assert_eq(order.executed_quote_quantity.v, quote);
            cr_assert_eq(subject.account_id, order.account_id);
            judged++;
            filled += executed > 0;
        }
        twin_destroy(&twin);
    }
    cr_assert_gt(judged, 10);
    cr_assert_gt(filled, 3);
    life_entry_free(&entry);
}
