/*
 * bridge_vault_test.c - what is sealed opens for whom it was sealed, whole, and for nobody else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/shell/vault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "FFEEDDCCBBAA99887766554433221100ffeeddccbbaa99887766554433221100"

static const struct guard_key alice = {.is_known = true,
                                       .user_id = 7,
                                       .trading_type = TRADING_TYPE_spot,
                                       .environment = ENVIRONMENT_testnet};
static const char secret[] = "not for anybody's eyes";
static struct vault *vault;
static uint8_t sealed[sizeof secret + VAULT_EXTRA_BYTES];
static char opened[sizeof secret];
static code_t key_id;

static void
set_up(void)
{
    log_open("test", LOG_ERROR + 1);
    cr_assert_eq(vault_open("", "b:" HEX_B "\na:" HEX_A "\n", &vault), OK);
    cr_assert_eq(vault_seal(vault, &alice, secret, sizeof secret, &key_id, sealed), OK);
}

static void
tear_down(void)
{
    vault_close(&vault);
}

TestSuite(bridge_vault, .init = set_up, .fini = tear_down);

static enum err
unseal(const struct guard_key *is_for, const char *id)
{
    code_t code = code_of(id);
    memset(opened, 0x55, sizeof opened);
    return vault_unseal(vault, is_for, &code, sealed, sizeof sealed, opened);
}

static void
assert_nothing_told(void)
{
    for (size_t i = 0; i + 4 < sizeof secret; i++)
        cr_assert_neq(memcmp(opened + i, secret + i, 4), 0, "nothing of it was told");
}

Test(bridge_vault, what_is_sealed_opens_again)
{
    cr_assert_str_eq(key_id.text, "b", "the first key is the newest");
    cr_assert_eq(unseal(&alice, "b"), OK);
    cr_assert_str_eq(opened, secret);
}

Test(bridge_vault, each_nonce_is_another)
{
    uint8_t again[sizeof sealed];
    cr_assert_eq(vault_seal(vault, &alice, secret, sizeof secret, &key_id, again), OK);
    cr_assert_neq(memcmp(sealed, again, VAULT_NONCE_BYTES), 0);
    cr_assert_neq(memcmp(sealed + VAULT_NONCE_BYTES, again + VAULT_NONCE_BYTES, sizeof secret), 0);
}

Test(bridge_vault, a_row_that_was_moved_does_not_open)
{
    for (int field = 0; field < 3; field++) {
        struct guard_key other = alice;
        if (field == 0)
            other.user_id = 8;
        else if (field == 1)
            other.trading_type = TRADING_TYPE_futures;
        else
            other.environment = ENVIRONMENT_live;
        cr_assert_eq(unseal(&other, "b"), ERR_KEYS_UNAVAILABLE, "field %d", field);
        assert_nothing_told();
    }
}

Test(bridge_vault, any_bit_that_flips_is_seen)
{
    for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_eq(unseal(&alice, "b"), ERR_KEYS_UNAVAILABLE, "bit %zu", bit);
        assert_nothing_told();
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert_eq(unseal(&alice, "b"), OK);
}

Test(bridge_vault, another_master_key_or_an_unknown_one_opens_nothing)
{
    cr_assert_eq(unseal(&alice, "a"), ERR_KEYS_UNAVAILABLE);
    assert_nothing_told();
    cr_assert_eq(unseal(&alice, "c"), ERR_KEYS_UNAVAILABLE);
    cr_assert_eq(unseal(&alice, ""), ERR_KEYS_UNAVAILABLE);
}

/* The same bytes of a master key under another id: the id is associated data, too. */
Test(bridge_vault, the_id_of_the_master_key_is_part_of_the_seal)
{
    vault_close(&vault);
    cr_assert_eq(vault_open("", "c:" HEX_B, &vault), OK);
    cr_assert_eq(unseal(&alice, "c"), ERR_KEYS_UNAVAILABLE);
}

Test(bridge_vault, what_is_too_short_to_be_sealed_does_not_open)
{
    code_t b = code_of("b");
    for (size_t length = 0; length <= VAULT_EXTRA_BYTES; length++)
        cr_assert_eq(vault_unseal(vault, &alice, &b, sealed, length, opened), ERR_KEYS_UNAVAILABLE);
}

Test(bridge_vault, an_older_key_still_opens)
{
    vault_close(&vault);
    cr_assert_eq(vault_open("", " # the newest\nc:" HEX_A "\r\n\r\nb:" HEX_B, &vault), OK);
    cr_assert_str_eq(vault_newest(vault).text, "c");
    cr_assert_eq(unseal(&alice, "b"), OK);
    cr_assert_str_eq(opened, secret);
}

/* As an environment variable may have them, on one line. */
Test(bridge_vault, keys_may_stand_on_one_line)
{
    struct vault *v = NULL;
    cr_assert_eq(vault_open("", "b:" HEX_B ",a:" HEX_A, &v), OK);
    code_t a = code_of("a");
    cr_assert_str_eq(vault_newest(v).text, "b");
    cr_assert(vault_has(v, &a));
    vault_close(&v);
}

Test(bridge_vault, without_a_master_key_nothing_is_sealed)
{
    struct vault *none = NULL;
    cr_assert_eq(vault_open("", "", &none), OK);
    cr_assert(code_empty(vault_newest(none)));
    cr_assert_eq(vault_seal(none, &alice, secret, sizeof secret, &key_id, sealed),
                 ERR_KEYS_UNAVAILABLE);
    vault_close(&none);
}

Test(bridge_vault, what_is_no_key_is_refused)
{
    static const char *const texts[] = {
        "b",
        ":" HEX_A,
        "b:",
        "b:00",
        "b:" HEX_A "00",
        "b:x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "b:" HEX_A "\nb:" HEX_B,
        "a-name-of-24-characters-:" HEX_A,
        "b/c:" HEX_A,
        "a:" HEX_A "\nonly a remark without its sign",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct vault *v = NULL;
        cr_assert_eq(vault_open("", texts[i], &v), ERR_CONFIG_BAD_VALUE, "%s", texts[i]);
        cr_assert_null(v);
    }
}

static char path[64];

static void
write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(bridge_vault, a_file_is_read_again_and_what_is_known_stays_when_it_is_broken)
{
    struct vault *v = NULL;
    snprintf(path, sizeof path, "/tmp/scrip-vault-%d", (int)getpid());
    cr_assert_eq(vault_open(path, "", &v), ERR_CONFIG_BAD_VALUE, "there is no such file");
    write_file("# nothing\n");
    cr_assert_eq(vault_open(path, "", &v), ERR_CONFIG_BAD_VALUE, "it has no key");
    write_file("b:" HEX_B "\n");
    cr_assert_eq(vault_open(path, "", &v), OK);
    write_file("c:" HEX_A "\nb:" HEX_B "\n");
    cr_assert_eq(vault_reload(v), OK);
    cr_assert_str_eq(vault_newest(v).text, "c");
    write_file("d:" HEX_A "\nb:half of it");
    cr_assert_eq(vault_reload(v), ERR_CONFIG_BAD_VALUE);
    cr_assert_str_eq(vault_newest(v).text, "c");
    unlink(path);
    cr_assert_eq(vault_reload(v), ERR_CONFIG_BAD_VALUE);
    cr_assert_str_eq(vault_newest(v).text, "c");
    vault_close(&v);
}
