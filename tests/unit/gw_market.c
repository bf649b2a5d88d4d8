/*
 * gw_market.c - see gw_market.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "gw_market.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"
#include "host/log.h"
#include "wire/bus.h"

#define LINE_BYTES  2048
#define ANSWERS_MAX 16
#define SERVERS_MAX 3 /* market data itself, a ledger, a bridge */

static pid_t pid;
static int orders, told;

/* ---- The service's process ---- */

static struct {
    struct loop *loop;
    struct bus *publisher, *servers[SERVERS_MAX];
    char endpoints[SERVERS_MAX][160];
    int server_count;
    int in, out;
    char line[LINE_BYTES];
    size_t length;
    struct {
        char question[32], text[LINE_BYTES]; /* "" = free */
    } answers[ANSWERS_MAX];
    struct arena lists;
} f;

static void
tell(const char *what, const char *detail)
{
    char line[LINE_BYTES + 16];
    int n = snprintf(line, sizeof line, "%s %s\n", what, detail);
    if (write(f.out, line, (size_t)n) != n)
        _exit(1);
}

static bool
message_read(const char *text, struct msg *m)
{
    code_t field;
    arena_reset(&f.lists);
    if (msg_read_text(text, &f.lists, m, &field) == OK)
        return true;
    tell("misunderstood", text);
    return false;
}

static void
secret_tell(const struct bridge_keys_put *put)
{
    char secret[8192], text[64];
    size_t length = 0;
    for (uint32_t i = 0; i < put->secret_count; i++)
        length += (size_t)snprintf(secret + length, sizeof secret - length, "%s",
                                   put->secret[i].text.text);
    snprintf(text, sizeof text, "%zu %016llx", length,
             (unsigned long long)map_hash(secret, length));
    tell("secret", text);
}

static void on_orders(void *arg, unsigned events);

/* What the test said before it asked comes before what it asked. */
static void
orders_first(void)
{
    struct pollfd p = {.fd = f.in, .events = POLLIN};
    while (poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0)
        on_orders(NULL, 0);
}

static void
on_question(void *arg, const struct bus_in *in)
{
    char text[LINE_BYTES];
    struct msg m;
    uint64_t corr = in->msg->corr;
    struct bus *server = f.servers[(struct bus **)arg - f.servers];
    orders_first();
    if (in->msg->type == MSG_bridge_keys_put)
        secret_tell(&in->msg->bridge_keys_put);
    msg_print(in->msg, text, sizeof text);
    tell("asked", text);
    for (int i = 0; i < ANSWERS_MAX; i++) {
        if (strcmp(f.answers[i].question, msg_layout(in->msg->type)->name) != 0 ||
            !message_read(f.answers[i].text, &m))
            continue;
        bus_put(server, in->peer, m.type, corr, msg_body(&m));
        corr = 0; /* what follows is as it was published */
    }
}

static void
on_topic(void *arg, const char *topic, bool followed)
{
    (void)arg;
    tell(followed ? "follows" : "leaves", topic);
}

/* The next word of a line, which is cut behind it. */
static char *
word_take(char **line)
{
    char *word = *line;
    *line += strcspn(word, " ");
    if (**line != 0)
        *(*line)++ = 0;
    return word;
}

static void
serve(const char *name)
{
    struct bus **at = &f.servers[f.server_count];
    char *endpoint = f.endpoints[f.server_count++];
    snprintf(endpoint, sizeof f.endpoints[0], "ipc://%s/%s", getenv("GW_HTTP_TEST_FOLDER"), name);
    *at = bus_open(f.loop, &(struct bus_options){.role = BUS_SERVE,
                                                 .endpoint = endpoint,
                                                 .name = "market",
                                                 .arg = at,
                                                 .on_msg = on_question});
    if (*at == NULL)
        _exit(1);
}

static void
order_take(char *rest)
{
    char *what = word_take(&rest), *name = word_take(&rest);
    struct msg m;
    if (strcmp(what, "publish") == 0) {
        if (message_read(rest, &m))
            bus_publish(f.publisher, name, m.type, 0, msg_body(&m));
        return;
    }
    if (strcmp(what, "serve") == 0) {
        serve(name);
        return;
    }
    bool is_answer = strcmp(what, "answer") == 0;
    for (int i = 0; i < ANSWERS_MAX; i++) {
        if (!is_answer && strcmp(f.answers[i].question, name) == 0)
            f.answers[i].question[0] = 0;
        if (is_answer && f.answers[i].question[0] == 0) {
            snprintf(f.answers[i].question, sizeof f.answers[i].question, "%s", name);
            snprintf(f.answers[i].text, sizeof f.answers[i].text, "%s", rest);
            return;
        }
    }
}

