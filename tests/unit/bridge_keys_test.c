/*
 * bridge_keys_test.c - the store of exchange keys on a real PostgreSQL, as two replicas.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_keys_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store_database.h"

TestSuite(bridge_keys, .init = keys_set_up, .fini = keys_tear_down);

static struct guard_key alice, bob;

static void
people(void)
{
    alice = testnet_of(7);
    bob = testnet_of(8);
}

static bool
two_has_alice(void)
{
    return number_of(two, alice) != 0;
}

static bool
two_lacks_alice(void)
{
    return number_of(two, alice) == 0;
}

Test(bridge_keys, a_key_that_is_stored_is_there_at_once_and_for_every_replica)
{
    people();
    cr_assert_eq(put(one, alice, "api-key-of-alice", "secret of alice"), OK);
    assert_opens(one, alice, "api-key-of-alice", "secret of alice");
    await(two_has_alice, "the other replica heard");
    assert_opens(two, alice, "api-key-of-alice", "secret of alice");
    struct key_view view;
    cr_assert(keys_find(two, 7, TRADING_TYPE_spot, ENVIRONMENT_testnet, &view));
    cr_assert_str_eq(view.view.api_key_tail.text, "lice");
    cr_assert_str_eq(view.view.warning.text, "withdrawals are enabled");
    cr_assert_eq(view.view.stored_us, 5);
    cr_assert_eq(view.view.checked_us, 6);
    cr_assert(view.view.is_valid && view.view.can_trade && !view.view.can_withdraw);
    cr_assert(view.is_for.is_known && view.is_for.user_id == 7);
}

Test(bridge_keys, the_longest_secret_fits)
{
    static char secret[SIGN_SECRET_BYTES + 1], api_key[SIGN_API_KEY_BYTES];
    people();
    memset(secret, 's', SIGN_SECRET_BYTES);
    memset(api_key, 'k', sizeof api_key - 1);
    cr_assert_eq(put(one, alice, api_key, secret), OK);
    assert_opens(one, alice, api_key, secret);
}

Test(bridge_keys, a_key_is_found_for_its_user_type_and_environment_alone)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(number_of(one, bob), 0);
    cr_assert_eq(number_of(one, use_of(7, TRADING_TYPE_futures, ENVIRONMENT_testnet)), 0);
    cr_assert_eq(number_of(one, use_of(7, TRADING_TYPE_spot, ENVIRONMENT_live)), 0);
    /* Ids that only a forged message can have. */
    cr_assert_eq(number_of(one, testnet_of(7 | 1ull << 60)), 0);
    cr_assert_eq(number_of(one, testnet_of(0)), 0);
    cr_assert_eq(number_of(one, use_of(7, TRADING_TYPE_NONE, ENVIRONMENT_testnet)), 0);
}

Test(bridge_keys, another_key_has_another_number)
{
    people();
    cr_assert_eq(put(one, alice, "api-key-1", "secret 1"), OK);
    uint64_t first = number_of(one, alice);
    cr_assert_eq(put(one, alice, "api-key-2", "secret 2"), OK);
    cr_assert_neq(number_of(one, alice), first);
    struct sign_key s;
    cr_assert_eq(keys_open_secret(one, first, &s), ERR_KEYS_UNAVAILABLE);
    assert_opens(one, alice, "api-key-2", "secret 2");
}

Test(bridge_keys, what_was_deleted_is_gone_everywhere_and_can_be_deleted_again)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    await(two_has_alice, "the other replica heard");
    cr_assert_eq(drop(one, alice), OK);
    cr_assert_eq(number_of(one, alice), 0);
    await(two_lacks_alice, "the other replica heard");
    cr_assert_eq(drop(one, alice), OK);
}

Test(bridge_keys, the_table_holds_no_secret)
{
    people();
    cr_assert_eq(put(one, alice, "api-key-of-alice", "secret of alice"), OK);
    cr_assert_str_eq(database_ask("SELECT count(*) FROM bridge.exchange_key AS k WHERE k::text LIKE"
                                  " '%api-key%' OR position('secret'::bytea in sealed) > 0 OR"
                                  " position('api-key'::bytea in sealed) > 0"),
                     "0");
}

/* Whoever can write the table cannot make one user's key another's. */
Test(bridge_keys, a_row_that_was_moved_does_not_open)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(put(one, bob, "api-key", "other"), OK);
    database_ask("UPDATE bridge.exchange_key SET sealed = (SELECT sealed FROM bridge.exchange_key"
                 " WHERE user_id = 7) WHERE user_id = 8");
    await(two_has_alice, "the other replica heard");
    cr_assert_eq(put(one, use_of(9, TRADING_TYPE_spot, ENVIRONMENT_live), "api-key", "x"), OK);
    struct sign_key s;
    cr_assert_eq(keys_open_secret(one, number_of(one, bob), &s), ERR_KEYS_UNAVAILABLE);
    assert_opens(one, alice, "api-key", "secret");
}

/* ---- Bindings ------------------------------------------------------------------------------ */

static bool
two_has_bound(void)
{
    return bound(two, 70) == ENVIRONMENT_testnet;
}

static bool
two_has_freed(void)
{
    return bound(two, 70) == ENVIRONMENT_NONE;
}

