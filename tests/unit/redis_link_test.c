/*
 * redis_link_test.c - one connection to a real Redis: order, bounds, losses, silence.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/redis_link.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net_stage.h"

#define COUNT 1000

static struct net_stage stage;
static struct redis_link *l;
static int ups, answers, missing, errors;
static long long last;
static char key[64];

static void
on_up(void *arg)
{
    (void)arg;
    ups++;
}

static bool
is_up(void)
{
    return redis_link_is_up(l);
}

static void
open_at(const char *address, uint32_t in_flight_max)
{
    l = redis_link_open(&(struct redis_link_options){.loop = stage.loop,
                                                     .address = address,
                                                     .label = "test",
                                                     .in_flight_max = in_flight_max,
                                                     .on_up = on_up});
    cr_assert(l != NULL);
}

static void
set_up(void)
{
    net_stage_open(&stage, false);
    snprintf(key, sizeof key, "scrip-test:%d", (int)getpid());
    open_at(getenv("SCRIP_TEST_REDIS"), 0);
    cr_assert_not(redis_link_is_up(l));
    net_wait(&stage, is_up, "a connection to Redis");
    cr_assert_eq(ups, 1);
}

static void
tear_down(void)
{
    redis_link_close(&l);
    net_stage_close(&stage);
}

TestSuite(redis_link, .init = set_up, .fini = tear_down);

static bool
say(const char *text, redis_answer *answer)
{
    char copy[256], *rest = copy;
    const char *words[8];
    size_t lengths[8];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep(&rest, " ")) != NULL; count++) {
        words[count] = word;
        lengths[count] = strlen(word);
    }
    return redis_link_send(l, count, words, lengths, answer, NULL);
}

/* A connection of the test's own, which does not wait for the loop. */
static void
say_aside(const char *text)
{
    char host[128];
    snprintf(host, sizeof host, "%s", getenv("SCRIP_TEST_REDIS"));
    char *colon = strrchr(host, ':');
    *colon = 0;
    redisContext *c = redisConnect(host, (int)strtol(colon + 1, NULL, 10));
    cr_assert(c != NULL && c->err == 0);
    redisReply *r = redisCommand(c, text);
    cr_assert(r != NULL && r->type != REDIS_REPLY_ERROR, "%s", r == NULL ? "" : r->str);
    freeReplyObject(r);
    redisFree(c);
}

static void
on_number(void *arg, const struct redisReply *r)
{
    (void)arg;
    cr_assert(r != NULL && r->type == REDIS_REPLY_INTEGER);
    cr_assert_eq(r->integer, last + 1, "answers come in the order of the commands");
    last = r->integer;
    answers++;
}

static void
on_id(void *arg, const struct redisReply *r)
{
    (void)arg;
    cr_assert(r != NULL && r->type == REDIS_REPLY_INTEGER);
    last = r->integer;
    answers++;
}

static void
on_any(void *arg, const struct redisReply *r)
{
    (void)arg;
    answers++;
    missing += r == NULL;
    errors += r != NULL && r->type == REDIS_REPLY_ERROR;
}

static int wanted_answers;

static bool
all_are_there(void)
{
    return answers >= wanted_answers;
}

static void
answers_wait(int count, const char *what)
{
    wanted_answers = count;
    net_wait(&stage, all_are_there, what);
    cr_assert_eq(answers, count);
}

Test(redis_link, answers_come_in_order)
{
    char text[128];
    snprintf(text, sizeof text, "INCR %s", key);
    for (int i = 0; i < COUNT; i++)
        cr_assert(say(text, on_number));
    cr_assert_eq(answers, 0);
    answers_wait(COUNT, "1000 answers");
    snprintf(text, sizeof text, "DEL %s", key);
    cr_assert(say(text, NULL), "an answer need not be wanted");
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    cr_assert(redis_link_send_packed(l, ping, sizeof ping - 1, on_any, NULL));
    answers_wait(COUNT + 1, "an answer to a packed command");
    cr_assert(say("HSET", on_any));
    answers_wait(COUNT + 2, "a refusal");
    cr_assert_eq(errors, 1);
    cr_assert(redis_link_is_up(l));
}

static void
on_step(void *arg, const struct redisReply *r)
{
    on_any(arg, r);
    if (answers < 10)
        cr_assert(say("PING", on_step));
}

Test(redis_link, an_answer_may_send_the_next_command)
{
    say("PING", on_step);
    answers_wait(10, "ten commands, one after another");
}

Test(redis_link, what_is_under_way_is_bounded)
{
    redis_link_close(&l);
    open_at(getenv("SCRIP_TEST_REDIS"), 3);
    cr_assert_not(say("PING", on_any), "not before it is up");
    net_wait(&stage, is_up, "a connection");
    for (int i = 0; i < 3; i++)
        cr_assert(say("PING", on_any));
    cr_assert_not(redis_link_ready(l));
    cr_assert_not(say("PING", on_any));
    answers_wait(3, "three answers");
    cr_assert(redis_link_ready(l));
}

static bool
came_up_again(void)
{
    return ups == 2;
}

Test(redis_link, a_lost_connection_answers_what_was_under_way_and_is_made_again)
{
    char text[128];
    snprintf(text, sizeof text, "BLPOP %s 0", key);
    cr_assert(say("CLIENT ID", on_id));
    answers_wait(1, "the connection's id");
    for (int i = 0; i < 5; i++)
        cr_assert(say(text, on_any));
    snprintf(text, sizeof text, "CLIENT KILL ID %lld", last);
    say_aside(text);
    answers_wait(6, "an answer to each");
    cr_assert_eq(missing, 5);
    cr_assert_not(redis_link_is_up(l));
    cr_assert_not(say("PING", on_any));
    net_wait(&stage, came_up_again, "another connection");
    cr_assert(say("PING", on_any));
    answers_wait(7, "an answer on it");
    cr_assert_eq(missing, 5);
}

Test(redis_link, a_server_that_falls_silent_is_left)
{
    char text[128];
    snprintf(text, sizeof text, "BLPOP %s 0", key);
    cr_assert(say(text, on_any));
    answers_wait(1, "given up after 2 s");
    cr_assert_eq(missing, 1);
    net_wait(&stage, came_up_again, "another connection");
}

Test(redis_link, closing_answers_what_is_under_way)
{
    for (int i = 0; i < 5; i++)
        cr_assert(say("PING", on_any));
    redis_link_close(&l);
    cr_assert_eq(answers, 5);
    cr_assert_eq(missing, 5);
}

Test(redis_link, names_are_looked_up)
{
    char address[64];
    redis_link_close(&l);
    ups = 0;
    snprintf(address, sizeof address, "localhost%s", strrchr(getenv("SCRIP_TEST_REDIS"), ':'));
    open_at(address, 0);
    net_wait(&stage, is_up, "a connection to localhost");
}

Test(redis_link, nobody_is_there)
{
    const char *const addresses[] = {"127.0.0.1:1", "unix:/nonexistent/redis.sock",
                                     "nobody.invalid:6379"};
    for (int i = 0; i < 3; i++) {
        redis_link_close(&l);
        open_at(addresses[i], 0);
        cr_assert_not(say("PING", on_any));
    }
    const char *const not_valid[] = {"", "unix:", "host", ":1", "host:0", "host:65536", "host:1x"};
    for (size_t i = 0; i < sizeof not_valid / sizeof not_valid[0]; i++) {
        struct redis_link_options o = {
            .loop = stage.loop, .address = not_valid[i], .label = "test"};
        cr_assert(redis_link_open(&o) == NULL, "%s", not_valid[i]);
    }
}