static void
on_orders(void *arg, unsigned events)
{
    (void)arg, (void)events;
    ssize_t n = read(f.in, f.line + f.length, sizeof f.line - 1 - f.length);
    if (n < 0 && errno == EAGAIN)
        return; /* orders_first() has read them in this very turn */
    if (n <= 0) {
        loop_stop(f.loop);
        return;
    }
    f.length += (size_t)n;
    f.line[f.length] = 0;
    for (char *end; (end = strchr(f.line, '\n')) != NULL;) {
        char one[LINE_BYTES];
        size_t length = (size_t)(end - f.line);
        memcpy(one, f.line, length);
        one[length] = 0;
        f.length -= length + 1;
        memmove(f.line, end + 1, f.length + 1);
        order_take(one);
    }
}

static void
service_run_alone(void)
{
    static uint8_t lists[65536] __attribute__((aligned(16)));
    char market[160];
    log_open("market", LOG_ERROR);
    arena_init(&f.lists, lists, sizeof lists);
    f.loop = loop_new();
    snprintf(market, sizeof market, "ipc://%s/market", getenv("GW_HTTP_TEST_FOLDER"));
    f.publisher = bus_open(f.loop, &(struct bus_options){.role = BUS_PUBLISH,
                                                         .endpoint = market,
                                                         .name = "market",
                                                         .on_topic = on_topic});
    if (f.publisher == NULL)
        _exit(1);
    serve("ask");
    struct loop_watch *watch = loop_watch_fd(f.loop, f.in, LOOP_READ, on_orders, NULL);
    loop_run(f.loop);
    loop_watch_end(&watch);
    bus_close(&f.publisher);
    for (int i = 0; i < f.server_count; i++)
        bus_close(&f.servers[i]);
    bus_teardown();
    loop_destroy(&f.loop);
    unlink(market + strlen("ipc://"));
    for (int i = 0; i < f.server_count; i++)
        unlink(f.endpoints[i] + strlen("ipc://"));
    _exit(0);
}

/* ---- The test's side ---- */

void
market_begin(void)
{
    int down[2], up[2];
    cr_assert(pipe(down) == 0 && pipe(up) == 0);
    pid = fork();
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        f.in = down[0];
        f.out = up[1];
        if (fcntl(f.in, F_SETFL, O_NONBLOCK) != 0)
            _exit(1);
        service_run_alone();
    }
    close(down[0]);
    close(up[1]);
    orders = down[1];
    told = up[0];
    market_say("answer md_symbols_get md_symbols version=1 symbols=[{symbol=BTCUSDT base_asset=BTC "
               "quote_asset=USDT} {symbol=ETHUSDT base_asset=ETH quote_asset=USDT}]");
    market_hear("asked", "md_symbols_get");
}

void
market_serve(const char *name)
{
    market_say("serve %s", name);
}

void
market_end(void)
{
    int status;
    close(orders);
    while (read(told, (char[256]){0}, 256) > 0)
        ;
    close(told);
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0);
}

void
market_say(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    cr_assert_lt(n, (int)sizeof line - 1);
    line[n++] = '\n';
    cr_assert_eq(write(orders, line, (size_t)n), n);
}

void
market_hear(const char *what, const char *detail)
{
    char line[LINE_BYTES];
    for (;;) {
        size_t length = 0;
        while (length + 1 < sizeof line && (length == 0 || line[length - 1] != '\n')) {
            struct pollfd p = {.fd = told, .events = POLLIN};
            cr_assert_eq(poll(&p, 1, 20000), 1, "nobody told of %s %s", what, detail);
            cr_assert_eq(read(told, line + length, 1), 1);
            length++;
        }
        line[length] = 0;
        cr_assert(strncmp(line, "misunderstood", 13) != 0, "%s", line);
        if (strncmp(line, what, strlen(what)) == 0 && strstr(line, detail) != NULL)
            return;
    }
}
