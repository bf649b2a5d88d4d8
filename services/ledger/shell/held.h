/*
 * held.h - messages that wait for the commit they rest on, packed, in the order they were said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCRIP_LEDGER_SHELL_HELD_H
#define SCRIP_LEDGER_SHELL_HELD_H

#include "base/msg.h"
#include "wire/codec.h"

enum held_for { HELD_FOR_ASKER, HELD_FOR_FOLLOWERS, HELD_FOR_BRIDGE };

struct held_message;

struct held {
    struct held_message *messages;
    uint32_t count, max;
    struct bytes bytes;
};

/* Where they go; `data` is lent. */
struct held_way {
    void *arg;
    void (*on_reply)(void *arg, uint32_t peer, const uint8_t *data, size_t length);
    void (*on_event)(void *arg, uint64_t account_id, const uint8_t *data, size_t length);
    /* Each message once, and never before its record is durable: an order that is sent to an
     * exchange cannot be taken back. */
    void (*on_bridge)(void *arg, const uint8_t *data, size_t length);
};

void held_init(struct held *h, uint32_t max);
void held_fini(struct held *h);
/* `to` is a peer or an account, by whom it is for. CHECKs for room. */
void held_add(struct held *h, enum held_for held_for, uint64_t to, const struct msg *m);
/* All of them leave, and it is empty. */
void held_release(struct held *h, const struct held_way *way);
void held_clear(struct held *h);

#endif
