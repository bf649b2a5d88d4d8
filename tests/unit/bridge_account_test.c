/*
 * bridge_account_test.c - what the exchange says of an account and of a key, read: as it answers,
 * and as it should not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "exchange-bridge/core/reply.h"

#define SPOT TRADING_TYPE_spot
#define USDM TRADING_TYPE_futures
#define MS   INT64_C(1000)

static int64_t
decimal(const char *text)
{
    int64_t v = 0;
    cr_assert_eq(decimal_read(text, strlen(text), &v), OK);
    return v;
}

/* From memory of the text's own length, so that a sanitizer sees a read behind it. */
static char *
exact(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return realloc(copy, strlen(text) > 0 ? strlen(text) : 1);
}

static struct exchange_balance balances[3];
static struct exchange_position positions[2];
static struct reply_account account = {
    .balances = balances, .positions = positions, .balances_max = 3, .positions_max = 2};

static bool
read_account(enum trading_type market, const char *text)
{
    char *copy = exact(text);
    bool ok = reply_account(market, copy, strlen(text), &account);
    free(copy);
    return ok;
}

Test(account, a_spot_account)
{
    cr_assert(read_account(
        SPOT, "{\"makerCommission\":15,\"commissionRates\":{\"maker\":\"0.0\"},\"canTrade\":true,"
              "\"canWithdraw\":true,\"canDeposit\":true,\"updateTime\":1700000000000,"
              "\"balances\":[{\"asset\":\"BTC\",\"free\":\"1.5\",\"locked\":\"0.5\"},"
              "{\"asset\":\"LTC\",\"free\":\"0.00000000\",\"locked\":\"0.00000000\"},"
              "{\"asset\":\"\xe8\xbf\x99\xe6\x98\xaf\",\"free\":\"3\",\"locked\":\"0\"},"
              "{\"asset\":\"AN_ASSET_WITH_A_NAME_TOO_LONG\",\"free\":\"3\",\"locked\":\"0\"},"
              "{\"asset\":\"BTTC\",\"free\":\"99999999999999.5\",\"locked\":\"0\"},"
              "{\"asset\":\"USDT\",\"free\":\"0\",\"locked\":\"20\"}],"
              "\"permissions\":[\"SPOT\"],\"uid\":1}"));
    cr_assert(account.can_trade && account.can_withdraw);
    cr_assert_eq(account.balances_count, 3);
    cr_assert_eq(account.left_out, 2);
    cr_assert_str_eq(balances[0].asset.text, "BTC");
    cr_assert(balances[0].free.v == decimal("1.5") && balances[0].locked.v == decimal("0.5"));
    cr_assert_str_eq(balances[2].asset.text, "USDT");
    cr_assert_eq(balances[2].locked.v, decimal("20"));
    cr_assert_eq(account.time_us, 1700000000000 * MS);
}

Test(account, a_futures_account)
{
    cr_assert(read_account(
        USDM,
        "{\"feeTier\":0,\"canTrade\":true,\"canWithdraw\":true,\"updateTime\":0,"
        "\"totalWalletBalance\":\"1\",\"assets\":[{\"asset\":\"USDT\",\"walletBalance\":\"-3.5\","
        "\"updateTime\":1700000000001},{\"asset\":\"BNB\",\"walletBalance\":\"0\","
        "\"updateTime\":0}],\"positions\":["
        "{\"symbol\":\"BTCUSDT\",\"positionAmt\":\"-0.5\",\"entryPrice\":\"6.123456789123\","
        "\"positionSide\":\"BOTH\",\"updateTime\":1700000000005},"
        "{\"symbol\":\"ETHUSDT\",\"positionAmt\":\"0\",\"entryPrice\":\"0.0\"},"
        "{\"symbol\":\"BTCUSDT\",\"positionAmt\":\"0.2\",\"entryPrice\":\"7\"},"
        "{\"symbol\":\"BTCUSDT_260327\",\"positionAmt\":\"1\",\"entryPrice\":\"7\"}]}"));
    cr_assert(account.can_trade && !account.can_withdraw);
    cr_assert_eq(account.balances_count, 1);
    cr_assert_eq(balances[0].free.v, decimal("-3.5"));
    cr_assert_eq(account.positions_count, 2);
    cr_assert_str_eq(positions[0].symbol.text, "BTCUSDT_PERP");
    cr_assert_eq(positions[0].quantity.v, decimal("-0.3"));
    cr_assert_eq(positions[0].entry_price.v, decimal("6.12345678"));
    cr_assert_str_eq(positions[1].symbol.text, "BTCUSDT_260327");
    cr_assert_eq(account.time_us, 1700000000005 * MS);
}

