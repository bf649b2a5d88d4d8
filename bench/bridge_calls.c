/*
 * bridge_calls.c - calls through the bridge's caller, and what they are set beside.
 *
 *     bridge_calls sign KIND SECONDS                       signatures alone
 *     bridge_calls plain URL IN_FLIGHT SECONDS             GETs through libcurl, nothing else
 *     bridge_calls ours URL REDIS KIND IN_FLIGHT SECONDS   signed GETs through the caller
 *     bridge_calls rate URL REDIS WINDOW_MS LIMIT CALLS LATE_MS   a queue of calls of all kinds
 *
 * `rate` reads its keys from standard input, a line `API-KEY SECRET` each, says `ready`, and begins
 * with the line `go`: so many calls of all four priorities at once, and thirty cancels more after
 * LATE_MS. Keys are sealed as the bridge's are and opened for each signature. Prints one JSON
 * object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <curl/curl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "exchange-bridge/shell/caller.h"
#include "exchange-bridge/shell/vault.h"
#include "host/log.h"
#include "number.h"

#define KEYS_MAX    64
#define CALLS_MAX   20000
#define LATE_CALLS  30
#define PATIENCE_MS 300000

static int64_t
cpu_ns(void)
{
    struct rusage u;
    CHECK(getrusage(RUSAGE_SELF, &u) == 0);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

/* ---- Keys -------------------------------------------------------------------------------- */

static struct vault *vault;
static struct sealed {
    struct sign_key open; /* without its secret */
    code_t key_id;
    size_t length;
    uint8_t bytes[SIGN_SECRET_BYTES + VAULT_EXTRA_BYTES];
} keys[KEYS_MAX];
static uint32_t keys_count;
static const struct guard_key whose = {true, 1, TRADING_TYPE_spot, ENVIRONMENT_testnet};

enum err
keys_open_secret(const struct keys *k, uint64_t number, struct sign_key *out)
{
    (void)k;
    const struct sealed *s = &keys[number - 1];
    memcpy(out, &s->open, offsetof(struct sign_key, secret));
    return vault_unseal(vault, &whose, &s->key_id, s->bytes, s->length, out->secret);
}

static void
key_keep(struct sign_key *key)
{
    code_t field;
    CHECK(keys_count < KEYS_MAX && sign_key_judge(key, &field) == OK);
    struct sealed *s = &keys[keys_count++];
    s->length = key->secret_length + VAULT_EXTRA_BYTES;
    CHECK(vault_seal(vault, &whose, key->secret, key->secret_length, &s->key_id, s->bytes) == OK);
    s->open = *key;
    memset(s->open.secret, 0, sizeof s->open.secret);
    sign_wipe(key);
}

static struct sign_key
key_of(const char *api_key, const char *secret, size_t length)
{
    struct sign_key key = {.secret_length = length};
    CHECK(length <= sizeof key.secret);
    snprintf(key.api_key, sizeof key.api_key, "%s", api_key);
    memcpy(key.secret, secret, length);
    return key;
}

/* HMAC, ED25519, RSA2048 or RSA4096: a new key. */
static struct sign_key
key_make(const char *kind)
{
    static const char api_key[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab";
    char pem[SIGN_SECRET_BYTES];
    if (strcmp(kind, "HMAC") == 0)
        return key_of(api_key, api_key, sizeof api_key - 1);
    EVP_PKEY *pkey = strcmp(kind, "ED25519") == 0   ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                     : strcmp(kind, "RSA4096") == 0 ? EVP_RSA_gen(4096)
                                                    : EVP_RSA_gen(2048);
    BIO *b = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_PKCS8PrivateKey(b, pkey, NULL, NULL, 0, NULL, NULL) == 1);
    int length = BIO_read(b, pem, sizeof pem);
    CHECK(length > 0);
    BIO_free(b);
    EVP_PKEY_free(pkey);
    return key_of(api_key, pem, (size_t)length);
}

static void
vault_make(void)
{
    char text[128] = "bench:";
    for (int i = 0; i < 64; i++)
        text[6 + i] = "0123456789abcdef"[i % 16];
    CHECK(vault_open("", text, &vault) == OK);
}

/* ---- Signing alone ----------------------------------------------------------------------- */

static void
sign(const char *kind, int64_t seconds)
{
    static const char query[] =
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=50000"
        "&newClientOrderId=scrip-abcdef-123456&newOrderRespType=FULL&recvWindow=5000"
        "&timestamp=1795250000000";
    char out[SIGN_TEXT_BYTES];
    struct sign_key key = key_make(kind);
    key_keep(&key);
    uint64_t count = 0;
    int64_t begin_ns = now_ns(), end_ns = begin_ns + seconds * 1000000000;
    for (; now_ns() < end_ns; count++) {
        CHECK(keys_open_secret(NULL, 1, &key) == OK);
        CHECK(sign_text(&key, query, sizeof query - 1, false, out) > 0);
        sign_wipe(&key);
    }
    printf("{\"signatures\": %" PRIu64 ", \"ns\": %" PRId64 "}\n", count, now_ns() - begin_ns);
}

