/*
 * fetch_test.c - requests to a server that answers rightly, wrongly, late or not at all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "host/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "host/log.h"
#include "net_stage.h"

#define BODY_MAX 100000

static struct net_stage stage;
static struct fetch *fetch;

/* The last reply, and how many there were. */
static struct {
    struct fetch_reply reply;
    char body[BODY_MAX + 1], why[256];
    int count;
} got;
static int wanted_count;

static void
on_reply(void *arg, const struct fetch_reply *r)
{
    (void)arg;
    got.reply = *r;
    cr_assert_leq(r->length, BODY_MAX);
    memcpy(got.body, r->body, r->length);
    got.body[r->length] = 0;
    snprintf(got.why, sizeof got.why, "%s", r->why);
    cr_assert_eq(r->status == 0, *r->why != 0, "a reply without a status says why: %s", r->why);
    got.count++;
}

static bool
all_are_there(void)
{
    return got.count >= wanted_count;
}

static void
open_with(const char *ca_file)
{
    fetch = fetch_open(&(struct fetch_options){.loop = stage.loop,
                                               .ca_file = ca_file,
                                               .in_flight_max = 8,
                                               .body_bytes_max = BODY_MAX,
                                               .timeout_ms = 10000});
}

static void
set_up(void)
{
    net_stage_open(&stage, true);
    open_with(NULL);
}

static void
tear_down(void)
{
    fetch_close(&fetch);
    net_stage_close(&stage);
}

static uint64_t
send(struct fetch_request r, const char *path)
{
    char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", stage.port, path);
    r.url = url;
    r.on_reply = on_reply;
    return fetch_send(fetch, &r);
}

static void
ask(struct fetch_request r, const char *path)
{
    got.count = 0;
    wanted_count = 1;
    cr_assert_neq(send(r, path), 0u);
    cr_assert_eq(got.count, 0, "a reply comes in a later turn");
    net_wait(&stage, all_are_there, path);
}

TestSuite(fetch, .init = set_up, .fini = tear_down);

Test(fetch, methods_headers_and_bodies_arrive)
{
    ask((struct fetch_request){0}, "/echo?a=1&b=2");
    cr_assert_eq(got.reply.status, 200);
    cr_assert_str_eq(got.body, "GET a=1&b=2\n");
    ask((struct fetch_request){0}, "/echo?a=%5B%22x%22%5D&b=~!*'(),;:@/?");
    cr_assert_str_eq(got.body, "GET a=%5B%22x%22%5D&b=~!*'(),;:@/?\n", "%s", got.body);
    ask((struct fetch_request){0}, "/echo?a=1#part");
    cr_assert_str_eq(got.body, "GET a=1\n");
    const char *const headers[] = {"X-Test: yes", "X-Test-Key: k", NULL};
    ask(
        (struct fetch_request){
            .method = "POST", .headers = headers, .body = "xyz", .body_length = 3},
        "/echo");
    cr_assert_str_eq(got.body, "POST \nX-Test: yes\nX-Test-Key: k\nxyz");
    ask((struct fetch_request){.method = "POST"}, "/echo?signature=1");
    cr_assert_str_eq(got.body, "POST signature=1\n");
    ask((struct fetch_request){.method = "PUT", .body = "p", .body_length = 1}, "/echo");
    cr_assert_str_eq(got.body, "PUT \np");
    ask((struct fetch_request){.method = "DELETE"}, "/echo");
    cr_assert_str_eq(got.body, "DELETE \n");
    cr_assert_eq(got.reply.used_weight_1m, -1);
    cr_assert_eq(got.reply.retry_after_s, -1);
    cr_assert_eq(got.reply.date_us, -1);
}

Test(fetch, limits_are_read_from_the_headers)
{
    ask((struct fetch_request){0}, "/limits");
    cr_assert_eq(got.reply.status, 429);
    cr_assert_eq(got.reply.retry_after_s, 7);
    cr_assert_eq(got.reply.used_weight_1m, 1234);
    cr_assert_eq(got.reply.order_count_10s, 5);
    cr_assert_eq(got.reply.order_count_1m, 6);
    cr_assert_eq(got.reply.order_count_1d, 70);
    cr_assert_eq(got.reply.date_us, 100000000);
    cr_assert_str_eq(got.body, "{}");
}

