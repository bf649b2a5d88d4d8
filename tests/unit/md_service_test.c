/*
 * md_service_test.c - the real process on real PostgreSQL, Redis and ZeroMQ, followed and asked.
 *
 * Each test starts its own scrip-marketdata on the seeded market, in a folder and database of its
 * own, and waits for what it says; nothing waits for time to pass.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/log.h"
#include "marketdata/core/book.h"
#include "store_database.h"
#include "wire/bus.h"

#define PATIENCE_MS 30000
#define LEVELS      256u

static char folder[64], redis_address[128];
static const char *database;
static pid_t process;
static struct loop *loop;
static struct bus *follower, *asker;

/* What was heard on the stream, from the number `least` on. */
static struct {
    uint64_t least, first, last, gaps, messages, beats, prices, candles;
    bool wants_candle_closed;
} heard;

/* The answer waited for. */
static struct {
    uint64_t corr;
    bool is_there;
    enum msg_type type;
    enum err error;
    struct md_resent resent;
    uint64_t resent_messages, resent_first, resent_last;
    uint64_t sequence;
    uint32_t bids, asks, items;
    struct candle newest;
    uint64_t version; /* of the list of symbols, */
    bool is_removed;  /* and what it says of XRPETH */
    struct md_symbol_view view;
} answer;

static struct book book;
static struct level book_levels[2][LEVELS], kept[2][LEVELS];
static uint32_t kept_count[2];
static uint64_t book_sequence;

/* ---- The process ------------------------------------------------------------------------ */

static void
process_start(void)
{
    char config[128];
    snprintf(config, sizeof(config), "--config=%s/md.conf", folder);
    process = fork();
    cr_assert_geq(process, 0);
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char log[128];
        snprintf(log, sizeof(log), "%s/md.log", folder);
        if (freopen(log, "a", stderr) == NULL)
            _exit(126);
        execl(SCRIP_MARKETDATA, SCRIP_MARKETDATA, config, (char *)NULL);
        _exit(127);
    }
}

static int
process_end(int signal)
{
    int status = 0;
    kill(process, signal);
    /* The loop's library catches SIGCHLD, which interrupts the waiting. */
    pid_t ended;
    do {
        ended = waitpid(process, &status, 0);
    } while (ended < 0 && errno == EINTR);
    cr_assert_eq(ended, process);
    return status;
}

static void
config_write(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/md.conf", folder);
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL);
    fprintf(f,
            "publish_endpoint = ipc://%s/pub\nserve_endpoint = ipc://%s/ask\nredis = %s\n"
            "database = %s\nrules_file = %s\n"
            "sources = synthetic:seed=5:symbols=BTCUSDT,XRPETH:rate=100\n",
            folder, folder, redis_address, database, SCRIP_RULES_FILE);
    fclose(f);
}

/* ---- Following and asking --------------------------------------------------------------- */

static void
on_timeout(void *arg)
{
    (void)arg;
    cr_assert_fail("nothing more was heard: %" PRIu64 " messages, %" PRIu64 " prices, answer %d",
                   heard.messages, heard.prices, answer.is_there);
}

static bool (*wanted)(void);

static void
stop_when_wanted(void)
{
    if (wanted())
        loop_stop(loop);
}

static void
wait_for(bool (*condition)(void))
{
    wanted = condition;
    if (condition())
        return;
    struct loop_timer *t = loop_timer_new(loop, PATIENCE_MS, 0, on_timeout, NULL);
    loop_run(loop);
    loop_timer_end(&t);
}

static void
sequenced(uint64_t number)
{
    if (number < heard.least)
        return; /* still under way when its process ended */
    if (heard.first == 0)
        heard.first = number;
    else if (number != heard.last + 1)
        heard.gaps++;
    heard.last = number;
    heard.messages++;
}

static void
depth_apply(const struct md_depth *d)
{
    if (book_sequence == 0 || d->sequence <= book_sequence)
        return;
    book_side_apply(&book.bids, d->bids, d->bids_count);
    book_side_apply(&book.asks, d->asks, d->asks_count);
    book_sequence = d->sequence;
}