/* ---- libcurl alone ----------------------------------------------------------------------- */

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
    (void)data, (void)arg;
    return size * count;
}

/* As many handles as requests under way, each used again for the next one. */
static void
plain(const char *url, uint32_t in_flight, int64_t seconds)
{
    char full[2048];
    CURLM *multi = curl_multi_init();
    uint64_t done = 0;
    snprintf(full, sizeof full,
             "%s/api/v3/order?symbol=BTCUSDT&origClientOrderId=scrip-abcdef-1&recvWindow=5000"
             "&timestamp=1795250000000&signature=%064d",
             url, 0);
    for (uint32_t i = 0; i < in_flight; i++) {
        CURL *e = curl_easy_init();
        curl_easy_setopt(e, CURLOPT_URL, full);
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(e, CURLOPT_PROXY, "");
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L); /* as ours: else four system calls more */
        curl_multi_add_handle(multi, e);
    }
    int64_t begin_ns = now_ns(), begin_cpu = cpu_ns(), end_ns = begin_ns + seconds * 1000000000;
    while (now_ns() < end_ns) {
        int running, left;
        curl_multi_perform(multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL; done++) {
            CURL *e = m->easy_handle;
            CHECK(m->data.result == CURLE_OK);
            curl_multi_remove_handle(multi, e);
            curl_multi_add_handle(multi, e);
        }
        curl_multi_poll(multi, NULL, 0, 100, NULL);
    }
    printf("{\"calls\": %" PRIu64 ", \"ns\": %" PRId64 ", \"cpu_ns\": %" PRId64 "}\n", done,
           now_ns() - begin_ns, cpu_ns() - begin_cpu);
}

/* ---- The caller -------------------------------------------------------------------------- */

static struct stage {
    struct loop *loop;
    struct redis_link *redis;
    struct caller *caller;
    struct loop_timer *timer;
    int64_t begin_ns, end_ns, begin_cpu;
    uint32_t in_flight;
    uint64_t done;
} stage;

static bool
is_ready(void)
{
    return redis_link_is_up(stage.redis) &&
           caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot) != 0;
}

static void
stage_open(const char *url, const char *redis, struct caller_host host, uint32_t in_flight,
           void (*on_time)(void *arg))
{
    host.environment = ENVIRONMENT_testnet;
    host.type = TRADING_TYPE_spot;
    host.base_url = url;
    stage.loop = loop_new();
    stage.redis = redis_link_open(
        &(struct redis_link_options){.loop = stage.loop, .address = redis, .label = "bridge"});
    CHECK(stage.redis != NULL);
    stage.caller = caller_open(&(struct caller_options){.loop = stage.loop,
                                                        .redis = stage.redis,
                                                        .hosts = &host,
                                                        .host_count = 1,
                                                        .waiting_max = CALLS_MAX,
                                                        .in_flight_max = in_flight,
                                                        .timeout_ms = 20000,
                                                        .recv_window_ms = 5000,
                                                        .patience_ms = PATIENCE_MS});
    stage.in_flight = in_flight;
    stage.timer = loop_timer_new(stage.loop, 10, 0, on_time, NULL);
}

static void on_read(void *arg, const struct caller_reply *r);

static void
read_send(void)
{
    struct call c = {.name = CALL_SPOT_ORDER_GET, .symbol = code_of("BTCUSDT")};
    c.client_id = call_client_id("abcdef", 1);
    struct caller_request r = {
        .environment = ENVIRONMENT_testnet, .call = &c, .key = 1, .done = on_read};
    CHECK(caller_send(stage.caller, &r) != 0);
}

static void
on_read(void *arg, const struct caller_reply *r)
{
    (void)arg;
    if (r->ruling.verdict != VERDICT_OK) {
        fprintf(stderr, "%s: %s\n", verdict_name(r->ruling.verdict), r->message.text);
        exit(1);
    }
    stage.done++;
    if (now_ns() < stage.end_ns)
        read_send();
    else
        loop_stop(stage.loop);
}

static void
on_reads_time(void *arg)
{
    (void)arg;
    if (!is_ready()) {
        loop_timer_again(stage.timer, 10);
        return;
    }
    stage.begin_ns = now_ns();
    stage.end_ns += stage.begin_ns;
    stage.begin_cpu = cpu_ns();
    for (uint32_t i = 0; i < stage.in_flight; i++)
        read_send();
}

static void
ours(char **words)
{
    struct sign_key key = key_make(words[2]);
    key_keep(&key);
    stage_open(words[0], words[1], (struct caller_host){.weight_limit = 1000000000},
               (uint32_t)number_of(words[3]), on_reads_time);
    stage.end_ns = number_of(words[4]) * 1000000000;
    loop_run(stage.loop);
    printf("{\"calls\": %" PRIu64 ", \"ns\": %" PRId64 ", \"cpu_ns\": %" PRId64 "}\n", stage.done,
           now_ns() - stage.begin_ns, cpu_ns() - stage.begin_cpu);
    caller_close(&stage.caller); /* what is kept for it would lie idle in the next run's minute */
    redis_link_close(&stage.redis);
}

