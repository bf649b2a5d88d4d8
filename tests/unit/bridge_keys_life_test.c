/*
 * bridge_keys_life_test.c - keys are sealed anew while others work, and outlive connections.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bridge_keys_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "store_database.h"

TestSuite(bridge_keys_life, .init = keys_set_up, .fini = keys_tear_down);

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

/* ---- Rotation ------------------------------------------------------------------------------ */

static struct bridge_rotated rotated;

static void
on_rotated(void *arg, enum err e, const struct bridge_rotated *r)
{
    rotated = *r;
    on_done(arg, e);
}

static enum err
rotate(struct keys *k, bool dry_run)
{
    keys_rotate(k, dry_run, on_rotated, &came);
    return outcome();
}

static void
assert_rotated(uint32_t anew, uint32_t current, uint32_t unreadable)
{
    cr_assert_eq(rotated.rotated, anew, "rotated %u", rotated.rotated);
    cr_assert_eq(rotated.current, current, "current %u", rotated.current);
    cr_assert_eq(rotated.unreadable, unreadable, "unreadable %u", rotated.unreadable);
}

static void
put_many(uint64_t from, uint64_t to)
{
    for (uint64_t user = from; user < to; user++)
        cr_assert_eq(put(one, testnet_of(user), "api-key", "secret"), OK);
}

static const char *
sealed_by_b(void)
{
    return database_ask("SELECT count(*) FROM bridge.exchange_key WHERE master_key_id = 'b'");
}

static bool
two_is_rotated(void)
{
    struct sign_key s;
    for (uint64_t user = 100; user < 110; user++)
        if (number_of(two, testnet_of(user)) == 0 ||
            keys_open_secret(two, number_of(two, testnet_of(user)), &s) != OK)
            return false;
    return true;
}

Test(bridge_keys_life, all_keys_are_sealed_anew_and_other_replicas_learn_the_master_key)
{
    put_many(100, 110);
    uint64_t number = number_of(one, testnet_of(100));
    cr_assert_eq(rotate(one, false), OK);
    assert_rotated(0, 10, 0);
    write_master("b:" MASTER_B "\na:" MASTER_A "\n");
    cr_assert_eq(rotate(one, true), OK);
    assert_rotated(10, 0, 0);
    cr_assert_str_eq(rotated.key_id.text, "b");
    cr_assert_str_eq(sealed_by_b(), "0", "a dry run changes nothing");
    cr_assert_eq(rotate(one, false), OK);
    assert_rotated(10, 0, 0);
    cr_assert_str_eq(sealed_by_b(), "10");
    cr_assert_eq(number_of(one, testnet_of(100)), number, "the key is the same");
    assert_opens(one, testnet_of(109), "api-key", "secret");
    await(two_is_rotated, "the other replica opens them all");
    cr_assert_eq(rotate(two, false), OK);
    assert_rotated(0, 10, 0);
    /* The old one can go. */
    write_master("b:" MASTER_B "\n");
    cr_assert_eq(rotate(one, false), OK);
    assert_rotated(0, 10, 0);
    assert_opens(one, testnet_of(105), "api-key", "secret");
}

Test(bridge_keys_life, what_cannot_be_opened_is_counted_and_left)
{
    put_many(100, 103);
    write_master("b:" MASTER_B "\n");
    cr_assert_eq(rotate(one, false), OK);
    assert_rotated(0, 0, 3);
    cr_assert_str_eq(sealed_by_b(), "0");
    write_master("b:" MASTER_B "\na:" MASTER_A "\n");
    cr_assert_eq(rotate(one, false), OK);
    assert_rotated(3, 0, 0);
    write_master("nonsense");
    cr_assert_eq(rotate(one, false), ERR_KEYS_UNAVAILABLE);
    assert_opens(one, testnet_of(100), "api-key", "secret");
}

static struct bridge_rotated by_two;
static bool two_has_come;

static void
on_rotated_by_two(void *arg, enum err e, const struct bridge_rotated *r)
{
    (void)arg;
    cr_assert_eq(e, OK);
    by_two = *r;
    two_has_come = true;
}

static bool
both_done(void)
{
    return has_come && two_has_come;
}

/* Two rotate at once while a key is replaced: each row is sealed anew once, and none is lost. */
Test(bridge_keys_life, two_may_rotate_at_once)
{
    put_many(100, 140);
    write_master("b:" MASTER_B "\na:" MASTER_A "\n");
    keys_rotate(one, false, on_rotated, &came);
    keys_rotate(two, false, on_rotated_by_two, NULL);
    await(both_done, "both rotations");
    has_come = false;
    cr_assert_eq(came, OK);
    cr_assert_eq(rotated.rotated + by_two.rotated, 40, "%u + %u", rotated.rotated, by_two.rotated);
    cr_assert_eq(rotated.current, 40 - rotated.rotated);
    cr_assert_eq(by_two.current, 40 - by_two.rotated);
    cr_assert_str_eq(sealed_by_b(), "40");
    for (uint64_t user = 100; user < 140; user++)
        assert_opens(one, testnet_of(user), "api-key", "secret");
}