Test(bridge_keys, an_account_is_bound_and_freed)
{
    people();
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), ERR_CREDENTIALS_MISSING);
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_live), ERR_CREDENTIALS_MISSING);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), OK, "the same again");
    struct guard_binding b = keys_binding(one, 70, TRADING_TYPE_spot);
    cr_assert(b.is_known && b.account_id == 70 && b.user_id == 7);
    cr_assert_eq(b.environment, ENVIRONMENT_testnet);
    cr_assert_not(keys_binding(one, 70, TRADING_TYPE_futures).is_known);
    cr_assert_not(keys_binding(one, 71, TRADING_TYPE_spot).is_known);
    cr_assert_not(keys_binding(one, 70 | 1ull << 62, TRADING_TYPE_spot).is_known);
    await(two_has_bound, "the other replica heard");
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_NONE), OK);
    cr_assert_not(keys_binding(one, 70, TRADING_TYPE_spot).is_known);
    await(two_has_freed, "the other replica heard");
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_NONE), OK, "the same again");
}

Test(bridge_keys, a_bound_account_goes_nowhere_else)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(put(one, bob, "api-key", "secret"), OK);
    cr_assert_eq(put(one, use_of(7, TRADING_TYPE_spot, ENVIRONMENT_live), "live", "secret"), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_live), ERR_ENVIRONMENT_MISMATCH);
    cr_assert_eq(bind_account(one, 70, 8, ENVIRONMENT_testnet), ERR_ENVIRONMENT_MISMATCH);
    cr_assert_eq(bound(one, 70), ENVIRONMENT_testnet);
    cr_assert_eq(keys_binding(one, 70, TRADING_TYPE_spot).user_id, 7);
}

Test(bridge_keys, a_key_in_use_is_neither_deleted_nor_replaced)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), OK);
    uint64_t number = number_of(one, alice);
    cr_assert_eq(drop(one, alice), ERR_KEY_IN_USE);
    cr_assert_eq(put(one, alice, "another", "other secret"), ERR_KEY_IN_USE);
    cr_assert_eq(number_of(one, alice), number);
    assert_opens(one, alice, "api-key", "secret");
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_NONE), OK);
    cr_assert_eq(drop(one, alice), OK);
}

Test(bridge_keys, all_bindings_can_be_walked)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    for (uint64_t account = 70; account < 75; account++)
        cr_assert_eq(bind_account(one, account, 7, ENVIRONMENT_testnet), OK);
    struct guard_binding b;
    uint64_t next = 70;
    for (uint32_t at = 0; (at = keys_next_binding(one, at, &b)) != UINT32_MAX; at++)
        cr_assert_eq(b.account_id, next++);
    cr_assert_eq(next, 75);
}

/* ---- What the exchange said ---------------------------------------------------------------- */

static bool
two_knows_it_is_invalid(void)
{
    struct key_view view;
    return keys_find(two, 7, TRADING_TYPE_spot, ENVIRONMENT_testnet, &view) &&
           !view.view.is_valid && view.view.checked_us == 99;
}

Test(bridge_keys, a_check_is_noted_and_is_no_change_of_keys)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    await(two_has_alice, "the other replica heard");
    int heard = changes_heard;
    uint64_t number = number_of(one, alice);
    keys_note_check(one, number,
                    &(struct exchange_key){.checked_us = 99, .warning = text_of("revoked")});
    struct key_view view;
    cr_assert(keys_find(one, 7, TRADING_TYPE_spot, ENVIRONMENT_testnet, &view));
    cr_assert(!view.view.is_valid && view.number == number);
    cr_assert_str_eq(view.view.warning.text, "revoked");
    await(two_knows_it_is_invalid, "the other replica heard");
    cr_assert_eq(changes_heard, heard);
    keys_note_check(one, number + 1, &(struct exchange_key){.checked_us = 1});
}

Test(bridge_keys, a_deployment_has_a_name_for_ever)
{
    char name[8];
    snprintf(name, sizeof name, "%s", keys_deployment(one));
    cr_assert_eq(strlen(name), 6);
    cr_assert_eq(strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz"), 6);
    cr_assert_str_eq(keys_deployment(two), name);
}

Test(bridge_keys, an_order_of_before_a_restore_has_the_name_of_then)
{
    char now[8];
    people();
    snprintf(now, sizeof now, "%s", keys_deployment(one));
    database_ask("INSERT INTO bridge.deployment_before (until_us, id) VALUES (2000, 'bbbbbb'), "
                 "(1000, 'aaaaaa')");
    cr_assert_eq(put(one, alice, "api-key-of-alice", "secret of alice"), OK); /* read anew */
    cr_expect_str_eq(keys_deployment(one), now);
    cr_expect_str_eq(keys_deployment_at(one, 1), "aaaaaa");
    cr_expect_str_eq(keys_deployment_at(one, 1000), "aaaaaa");
    cr_expect_str_eq(keys_deployment_at(one, 1001), "bbbbbb");
    cr_expect_str_eq(keys_deployment_at(one, 2000), "bbbbbb");
    cr_expect_str_eq(keys_deployment_at(one, 2001), now);
    cr_expect_str_eq(keys_deployment_at(one, 0), now, "of one that was heard of just now");
}

Test(bridge_keys, without_a_master_key_nothing_is_stored)
{
    people();
    struct keys *bare = keys_open(&(struct keys_options){
        .loop = loop, .database = database, .master_key_file = "", .master_key = ""});
    cr_assert_not_null(bare);
    cr_assert_eq(put(bare, alice, "api-key", "secret"), ERR_KEYS_UNAVAILABLE);
    keys_close(&bare);
    cr_assert_null(keys_open(&(struct keys_options){
        .loop = loop, .database = database, .master_key_file = "", .master_key = "nonsense"}));
}
