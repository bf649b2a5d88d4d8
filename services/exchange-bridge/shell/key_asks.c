/*
 * key_asks.c - see key_asks.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/key_asks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/shell/key_proof.h"
#include "exchange-bridge/shell/rules.h"
#include "host/log.h"

/* One request that waits for the exchange or the database. */
struct key_ask {
    struct shell *s;
    struct ask *ask;
    struct guard_key is_for;
    struct sign_key *secret; /* PUT: owned, wiped */
    struct exchange_key view;
    uint64_t number;
    struct guard_binding binding; /* of bind */
    uint32_t under_way;           /* of get: keys that are checked */
};

static struct key_ask *
key_ask_new(struct shell *s, struct ask *k, uint64_t user_id, enum trading_type type,
            enum environment e)
{
    struct key_ask *a = pending_new(&s->pending, sizeof *a);
    a->s = s;
    a->ask = k;
    a->is_for = (struct guard_key){true, user_id, type, e};
    return a;
}

static void
key_ask_free(struct key_ask *a)
{
    pending_free(a->secret);
    pending_free(a);
}

static void
fail(struct key_ask *a, const struct refused *why)
{
    ask_refuse(a->ask, why);
    key_ask_free(a);
}

static void
fail_plain(struct key_ask *a, enum err e)
{
    fail(a, &(struct refused){.error = e});
}

/* True when it is not to be gone on with: see asks.h. */
static bool
left_late(struct key_ask *a)
{
    if (!ask_is_late(a->ask))
        return false;
    ask_drop(a->ask);
    key_ask_free(a);
    return true;
}

/* ---- Answers ---- */

/* Whether the answer proves anything: the key works, or it does not. */
static bool
is_proof(const struct caller_reply *r)
{
    return r->ruling.verdict == VERDICT_OK || r->ruling.verdict == VERDICT_KEY;
}

static void
fail_unproved(struct key_ask *a, const struct caller_reply *r)
{
    struct refused why = shell_refusal(r);
    if (r->ruling.verdict == VERDICT_KEY)
        why.error = ERR_CREDENTIALS_INVALID;
    fail(a, &why);
}

static void
answer_keys(struct key_ask *a)
{
    struct exchange_key list[ENVIRONMENTS];
    struct bridge_keys m = {.keys = list};
    for (uint32_t e = 1; e <= ENVIRONMENTS; e++) {
        struct key_view key;
        if (keys_find(a->s->keys, a->is_for.user_id, a->is_for.trading_type, (enum environment)e,
                      &key))
            list[m.keys_count++] = key.view;
    }
    ask_answer(a->ask, MSG_bridge_keys, &m);
    key_ask_free(a);
}

/* ---- Put ---- */

/* The first check: the mode, then the form. */
static enum err
secret_read(struct key_ask *a, const struct bridge_keys_put *m, code_t *field)
{
    struct sign_key *key = pending_new(&a->s->pending, sizeof *key);
    a->secret = key;
    size_t length = strlen(m->api_key.text);
    if (length >= sizeof key->api_key) {
        *field = code_of("api_key");
        return ERR_KEY_FORMAT;
    }
    memcpy(key->api_key, m->api_key.text, length);
    for (uint32_t i = 0; i < m->secret_count; i++) {
        length = strlen(m->secret[i].text.text);
        if (key->secret_length + length >= sizeof key->secret) {
            *field = code_of("api_secret");
            return ERR_KEY_FORMAT;
        }
        memcpy(key->secret + key->secret_length, m->secret[i].text.text, length);
        key->secret_length += length;
    }
    return sign_key_judge(key, field);
}

static void
on_stored(void *arg, enum err e)
{
    struct key_ask *a = arg;
    if (e != OK)
        fail_plain(a, e);
    else
        answer_keys(a);
}

static void
on_trial(void *arg, const struct caller_reply *r, const struct exchange_key *view)
{
    struct key_ask *a = arg;
    if (left_late(a))
        return;
    if (r->ruling.verdict != VERDICT_OK)
        fail_unproved(a, r);
    else
        keys_put(a->s->keys, &a->is_for, a->secret, view, on_stored, a);
}

