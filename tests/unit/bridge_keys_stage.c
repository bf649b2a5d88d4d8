/*
 * bridge_keys_stage.c - see bridge_keys_stage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_keys_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "store_database.h"

struct loop *loop;
static struct loop_timer *limit, *poll;
const char *database;
struct keys *one, *two;
static char master_file[64];

static bool (*awaited)(void);
static const char *awaited_text;

static void
on_poll(void *arg)
{
    (void)arg;
    if (awaited())
        loop_stop(loop);
}

static void
on_limit(void *arg)
{
    (void)arg;
    cr_assert_fail("waited 30 s for: %s", awaited_text);
}

/* Until it is so, looked at every millisecond. */
void
await(bool (*so)(void), const char *what)
{
    awaited = so;
    awaited_text = what;
    loop_timer_again(limit, 30000);
    poll = loop_timer_new(loop, 0, 1, on_poll, NULL);
    loop_run(loop);
    loop_timer_end(&poll);
    loop_timer_stop(limit);
}

void
write_master(const char *text)
{
    FILE *f = fopen(master_file, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

int changes_heard;

static void
on_change(void *arg)
{
    (void)arg;
    changes_heard++;
}

static struct keys *
replica(void)
{
    struct keys *k = keys_open(&(struct keys_options){.loop = loop,
                                                      .database = database,
                                                      .master_key_file = master_file,
                                                      .master_key = "",
                                                      .on_change = on_change});
    cr_assert_not_null(k);
    return k;
}

static bool
both_ready(void)
{
    return keys_ready(one) && keys_ready(two);
}

void
keys_set_up(void)
{
    log_open("test", LOG_ERROR + 1);
    database = database_make();
    snprintf(master_file, sizeof master_file, "/tmp/scrip-keys-%d", (int)getpid());
    write_master("a:" MASTER_A "\n");
    loop = loop_new();
    limit = loop_timer_new(loop, 30000, 0, on_limit, NULL);
    one = replica();
    two = replica();
    await(both_ready, "both replicas have read");
}

void
keys_tear_down(void)
{
    keys_close(&one);
    keys_close(&two);
    loop_timer_end(&limit);
    loop_destroy(&loop);
    unlink(master_file);
    database_drop();
}

/* ---- One change at a time ------------------------------------------------------------------ */

enum err came;
bool has_come;

void
on_done(void *arg, enum err e)
{
    cr_assert_eq(arg, &came);
    came = e;
    has_come = true;
}

static bool
done(void)
{
    return has_come;
}

enum err
outcome(void)
{
    cr_assert_not(has_come, "it is told in a later turn");
    await(done, "an answer");
    has_come = false;
    return came;
}

struct guard_key
use_of(uint64_t user, enum trading_type type, enum environment e)
{
    return (struct guard_key){true, user, type, e};
}

struct guard_key
testnet_of(uint64_t user)
{
    return use_of(user, TRADING_TYPE_spot, ENVIRONMENT_testnet);
}

enum err
put(struct keys *k, struct guard_key use, const char *api_key, const char *secret)
{
    struct sign_key s = {.kind = KEY_KIND_HMAC, .secret_length = strlen(secret)};
    snprintf(s.api_key, sizeof s.api_key, "%s", api_key);
    memcpy(s.secret, secret, s.secret_length);
    struct exchange_key view = {.api_key_tail = code_of(api_key + strlen(api_key) - 4),
                                .stored_us = 5,
                                .checked_us = 6,
                                .is_valid = true,
                                .can_trade = true,
                                .warning = text_of("withdrawals are enabled")};
    keys_put(k, &use, &s, &view, on_done, &came);
    memset(&s, 0, sizeof s); /* it was read during the call only */
    return outcome();
}

enum err
drop(struct keys *k, struct guard_key use)
{
    keys_delete(k, &use, on_done, &came);
    return outcome();
}

enum err
bind_account(struct keys *k, uint64_t account, uint64_t user, enum environment e)
{
    keys_bind(k, &(struct guard_binding){true, account, user, TRADING_TYPE_spot, e}, on_done,
              &came);
    return outcome();
}

enum environment
bound(const struct keys *k, uint64_t account)
{
    return keys_binding(k, account, TRADING_TYPE_spot).environment;
}

uint64_t
number_of(const struct keys *k, struct guard_key use)
{
    struct key_view view = {0};
    bool found = keys_find(k, use.user_id, use.trading_type, use.environment, &view);
    cr_assert_eq(found, view.number != 0);
    return view.number;
}

void
assert_opens(const struct keys *k, struct guard_key use, const char *api_key, const char *secret)
{
    struct sign_key s;
    cr_assert_eq(keys_open_secret(k, number_of(k, use), &s), OK);
    cr_assert_str_eq(s.api_key, api_key);
    cr_assert_eq(s.kind, KEY_KIND_HMAC);
    cr_assert_eq(s.secret_length, strlen(secret));
    cr_assert_eq(memcmp(s.secret, secret, s.secret_length), 0);
}