static void
on_market(void *arg, const struct bus_in *in)
{
    (void)arg;
    const struct msg *m = in->msg;
    bool is_btc = strcmp(in->topic, "t.BTCUSDT.") == 0;
    if (m->type == MSG_md_trade && is_btc)
        sequenced(m->md_trade.sequence);
    else if (m->type == MSG_md_quote && is_btc)
        sequenced(m->md_quote.sequence);
    else if (m->type == MSG_md_book && is_btc)
        sequenced(m->md_book.sequence);
    else if (m->type == MSG_md_mark && is_btc)
        sequenced(m->md_mark.sequence);
    else if (m->type == MSG_md_beat && is_btc)
        heard.beats++;
    else if (m->type == MSG_md_price)
        heard.prices++;
    else if (m->type == MSG_md_candle)
        heard.candles++;
    if (m->type == MSG_md_depth && is_btc) {
        sequenced(m->md_depth.sequence);
        depth_apply(&m->md_depth);
    }
    stop_when_wanted();
}

static void
keep_side(int side, const struct level *levels, uint32_t count)
{
    cr_assert_leq(count, LEVELS);
    kept_count[side] = count;
    if (count > 0)
        memcpy(kept[side], levels, count * sizeof(*levels));
}

static void
answer_take(const struct msg *m)
{
    switch (m->type) {
    case MSG_refused:
        answer.error = m->refused.error;
        break;
    case MSG_md_book:
        answer.sequence = m->md_book.sequence;
        answer.bids = m->md_book.bids_count;
        answer.asks = m->md_book.asks_count;
        keep_side(0, m->md_book.bids, answer.bids);
        keep_side(1, m->md_book.asks, answer.asks);
        break;
    case MSG_md_symbols:
        answer.items = m->md_symbols.symbols_count;
        answer.version = m->md_symbols.version;
        for (uint32_t i = 0; i < answer.items; i++)
            answer.is_removed |= m->md_symbols.symbols[i].is_removed &&
                                 code_same(m->md_symbols.symbols[i].symbol, code_of("XRPETH"));
        break;
    case MSG_md_symbol_view:
        answer.view = m->md_symbol_view;
        break;
    case MSG_md_trades:
        answer.items = m->md_trades.trades_count;
        break;
    case MSG_md_klines:
        answer.items = m->md_klines.candles_count;
        if (answer.items > 0)
            answer.newest = m->md_klines.candles[answer.items - 1];
        break;
    default:
        break;
    }
}

static void
on_answer(void *arg, const struct bus_in *in)
{
    (void)arg;
    const struct msg *m = in->msg;
    if (m->type == MSG_md_resent) {
        answer.resent = m->md_resent;
    } else if (answer.type == MSG_md_resent) {
        uint64_t number = m->type == MSG_md_trade   ? m->md_trade.sequence
                          : m->type == MSG_md_quote ? m->md_quote.sequence
                          : m->type == MSG_md_depth ? m->md_depth.sequence
                          : m->type == MSG_md_mark  ? m->md_mark.sequence
                                                    : m->md_book.sequence;
        if (answer.resent_messages++ == 0)
            answer.resent_first = number;
        else
            cr_assert_eq(number, answer.resent_last + 1);
        answer.resent_last = number;
        answer.is_there = in->last;
        stop_when_wanted();
        return;
    }
    if (m->corr != answer.corr)
        return;
    answer.type = m->type;
    answer_take(m);
    answer.is_there = in->last;
    stop_when_wanted();
}

static bool
is_answered(void)
{
    return answer.is_there;
}

static enum msg_type
ask(enum msg_type type, const void *body)
{
    uint64_t corr = answer.corr + 1;
    memset(&answer, 0, sizeof(answer));
    answer.corr = corr;
    bus_put(asker, 0, type, corr, body);
    wait_for(is_answered);
    return answer.type;
}