Test(fetch, chunked_and_compressed_bodies_come_whole)
{
    ask((struct fetch_request){0}, "/chunked");
    cr_assert_str_eq(got.body, "one two three");
    ask((struct fetch_request){0}, "/gzip?50000");
    cr_assert_eq(got.reply.length, 50000);
}

/* And is read when the other side does so all the same. */
Test(fetch, a_short_reply_need_not_be_compressed)
{
    ask((struct fetch_request){0}, "/accepts");
    cr_assert(strstr(got.body, "gzip") != NULL, "%s", got.body);
    ask((struct fetch_request){.is_short = true}, "/accepts");
    cr_assert_str_eq(got.body, "");
    ask((struct fetch_request){.is_short = true}, "/gzip?50000");
    cr_assert_eq(got.reply.length, 50000);
    ask((struct fetch_request){0}, "/accepts");
    cr_assert(strstr(got.body, "gzip") != NULL, "%s", got.body);
}

Test(fetch, one_connection_serves_one_request_after_another)
{
    for (int i = 0; i < 20; i++)
        ask((struct fetch_request){0}, "/echo");
    ask((struct fetch_request){0}, "/counts");
    cr_assert_str_eq(got.body, "1 connections, 21 requests");
}

Test(fetch, a_body_that_is_too_long_counts_as_none)
{
    ask((struct fetch_request){0}, "/long?100000");
    cr_assert_eq(got.reply.status, 200);
    ask((struct fetch_request){0}, "/long?100001");
    cr_assert_eq(got.reply.status, 0);
    cr_assert_str_eq(got.why, "the reply is longer than 100000 bytes");
    cr_assert(got.reply.was_sent);
    ask((struct fetch_request){0}, "/gzip?5000000");
    cr_assert_eq(got.reply.status, 0, "a small reply may be a large one");
}

Test(fetch, half_a_reply_and_garbage_are_no_reply)
{
    const char *const paths[] = {"/half", "/garbage", "/close"};
    for (int i = 0; i < 3; i++) {
        ask((struct fetch_request){0}, paths[i]);
        cr_assert_eq(got.reply.status, 0, "%s", paths[i]);
        cr_assert(got.reply.was_sent, "%s", paths[i]);
        cr_assert_eq(got.reply.length, 0);
    }
}

Test(fetch, an_url_cannot_say_more_than_its_own_request)
{
    send((struct fetch_request){0}, "/echo?a=1 HTTP/1.1\r\nX-Test: no\r\n\r\nGET /echo?b=2");
    wanted_count = 1;
    net_wait(&stage, all_are_there, "an URL with ends of lines");
    cr_assert(got.reply.status == 0 || strchr(got.body, '\n') == strrchr(got.body, '\n'), "%s",
              got.body);
    ask((struct fetch_request){0}, "/counts");
    cr_assert(strstr(got.body, ", 1 requests") != NULL || strstr(got.body, ", 2 requests") != NULL,
              "%s", got.body);
}

Test(fetch, redirects_are_not_followed)
{
    ask((struct fetch_request){0}, "/redirect");
    cr_assert_eq(got.reply.status, 302);
}

Test(fetch, a_request_is_sent_once_even_if_the_kept_connection_is_dead)
{
    ask((struct fetch_request){0}, "/then-close");
    cr_assert_eq(got.reply.status, 200);
    ask((struct fetch_request){.method = "POST"}, "/echo");
    cr_assert_eq(got.reply.status, 0);
    cr_assert(got.reply.was_sent);
    ask((struct fetch_request){0}, "/counts");
    cr_assert(strstr(got.body, ", 3 requests") != NULL, "%s", got.body);
}

Test(fetch, a_server_that_never_answers_is_given_up)
{
    ask((struct fetch_request){.timeout_ms = 60}, "/never");
    cr_assert_eq(got.reply.status, 0);
    cr_assert(got.reply.was_sent);
    cr_assert(got.reply.timed_out);
    ask((struct fetch_request){.timeout_ms = 6000}, "/half");
    cr_assert_not(got.reply.timed_out);
}