/* ---- Whose stream, and a database that goes ------------------------------------------------ */

static uint64_t owned;

static bool
one_owns(void)
{
    return keys_own(one, owned);
}

static bool
two_owns(void)
{
    return keys_own(two, owned);
}

static bool
one_is_away(void)
{
    return !keys_ready(one);
}

static bool
one_is_back(void)
{
    return keys_ready(one);
}

static void
kill_connections_of(const char *label)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
             " application_name = '%s' AND datname = current_database()",
             label);
    database_ask(sql);
}

Test(bridge_keys_life, one_replica_follows_a_key_until_it_is_gone)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    owned = number_of(one, alice);
    await(two_has_alice, "the other replica heard");
    await(one_owns, "the first takes it");
    for (int i = 0; i < 20; i++) {
        cr_assert_not(keys_own(two, owned));
        cr_assert_eq(put(two, bob, "api-key", "secret"), OK); /* some round trips */
    }
    cr_assert(keys_own(one, owned));
    keys_close(&one);
    await(two_owns, "the second takes it over");
    cr_assert_not(keys_own(two, owned + 1000));
}

Test(bridge_keys_life, while_the_database_is_away_nobody_is_bound)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    cr_assert_eq(bind_account(one, 70, 7, ENVIRONMENT_testnet), OK);
    owned = number_of(one, alice);
    await(one_owns, "it is followed");
    kill_connections_of("keys");
    await(one_is_away, "the connection is lost");
    cr_assert_not(keys_binding(one, 70, TRADING_TYPE_spot).is_known);
    cr_assert_not(keys_own(one, owned));
    struct guard_binding b;
    cr_assert_eq(keys_next_binding(one, 0, &b), UINT32_MAX);
    cr_assert_eq(put(one, bob, "api-key", "secret"), ERR_KEYS_UNAVAILABLE);
    cr_assert_eq(drop(one, alice), ERR_KEYS_UNAVAILABLE);
    cr_assert_eq(rotate(one, false), ERR_KEYS_UNAVAILABLE);
    assert_opens(one, alice, "api-key", "secret");
    await(one_is_back, "it is connected again");
    cr_assert_eq(bound(one, 70), ENVIRONMENT_testnet);
    await(one_owns, "it is followed again");
    cr_assert_eq(put(one, bob, "api-key", "secret"), OK);
}

Test(bridge_keys_life, a_change_that_a_lost_connection_takes_along_is_told)
{
    people();
    struct sign_key s = {.kind = KEY_KIND_HMAC, .secret_length = 3, .secret = "abc"};
    struct exchange_key view = {0};
    keys_put(one, &alice, &s, &view, on_done, &came);
    kill_connections_of("keys");
    cr_assert_eq(outcome(), ERR_KEYS_UNAVAILABLE);
}

static struct keys *third;

static bool
third_is_ready(void)
{
    return keys_ready(third);
}

Test(bridge_keys_life, however_the_database_writes_bytes_they_are_read)
{
    char conninfo[512];
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    snprintf(conninfo, sizeof conninfo, "%s options='-c bytea_output=escape'", database);
    third = keys_open(&(struct keys_options){
        .loop = loop, .database = conninfo, .master_key_file = "", .master_key = "a:" MASTER_A});
    await(third_is_ready, "the third has read");
    assert_opens(third, alice, "api-key", "secret");
    cr_assert_eq(put(third, bob, "another", "other secret"), OK);
    assert_opens(third, bob, "another", "other secret");
    keys_close(&third);
}

static bool
somebody_waits(void)
{
    return strcmp(database_ask("SELECT count(*) FROM pg_locks WHERE NOT granted"), "0") != 0;
}

/* Another replica is binding an account with it at this moment. */
Test(bridge_keys_life, a_key_is_not_replaced_beneath_a_binding_that_is_being_made)
{
    people();
    cr_assert_eq(put(one, alice, "api-key", "secret"), OK);
    PGconn *other = PQconnectdb(database);
    PQclear(PQexec(other, "BEGIN"));
    PGresult *r = PQexec(other, "INSERT INTO bridge.account_binding (account_id, trading_type, "
                                "user_id, environment, bound_us) VALUES (70, 1, 7, 1, 5)");
    cr_assert_eq(PQresultStatus(r), PGRES_COMMAND_OK, "%s", PQresultErrorMessage(r));
    PQclear(r);
    struct sign_key s = {.kind = KEY_KIND_HMAC, .secret_length = 3, .secret = "abc"};
    struct exchange_key view = {0};
    keys_put(one, &alice, &s, &view, on_done, &came);
    await(somebody_waits, "the key waits for the binding");
    PQclear(PQexec(other, "COMMIT"));
    PQfinish(other);
    cr_assert_eq(outcome(), ERR_KEY_IN_USE);
    assert_opens(one, alice, "api-key", "secret");
}
