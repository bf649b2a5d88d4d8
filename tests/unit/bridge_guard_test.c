/*
 * bridge_guard_test.c - nothing goes out that the bridge's own rows do not allow, from any side.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exchange-bridge/core/guard.h"

#include <criterion/criterion.h>
#include <string.h>

struct ask {
    enum guard_mode mode;
    struct bridge_place m;
    struct guard_binding b;
    struct guard_key k;
};

static struct ask
allowed(enum trading_type type, enum environment e)
{
    return (struct ask){
        .mode = GUARD_LIVE,
        .m = {.account_id = 7,
              .user_id = 3,
              .trading_type = type,
              .order = {.order_id = 1,
                        .account_id = 7,
                        .symbol = code_of(type == TRADING_TYPE_spot ? "BTCUSDT" : "BTCUSDT_PERP"),
                        .mode = TRADING_MODE_REAL,
                        .environment = e}},
        .b = {.is_known = true,
              .account_id = 7,
              .user_id = 3,
              .trading_type = type,
              .environment = e},
        .k = {.is_known = true, .user_id = 3, .trading_type = type, .environment = e}};
}

static enum err
judged(const struct ask *a)
{
    return guard_order(a->mode, &a->m, &a->b, &a->k);
}

#define MARKETS(type)   for (int type = TRADING_TYPE_spot; type <= TRADING_TYPE_futures; type++)
#define ENVIRONMENTS(e) for (int e = ENVIRONMENT_testnet; e <= ENVIRONMENT_live; e++)

Test(guard, what_fits_everywhere_goes_out)
{
    MARKETS(type)
    ENVIRONMENTS(e)
    {
        struct ask a = allowed((enum trading_type)type, (enum environment)e);
        cr_assert_eq(judged(&a), OK);
    }
}

Test(guard, the_mode_of_the_deployment_is_the_first_wall)
{
    static const bool MAY[3][3] = {
        {false, false, false}, {false, true, false}, {false, true, true}};
    for (int mode = GUARD_PAPER; mode <= GUARD_LIVE; mode++)
        for (int e = ENVIRONMENT_NONE; e <= ENVIRONMENT_live; e++) {
            cr_assert_eq(guard_mode_allows((enum guard_mode)mode, (enum environment)e),
                         MAY[mode][e]);
            if (e == ENVIRONMENT_NONE)
                continue;
            struct ask a = allowed(TRADING_TYPE_spot, (enum environment)e);
            a.mode = (enum guard_mode)mode;
            cr_assert_eq(judged(&a), MAY[mode][e] ? OK : ERR_ENVIRONMENT_NOT_ALLOWED);
        }
    cr_assert(!guard_mode_allows(GUARD_LIVE, (enum environment)3));
    cr_assert(!guard_mode_allows((enum guard_mode)3, ENVIRONMENT_live));
    cr_assert(!guard_mode_allows((enum guard_mode) - 1, ENVIRONMENT_testnet));
}

Test(guard, a_message_that_contradicts_itself_goes_nowhere)
{
    const struct ask fine = allowed(TRADING_TYPE_spot, ENVIRONMENT_live);
    struct ask a = fine;
#define WRONG(change)                                                                              \
    a = fine;                                                                                      \
    change;                                                                                        \
    cr_assert_eq(judged(&a), ERR_ENVIRONMENT_MISMATCH, #change)
    WRONG(a.m.order.mode = TRADING_MODE_PAPER);
    WRONG(a.m.order.mode = TRADING_MODE_NONE);
    WRONG(a.m.order.environment = ENVIRONMENT_NONE);
    WRONG(a.m.order.environment = (enum environment)9);
    WRONG(a.m.order.account_id = 8);
    WRONG(a.m.order.account_id = 0);
    WRONG(a.m.account_id = 0);
    WRONG(a.m.account_id = 8);
    WRONG(a.m.user_id = 0);
    WRONG(a.m.trading_type = TRADING_TYPE_NONE);
    WRONG(a.m.trading_type = TRADING_TYPE_futures);
    WRONG(a.m.trading_type = (enum trading_type)5);
    WRONG(a.m.order.symbol = code_of("BTCUSDT_PERP"));
    WRONG(a.m.order.symbol = code_of(""));
    /* All zero is no way in, in any mode. */
    for (int mode = GUARD_PAPER; mode <= GUARD_LIVE; mode++) {
        struct ask none = {.mode = (enum guard_mode)mode, .b.is_known = true, .k.is_known = true};
        cr_assert_eq(judged(&none), ERR_ENVIRONMENT_MISMATCH);
    }
}