Test(fetch, what_was_not_sent_is_known)
{
    struct fetch_request r = {.url = "http://127.0.0.1:1/", .on_reply = on_reply};
    wanted_count = 1;
    cr_assert_neq(fetch_send(fetch, &r), 0u);
    net_wait(&stage, all_are_there, "a refused connection");
    cr_assert_eq(got.reply.status, 0);
    cr_assert_not(got.reply.was_sent);
    r.url = "ftp://127.0.0.1/";
    wanted_count = 2;
    cr_assert_neq(fetch_send(fetch, &r), 0u);
    net_wait(&stage, all_are_there, "a scheme that is not spoken");
    cr_assert_eq(got.reply.status, 0);
}

/* Whether name service is there or not. */
Test(fetch, a_name_that_is_not_known_holds_nobody_up)
{
    struct fetch_request r = {
        .url = "http://nobody.invalid/", .timeout_ms = 200, .on_reply = on_reply};
    wanted_count = 1;
    int64_t began_us = loop_measure_us();
    cr_assert_neq(fetch_send(fetch, &r), 0u);
    net_wait(&stage, all_are_there, "not found, or not in time");
    cr_assert_lt(loop_measure_us() - began_us, 4500000); /* a resolver alone waits 5 s */
    cr_assert_eq(got.reply.status, 0);
    cr_assert_not(got.reply.was_sent);
    cr_assert_neq(fetch_send(fetch, &r), 0u); /* and is dropped by the end */
}

Test(fetch, more_than_in_flight_max_are_refused_and_dropped_ones_are_silent)
{
    uint64_t numbers[8];
    for (int i = 0; i < 8; i++)
        cr_assert_neq(numbers[i] = send((struct fetch_request){0}, "/never"), 0u);
    cr_assert_eq(send((struct fetch_request){0}, "/echo"), 0u);
    fetch_drop(fetch, numbers[3]);
    fetch_drop(fetch, numbers[3]);
    ask((struct fetch_request){0}, "/echo");
    cr_assert_eq(got.reply.status, 200);
    cr_assert_eq(got.count, 1);
    for (int i = 4; i < 8; i++)
        fetch_drop(fetch, numbers[i]);
    ask((struct fetch_request){0}, "/echo");
}

static int chain_left;

static void
on_chain(void *arg, const struct fetch_reply *r)
{
    on_reply(arg, r);
    if (--chain_left > 0)
        send((struct fetch_request){0}, "/never"); /* dropped by the end */
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", stage.port);
    if (chain_left > 0)
        fetch_send(fetch, &(struct fetch_request){.url = url, .on_reply = on_chain});
}

Test(fetch, a_reply_may_send_the_next_request)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", stage.port);
    chain_left = wanted_count = 5;
    fetch_send(fetch, &(struct fetch_request){.url = url, .on_reply = on_chain});
    net_wait(&stage, all_are_there, "a chain of requests");
}

static void
ask_tls(const char *host)
{
    char url[64];
    snprintf(url, sizeof url, "https://%s:%d/echo", host, stage.tls_port);
    got.count = 0;
    wanted_count = 1;
    fetch_send(fetch, &(struct fetch_request){.url = url, .on_reply = on_reply});
    net_wait(&stage, all_are_there, url);
}

Test(fetch, only_who_is_vouched_for_by_name_is_trusted)
{
    char ca[128];
    ask_tls("localhost");
    cr_assert_eq(got.reply.status, 0, "the system does not know the test's CA");
    cr_assert_not(got.reply.was_sent);
    fetch_close(&fetch);
    snprintf(ca, sizeof ca, "%s/other.pem", stage.folder);
    open_with(ca);
    ask_tls("localhost");
    cr_assert_eq(got.reply.status, 0, "another CA does not vouch for it");
    fetch_close(&fetch);
    snprintf(ca, sizeof ca, "%s/ca.pem", stage.folder);
    open_with(ca);
    ask_tls("localhost");
    cr_assert_eq(got.reply.status, 200, "%s", got.why);
    ask_tls("127.0.0.1");
    cr_assert_eq(got.reply.status, 0, "the certificate is for another name");
    cr_assert_not(got.reply.was_sent);
}