static bool
try_it(struct key_ask *a)
{
    size_t length = strlen(a->secret->api_key);
    struct exchange_key view = {.trading_type = a->is_for.trading_type,
                                .environment = a->is_for.environment,
                                .kind = a->secret->kind,
                                .stored_us = loop_now_us(a->s->loop)};
    view.api_key_tail = code_of(a->secret->api_key + (length > 4 ? length - 4 : 0));
    return key_prove(a->s, &view, 0, a->secret, on_trial, a);
}

void
key_ask_put(struct shell *s, struct ask *k, const struct bridge_keys_put *m)
{
    enum environment e = m->environment == ENVIRONMENT_NONE ? shell_environment(s) : m->environment;
    struct key_ask *a = key_ask_new(s, k, m->user_id, m->trading_type, e);
    struct refused why = {0};
    if (!keys_ready(s->keys))
        why.error = ERR_KEYS_UNAVAILABLE;
    else if (!shell_keeps(s, e))
        why.error = ERR_ENVIRONMENT_NOT_ALLOWED;
    else
        why.error = secret_read(a, m, &why.field);
    if (why.error == OK && !try_it(a))
        why.error = ERR_EXCHANGE_BUSY;
    if (why.error != OK)
        fail(a, &why);
}

/* ---- Get ---- */

struct check {
    struct key_ask *all;
    uint64_t number;
};

static void
check_done(struct key_ask *a)
{
    if (--a->under_way == 0)
        answer_keys(a);
}

static void
on_checked(void *arg, const struct caller_reply *r, const struct exchange_key *view)
{
    struct check *c = arg;
    struct key_ask *a = c->all;
    if (is_proof(r))
        keys_note_check(a->s->keys, c->number, view);
    else
        log_line(LOG_WARN, "key_not_checked", "key=%" PRIu64 " error=%s", c->number,
                 err_name(r->ruling.error));
    pending_free(c);
    check_done(a);
}

static void
check(struct key_ask *a, const struct key_view *key)
{
    struct check *c = pending_new(&a->s->pending, sizeof *c);
    *c = (struct check){a, key->number};
    a->under_way++;
    if (!key_prove(a->s, &key->view, key->number, NULL, on_checked, c)) {
        pending_free(c);
        a->under_way--; /* the caller holds one more */
    }
}

void
key_ask_get(struct shell *s, struct ask *k, const struct bridge_keys_get *m)
{
    struct key_ask *a = key_ask_new(s, k, m->user_id, m->trading_type, ENVIRONMENT_NONE);
    if (!keys_ready(s->keys)) {
        fail_plain(a, ERR_KEYS_UNAVAILABLE);
        return;
    }
    a->under_way = 1;
    for (uint32_t e = 1; m->check && e <= ENVIRONMENTS; e++) {
        struct key_view key;
        if (shell_keeps(s, (enum environment)e) &&
            keys_find(s->keys, m->user_id, m->trading_type, (enum environment)e, &key))
            check(a, &key);
    }
    check_done(a);
}

/* ---- Delete ---- */

void
key_ask_delete(struct shell *s, struct ask *k, const struct bridge_keys_delete *m)
{
    enum environment e = m->environment == ENVIRONMENT_NONE ? shell_environment(s) : m->environment;
    struct key_ask *a = key_ask_new(s, k, m->user_id, m->trading_type, e);
    if (!keys_ready(s->keys))
        fail_plain(a, ERR_KEYS_UNAVAILABLE);
    else
        keys_delete(s->keys, &a->is_for, on_stored, a);
}

/* ---- Bind ---- */

static void
answer_bound(struct key_ask *a)
{
    struct bridge_bound m = {.account_id = a->binding.account_id,
                             .trading_type = a->binding.trading_type,
                             .environment = a->binding.environment,
                             .api_key_tail = a->view.api_key_tail};
    log_line(LOG_INFO, "account_bound", "account=%" PRIu64 " market=%d environment=%d",
             m.account_id, (int)m.trading_type, (int)m.environment);
    ask_answer(a->ask, MSG_bridge_bound, &m);
    key_ask_free(a);
}