Test(guard, the_binding_is_the_bridges_own_and_exact)
{
    MARKETS(type)
    ENVIRONMENTS(e)
    {
        const struct ask fine = allowed((enum trading_type)type, (enum environment)e);
        struct ask a = fine;
#define BINDING(change, error)                                                                     \
    a = fine;                                                                                      \
    change;                                                                                        \
    cr_assert_eq(judged(&a), error, #change)
        BINDING(a.b.is_known = false, ERR_NOT_BOUND);
        BINDING(a.b = (struct guard_binding){0}, ERR_NOT_BOUND);
        BINDING(a.b.account_id = 8, ERR_NOT_BOUND);
        BINDING(a.b.account_id = 0, ERR_NOT_BOUND);
        BINDING(a.b.user_id = 4, ERR_NOT_BOUND);
        BINDING(a.b.user_id = 0, ERR_NOT_BOUND);
        BINDING(a.b.trading_type = (enum trading_type)(3 - type), ERR_NOT_BOUND);
        BINDING(a.b.trading_type = TRADING_TYPE_NONE, ERR_NOT_BOUND);
        BINDING(a.b.environment = ENVIRONMENT_NONE, ERR_NOT_BOUND);
        BINDING(a.b.environment = (enum environment)7, ERR_NOT_BOUND);
        BINDING(a.b.environment = (enum environment)(3 - e), ERR_ENVIRONMENT_MISMATCH);
        cr_assert_eq(guard_order(GUARD_LIVE, &fine.m, NULL, &fine.k), ERR_NOT_BOUND);
    }
}

Test(guard, the_key_is_the_users_and_of_that_environment)
{
    MARKETS(type)
    ENVIRONMENTS(e)
    {
        const struct ask fine = allowed((enum trading_type)type, (enum environment)e);
        struct ask a = fine;
        BINDING(a.k.is_known = false, ERR_CREDENTIALS_MISSING);
        BINDING(a.k = (struct guard_key){0}, ERR_CREDENTIALS_MISSING);
        BINDING(a.k.user_id = 4, ERR_CREDENTIALS_MISSING);
        BINDING(a.k.user_id = 0, ERR_CREDENTIALS_MISSING);
        BINDING(a.k.trading_type = (enum trading_type)(3 - type), ERR_CREDENTIALS_MISSING);
        BINDING(a.k.environment = (enum environment)(3 - e), ERR_CREDENTIALS_MISSING);
        BINDING(a.k.environment = ENVIRONMENT_NONE, ERR_CREDENTIALS_MISSING);
        cr_assert_eq(guard_order(GUARD_LIVE, &fine.m, &fine.b, NULL), ERR_CREDENTIALS_MISSING);
    }
}

/* Every combination of what may differ: OK only where all of them agree. */
Test(guard, nothing_but_full_agreement_passes)
{
    uint32_t passed = 0;
    for (uint32_t bits = 0; bits < 1u << 12; bits++) {
        struct ask a = allowed(TRADING_TYPE_futures, ENVIRONMENT_testnet);
        bool has[12];
        for (uint32_t i = 0; i < 12; i++)
            has[i] = (bits >> i & 1) != 0;
        a.mode = has[0] ? GUARD_PAPER : GUARD_TESTNET;
        a.m.order.mode = has[1] ? TRADING_MODE_PAPER : TRADING_MODE_REAL;
        a.m.order.environment = has[2] ? ENVIRONMENT_live : ENVIRONMENT_testnet;
        a.b.environment = has[3] ? ENVIRONMENT_live : ENVIRONMENT_testnet;
        a.k.environment = has[4] ? ENVIRONMENT_live : ENVIRONMENT_testnet;
        a.b.user_id += has[5];
        a.k.user_id += has[6];
        a.b.account_id += has[7];
        a.m.order.account_id += has[8];
        a.b.is_known = !has[9];
        a.k.is_known = !has[10];
        a.k.trading_type = has[11] ? TRADING_TYPE_spot : TRADING_TYPE_futures;
        bool ok = judged(&a) == OK;
        cr_assert_eq(ok, bits == 0, "%x", bits);
        passed += ok;
    }
    cr_assert_eq(passed, 1);
}

Test(guard, modes_are_named_exactly)
{
    enum guard_mode mode = GUARD_LIVE;
    cr_assert(guard_mode_read("paper", &mode) && mode == GUARD_PAPER);
    cr_assert(guard_mode_read("testnet", &mode) && mode == GUARD_TESTNET);
    cr_assert(guard_mode_read("live", &mode) && mode == GUARD_LIVE);
    static const char *const WRONG_NAMES[] = {"",      "LIVE",  "Live", " live",
                                              "live ", "real",  "test", "paper,live",
                                              "liv",   "lives", "0",    "2"};
    for (size_t i = 0; i < sizeof(WRONG_NAMES) / sizeof(WRONG_NAMES[0]); i++) {
        mode = GUARD_PAPER;
        cr_assert(!guard_mode_read(WRONG_NAMES[i], &mode), "%s", WRONG_NAMES[i]);
        cr_assert_eq(mode, GUARD_PAPER);
    }
}

/* ---- URLs --------------------------------------------------------------------------------- */

static void
urls(const char *const *list, bool testnet, bool live)
{
    for (; *list != NULL; list++) {
        cr_assert_eq(guard_url(ENVIRONMENT_testnet, *list), testnet, "testnet %s", *list);
        cr_assert_eq(guard_url(ENVIRONMENT_live, *list), live, "live %s", *list);
        cr_assert(!guard_url(ENVIRONMENT_NONE, *list), "none %s", *list);
        cr_assert(!guard_url((enum environment)3, *list), "3 %s", *list);
    }
}

Test(guard, the_exchanges_own_hosts_are_live_only)
{
    urls((const char *const[]){"https://api.binance.com", "https://API.BINANCE.COM",
                               "https://Api.Binance.Com/", "https://api.binance.com.",
                               "https://api.binance.com:443", "https://api.binance.com.:8443/x",
                               "https://api1.binance.com", "https://api-gcp.binance.com",
                               "https://fapi.binance.com", "https://dapi.binance.com",
                               "HTTPS://fapi.binance.com", "wss://stream.binance.com:9443",
                               "wss://ws-api.binance.com:443/ws-api/v3",
                               "wss://fstream.binance.com/private", "https://binance.com",
                               "https://anything-new.binance.com",
                               "https://data-api.binance.vision", NULL},
         false, true);
}

Test(guard, testnets_are_testnet_only)
{
    urls(
        (const char *const[]){
            "https://testnet.binance.vision", "https://TESTNET.binance.VISION.",
            "https://api1.testnet.binance.vision:443/", "wss://stream.testnet.binance.vision:9443",
            "wss://ws-api.testnet.binance.vision/ws-api/v3", "https://testnet.binancefuture.com",
            "wss://fstream.binancefuture.com/private", "wss://testnet.binancefuture.com/ws-fapi/v1",
            "https://demo-api.binance.com", "https://demo-fapi.binance.com",
            "wss://demo-fstream.binance.com", "wss://Demo-Stream.binance.com:443", NULL},
        true, false);
}

Test(guard, a_stand_in_is_taken_for_either)
{
    urls((const char *const[]){"http://127.0.0.1:8081", "https://127.0.0.1:8081/",
                               "http://localhost:1", "http://[::1]:65535", "ws://[::1]/ws",
                               "http://stand_in:80/base/path", "ws://exchange.example",
                               "https://exchange.example.", "", NULL},
         true, true);
}

Test(guard, what_could_be_read_in_two_ways_is_refused)
{
    urls(
        (const char *const[]){
            /* only looks like it */
            "https://api.binance.com.evil.example", "https://api-binance.com",
            "https://binance.com.co", "https://xbinance.com", "https://fapi.binance.us",
            "https://testnet.binance.vision.evil.example", "https://testnetbinance.vision",
            "https://evil.example.binance", "https://xbinancefuture.com",
            /* a test in a way that is not known */
            "https://testnet.binance.com", "https://api.testnet.binance.com",
            "https://x.demo-api.binance.com", "https://api-demo.binance.com",
            "https://demo.binance.vision", "https://xtestnet.binance.vision",
            /* somebody before the host */
            "https://api.binance.com@evil.example", "https://user:pw@api.binance.com",
            "https://testnet.binance.vision@api.binance.com", "https://@api.binance.com",
            "http://127.0.0.1:80@api.binance.com", "https://127.0.0.1/@api.binance.com",
            /* encoded, foreign, blank or doubled */
            "https://api%2ebinance%2ecom", "https://api.binance%2Ecom", "https://api.binance.com..",
            "https://api..binance.com", "https://.api.binance.com", "https:// api.binance.com",
            " https://api.binance.com", "https://api.binance.com\t", "https://api.binance.com\n",
            "https://api.binance.com\\.evil.example", "https://evil.example\\@api.binance.com",
            "https://api.b\xc4\xb1nance.com", "https://\xef\xbd\x81pi.binance.com",
            "https://api.binance.com\x01", "https://127.0.0.1#@api.binance.com",
            "https://127.0.0.1?x=https://api.binance.com", "https://api.binance.com#",
            /* ports */
            "https://api.binance.com:", "https://api.binance.com:0",
            "https://api.binance.com:65536", "https://api.binance.com:443x",
            "https://api.binance.com:-1", "https://api.binance.com:443:443",
            "https://api.binance.com:99999999999999999999", "http://127.0.0.1:", "http://[::1",
            "http://[::1]x", "http://[]@", "http://[g::1]",
            /* schemes */
            "api.binance.com", "//api.binance.com", "https:api.binance.com",
            "https:/api.binance.com", "https:///api.binance.com", "ftp://api.binance.com",
            "file:///etc/passwd", "javascript://api.binance.com", "https", "https://", "https:///",
            "https://:443", "/", "127.0.0.1:8080", NULL},
        false, false);
}

Test(guard, the_exchange_itself_is_spoken_to_in_private)
{
    urls((const char *const[]){"http://api.binance.com", "ws://stream.binance.com:9443",
                               "http://testnet.binance.vision", "http://api.binance.com:443",
                               "http://demo-fapi.binance.com", "ws://fstream.binancefuture.com",
                               NULL},
         false, false);
}

Test(guard, a_host_without_end_is_refused)
{
    char url[600] = "https://";
    memset(url + 8, 'a', 500);
    cr_assert(!guard_url(ENVIRONMENT_live, url));
    memcpy(url + 490, ".binance.com", 13);
    cr_assert(!guard_url(ENVIRONMENT_live, url));
    cr_assert(!guard_url(ENVIRONMENT_testnet, url));
}
