/*
 * redis_link.h - one connection to Redis that is kept: looked up, made, watched, made again.
 *
 *   LOOKING UP -> CONNECTING -> UP -> (error, or no reply for 2 s) -> waiting -> LOOKING UP
 *
 * A host name is looked up on a thread of its own, because the C library's look-up waits for
 * seconds when name service is away. Nothing here ever waits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_HOST_REDIS_LINK_H
#define SCRIP_HOST_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

struct redis_link;
struct redisReply;

struct redis_link_options {
    struct loop *loop;
    const char *address;    /* HOST:PORT or unix:PATH; copied */
    const char *label;      /* of its log lines and metrics: "cache"; copied */
    uint32_t in_flight_max; /* commands without a reply; 0 = 4096 */
    void *arg;
    void (*on_up)(void *arg); /* after each connect; NULL = not wanted */
};

/* In the order of the commands. `reply` is lent, its elements may be reordered; NULL when there
 * will be none. */
typedef void redis_answer(void *arg, const struct redisReply *reply);

/* NULL with a logged reason when the address is neither form. */
struct redis_link *redis_link_open(const struct redis_link_options *o);
/* Every command under way is answered with NULL first. Not from within an answer. */
void redis_link_close(struct redis_link **l);
bool redis_link_is_up(const struct redis_link *l);
/* How often it has come up: another number tells that it was away meanwhile. */
uint32_t redis_link_ups(const struct redis_link *l);
/* When the last attempt to connect began that failed, by the wall clock; 0 = none did. */
int64_t redis_link_failed_us(const struct redis_link *l);
/* False while Redis is away or in_flight_max commands wait for their replies. */
bool redis_link_ready(const struct redis_link *l);
/* Sends a command in words; `answer` may be NULL. False: not sent, and `answer` is not called. */
bool redis_link_send(struct redis_link *l, int count, const char *const *words,
                     const size_t *lengths, redis_answer *answer, void *arg);
/* The same with a command that is already in Redis's protocol. */
bool redis_link_send_packed(struct redis_link *l, const char *command, size_t length,
                            redis_answer *answer, void *arg);

#endif