static void
on_rules(void *arg)
{
    struct key_ask *a = arg;
    if (rules_known(a->s->rules, a->binding.environment, a->binding.trading_type))
        answer_bound(a);
    else
        fail(a, &(struct refused){.error = ERR_EXCHANGE_FAILED,
                                  .detail = text_of("its rules cannot be read")});
}

static void
on_bound(void *arg, enum err e)
{
    struct key_ask *a = arg;
    const struct guard_binding *b = &a->binding;
    if (e != OK)
        fail_plain(a, e);
    else if (b->environment == ENVIRONMENT_NONE)
        answer_bound(a);
    else if (rules_known(a->s->rules, b->environment, b->trading_type))
        answer_bound(a);
    else /* the first order is not to meet a bridge that does not know the rules */
        rules_want(a->s->rules, b->environment, b->trading_type, b->user_id, on_rules, a);
}

static void
on_proved(void *arg, const struct caller_reply *r, const struct exchange_key *view)
{
    struct key_ask *a = arg;
    if (left_late(a))
        return;
    if (is_proof(r))
        keys_note_check(a->s->keys, a->number, view);
    if (r->ruling.verdict != VERDICT_OK) {
        fail_unproved(a, r);
    } else if (!view->can_trade) {
        fail(a, &(struct refused){.error = ERR_CREDENTIALS_INVALID,
                                  .detail = text_of("trading is not enabled for this key")});
    } else {
        keys_bind(a->s->keys, &a->binding, on_bound, a);
    }
}

void
key_ask_bind(struct shell *s, struct ask *k, const struct bridge_bind *m)
{
    bool is_default = m->is_real && m->environment == ENVIRONMENT_NONE;
    enum environment to = is_default ? shell_environment(s) : m->environment;
    struct key_ask *a = key_ask_new(s, k, m->user_id, m->trading_type, to);
    struct key_view key;
    enum err e = OK;
    a->binding = (struct guard_binding){.is_known = to != ENVIRONMENT_NONE,
                                        .account_id = m->account_id,
                                        .user_id = m->user_id,
                                        .trading_type = m->trading_type,
                                        .environment = to};
    if (to == ENVIRONMENT_NONE && keys_ready(s->keys)) { /* freeing needs no exchange */
        keys_bind(s->keys, &a->binding, on_bound, a);
        return;
    }
    if (s->mode == GUARD_PAPER && m->is_real)
        e = ERR_MODE_NOT_AVAILABLE;
    else if (!guard_mode_allows(s->mode, to) && to != ENVIRONMENT_NONE)
        e = ERR_ENVIRONMENT_NOT_ALLOWED;
    else if (!keys_ready(s->keys))
        e = ERR_KEYS_UNAVAILABLE;
    else if (!keys_find(s->keys, m->user_id, m->trading_type, to, &key))
        e = ERR_CREDENTIALS_MISSING;
    if (e == OK) {
        a->number = key.number;
        a->view = key.view;
        if (!key_prove(s, &key.view, key.number, NULL, on_proved, a))
            e = ERR_EXCHANGE_BUSY;
    }
    if (e != OK)
        fail_plain(a, e);
}

/* ---- Rotate ---- */

static void
on_rotated(void *arg, enum err e, const struct bridge_rotated *r)
{
    struct key_ask *a = arg;
    if (e != OK)
        ask_refuse_plain(a->ask, e);
    else
        ask_answer(a->ask, MSG_bridge_rotated, r);
    key_ask_free(a);
}

void
key_ask_rotate(struct shell *s, struct ask *k, const struct bridge_rotate *m)
{
    struct key_ask *a = key_ask_new(s, k, 0, TRADING_TYPE_NONE, ENVIRONMENT_NONE);
    keys_rotate(s->keys, m->dry_run, on_rotated, a);
}