/* ---- A queue of all kinds ---------------------------------------------------------------- */

/* Of each priority one. */
static const enum call_name queued[] = {CALL_SPOT_ORDER_CANCEL, CALL_SPOT_ORDER_PLACE,
                                        CALL_SPOT_ORDER_GET, CALL_SPOT_EXCHANGE_INFO};
static struct {
    int priority;
    bool is_late;
    int64_t asked_us;
    uint64_t done; /* in which order */
    struct caller_reply reply;
} rows[CALLS_MAX];
static uint32_t rows_count, rows_wanted;
static int64_t late_ms;
static bool has_begun;

static void
on_row(void *arg, const struct caller_reply *r)
{
    uint64_t row = (uint64_t)(uintptr_t)arg;
    rows[row].reply = *r;
    rows[row].done = ++stage.done;
    if (stage.done == rows_wanted + LATE_CALLS)
        loop_stop(stage.loop);
}

static void
row_send(int priority, bool is_late)
{
    uint64_t order = (uint64_t)getpid() * 100000 + rows_count;
    struct call c = {.name = queued[priority], .symbol = code_of("BTCUSDT")};
    c.wish = (struct order){.order_id = order,
                            .side = SIDE_BUY,
                            .type = ORDER_TYPE_LIMIT,
                            .time_in_force = TIME_IN_FORCE_GTC,
                            .quantity = {1000000},
                            .price = {INT64_C(4000000000000)}};
    c.client_id = call_client_id("abcdef", order);
    rows[rows_count].priority = priority;
    rows[rows_count].is_late = is_late;
    rows[rows_count].asked_us =
        caller_exchange_us(stage.caller, ENVIRONMENT_testnet, TRADING_TYPE_spot);
    struct caller_request r = {.environment = ENVIRONMENT_testnet,
                               .call = &c,
                               .key = priority == 3 ? 0 : rows_count % keys_count + 1,
                               .done = on_row,
                               .arg = (void *)(uintptr_t)rows_count};
    rows_count++;
    CHECK(rows_count < CALLS_MAX && caller_send(stage.caller, &r) != 0);
}

static void
on_rate_time(void *arg)
{
    (void)arg;
    char line[16];
    if (!is_ready()) {
        loop_timer_again(stage.timer, 10);
    } else if (!has_begun) {
        has_begun = true;
        printf("ready\n");
        fflush(stdout);
        CHECK(fgets(line, sizeof line, stdin) != NULL);
        for (uint32_t i = 0; i < rows_wanted; i++) /* the least urgent first */
            row_send(3 - (int)(i * 4 / rows_wanted), false);
        loop_timer_again(stage.timer, late_ms);
    } else {
        for (int i = 0; i < LATE_CALLS; i++)
            row_send(0, true);
    }
}

static void
keys_read(void)
{
    char line[512];
    while (fgets(line, sizeof line, stdin) != NULL && line[0] != '\n') {
        char *blank = strchr(line, ' ');
        CHECK(blank != NULL);
        *blank = '\0';
        struct sign_key key = key_of(line, blank + 1, strcspn(blank + 1, "\n"));
        key_keep(&key);
    }
    CHECK(keys_count > 0);
}

static void
rate(char **words)
{
    keys_read();
    struct caller_host host = {.weight_window_ms = number_of(words[2]),
                               .weight_limit = (uint32_t)number_of(words[3])};
    rows_wanted = (uint32_t)number_of(words[4]);
    late_ms = number_of(words[5]);
    stage_open(words[0], words[1], host, 32, on_rate_time);
    loop_run(stage.loop);
    caller_close(&stage.caller); /* what is kept for it goes back to those who are not done */
    redis_link_close(&stage.redis);
    printf("{\"rows\": [");
    for (uint32_t i = 0; i < rows_count; i++)
        printf("%s[%d, %d, %" PRId64 ", %" PRId64 ", %" PRIu64 ", %d, %" PRId64 ", \"%s\", %u]",
               i > 0 ? ", " : "", rows[i].priority, rows[i].is_late, rows[i].asked_us,
               rows[i].reply.sent_us, rows[i].done, rows[i].reply.status, rows[i].reply.code,
               verdict_name(rows[i].reply.ruling.verdict), rows[i].reply.attempts);
    printf("]}\n");
}

int
main(int argc, char **argv)
{
    log_open("bridge_calls", LOG_WARN);
    signal(SIGPIPE, SIG_IGN);
    vault_make();
    if (argc == 4 && strcmp(argv[1], "sign") == 0)
        sign(argv[2], number_of(argv[3]));
    else if (argc == 5 && strcmp(argv[1], "plain") == 0)
        plain(argv[2], (uint32_t)number_of(argv[3]), number_of(argv[4]));
    else if (argc == 7 && strcmp(argv[1], "ours") == 0)
        ours(argv + 2);
    else if (argc == 8 && strcmp(argv[1], "rate") == 0)
        rate(argv + 2);
    else
        return 2;
    vault_close(&vault);
    return 0;
}
