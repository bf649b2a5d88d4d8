/*
 * question.c - see question.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "scripctl/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scripctl/value.h"
#include "wire/bus.h"

#define RESEND_MS   1000
#define LINK_US     3000000  /* for somebody to be there */
#define TIMEOUT_US  15000000 /* for the answer */
#define LISTS_BYTES (1u << 20)

struct question {
    struct loop *loop;
    struct loop_timer *timer;
    struct bus *bus;
    char endpoint[256], name[CODE_BYTES];
    struct bytes packed; /* what is asked */
    uint64_t corr;
    int64_t asked_us;
    bool is_linked, is_answered;
    struct bytes answer_bytes;
    struct arena lists;
    struct msg answer;
};

static void
send_it(struct question *q)
{
    if (q->is_linked && q->packed.length > 0)
        bus_put_packed(q->bus, 0, q->packed.data, q->packed.length);
}

/* What is received is lent for the call: the answer is packed and read again. */
static void
on_msg(void *arg, const struct bus_in *in)
{
    struct question *q = arg;
    size_t at = 0;
    if (in->msg->corr != q->corr || q->is_answered)
        return;
    bytes_clear(&q->answer_bytes);
    msg_pack(&q->answer_bytes, in->msg);
    arena_reset(&q->lists);
    q->is_answered =
        msg_unpack(q->answer_bytes.data, q->answer_bytes.length, &at, &q->lists, &q->answer) == OK;
    loop_stop(q->loop);
}

static void
on_link(void *arg, bool is_up)
{
    struct question *q = arg;
    q->is_linked = is_up;
    send_it(q);
}

static void
on_time(void *arg)
{
    struct question *q = arg;
    int64_t waited_us = loop_steady_us(q->loop) - q->asked_us;
    if (waited_us >= (q->is_linked ? TIMEOUT_US : LINK_US))
        loop_stop(q->loop);
    else
        send_it(q);
}

struct question *
question_open(const char *endpoint, char why[WHY_BYTES])
{
    struct question *q = calloc(1, sizeof *q);
    void *lists = malloc(LISTS_BYTES);
    CHECK(q != NULL && lists != NULL);
    arena_init(&q->lists, lists, LISTS_BYTES);
    q->loop = loop_new();
    q->timer = loop_timer_new(q->loop, RESEND_MS, RESEND_MS, on_time, q);
    q->corr = (uint64_t)value_now_us() << 8;
    snprintf(q->name, sizeof q->name, "scripctl-%d", (int)getpid());
    snprintf(q->endpoint, sizeof q->endpoint, "%s", endpoint);
    q->bus = bus_open(q->loop, &(struct bus_options){.role = BUS_ASK,
                                                     .endpoint = q->endpoint,
                                                     .name = q->name,
                                                     .arg = q,
                                                     .on_msg = on_msg,
                                                     .on_link = on_link});
    if (q->bus != NULL)
        return q;
    snprintf(why, WHY_BYTES, "\"%.200s\" is no endpoint such as tcp://127.0.0.1:7402", endpoint);
    question_close(&q);
    return NULL;
}

void
question_close(struct question **question)
{
    struct question *q = *question;
    if (q == NULL)
        return;
    if (q->bus != NULL)
        bus_close(&q->bus);
    loop_timer_end(&q->timer);
    loop_destroy(&q->loop);
    bus_teardown();
    bytes_free(&q->packed);
    bytes_free(&q->answer_bytes);
    free(q->lists.bytes);
    free(q);
    *question = NULL;
}

const struct msg *
question_ask(struct question *q, const struct msg *m, char why[WHY_BYTES])
{
    q->is_answered = false;
    q->asked_us = loop_steady_us(q->loop);
    bytes_clear(&q->packed);
    msg_pack_body(&q->packed, m->type, ++q->corr, msg_body_const(m));
    send_it(q);
    loop_run(q->loop);
    if (q->is_answered)
        return &q->answer;
    snprintf(why, WHY_BYTES, q->is_linked ? "%.200s does not answer" : "nobody is there at %.200s",
             q->endpoint);
    return NULL;
}