static void
begin(void)
{
    log_open("test", LOG_ERROR);
    database = database_make();
    snprintf(folder, sizeof(folder), "/tmp/md_service_XXXXXX");
    cr_assert(mkdtemp(folder) != NULL);
    const char *redis = getenv("SCRIP_TEST_REDIS");
    snprintf(redis_address, sizeof(redis_address), "%s", redis == NULL ? "" : redis);
    config_write();
    process_start();
    char endpoint[128];
    loop = loop_new();
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/pub", folder);
    follower = bus_open(
        loop, &(struct bus_options){
                  .role = BUS_FOLLOW, .endpoint = endpoint, .name = "test", .on_msg = on_market});
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/ask", folder);
    asker = bus_open(
        loop, &(struct bus_options){
                  .role = BUS_ASK, .endpoint = endpoint, .name = "test", .on_msg = on_answer});
    bus_follow(follower, "t.BTCUSDT.");
    bus_follow(follower, "p.");
    bus_follow(follower, "c.BTCUSDT.1m.");
}

/* Removes the folder; the process's log is told when it did not end well. */
static void
folder_end(bool tell)
{
    static const char *const FILES[] = {"md.conf", "md.log", "pub", "ask"};
    char path[128], line[512];
    snprintf(path, sizeof(path), "%s/md.log", folder);
    FILE *f = tell ? fopen(path, "r") : NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, FILES[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void
end(void)
{
    int status = process_end(SIGTERM);
    bus_close(&follower);
    bus_close(&asker);
    loop_destroy(&loop);
    database_drop();
    folder_end(status != 0);
    if (status != 0)
        abort(); /* an assertion would be printed here, and count for nothing */
}

TestSuite(service, .init = begin, .fini = end, .timeout = 120);

/* ---- Stories ---------------------------------------------------------------------------- */

static bool
has_heard_300(void)
{
    return heard.messages >= 300 && heard.prices >= 4 && heard.candles >= 1 && heard.beats >= 1;
}

Test(service, the_stream_is_sequenced_and_can_be_asked_for_again)
{
    wait_for(has_heard_300);
    cr_assert_eq(heard.gaps, 0);

    struct md_resend_get again = {
        .symbol = code_of("BTCUSDT"), .from = heard.last - 49, .to = heard.last};
    cr_assert_eq(ask(MSG_md_resend_get, &again), MSG_md_resent);
    cr_assert_eq(answer.resent.from, again.from);
    cr_assert_eq(answer.resent.to, again.to);
    cr_assert_eq(answer.resent_messages, 50);
    cr_assert_eq(answer.resent_first, again.from);

    /* Older than the process: a snapshot is the way. */
    again.from = 1;
    again.to = 2;
    cr_assert_eq(ask(MSG_md_resend_get, &again), MSG_md_resent);
    cr_assert_eq(answer.resent.from, 0);
}

static uint64_t more_until;

static bool
has_heard_more(void)
{
    return heard.last >= more_until;
}

static void
book_from_kept(void)
{
    book_init(&book, book_levels[0], book_levels[1], LEVELS);
    book_side_apply(&book.bids, kept[0], kept_count[0]);
    book_side_apply(&book.asks, kept[1], kept_count[1]);
    book_sequence = answer.sequence;
}

static void
side_equals(struct book_side *s, int side)
{
    book_side_compact(s);
    cr_assert_eq(s->count, kept_count[side]);
    for (uint32_t i = 0; i < s->count; i++) {
        cr_assert_eq(s->levels[s->count - 1 - i].price.v, kept[side][i].price.v);
        cr_assert_eq(s->levels[s->count - 1 - i].quantity.v, kept[side][i].quantity.v);
    }
}

/* A follower with one snapshot and the stream has the book that a later snapshot shows. */
Test(service, a_snapshot_and_the_stream_give_the_book)
{
    struct md_snapshot_get get = {.symbol = code_of("BTCUSDT")};
    wait_for(has_heard_300);
    do { /* not one that the stream has overtaken: its next changes would be missing */
        cr_assert_eq(ask(MSG_md_snapshot_get, &get), MSG_md_book);
    } while (answer.sequence < heard.last);
    cr_assert_eq(answer.bids, 20);
    uint64_t snapshot = answer.sequence;
    book_from_kept();
    more_until = snapshot + 500;
    wait_for(has_heard_more);
    /* The stream may be ahead of an answer: it is asked anew until both are at the same number. */
    do {
        cr_assert_eq(ask(MSG_md_snapshot_get, &get), MSG_md_book);
        more_until = answer.sequence;
        wait_for(has_heard_more);
    } while (heard.last != answer.sequence);
    cr_assert_eq(heard.gaps, 0);
    cr_assert_gt(answer.sequence, snapshot);
    side_equals(&book.bids, 0);
    side_equals(&book.asks, 1);
    book_check(&book);
}

Test(service, questions_are_answered_or_refused_by_name)
{
    wait_for(has_heard_300);
    struct md_depth_get depth = {.symbol = code_of("BTCUSDT"), .limit = 5};
    cr_assert_eq(ask(MSG_md_depth_get, &depth), MSG_md_book);
    cr_assert(answer.bids == 5 && answer.asks == 5);
    depth.symbol = code_of("NOSUCH");
    cr_assert_eq(ask(MSG_md_depth_get, &depth), MSG_refused);
    cr_assert_eq(answer.error, ERR_SYMBOL_UNKNOWN);
    depth.symbol = code_of("ETHUSDT");
    cr_assert_eq(ask(MSG_md_depth_get, &depth), MSG_refused);
    cr_assert_eq(answer.error, ERR_MARKET_UNAVAILABLE);

    struct md_trades_get trades = {.symbol = code_of("BTCUSDT"), .limit = 3};
    cr_assert_eq(ask(MSG_md_trades_get, &trades), MSG_md_trades);
    cr_assert_eq(answer.items, 3);
    struct md_symbols_get symbols = {.symbol = code_of("")};
    cr_assert_eq(ask(MSG_md_symbols_get, &symbols), MSG_md_symbols);
    cr_assert_eq(answer.items, 12);
    struct account_get stranger = {.account_id = 1};
    cr_assert_eq(ask(MSG_account_get, &stranger), MSG_refused);
    cr_assert_eq(answer.error, ERR_WIRE_UNKNOWN);
}

/* Numbers begin at the microsecond of the start, so what the dead process left in the sockets is
 * told apart by its number. */
static void
process_start_anew(void)
{
    memset(&heard, 0, sizeof(heard));
    struct loop *clock = loop_new();
    heard.least = (uint64_t)loop_now_us(clock);
    loop_destroy(&clock);
    process_start();
}

/* The database is away for a moment after the start: asked again until it is there. */
static void
ask_klines(enum interval i)
{
    struct md_klines_get get = {.symbol = code_of("BTCUSDT"), .interval = i, .limit = 10};
    while (ask(MSG_md_klines_get, &get) == MSG_refused)
        cr_assert_eq(answer.error, ERR_MARKET_UNAVAILABLE);
}

static bool
has_heard_on(void)
{
    return heard.messages >= 200;
}

Test(service, killed_it_goes_on_with_higher_numbers_and_the_same_candles)
{
    wait_for(has_heard_300);
    /* The day's candle is written as it stands every few seconds, and at a proper end. */
    cr_assert_eq(process_end(SIGTERM), 0);
    uint64_t last = heard.last;
    long long trades =
        strtoll(database_ask("SELECT trades FROM marketdata.candle WHERE symbol = 'BTCUSDT' "
                             "AND width = 12 AND NOT is_closed"),
                NULL, 10);
    cr_assert_gt(trades, 10);

    process_start_anew();
    wait_for(has_heard_on);
    cr_assert_eq(heard.gaps, 0);
    cr_assert_gt(heard.first, last);
    do {
        ask_klines(INTERVAL_1d);
        cr_assert_eq(answer.items, 1);
    } while ((long long)answer.newest.trades <= trades);

    /* Without a chance to say goodbye. */
    last = heard.last;
    process_end(SIGKILL);
    process_start_anew();
    wait_for(has_heard_on);
    cr_assert_gt(heard.first, last);
    ask_klines(INTERVAL_1m);
    cr_assert_geq(answer.items, 1);
}

Test(service, a_database_that_goes_away_comes_back)
{
    wait_for(has_heard_300);
    ask_klines(INTERVAL_1m);
    cr_assert_geq(answer.items, 1);
    database_ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> "
                 "pg_backend_pid() AND datname = current_database()");
    ask_klines(INTERVAL_1m);
    cr_assert_geq(answer.items, 1);
    cr_assert_eq(heard.gaps, 0);
}

/* ---- Redis ------------------------------------------------------------------------------ */

static redisContext *redis;

static bool
ticker_is_there(void)
{
    redisReply *r = redisCommand(redis, "HGETALL scrip:ticker:XRPETH");
    cr_assert(r != NULL && r->type == REDIS_REPLY_ARRAY);
    bool is_there = r->elements == 2 * msg_layout(MSG_md_ticker)->field_count;
    freeReplyObject(r);
    return is_there;
}

Test(service, tickers_are_in_redis_and_come_back_after_it_was_emptied)
{
    if (*redis_address == '\0') {
        cr_skip_test("SKIPPED: SCRIP_TEST_REDIS is not set: no Redis to test with");
        return;
    }
    char host[128];
    snprintf(host, sizeof(host), "%s", redis_address);
    char *colon = strrchr(host, ':');
    cr_assert(colon != NULL);
    *colon = '\0';
    redis = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    cr_assert(redis != NULL && redis->err == 0);
    wait_for(has_heard_300);
    wait_for(ticker_is_there);
    freeReplyObject(redisCommand(redis, "DEL scrip:ticker:XRPETH scrip:symbols"));
    freeReplyObject(redisCommand(redis, "CLIENT KILL TYPE normal SKIPME yes"));
    wait_for(ticker_is_there);
    redisReply *r = redisCommand(redis, "SISMEMBER scrip:symbols XRPETH");
    cr_assert_eq(r->integer, 1);
    freeReplyObject(r);
    redisFree(redis);
}

static uint64_t
list_version(bool is_removed)
{
    struct md_symbols_get get = {.symbol = code_of("")};
    cr_assert_eq(ask(MSG_md_symbols_get, &get), MSG_md_symbols);
    cr_expect_eq(answer.items, 12);
    cr_expect_eq(answer.is_removed, is_removed);
    return answer.version;
}

static void
depth_until(enum msg_type type)
{
    struct md_depth_get depth = {.symbol = code_of("XRPETH")};
    while (ask(MSG_md_depth_get, &depth) != type)
        cr_assert(type != MSG_refused && answer.error == ERR_MARKET_UNAVAILABLE);
}

Test(service, a_symbol_that_is_removed_stays_so_over_a_restart_until_it_is_added)
{
    wait_for(has_heard_300);
    struct md_symbol_remove away = {.symbol = code_of("XRPETH")};
    struct md_symbol_add back = {.symbol = code_of("XRPETH")};
    uint64_t before = list_version(false);
    depth_until(MSG_md_book);
    cr_assert_eq(ask(MSG_md_symbol_remove, &away), MSG_md_symbol_view);
    cr_expect(answer.view.is_removed && answer.view.is_kept && answer.view.source == 0);
    uint64_t removed = list_version(true);
    cr_expect_gt(removed, before);
    depth_until(MSG_refused);
    cr_assert_eq(ask(MSG_md_symbol_remove, &away), MSG_refused);
    cr_expect_eq(answer.error, ERR_SYMBOL_UNKNOWN);

    process_end(SIGKILL);
    process_start_anew();
    wait_for(has_heard_on);
    cr_expect_eq(heard.gaps, 0);
    cr_expect_gt(list_version(true), removed);
    cr_assert_eq(ask(MSG_md_symbol_add, &back), MSG_md_symbol_view);
    cr_expect(!answer.view.is_removed && answer.view.is_kept);
    depth_until(MSG_md_book);
}
