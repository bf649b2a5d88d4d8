/*
 * shadow.c - balances of the second account: their postings, and whether all of it is explained.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/shadow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scripctl/shadow_parts.h"

#define CODES_FIRST 6

/* ---- Sentences ---------------------------------------------------------------------------- */

bool
shadow_wrong(char why[WHY_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, WHY_BYTES, format, args);
    va_end(args);
    return false;
}

struct amount_text
amount_text(int64_t amount)
{
    struct amount_text out;
    decimal_write_short(amount, out.text);
    return out;
}

/* A sum that no amount holds is shown as the nearest one that does. */
static struct amount_text
wide_text(wide amount)
{
    return amount_text(amount > INT64_MAX   ? INT64_MAX
                       : amount < INT64_MIN ? INT64_MIN
                                            : (int64_t)amount);
}

static const char *
owner_name(uint64_t account_id, char out[32])
{
    static const char *const kinds[] = {"issuance", "house", "fees", "exchange"};
    uint64_t kind = (account_id - SYSTEM_ACCOUNT_FIRST) / LEDGER_SHARDS;
    if (account_id >= SYSTEM_ACCOUNT_FIRST && kind >= SYSTEM_ISSUANCE && kind <= SYSTEM_EXCHANGE)
        snprintf(out, 32, "%s", kinds[kind - SYSTEM_ISSUANCE]);
    else
        snprintf(out, 32, "account %llu", (unsigned long long)account_id);
    return out;
}

/* ---- Memory ------------------------------------------------------------------------------- */

struct shadow *
shadow_new(void)
{
    struct shadow *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    places_init(&s->balance_by_key);
    places_init(&s->order_by_id);
    places_init(&s->account_by_id);
    places_init(&s->code_by_hash);
    places_init(&s->exchange_trades);
    s->orders_free = s->first_listed = SHADOW_NONE;
    return s;
}

void
shadow_destroy(struct shadow **s)
{
    if (*s == NULL)
        return;
    places_fini(&(*s)->balance_by_key);
    places_fini(&(*s)->order_by_id);
    places_fini(&(*s)->account_by_id);
    places_fini(&(*s)->code_by_hash);
    places_fini(&(*s)->exchange_trades);
    free((*s)->balances);
    free((*s)->orders);
    free((*s)->accounts);
    free((*s)->codes);
    free((*s)->sums);
    free((*s)->postings);
    free((*s)->posting_balance);
    free(*s);
    *s = NULL;
}

uint64_t
shadow_accounts(const struct shadow *s)
{
    return s->accounts_count;
}

/* Names with one hash stand at the numbers behind it. Most are among the first. */
uint16_t
shadow_code(struct shadow *s, code_t code)
{
    for (uint32_t i = 0; i < s->codes_count && i < CODES_FIRST; i++)
        if (memcmp(&s->codes[i], &code, sizeof code) == 0)
            return (uint16_t)i;
    uint64_t hash = map_hash(&code, sizeof code);
    uint32_t place;
    while ((place = places_get(&s->code_by_hash, hash)) != MAP_NONE) {
        if (code_same(s->codes[place], code))
            return (uint16_t)place;
        hash += hash == UINT64_MAX ? 2 : 1;
    }
    uint32_t max = s->codes_max;
    s->codes = array_room(s->codes, s->codes_count, &max, sizeof *s->codes);
    if (max != s->codes_max) {
        s->sums = realloc(s->sums, max * LEDGER_WALLETS * sizeof *s->sums);
        CHECK(s->sums != NULL);
        s->codes_max = max;
    }
    CHECK(s->codes_count < UINT16_MAX);
    for (uint32_t i = 0; i < LEDGER_WALLETS; i++)
        s->sums[s->codes_count * LEDGER_WALLETS + i] = 0;
    s->codes[s->codes_count] = code;
    places_set(&s->code_by_hash, hash, s->codes_count);
    return (uint16_t)s->codes_count++;
}

static bool
balance_is(const struct shadow_balance *b, uint64_t account_id, enum wallet wallet, uint16_t asset)
{
    return b->account_id == account_id && b->wallet == wallet && b->asset == asset;
}

/* What a user has in a wallet at the exchange is found from the account. */
static void
exchange_list(struct shadow *s, uint32_t balance)
{
    struct shadow_balance *b = &s->balances[balance];
    struct shadow_account *a =
        shadow_is_exchange((enum wallet)b->wallet) ? shadow_account(s, b->account_id) : NULL;
    b->next_exchange = SHADOW_NONE;
    if (a == NULL)
        return;
    uint32_t *first = &a->first_exchange[b->wallet - WALLET_exchange_spot];
    b->next_exchange = *first;
    *first = balance;
}

uint32_t
shadow_balance_take(struct shadow *s, uint64_t account_id, enum wallet wallet, code_t asset)
{
    uint16_t code = shadow_code(s, asset);
    uint64_t key = map_mix(account_id + ((uint64_t)code << 48) + ((uint64_t)wallet << 44));
    uint32_t place;
    key += key == 0;
    while ((place = places_get(&s->balance_by_key, key)) != MAP_NONE) {
        if (balance_is(&s->balances[place], account_id, wallet, code))
            return place;
        key += key == UINT64_MAX ? 2 : 1;
    }
    s->balances = array_room(s->balances, s->balances_count, &s->balances_max, sizeof *s->balances);
    s->balances[s->balances_count] =
        (struct shadow_balance){.account_id = account_id, .asset = code, .wallet = (uint8_t)wallet};
    places_set(&s->balance_by_key, key, s->balances_count);
    exchange_list(s, s->balances_count);
    return s->balances_count++;
}