Test(account, accounts_that_are_none)
{
    static const char *const SPOTS[] = {
        "[]",
        "{}",
        "",
        "{\"balances\":{}}",
        "{\"balances\":[1]}",
        "{\"balances\":[{}]}",
        "{\"balances\":[{\"asset\":\"A\",\"free\":\"1\"}]}",
        "{\"balances\":[{\"asset\":\"A\",\"free\":\"x\",\"locked\":\"0\"}]}",
        "{\"balances\":[{\"asset\":\"A\",\"free\":\"0.000000001\",\"locked\":\"0\"}]}",
        "{\"balances\":[{\"asset\":\"\",\"free\":\"1\",\"locked\":\"0\"}]}",
        "{\"balances\":[],\"updateTime\":-5}",
        "{\"balances\":[]",
        "{\"balances\":[{\"asset\":\"A\",\"free\":\"1\",\"locked\":\"0\"},"
        "{\"asset\":\"B\",\"free\":\"1\",\"locked\":\"0\"},"
        "{\"asset\":\"C\",\"free\":\"1\",\"locked\":\"0\"},"
        "{\"asset\":\"D\",\"free\":\"1\",\"locked\":\"0\"}]}"};
    for (size_t i = 0; i < sizeof(SPOTS) / sizeof(SPOTS[0]); i++)
        cr_assert(!read_account(SPOT, SPOTS[i]), "%s", SPOTS[i]);
    static const char *const FUTURES[] = {
        "{}",
        "{\"assets\":[]}",
        "{\"positions\":[]}",
        "[{\"asset\":\"A\"}]",
        "[{}",
        "{\"assets\":[],\"positions\":[{\"symbol\":\"A\",\"positionAmt\":\"x\"}]}",
        "{\"assets\":[],\"positions\":[{\"symbol\":\"A\",\"positionAmt\":\"1\","
        "\"entryPrice\":\"1.123456789x\"}]}"};
    for (size_t i = 0; i < sizeof(FUTURES) / sizeof(FUTURES[0]); i++)
        cr_assert(!read_account(USDM, FUTURES[i]), "%s", FUTURES[i]);
}

/* ---- Keys -------------------------------------------------------------------------------- */

#define RIGHTS(withdraw, spot, futures)                                                            \
    "{\"ipRestrict\":true,\"createTime\":1698645219000,\"enableReading\":true,"                    \
    "\"enableInternalTransfer\":false,\"enableWithdrawals\":" withdraw                             \
    ",\"enableSpotAndMarginTrading\":" spot ",\"enableFutures\":" futures "}"

Test(account, the_rights_of_a_key)
{
    struct reply_rights r;
    const char *all = RIGHTS("true", "true", "true"), *none = RIGHTS("false", "false", "false");
    const char *futures = RIGHTS("false", "false", "true");
    cr_assert(reply_rights(all, strlen(all), &r));
    cr_assert(r.can_withdraw && r.can_trade_spot && r.can_trade_futures);
    cr_assert(reply_rights(none, strlen(none), &r));
    cr_assert(!r.can_withdraw && !r.can_trade_spot && !r.can_trade_futures);
    cr_assert(reply_rights(futures, strlen(futures), &r));
    cr_assert(!r.can_withdraw && !r.can_trade_spot && r.can_trade_futures);
    static const char *const WRONG[] = {
        "",
        "[]",
        "{}",
        "{\"enableReading\":true}",
        "{\"enableWithdrawals\":false,\"enableFutures\":true}",
        RIGHTS("\"false\"", "true", "true"),
        RIGHTS("null", "true", "1"),
        RIGHTS("true", "true", "true") "}",
    };
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        char *copy = exact(WRONG[i]);
        cr_assert(!reply_rights(copy, strlen(WRONG[i]), &r), "%s", WRONG[i]);
        free(copy);
    }
}