/* ---- Postings ----------------------------------------------------------------------------- */

const struct twin_posting *
shadow_post(struct shadow *s, const struct balance_row *rows, uint32_t count)
{
    s->postings_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct balance_row *row = &rows[i];
        s->postings = array_room(s->postings, i, &s->postings_max, sizeof *s->postings);
        s->posting_balance =
            array_room(s->posting_balance, i, &s->posting_balance_max, sizeof *s->posting_balance);
        uint32_t place = shadow_balance_take(s, row->account_id, row->wallet, row->asset);
        struct shadow_balance *b = &s->balances[place];
        s->posting_balance[i] = place;
        s->postings[i] = (struct twin_posting){.account_id = row->account_id,
                                               .wallet = row->wallet,
                                               .asset = row->asset,
                                               .free_before = b->free,
                                               .held_before = b->held,
                                               .free = row->free,
                                               .held = row->held};
        b->free = row->free;
        b->held = row->held;
        s->postings_count++;
    }
    return s->postings;
}

void
shadow_list(struct shadow *s, uint32_t balance)
{
    struct shadow_balance *b = &s->balances[balance];
    if (b->is_listed)
        return;
    b->is_listed = true;
    b->next_listed = s->first_listed;
    s->first_listed = balance;
}

void
shadow_due(struct shadow *s, uint32_t balance, wide amount)
{
    s->balances[balance].due += amount;
    shadow_list(s, balance);
}

/* ---- Judging ------------------------------------------------------------------------------ */

static wide
moved(const struct twin_posting *p)
{
    return (wide)p->free.v + p->held.v - p->free_before.v - p->held_before.v;
}

/* What all balances of an asset moved by comes to nothing. */
static bool
sums_are_zero(struct shadow *s, char why[WHY_BYTES])
{
    for (uint32_t i = 0; i < s->postings_count; i++) {
        const struct shadow_balance *b = &s->balances[s->posting_balance[i]];
        s->sums[b->asset * LEDGER_WALLETS + b->wallet - 1] += moved(&s->postings[i]);
    }
    bool are_zero = true;
    for (uint32_t i = 0; i < s->postings_count; i++) {
        const struct shadow_balance *b = &s->balances[s->posting_balance[i]];
        wide *sum = &s->sums[b->asset * LEDGER_WALLETS + b->wallet - 1];
        if (*sum != 0 && are_zero)
            are_zero = shadow_wrong(why, "%s is made or lost: all its balances move by %s",
                                    s->codes[b->asset].text, wide_text(*sum).text);
        *sum = 0;
    }
    return are_zero;
}

static bool
postings_are_due(struct shadow *s, char why[WHY_BYTES])
{
    char name[32];
    for (uint32_t i = 0; i < s->postings_count; i++) {
        struct shadow_balance *b = &s->balances[s->posting_balance[i]];
        wide by = moved(&s->postings[i]);
        if (by != b->due)
            return shadow_wrong(why, "%s moves %s by %s, its trades and changes come to %s",
                                owner_name(b->account_id, name), s->codes[b->asset].text,
                                wide_text(by).text, wide_text(b->due).text);
        b->due = 0;
        shadow_list(s, s->posting_balance[i]);
    }
    return true;
}

static bool
balance_is_sound(const struct shadow *s, const struct shadow_balance *b, char why[WHY_BYTES])
{
    char name[32];
    const char *asset = s->codes[b->asset].text;
    bool is_user = b->account_id < SYSTEM_ACCOUNT_FIRST;
    if (b->due != 0)
        return shadow_wrong(why, "%s should have moved %s by %s and did not",
                            owner_name(b->account_id, name), asset, wide_text(b->due).text);
    bool may_lack = !is_user || b->wallet == WALLET_exchange_futures;
    if (b->held.v < 0 || (!may_lack && b->free.v < 0))
        return shadow_wrong(why, "%s has %s %s free and %s held", owner_name(b->account_id, name),
                            asset, amount_text(b->free.v).text, amount_text(b->held.v).text);
    if (!shadow_is_exchange((enum wallet)b->wallet) && b->held.v != b->orders_held)
        return shadow_wrong(why, "%s holds %s %s, its open orders hold %s",
                            owner_name(b->account_id, name), asset, amount_text(b->held.v).text,
                            wide_text(b->orders_held).text);
    return true;
}

static bool
balances_are_sound(struct shadow *s, char why[WHY_BYTES])
{
    bool are_sound = true;
    for (uint32_t i = s->first_listed; i != SHADOW_NONE; i = s->balances[i].next_listed) {
        struct shadow_balance *b = &s->balances[i];
        are_sound = are_sound && balance_is_sound(s, b, why);
        b->is_listed = false;
    }
    s->first_listed = SHADOW_NONE;
    return are_sound;
}

bool
shadow_after(struct shadow *s, const struct twin_step *step, char why[WHY_BYTES])
{
    return sums_are_zero(s, why) && shadow_trades(s, step, why) && shadow_changes(s, step, why) &&
           shadow_orders(s, step, why) && shadow_exchange(s, step, why) &&
           postings_are_due(s, why) && balances_are_sound(s, why) &&
           shadow_account_rows(s, step, why);
}
